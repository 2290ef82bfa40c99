//! The screen of `explain`.

use dryport_model::explain::{CapturedRequest, Explanation, Scope, Source};
use dryport_model::{Cause, CauseId, Family, Level, Platform, Protocol};

use super::headline::level_word;
use super::holders::Holder;
use super::layout::{Lines, cut, left, right, width};
use super::number::{ends, grouped, plural};
use super::paint::Tone;
use super::{Screen, cause, check, requests};
use crate::{Explained, ExplainedInput};

/// Requests shown; the JSON document has more.
const MOST_REQUESTS: usize = 6;
const MOST_DESTINATIONS: usize = 5;
const MOST_PROCESSES: usize = 5;
/// Notes of one input shown.
const MOST_NOTES: usize = 5;
const LONGEST_NAME: usize = 32;
const LABEL: usize = 14;

/// The whole screen.
#[must_use]
pub fn explain(explained: &Explained<'_>, screen: Screen) -> String {
    let e = explained.explanation;
    let mut lines = Lines::new(screen);
    let word = level_word(e.level);
    let painted = screen.paint(Tone::Level(e.level), &word);
    lines.hang(
        &format!("{word}  "),
        &format!("{painted}  "),
        &sentence(explained),
        Some(Tone::Strong),
    );
    lines.gap();
    write_inputs(&mut lines, &explained.inputs);
    write_ranges(&mut lines, e);
    write_contradictions(&mut lines, e);
    write_requests(&mut lines, e);
    write_uses(&mut lines, e);
    write_causes(&mut lines, e);
    check::write_assumptions(&mut lines, &e.assumptions);
    let gaps: Vec<_> = e
        .coverage
        .iter()
        .filter(|c| c.seen != dryport_model::Seen::Full && e.rows > 0)
        .map(|coverage| (coverage, String::new()))
        .collect();
    check::write_gaps(&mut lines, &gaps);
    write_notes(&mut lines, &explained.inputs);
    if let Some(next) = next(e) {
        lines.gap();
        lines.hang("Next: ", "Next: ", &next, None);
    }
    lines.finish()
}

/// The first line alone, for `--quiet`.
#[must_use]
pub fn explain_line(explained: &Explained<'_>, screen: Screen) -> String {
    let level = explained.explanation.level;
    format!(
        "{}  {}\n",
        screen.paint(Tone::Level(level), &level_word(level)),
        screen.paint(Tone::Strong, &sentence(explained))
    )
}

/// A cause in a list: its id, and under it what it is.
#[must_use]
pub fn cause_summary(id: &str, summary: &str, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    lines.line(&screen.paint(Tone::Strong, id));
    lines.hang("    ", "    ", summary, None);
    lines.finish()
}

