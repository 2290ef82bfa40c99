//! The screen of `check`.

use dryport_model::{Cause, CauseId, Claim, Coverage, Fact, Level, Seen};

use super::holders::Holder;
use super::layout::{Lines, left, width};
use super::number::{ends, grouped, plural, used};
use super::paint::Tone;
use super::{Screen, cause, headline, phrase, process, requests};
use crate::place::Place;
use crate::{Check, CheckedNamespace};

/// Requests shown; the JSON document has more.
const MOST_REQUESTS: usize = 8;
/// Remedies of one cause; the JSON document has all.
const MOST_REMEDIES: usize = 3;
/// Namespaces short of ports that are told at length.
const MOST_TOLD: usize = 4;
/// A name wider than this has a line of its own.
const WIDEST_HEAD: usize = 24;
/// Namespaces shown in one line each: as many that are short of ports, and as many healthy ones.
const MOST_LISTED: usize = 12;

/// The whole screen.
#[must_use]
pub fn check(check: &Check<'_>, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    headline::write(&mut lines, check);
    if let Some(found) = &check.process {
        process::write(&mut lines, found);
    }
    let parts = Parts::of(check);
    let mut above = Vec::new();
    for checked in &parts.told {
        above = write_namespace(&mut lines, checked, check, &above);
    }
    write_short(&mut lines, &parts.short);
    write_healthy(&mut lines, &parts.healthy);
    write_coverage(&mut lines, check);
    write_assumptions(&mut lines, &check.assumptions);
    lines.gap();
    let next = screen.paint(Tone::Command, &next_command(check));
    lines.line(&format!("Next: {next}"));
    lines.finish()
}

/// The namespaces by how they are told.
struct Parts<'c, 'a> {
    /// At length: the worst, or the caller's where all is well.
    told: Vec<&'c CheckedNamespace<'a>>,
    /// Short of ports too, a line each.
    short: Vec<&'c CheckedNamespace<'a>>,
    /// Healthy, a line each, the most used first.
    healthy: Vec<&'c CheckedNamespace<'a>>,
}

impl<'c, 'a> Parts<'c, 'a> {
    fn of(check: &'c Check<'a>) -> Self {
        let is_well = |checked: &&CheckedNamespace<'_>| checked.verdict.level == Level::Ok;
        let (mut healthy, mut told): (Vec<_>, Vec<_>) = check.namespaces.iter().partition(is_well);
        told.sort_by_key(|checked| core::cmp::Reverse(headline::severity(checked)));
        if told.is_empty() && !healthy.is_empty() {
            told.push(healthy.remove(0));
        }
        healthy.sort_by_key(|checked| core::cmp::Reverse(headline::severity(checked)));
        Self {
            short: told.split_off(told.len().min(MOST_TOLD)),
            told,
            healthy,
        }
    }
}

/// `above`: ids of the remedies that were told of other namespaces; those told by now are given back.
fn write_namespace(
    lines: &mut Lines,
    checked: &CheckedNamespace<'_>,
    check: &Check<'_>,
    above: &[&'static str],
) -> Vec<&'static str> {
    lines.gap();
    let range = checked.limits.range;
    let reserved = match checked.limits.reserved.count_in(range) {
        0 => String::new(),
        reserved => format!(", {} of them reserved", grouped(reserved)),
    };
    let name = phrase::namespace_of(checked);
    let text = format!(
        "ports {}–{} ({}{reserved}), {} {} on them",
        range.low(),
        range.high(),
        grouped(range.size()),
        grouped(checked.sockets),
        plural(checked.sockets, "socket", "sockets")
    );
    let painted = lines.screen.paint(Tone::Strong, &name);
    let container = container(checked);
    if container.is_empty() && width(&name) <= WIDEST_HEAD {
        lines.hang(&format!("{name}  "), &format!("{painted}  "), &text, None);
    } else {
        lines.line(&format!("{painted}{container}"));
        lines.hang("  ", "  ", &text, None);
    }
    // With --pid the table of the process stands above.
    let place = Place::of(checked);
    if check.process.is_none() {
        write_requests(lines, checked, &place);
    }
    write_causes(lines, checked, &place, above)
}

