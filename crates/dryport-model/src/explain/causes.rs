//! The causes that a captured table shows.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::remedies::{self, avoid, remedies_for, reuse, shorten, widen};
use super::{CapturedRequest, Findings, RangeInForce, Scope};
use crate::capture::{PortBag, ProcessId, Table};
use crate::{
    Cause, CauseId, Evidence, Family, Level, OwnerShare, Platform, PortHolders, PortSet, Protocol,
    Remedy, Sharing, grouped,
};

/// A share of the range from which on a leak is worth a note, in percent.
const WORTH_A_NOTE_PERCENT: u32 = 5;
/// And at least so many.
const WORTH_A_NOTE: u32 = 100;
/// Fewer usable ports than this are called narrow.
const NARROW: u32 = 8192;
/// Pairs told as causes of their own.
const MOST_PAIRS: usize = 10;

pub(super) struct Facts<'a> {
    pub(super) findings: &'a Findings,
    pub(super) table: &'a Table,
    pub(super) platform: Platform,
    pub(super) requests: &'a [CapturedRequest],
    pub(super) ranges: &'a [RangeInForce],
    pub(super) time_wait_seconds: u32,
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let tight = facts.requests.iter().filter(|r| r.level >= Level::Warning);
    causes.extend(tight.clone().take(MOST_PAIRS).filter_map(|r| dry(facts, r)));
    causes.extend(tight.clone().find_map(|r| time_wait(facts, r)));
    causes.extend(bound_clients(facts));
    causes.extend(narrow(facts));
    causes.extend(slow(facts));
    causes.extend(odd_size(facts));
    causes.extend(overlaps_listener(facts));
    causes.extend(close_wait(facts));
    causes.extend(bound(facts));
    causes
}

fn protocol(request: &CapturedRequest) -> String {
    let protocol = match request.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    match request.family {
        Some(Family::V4) => format!("{protocol} over IPv4"),
        Some(Family::V6) => format!("{protocol} over IPv6"),
        None => protocol.into(),
    }
}

/// A number of the evidence.
pub(super) fn evidence(name: &'static str, value: u64, what: &str) -> Evidence {
    Evidence {
        name,
        value,
        text: format!("{} {what}", grouped(value)),
    }
}

fn ledger_evidence(request: &CapturedRequest) -> Vec<Evidence> {
    let ledger = &request.ledger;
    [
        ("in_use", ledger.in_use, "in use"),
        ("time_wait", ledger.time_wait, "in TIME_WAIT"),
        (
            "locked",
            ledger.locked,
            "held by listeners or bound sockets",
        ),
        ("reserved", ledger.reserved, "excluded or reserved"),
        ("uncertain", ledger.uncertain, "a capture does not tell"),
        ("headroom", request.headroom.at_least, "left for certain"),
    ]
    .into_iter()
    .filter(|(name, value, _)| *value > 0 || *name == "headroom")
    .map(|(name, value, what)| evidence(name, value.into(), what))
    .collect()
}

fn owners(holders: &[(u32, u32)]) -> PortHolders {
    let share = |(process, ports): &(u32, u32)| OwnerShare {
        process: *process,
        ports: *ports,
    };
    PortHolders::ungrouped(holders.iter().map(share).collect())
}

fn taken(request: &CapturedRequest) -> String {
    format!(
        "{} of {}",
        grouped(request.ledger.taken_at_most()),
        grouped(request.ledger.capacity())
    )
}

fn nearly(level: Level) -> &'static str {
    match level {
        Level::Critical => "",
        _ => "nearly ",
    }
}

fn range_of(facts: &Facts<'_>, request: &CapturedRequest) -> crate::PortRange {
    facts
        .ranges
        .iter()
        .find(|range| {
            range.protocol == request.protocol
                && (range.family.is_none() || range.family == request.family)
        })
        .or(facts.ranges.first())
        .map_or(facts.platform.default_range(), |range| range.range)
}