fn sentence(explained: &Explained<'_>) -> String {
    let e = explained.explanation;
    if let Some(contradiction) = e.contradictions.first() {
        return format!("{}.", capital(contradiction));
    }
    let worst = e.requests.first();
    match e.level {
        Level::Critical | Level::Warning => worst
            .filter(|request| request.level == e.level)
            .map(short)
            .or_else(|| e.causes.first().map(headline))
            .unwrap_or_else(|| "A document of dryport in the input has this level.".into()),
        Level::Ok => well(e),
        Level::Unknown => unknown(e),
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// What is left of the worst request.
fn short(request: &CapturedRequest) -> String {
    let capacity = grouped(request.ledger.capacity());
    let clause = clause(request);
    if request.headroom.at_most == 1 && request.headroom.is_exact() {
        return format!("Only 1 port of {capacity} is left {clause}.");
    }
    if request.headroom.at_most == 0 {
        return format!("No port is left {clause}: all {capacity} are taken.");
    }
    if request.unsure.is_none() {
        let left = ends(request.headroom);
        return format!("Only {left} of {capacity} ports are left {clause}.");
    }
    match request.headroom.at_least {
        0 => format!("Perhaps no port is left {clause}: a capture does not tell for certain."),
        left => format!(
            "Perhaps only {} of {capacity} ports are left {clause}: a capture does not tell for \
             certain.",
            grouped(left)
        ),
    }
}

const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

fn family(family: Option<Family>) -> &'static str {
    match family {
        Some(Family::V4) => " over IPv4",
        Some(Family::V6) => " over IPv6",
        None => "",
    }
}

fn clause(request: &CapturedRequest) -> String {
    let protocol = protocol(request.protocol);
    match &request.scope {
        Scope::Pair {
            source,
            destination,
        } => format!("from {source} to {destination}"),
        Scope::Source(source) => format!("from {source}, whatever the destination"),
        Scope::Any => format!(
            "for {protocol}{}, whatever the destination",
            family(request.family)
        ),
        Scope::Nat {
            outside,
            destination,
        } => format!("on the NAT address {outside} to {destination}"),
    }
}

fn evidence(cause: &Cause, name: &str) -> u64 {
    cause::evidence(cause, name)
}

/// What a message says, in the few words of a headline.
fn headline(cause: &Cause) -> String {
    let text = match cause.id {
        CauseId::ConnectTupleDry => "A connect() found no local port for its destination.",
        CauseId::BindRangeDry => "A bind() to any port found none.",
        CauseId::ConnectRangeDry => "A connect() found no local port.",
        CauseId::UdpRangeDry => "No dynamic port was left for UDP.",
        CauseId::WindowsRangeDry => "Windows had no dynamic port left.",
        CauseId::WindowsTupleTimeWait => {
            "Connections to one destination were opened and closed faster than Windows frees ports."
        }
        CauseId::WindowsPortExcluded => {
            "A port lies in an excluded range, or is taken exclusively."
        }
        CauseId::NatTupleDry => "A NAT on the way had no port left.",
        CauseId::NatTableFull if evidence(cause, "conntrack_max") == 0 => {
            "The connection tracking table is full."
        }
        CauseId::ConnectTimeWaitOverflow => "The kernel drops TIME_WAITs early.",
        _ => return cause.summary.clone(),
    };
    text.into()
}

fn well(e: &Explanation) -> String {
    if let Some(alarm) = e.causes.iter().find(|cause| is_false_alarm(cause)) {
        return format!("Ports have not run out. {}", alarm_words(alarm));
    }
    let used = |r: &CapturedRequest| r.ledger.used_percent();
    // The first of those that are used most.
    match e.requests.iter().reduce(|most, other| {
        if used(other) > used(most) {
            other
        } else {
            most
        }
    }) {
        Some(request) => format!(
            "{} of {} ports are left {}; nothing else is closer to the end{}.",
            ends(request.headroom),
            grouped(request.ledger.capacity()),
            clause(request),
            // All is well by a range that nobody showed: the first line alone must say so.
            match range_is_assumed(e, request) {
                true => ", if the default range is in force",
                false => "",
            }
        ),
        None => "Nothing in it tells of a lack of ports.".into(),
    }
}

/// Whether the range that a request is judged by stands neither in the input nor in an option.
fn range_is_assumed(e: &Explanation, request: &CapturedRequest) -> bool {
    let nat = matches!(request.scope, Scope::Nat { .. });
    !nat && e.ranges.iter().any(|range| {
        range.source == Source::Assumed
            && range.protocol == request.protocol
            && (range.family.is_none() || range.family == request.family)
    })
}

fn is_false_alarm(cause: &Cause) -> bool {
    cause.id.name().starts_with("not-exhaustion.")
}

fn alarm_words(cause: &Cause) -> &'static str {
    match cause.id {
        CauseId::NotExhaustionAddressNotLocal => "An address is not one of that machine.",
        CauseId::NotExhaustionIpv6Off => "::1 is not there: IPv6 is off.",
        CauseId::NotExhaustionFixedPortInUse => "A program wants one certain port, which is taken.",
        CauseId::NotExhaustionDescriptorLimit => "A process may open no more files.",
        _ => "The other side refused, or did not answer.",
    }
}