fn write_causes(
    lines: &mut Lines,
    checked: &CheckedNamespace<'_>,
    place: &Place<'_>,
    above: &[&'static str],
) -> Vec<&'static str> {
    let scene = cause::Scene {
        causes: &checked.verdict.causes,
        holder: &|group, room| Holder::new(checked.owners?, group, room),
        is_unsure: &|cause| is_unsure(cause, checked),
        no_owner: &|cause| no_owner(cause, checked),
        command: &|command| place.command(command),
        most_remedies: MOST_REMEDIES,
        more: "dryport check --json",
        above,
    };
    cause::write(lines, &scene)
}

/// Whether only what could not be seen makes it more than a note.
fn is_unsure(cause: &Cause, checked: &CheckedNamespace<'_>) -> bool {
    cause.id == CauseId::ConnectRangeLocked
        && headline::any_new_destination(checked).is_some_and(|any| any.level_is_uncertain)
}

/// Why nobody is named, where somebody could be expected.
fn no_owner(cause: &Cause, checked: &CheckedNamespace<'_>) -> Option<&'static str> {
    checked.owners?;
    let seen_all = checked
        .coverage
        .iter()
        .any(|coverage| coverage.fact == Fact::Owners && coverage.seen == Seen::Full);
    let count = |name| cause::evidence(cause, name);
    let held = count("in_use") + count("locked") + count("close_wait") + count("bound_idle");
    if held > 0 && !seen_all {
        Some("processes that could not be seen")
    } else if count("time_wait") > 0 {
        Some("no process: TIME_WAIT outlives the socket that left it")
    } else {
        None
    }
}

fn write_requests(lines: &mut Lines, checked: &CheckedNamespace<'_>, place: &Place<'_>) {
    let requests = &checked.verdict.requests;
    if requests.is_empty() {
        return;
    }
    let rows: Vec<requests::Row> = requests
        .iter()
        .take(MOST_REQUESTS)
        .map(|verdict| {
            let device = checked.device_name(verdict.request.device);
            requests::Row::new(phrase::row(&verdict.request, device), verdict, None)
        })
        .collect();
    lines.gap();
    requests::write(lines, &rows);
    let more = requests.len() - rows.len() + checked.verdict.requests_omitted;
    if more > 0 {
        let text = format!(
            "{} more {}: {}",
            grouped(more as u64),
            plural(more as u64, "request", "requests"),
            place.command("dryport see --by destination")
        );
        lines.hang("  ", "  ", &text, Some(Tone::Faint));
    }
}

/// A container's namespace may have a name that tells nothing to people (`cni-…`).
fn container(checked: &CheckedNamespace<'_>) -> String {
    let described = checked.described.as_deref();
    let is_container = |described: &&str| described.starts_with("container ");
    match described.filter(is_container) {
        Some(container) if checked.namespace.name.is_some() => format!("  {container}"),
        _ => String::new(),
    }
}

/// One line each.
fn write_short(lines: &mut Lines, short: &[&CheckedNamespace<'_>]) {
    write_list(lines, short, MOST_LISTED, |checked| {
        let level = checked.verdict.level;
        let text = headline::short_of(checked, level, "");
        (Tone::Level(level), format!("{}: {text}", level.name()))
    });
    let more = short.len().saturating_sub(MOST_LISTED);
    if more > 0 {
        let namespaces = plural(more as u64, "namespace is", "namespaces are");
        lines.line(&format!(
            "{more} more {namespaces} short of ports: dryport check --json"
        ));
    }
}

fn write_healthy(lines: &mut Lines, healthy: &[&CheckedNamespace<'_>]) {
    let used = healthy.iter().take_while(|checked| checked.sockets > 0);
    // Where few are left out, nobody needs to be.
    let listed = match healthy.len() {
        few if few <= MOST_LISTED / 2 => few,
        _ => used.count().min(MOST_LISTED),
    };
    write_list(lines, healthy, listed, |checked| {
        (Tone::Strong, healthy_text(checked))
    });
    let rest = healthy.get(listed..).unwrap_or_default();
    if rest.is_empty() {
        return;
    }
    if listed == 0 {
        lines.gap();
    }
    let idle = rest.iter().filter(|checked| checked.sockets == 0).count();
    let empty = match idle {
        0 => String::new(),
        all if all == rest.len() => ", without a socket on their ports".to_string(),
        some => format!(", {some} of them without a socket on their ports"),
    };
    let text = format!(
        "{} more {}, all ok{empty}: dryport\u{a0}check\u{a0}--json",
        rest.len(),
        plural(rest.len() as u64, "namespace", "namespaces")
    );
    lines.hang("", "", &text, None);
}

/// The first few, a name and a text each.
fn write_list(
    lines: &mut Lines,
    listed: &[&CheckedNamespace<'_>],
    most: usize,
    text: impl Fn(&CheckedNamespace<'_>) -> (Tone, String),
) {
    let shown = listed.get(..most).unwrap_or(listed);
    let names: Vec<String> = shown
        .iter()
        .map(|checked| phrase::namespace_of(checked))
        .collect();
    let widest = names.iter().map(|name| width(name)).max();
    let Some(widest) = widest else {
        return;
    };
    lines.gap();
    for (checked, name) in shown.iter().zip(&names) {
        let (tone, text) = text(checked);
        let head = left(name, widest + 2);
        let painted = lines.screen.paint(tone, &head);
        lines.hang(&head, &painted, &text, None);
    }
}

fn healthy_text(checked: &CheckedNamespace<'_>) -> String {
    let any = headline::any_new_destination(checked).map_or_else(
        || "nothing asks for a port".to_string(),
        |any| {
            format!(
                "{} of {} left",
                ends(any.headroom),
                grouped(any.ledger.capacity())
            )
        },
    );
    let busiest = checked
        .verdict
        .requests
        .iter()
        .find(|request| matches!(request.request.claim(), Claim::Tuple { .. }))
        .map_or_else(String::new, |request| {
            format!(", busiest pair {}", used(&request.ledger))
        });
    format!("ok, {any}{busiest}")
}

/// What was not fully seen, and what would show it. Said once where it holds in several namespaces.
fn write_coverage(lines: &mut Lines, check: &Check<'_>) {
    let mut gaps: Vec<Gap<'_>> = Vec::new();
    for checked in &check.namespaces {
        let unseen = checked.coverage.iter().filter(|c| c.seen != Seen::Full);
        for coverage in unseen {
            match gaps.iter_mut().find(|gap| gap.coverage == coverage) {
                Some(gap) => gap.places.push(checked),
                None => gaps.push(Gap {
                    coverage,
                    places: vec![checked],
                }),
            }
        }
    }
    let many = check.namespaces.len();
    let mut told: Vec<(&Coverage, String)> = merge(gaps)
        .into_iter()
        .map(|(gap, alike)| (gap.coverage, gap.places_in_words(many, alike)))
        .collect();
    let machine = check.coverage.iter().filter(|c| c.seen != Seen::Full);
    told.extend(machine.map(|coverage| (coverage, String::new())));
    write_gaps(lines, &told);
}

/// A fact that was not seen, and where.
struct Gap<'a> {
    coverage: &'a Coverage,
    places: Vec<&'a CheckedNamespace<'a>>,
}

/// So many reasons for one fact are told one by one.
const MOST_REASONS: usize = 2;

/// Where many namespaces lack the same fact for reasons with other numbers, the commonest is told
/// for all: beside each, in how many others it is alike.
fn merge(gaps: Vec<Gap<'_>>) -> Vec<(Gap<'_>, usize)> {
    let mut facts: Vec<Vec<Gap<'_>>> = Vec::new();
    for gap in gaps {
        let is_alike = |other: &&mut Vec<Gap<'_>>| {
            let first = other.first();
            first.is_some_and(|first| first.coverage.fact == gap.coverage.fact)
        };
        match facts.iter_mut().find(is_alike) {
            Some(fact) => fact.push(gap),
            None => facts.push(vec![gap]),
        }
    }
    facts.into_iter().flat_map(merge_reasons).collect()
}

fn merge_reasons(mut reasons: Vec<Gap<'_>>) -> Vec<(Gap<'_>, usize)> {
    if reasons.len() > MOST_REASONS {
        reasons.sort_by_key(|reason| core::cmp::Reverse(reason.places.len()));
        let rest = reasons.split_off(1);
        let alike = rest.iter().map(|reason| reason.places.len()).sum();
        reasons.into_iter().map(|reason| (reason, alike)).collect()
    } else {
        reasons.into_iter().map(|reason| (reason, 0)).collect()
    }
}

impl Gap<'_> {
    fn places_in_words(&self, many: usize, alike: usize) -> String {
        let named = || {
            let names = self
                .places
                .iter()
                .map(|checked| phrase::namespace_of(checked));
            names.collect::<Vec<_>>().join(", ")
        };
        let own = match self.places.len() {
            all if all == many => return String::new(),
            1 | 2 => named(),
            several => format!("{several} namespaces"),
        };
        match alike {
            0 => format!(" ({own})"),
            1 => format!(" ({own}; alike in 1 more namespace)"),
            more => format!(" ({own}; alike in {more} more namespaces)"),
        }
    }
}

/// The same for one list of facts.
pub(super) fn write_gaps(lines: &mut Lines, gaps: &[(&Coverage, String)]) {
    if gaps.is_empty() {
        return;
    }
    lines.gap();
    lines.line(&lines.screen.paint(Tone::Strong, "Not fully seen"));
    let widest = gaps
        .iter()
        .map(|(c, _)| fact(c.fact).len())
        .max()
        .unwrap_or(0);
    for (coverage, place) in gaps {
        let why = coverage.why.as_deref().unwrap_or("no reason was given");
        let head = left(&format!("  {}", fact(coverage.fact)), widest + 4);
        lines.hang(&head, &head, &format!("{why}{place}"), None);
    }
}

/// A fact in words.
const fn fact(fact: Fact) -> &'static str {
    match fact {
        Fact::Sockets => "sockets",
        Fact::BoundIdle => "idle bound sockets",
        Fact::BindBuckets => "locked ports",
        Fact::PortRanges => "clients' own ranges",
        Fact::TimeWaitTimestamps => "timestamps of TIME_WAITs",
        Fact::V6Only => "IPv6-only sockets",
        Fact::Settings => "settings",
        Fact::Namespaces => "namespaces",
        Fact::Owners => "processes",
    }
}

pub(super) fn write_assumptions(lines: &mut Lines, assumptions: &[String]) {
    if assumptions.is_empty() {
        return;
    }
    lines.gap();
    lines.line(&lines.screen.paint(Tone::Strong, "Assumed"));
    for assumption in assumptions {
        lines.hang("  - ", "  - ", assumption, None);
    }
}

/// What to run now: what the worst cause suggests, else a closer look at the worst request.
fn next_command(check: &Check<'_>) -> String {
    let worst = headline::worst_namespace(check);
    let Some(checked) = worst.filter(|_| check.level > Level::Unknown) else {
        let command = match check.level {
            Level::Unknown => "dryport check --json",
            _ => "dryport see --by destination",
        };
        return match check.namespaces.as_slice() {
            [only] => Place::of(only).command(command),
            _ => command.to_string(),
        };
    };
    let cause = checked.verdict.causes.first();
    let advised = cause
        .into_iter()
        .flat_map(|cause| &cause.remedies)
        .filter_map(|remedy| remedy.command.as_deref())
        .find(|command| command.starts_with("dryport"));
    Place::of(checked).command(advised.unwrap_or("dryport see --by process"))
}