/// A request that has used up its range, or nearly.
fn dry(facts: &Facts<'_>, request: &CapturedRequest) -> Option<Cause> {
    let ledger = &request.ledger;
    let waiting = (ledger.time_wait + request.uncertain_waits) * 2 >= ledger.taken_at_most();
    let range = range_of(facts, request);
    let nearly = nearly(request.level);
    let left = grouped(request.headroom.at_least);
    let taken = taken(request);
    let unsure = request
        .unsure
        .as_ref()
        .map_or(String::new(), |unsure| format!(" That is {unsure}."));
    let rate = if waiting && ledger.taken() > 0 {
        rate(facts, request)
    } else {
        String::new()
    };
    let (id, summary) = match (&request.scope, request.protocol) {
        (
            Scope::Nat {
                outside,
                destination,
            },
            _,
        ) => return Some(nat_dry(request, outside, destination)),
        (_, Protocol::Udp) => (
            CauseId::UdpRangeDry,
            format!(
                "{} has {nearly}used up its range: one port a socket, {taken} taken, {left} left.",
                protocol(request)
            ),
        ),
        (Scope::Pair { .. }, _) if ledger.locked > ledger.taken() / 2 => return None,
        (
            Scope::Pair {
                source,
                destination,
            },
            _,
        ) => (
            CauseId::ConnectTupleDry,
            format!(
                "{source} to {destination} has {nearly}used up its range: {taken} ports taken, \
                 {left} left.{unsure}"
            ),
        ),
        (Scope::Source(source), _) => (
            CauseId::ConnectRangeDry,
            format!(
                "{source} has {nearly}used up its range, whatever the destination: {taken} ports \
                 taken, {left} left.{unsure}"
            ),
        ),
        (Scope::Any, _) if facts.platform.is_windows() => (
            CauseId::WindowsRangeDry,
            format!(
                "{} has {nearly}used up the dynamic port range, for every destination: {taken} \
                 ports taken ({} in TIME_WAIT), {left} left.{rate}",
                protocol(request),
                grouped(ledger.time_wait)
            ),
        ),
        (Scope::Any, _) if facts.platform.sharing() == Sharing::ByTuple => (
            CauseId::ConnectRangeLocked,
            format!(
                "{taken} ports {} bound sockets: no connect() to any destination can use \
                 them.{unsure}",
                match request.unsure {
                    Some(_) => "seem to be held by listeners and",
                    None => "are held by listeners and",
                }
            ),
        ),
        (Scope::Any, _) => (
            CauseId::ConnectRangeDry,
            format!("The range is {nearly}used up: {taken} ports taken, {left} left."),
        ),
    };
    let mut remedies = match request.protocol {
        Protocol::Tcp => remedies_for(facts.platform, range, waiting),
        Protocol::Udp => {
            let mut remedies = Vec::from([reuse_sockets()]);
            remedies.extend(widen(
                facts.platform,
                Protocol::Udp,
                request.family.unwrap_or(Family::V4),
                range,
            ));
            remedies
        }
    };
    if request.family == Some(Family::V6) && request.protocol == Protocol::Tcp {
        let widened = widen(facts.platform, Protocol::Tcp, Family::V6, range);
        for remedy in remedies.iter_mut().filter(|r| r.id == "widen-range") {
            if let Some(widened) = &widened {
                *remedy = widened.clone();
            }
        }
    }
    if id == CauseId::ConnectRangeLocked {
        remedies = Vec::from([remedies::no_port_option()]);
        remedies.extend(widen(facts.platform, Protocol::Tcp, Family::V4, range));
    }
    let mut evidence = ledger_evidence(request);
    evidence.extend(sustainable(facts, request));
    Some(Cause {
        id,
        level: request.level,
        summary,
        evidence,
        owners: owners(&holders(facts, request)),
        remedies,
        avoid: match request.protocol {
            Protocol::Tcp if waiting || facts.platform.is_windows() => avoid(facts.platform),
            _ => Vec::new(),
        },
    })
}

/// Who holds the ports of a request: its own holders, or those of the range.
fn holders(facts: &Facts<'_>, request: &CapturedRequest) -> Vec<(u32, u32)> {
    if !request.holders.is_empty() || matches!(request.scope, Scope::Pair { .. }) {
        return request.holders.clone();
    }
    let range = range_of(facts, request);
    by_process(
        facts.table,
        |ports| match request.protocol {
            Protocol::Tcp => &ports.all,
            Protocol::Udp => &ports.udp,
        },
        |set| set.count_in(range),
    )
}

/// The same in a sentence.
fn rate(facts: &Facts<'_>, request: &CapturedRequest) -> String {
    let (ports, wait) = (request.ledger.capacity(), facts.time_wait_seconds.max(1));
    let rate = match ports / wait {
        0 => format!("one new connection every {} s", wait.div_ceil(ports.max(1))),
        1 => "one new connection a second".into(),
        rate => format!("{} new connections a second", grouped(rate)),
    };
    format!(
        " {} ports sustain {rate}, if each waits {wait} s.",
        grouped(ports)
    )
}