fn unknown(e: &Explanation) -> String {
    if e.causes.iter().any(|cause| cause.level == Level::Unknown) {
        return "May be a lack of ports, may be something else: the messages do not tell.".into();
    }
    if e.ranges.is_empty() && e.rows == 0 {
        return "Nothing in it tells how ports are used.".into();
    }
    "The range is known, but no table of sockets tells how much of it is used.".into()
}

/// `netstat.txt: windows-netstat (de), netsh-dynamicport; 255 rows`.
fn write_inputs(lines: &mut Lines, inputs: &[ExplainedInput]) {
    for input in inputs {
        let language = input
            .language
            .map_or_else(String::new, |language| format!(" ({language})"));
        let formats = match input.formats.is_empty() {
            true => "nothing known".to_string(),
            false => input.formats.join(", "),
        };
        let rows = match input.rows {
            0 => String::new(),
            n => format!("; {} {}", grouped(n), plural(n, "row", "rows")),
        };
        let head = format!("{}: ", input.name);
        lines.hang("  ", &head, &format!("{formats}{language}{rows}"), None);
    }
}

const fn source(source: Source) -> &'static str {
    match source {
        Source::Given => "given",
        Source::Found => "in the input",
        Source::Assumed => "assumed",
    }
}

fn write_ranges(lines: &mut Lines, e: &Explanation) {
    let Some((platform, told)) = e.platform else {
        return;
    };
    let wait = match e.time_wait_seconds {
        Some((seconds, _)) if platform == Platform::Linux => {
            format!(", TIME_WAIT {seconds} s")
        }
        Some((seconds, told)) => format!(", TIME_WAIT {seconds} s ({})", source(told)),
        None => String::new(),
    };
    let how = match told {
        Source::Found => String::new(),
        told => format!(" ({})", source(told)),
    };
    lines.line(&format!("{}{how}{wait}", platform.title()));
    for range in &e.ranges {
        let protocol = protocol(range.protocol);
        let excluded = match range.excluded {
            0 => String::new(),
            n => format!(", {} of them excluded", grouped(n)),
        };
        lines.line(&format!(
            "ports for {protocol}{}: {}–{} ({}{excluded}), {}",
            family(range.family),
            range.range.low(),
            range.range.high(),
            grouped(range.range.size()),
            source(range.source)
        ));
    }
    if e.tables > 1 {
        lines.line(&format!(
            "{} tables of sockets; the worst is judged, with {} rows",
            e.tables,
            grouped(e.rows)
        ));
    }
}

fn write_contradictions(lines: &mut Lines, e: &Explanation) {
    for contradiction in e.contradictions.iter().skip(1) {
        lines.gap();
        lines.hang("", "", &format!("{}.", capital(contradiction)), None);
    }
}

fn write_requests(lines: &mut Lines, e: &Explanation) {
    let rows: Vec<requests::Row> = e
        .requests
        .iter()
        .filter(|request| request.level > Level::Ok || request.ledger.taken_at_most() > 0)
        .take(MOST_REQUESTS)
        .map(|request| requests::Row::captured(name(request), request))
        .collect();
    if !rows.is_empty() {
        lines.gap();
        requests::write(lines, &rows);
    }
}

fn name(request: &CapturedRequest) -> String {
    let protocol = protocol(request.protocol);
    match &request.scope {
        Scope::Pair {
            source,
            destination,
        } => format!("{source} → {destination}"),
        Scope::Source(source) => format!("{protocol} from {source}"),
        Scope::Any => format!("{protocol}{}, any", family(request.family)),
        Scope::Nat {
            outside,
            destination,
        } => format!("NAT {outside} → {destination}"),
    }
}

/// Where the ports went: by destination, process and state.
fn write_uses(lines: &mut Lines, e: &Explanation) {
    let waiting = |ports: u32| match ports {
        0 => String::new(),
        n => format!("{} in TIME_WAIT", grouped(n)),
    };
    let destinations: Vec<[String; 3]> = e
        .destinations
        .iter()
        .take(MOST_DESTINATIONS)
        .map(|used| {
            [
                used.destination.clone(),
                grouped(used.ports),
                waiting(used.time_wait),
            ]
        })
        .collect();
    let processes: Vec<[String; 3]> = e
        .holders
        .iter()
        .take(MOST_PROCESSES)
        .filter_map(|(index, ports)| Some([process(e, *index)?, grouped(*ports), String::new()]))
        .collect();
    if !(destinations.is_empty() && processes.is_empty() && e.states.is_empty()) {
        lines.gap();
    }
    let all = || destinations.iter().chain(&processes);
    let widest = |column: usize| {
        let cells = all().filter_map(|row| row.get(column).map(|text| width(text)));
        cells.max().unwrap_or(0)
    };
    let widths = [widest(0), widest(1)];
    write_section(lines, "to", &destinations, widths);
    write_section(lines, "held by", &processes, widths);
    write_states(lines, e);
}

/// Name, number of ports, and a remark.
fn write_section(lines: &mut Lines, title: &str, rows: &[[String; 3]], widths: [usize; 2]) {
    let [names, counts] = widths;
    for (index, [name, ports, remark]) in rows.iter().enumerate() {
        let title = if index == 0 { title } else { "" };
        let head = lines.screen.paint(Tone::Faint, &left(title, LABEL));
        let noun = if ports == "1" { "port " } else { "ports" };
        lines.line(&format!(
            "{head}{}  {} {noun}  {remark}",
            left(name, names),
            right(ports, counts)
        ));
    }
}

fn write_states(lines: &mut Lines, e: &Explanation) {
    if e.states.is_empty() {
        return;
    }
    let states: Vec<String> = e
        .states
        .iter()
        .map(|(state, count)| {
            let name = state.map_or("unknown", dryport_model::State::name);
            format!("{name}\u{a0}{}", grouped(*count))
        })
        .collect();
    let head = lines.screen.paint(Tone::Faint, &left("states", LABEL));
    lines.hang(&" ".repeat(LABEL), &head, &states.join(", "), None);
}

/// A process of the capture: `nginx (pid 812)`.
fn process(e: &Explanation, index: u32) -> Option<String> {
    let process = e.processes.get(index as usize)?;
    Some(match (&process.name, process.pid) {
        (Some(name), Some(pid)) => format!("{} (pid {pid})", cut(name, LONGEST_NAME)),
        (Some(name), None) => cut(name, LONGEST_NAME),
        (None, Some(pid)) => format!("pid {pid}"),
        (None, None) => return None,
    })
}

fn write_causes(lines: &mut Lines, e: &Explanation) {
    let scene = cause::Scene {
        causes: &e.causes,
        holder: &|group, _| process(e, group.process).map(Holder::named),
        is_unsure: &|_| false,
        no_owner: &|_| None,
        command: &str::to_string,
        most_remedies: usize::MAX,
        more: "dryport explain --json",
        above: &[],
    };
    let _ = cause::write(lines, &scene);
}

fn write_notes(lines: &mut Lines, inputs: &[ExplainedInput]) {
    let several = inputs.len() > 1;
    if inputs.iter().all(|input| input.notes.is_empty()) {
        return;
    }
    lines.gap();
    lines.line(&lines.screen.paint(Tone::Strong, "Not read"));
    for input in inputs {
        let place = match several {
            true => format!("{}, ", input.name),
            false => String::new(),
        };
        for (line, note) in input.notes.iter().take(MOST_NOTES) {
            let text = format!("{place}line {line}: {note}");
            lines.hang("  - ", "  - ", &text, None);
        }
        let more = input.notes.len().saturating_sub(MOST_NOTES) as u64 + input.notes_omitted;
        if more > 0 {
            lines.line(&format!("  - {place}{} more lines", grouped(more)));
        }
    }
}