/// What the range can carry when each connection leaves a TIME_WAIT.
fn sustainable(facts: &Facts<'_>, request: &CapturedRequest) -> Option<Evidence> {
    let per_second = request.ledger.capacity() / facts.time_wait_seconds.max(1);
    (request.protocol == Protocol::Tcp && per_second > 0).then(|| {
        evidence(
            "sustainable_per_second",
            per_second.into(),
            &format!(
                "new connections a second can be sustained, if each waits {} s in TIME_WAIT",
                facts.time_wait_seconds
            ),
        )
    })
}

/// Fewer sockets.
pub(super) fn reuse_sockets() -> Remedy {
    Remedy {
        id: "reuse-sockets",
        summary: "Send to many destinations from one UDP socket instead of opening one for each."
            .into(),
        command: None,
        restart_needed: true,
    }
}

fn nat_dry(request: &CapturedRequest, outside: &str, destination: &str) -> Cause {
    let (taken, left) = (taken(request), grouped(request.headroom.at_least));
    Cause {
        id: CauseId::NatTupleDry,
        level: request.level,
        summary: format!(
            "The NAT address {outside} has {}no port left for {destination}: {taken} taken, {left} \
             left.",
            nearly(request.level)
        ),
        evidence: ledger_evidence(request),
        owners: PortHolders::default(),
        remedies: nat_remedies(),
        avoid: Vec::from([
            "A wider ip_local_port_range on the clients changes nothing: these are the NAT's ports."
                .into(),
        ]),
    }
}

/// What helps a NAT.
pub(super) fn nat_remedies() -> Vec<Remedy> {
    let remedy = |id, summary: &str| Remedy {
        id,
        summary: summary.into(),
        command: None,
        restart_needed: false,
    };
    Vec::from([
        reuse(Platform::Linux),
        remedy(
            "more-addresses",
            "Give the NAT more outside addresses, or more ports for each client: every pair of \
             address and destination has a range of its own.",
        ),
        remedy(
            "around-nat",
            "Reach the busiest destination without the NAT (private endpoint, routed network).",
        ),
    ])
}

/// Clients that bind before they connect, where that has not run dry yet.
fn bound_clients(facts: &Facts<'_>) -> Option<Cause> {
    let request = facts.requests.iter().find(|r| {
        r.scope == Scope::Any
            && r.level < Level::Warning
            && facts.platform == Platform::Linux
            && r.ledger.uncertain >= WORTH_A_NOTE_PERCENT * r.ledger.capacity() / 100
            && r.ledger.uncertain > 0
    })?;
    let mut note = note(
        CauseId::ConnectRangeLocked,
        format!(
            "{} of {} ports seem to be bound before connect(), and so lost for every other \
             destination. That is {}.",
            grouped(request.ledger.uncertain),
            grouped(request.ledger.capacity()),
            request.unsure.as_deref().unwrap_or("not certain")
        ),
        ledger_evidence(request),
        Vec::from([remedies::no_port_option()]),
    );
    note.owners = owners(&holders(facts, request));
    Some(note)
}

/// TIME_WAITs make most of what is taken.
fn time_wait(facts: &Facts<'_>, request: &CapturedRequest) -> Option<Cause> {
    let ledger = &request.ledger;
    let waiting = ledger.time_wait + request.uncertain_waits;
    let of_linux = facts.platform == Platform::Linux && matches!(request.scope, Scope::Pair { .. });
    if !of_linux || waiting == 0 || waiting * 2 < ledger.taken_at_most() {
        return None;
    }
    let Scope::Pair {
        source,
        destination,
    } = &request.scope
    else {
        return None;
    };
    let mut remedies = Vec::from([reuse(facts.platform)]);
    remedies.extend(shorten(facts.platform));
    let range = range_of(facts, request);
    remedies.extend(widen(facts.platform, Protocol::Tcp, Family::V4, range));
    let mut evidence = ledger_evidence(request);
    evidence.extend(sustainable(facts, request));
    Some(Cause {
        id: CauseId::ConnectTimeWait,
        level: request.level,
        summary: format!(
            "{} ports from {source} to {destination} wait in TIME_WAIT: connections are closed here \
             faster than the {} s wait lets go.{}",
            grouped(waiting),
            facts.time_wait_seconds,
            rate(facts, request)
        ),
        evidence,
        owners: PortHolders::default(),
        remedies,
        avoid: avoid(facts.platform),
    })
}

fn narrow(facts: &Facts<'_>) -> Option<Cause> {
    let request = facts.requests.iter().find(|request| {
        request.level >= Level::Warning
            && !matches!(request.scope, Scope::Nat { .. })
            && request.ledger.capacity() < NARROW
    })?;
    let range = range_of(facts, request);
    let default = facts.platform.default_range();
    let excluded = match request.ledger.reserved {
        0 => String::new(),
        n => format!(", {} of them excluded or reserved", grouped(n)),
    };
    Some(Cause {
        id: CauseId::RangeNarrow,
        level: request.level,
        summary: if range == default {
            format!(
                "Only {} ports may be used: {range} is what {} starts with{excluded}.",
                grouped(request.ledger.capacity()),
                facts.platform.title()
            )
        } else {
            format!(
                "Only {} ports may be used: the range is {range}{excluded}; {} starts with {default} \
                 ({}).",
                grouped(request.ledger.capacity()),
                facts.platform.title(),
                grouped(default.size())
            )
        },
        evidence: ledger_evidence(request),
        owners: PortHolders::default(),
        remedies: widen(
            facts.platform,
            request.protocol,
            request.family.unwrap_or(Family::V4),
            range,
        )
        .into_iter()
        .collect(),
        avoid: Vec::from([
            "A range from 1024 or 1025 on takes the ports of your own services: reserve those first."
                .into(),
        ]),
    })
}

fn note(id: CauseId, summary: String, evidence: Vec<Evidence>, remedies: Vec<Remedy>) -> Cause {
    Cause {
        id,
        level: Level::Ok,
        summary,
        evidence,
        owners: PortHolders::default(),
        remedies,
        avoid: Vec::new(),
    }
}

/// Linux: past half the range, `connect()` searches the other half in vain each time.
fn slow(facts: &Facts<'_>) -> Option<Cause> {
    if facts.platform != Platform::Linux {
        return None;
    }
    let request = facts.requests.iter().find(|r| {
        matches!(r.scope, Scope::Pair { .. })
            && r.ledger.capacity() >= 1024
            && r.ledger.taken() * 2 > r.ledger.capacity()
    })?;
    let Scope::Pair {
        source,
        destination,
    } = &request.scope
    else {
        return None;
    };
    Some(note(
        CauseId::ConnectSlow,
        format!(
            "{source} to {destination} is past half its range: connect() first walks the ports of \
             one parity in vain, and gets 10 to 100 times slower."
        ),
        ledger_evidence(request),
        Vec::from([reuse(facts.platform)]),
    ))
}

fn odd_size(facts: &Facts<'_>) -> Option<Cause> {
    let range = facts
        .ranges
        .iter()
        .find(|range| facts.platform == Platform::Linux && range.range.size() % 2 == 1)?;
    Some(note(
        CauseId::RangeOddSize,
        format!(
            "The range {} has an odd number of ports: connect() may never reach one of them.",
            range.range
        ),
        Vec::from([evidence("size", range.range.size().into(), "ports")]),
        Vec::new(),
    ))
}

/// A service's own port lies inside the range: it may not start one day. Windows' own services take
/// theirs from the dynamic range, which is no mistake.
fn overlaps_listener(facts: &Facts<'_>) -> Option<Cause> {
    let range = facts
        .ranges
        .iter()
        .find(|range| range.protocol == Protocol::Tcp)?;
    if facts.platform != Platform::Linux {
        return None;
    }
    let table = facts.table;
    let mut listening = PortSet::new();
    for family in [Family::V4, Family::V6] {
        listening.insert_all(&table.pool(Protocol::Tcp, family).listening);
    }
    let mut inside: PortSet = listening
        .iter()
        .filter(|port| range.range.contains(*port))
        .collect();
    if let Some(reserved) = &facts.findings.reserved {
        inside.remove_all(reserved);
    }
    if inside.is_empty() {
        return None;
    }
    let list = inside.to_list();
    // What is reserved already must stay reserved.
    let mut reserved = facts.findings.reserved.clone().unwrap_or_default();
    reserved.insert_all(&inside);
    let reserved = reserved.to_list();
    Some(note(
        CauseId::RangeOverlapsListener,
        format!(
            "Services listen inside the range {}, on {}: each takes a port from all clients, and may \
             not start again when a client has its port.",
            range.range,
            shortened(&list)
        ),
        Vec::from([evidence(
            "listeners",
            inside.len().into(),
            "ports of listeners in the range",
        )]),
        Vec::from([Remedy {
            id: "reserve-listeners",
            summary:
                "Reserve them: the kernel then gives them to no client. What the input shows as \
                      reserved stays in the list; look for more on the machine."
                    .into(),
            command: Some(format!(
                "sysctl -w net.ipv4.ip_local_reserved_ports={reserved}"
            )),
            restart_needed: false,
        }]),
    ))
}