/// Where Windows before Vista keeps the end of its range.
const MAX_USER_PORT: &str =
    r"reg query HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters /v MaxUserPort";

/// What would tell more: a range that was assumed, a table that is missing, else the page of the
/// first cause.
fn next(e: &Explanation) -> Option<String> {
    if !e.contradictions.is_empty() {
        return None;
    }
    // A command gets copied: it is not broken.
    let whole = |command: &str| command.replace(' ', "\u{a0}");
    let told = |cause: &&Cause| cause.level > Level::Ok || is_false_alarm(cause);
    let cause = e.causes.iter().find(told);
    let page = cause.map(|cause| format!("dryport explain {}", cause.id.name()));
    let platform = e.platform.map(|(platform, _)| platform);
    match cause.map(|cause| cause.id) {
        Some(CauseId::WindowsPortExcluded) => {
            return Some(
                "on that machine: netsh int ipv4 show excludedportrange protocol=tcp".into(),
            );
        }
        Some(CauseId::NatTupleDry | CauseId::NatTableFull) => return page,
        Some(_) if e.level == Level::Ok => return page,
        _ => {}
    }
    if e.rows == 0 && matches!(platform, Some(Platform::Linux) | None) && !e.messages.is_empty() {
        return Some(format!(
            "on that machine: {}; or where it is not installed, {} and {}",
            whole("dryport check"),
            whole("ss -tanp"),
            whole("sysctl net.ipv4.ip_local_port_range")
        ));
    }
    if e.rows == 0 {
        let known = !e.ranges.is_empty() && e.ranges.iter().all(|r| r.source != Source::Assumed);
        let table = whole(table_command(platform));
        return match (known, e.messages.is_empty() && cause.is_some()) {
            // A document of dryport, or a counter: it was measured there.
            (_, true) => page,
            (true, _) => Some(format!("on that machine: {table}")),
            (false, _) => Some(format!(
                "on that machine: {table}; and {}",
                whole(&range_command(platform, e.requests.first(), cause))
            )),
        };
    }
    let worst = e.requests.first();
    if worst.is_some_and(|worst| range_is_assumed(e, worst)) {
        return Some(format!(
            "on that machine: {}",
            whole(&range_command(platform, worst, cause))
        ));
    }
    page
}

/// What shows the sockets there.
const fn table_command(platform: Option<Platform>) -> &'static str {
    match platform {
        Some(Platform::Windows) => "netstat -anoq",
        Some(Platform::Windows2003 | Platform::WindowsXp) => "netstat -ano",
        Some(Platform::MacOs | Platform::FreeBsd) => "netstat -an",
        Some(Platform::Linux) | None => "ss -tanp",
    }
}

/// What shows the range there, for the protocol and family of a request.
fn range_command(
    platform: Option<Platform>,
    request: Option<&CapturedRequest>,
    cause: Option<&Cause>,
) -> String {
    let udp = request.is_some_and(|request| request.protocol == Protocol::Udp)
        || cause.is_some_and(|cause| cause.id == CauseId::UdpRangeDry);
    let protocol = if udp { "udp" } else { "tcp" };
    let family = match request.and_then(|request| request.family) {
        Some(Family::V6) => "ipv6",
        _ => "ipv4",
    };
    match platform {
        Some(Platform::Windows) => format!("netsh int {family} show dynamicport {protocol}"),
        Some(Platform::Windows2003 | Platform::WindowsXp) => MAX_USER_PORT.into(),
        Some(Platform::MacOs | Platform::FreeBsd) => "sysctl net.inet.ip.portrange".into(),
        Some(Platform::Linux) | None => "sysctl net.ipv4.ip_local_port_range".into(),
    }
}