fn shortened(list: &str) -> String {
    const MOST: usize = 60;
    match list.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", list.get(..at).unwrap_or(list)),
        None => list.into(),
    }
}

fn capacity(facts: &Facts<'_>) -> u32 {
    let requests = facts.requests.iter();
    let own = requests.filter(|r| r.protocol == Protocol::Tcp);
    own.map(|r| r.ledger.capacity()).min().unwrap_or(0)
}

fn worth_a_note(count: u32, capacity: u32) -> bool {
    count >= WORTH_A_NOTE.max(capacity * WORTH_A_NOTE_PERCENT / 100)
}

fn close_wait(facts: &Facts<'_>) -> Option<Cause> {
    let table = facts.table;
    let servers = table.server_ports();
    let mut ports = PortSet::new();
    table
        .pairs()
        .for_each(|(_, pair)| pair.close_wait.add_to(&mut ports));
    ports.remove_all(&servers);
    let count = ports.len();
    worth_a_note(count, capacity(facts)).then(|| Cause {
        owners: owners(&by_process(
            table,
            |ports| &ports.close_wait,
            |set| {
                let mut set = set.clone();
                set.remove_all(&servers);
                set.len()
            },
        )),
        avoid: Vec::from(["No setting of the system ends CLOSE_WAIT.".into()]),
        ..note(
            CauseId::LeakCloseWait,
            format!(
                "{} ports are in CLOSE_WAIT: the peer closed, the program did not. Each stays taken \
                 until it does.",
                grouped(count)
            ),
            Vec::from([evidence(
                "close_wait",
                count.into(),
                "client ports in CLOSE_WAIT",
            )]),
            Vec::from([close_sockets(
                "Mend the program so that it closes a connection when a read returns 0; a restart \
                 frees the ports.",
            )]),
        )
    })
}

fn bound(facts: &Facts<'_>) -> Option<Cause> {
    let table = facts.table;
    // On Windows each connected socket shows a second row for its bind.
    let mut idle = PortSet::new();
    for family in [Family::V4, Family::V6] {
        idle.insert_all(&table.pool(Protocol::Tcp, family).bound);
    }
    for family in [Family::V4, Family::V6] {
        idle.remove_all(&table.pool(Protocol::Tcp, family).live);
    }
    let range = facts
        .ranges
        .iter()
        .find(|range| range.protocol == Protocol::Tcp)?;
    let count = idle.count_in(range.range);
    worth_a_note(count, capacity(facts)).then(|| Cause {
        owners: owners(&by_process(
            table,
            |ports| &ports.bound,
            |set| set.iter().filter(|port| idle.contains(*port)).count() as u32,
        )),
        ..note(
            CauseId::LeakBound,
            format!(
                "{} sockets are bound to ports of the range and neither listen nor connect: each \
                 keeps its port from everybody.",
                grouped(count)
            ),
            Vec::from([evidence("bound_idle", count.into(), "bound sockets, idle")]),
            Vec::from([close_sockets(
                "Find why the program keeps them; a restart frees the ports.",
            )]),
        )
    })
}

fn close_sockets(summary: &str) -> Remedy {
    Remedy {
        id: "close-sockets",
        summary: summary.into(),
        command: None,
        restart_needed: true,
    }
}

fn by_process(
    table: &Table,
    which: impl Fn(&crate::capture::ProcessPorts) -> &PortBag,
    count: impl Fn(&PortSet) -> u32,
) -> Vec<(u32, u32)> {
    let mut holders: Vec<(u32, u32)> = table
        .processes()
        .filter(|(_, ports)| !which(ports).is_empty())
        .map(|(ProcessId(id), ports)| (id, count(&which(ports).to_set())))
        .filter(|(_, ports)| *ports > 0)
        .collect();
    holders.sort_by_key(|(id, ports)| (core::cmp::Reverse(*ports), *id));
    holders
}

/// The causes that documents of dryport itself name.
pub(super) fn from_reports(findings: &Findings, causes: &mut Vec<Cause>) {
    for (name, level, summary) in findings.reports.iter().flat_map(|report| &report.causes) {
        let Some(id) = CauseId::from_name(name) else {
            continue;
        };
        if causes.iter().any(|c| c.id == id && c.summary == *summary) {
            continue;
        }
        causes.push(Cause {
            id,
            level: *level,
            summary: summary.clone(),
            evidence: Vec::new(),
            owners: PortHolders::default(),
            remedies: Vec::new(),
            avoid: Vec::new(),
        });
    }
}
