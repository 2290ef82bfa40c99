//! The screen of `check`.

use dryport_model::{Cause, CauseId, Claim, Coverage, Fact, Level, Seen};

use super::layout::{Lines, left};
use super::number::{ends, grouped, plural, used};
use super::paint::Tone;
use super::place::Place;
use super::{Screen, cause, headline, phrase, process, requests};
use crate::{Check, CheckedNamespace};

/// Requests shown; the JSON document has more.
const MOST_REQUESTS: usize = 8;
/// Remedies of one cause; the JSON document has all.
const MOST_REMEDIES: usize = 3;
/// Healthy namespaces shown, one line each, beside the first.
const MOST_HEALTHY: usize = 12;

/// The whole screen.
#[must_use]
pub fn check(check: &Check<'_>, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    headline::write(&mut lines, check);
    if let Some(found) = &check.process {
        process::write(&mut lines, found);
    }
    let (told, healthy) = part(check);
    for checked in told {
        write_namespace(&mut lines, checked, check);
    }
    write_healthy(&mut lines, &healthy);
    write_coverage(&mut lines, check);
    write_assumptions(&mut lines, &check.assumptions);
    lines.gap();
    let next = screen.paint(Tone::Command, &next_command(check));
    lines.line(&format!("Next: {next}"));
    lines.finish()
}

/// Namespaces to tell at length, the worst first, and those where a line will do: healthy ones
/// beside the first.
fn part<'c, 'a>(
    check: &'c Check<'a>,
) -> (Vec<&'c CheckedNamespace<'a>>, Vec<&'c CheckedNamespace<'a>>) {
    let mut namespaces: Vec<&CheckedNamespace<'a>> = check.namespaces.iter().collect();
    namespaces.sort_by_key(|checked| core::cmp::Reverse(checked.verdict.level));
    let told = namespaces
        .iter()
        .take_while(|checked| checked.verdict.level != Level::Ok)
        .count()
        .max(1)
        .min(namespaces.len());
    let healthy = namespaces.split_off(told);
    (namespaces, healthy)
}

fn write_namespace(lines: &mut Lines, checked: &CheckedNamespace<'_>, check: &Check<'_>) {
    lines.gap();
    let range = checked.limits.range;
    let reserved = match checked.limits.reserved.count_in(range) {
        0 => String::new(),
        reserved => format!(", {} of them reserved", grouped(reserved)),
    };
    let name = phrase::namespace(&checked.namespace);
    let text = format!(
        "ports {}–{} ({}{reserved}), {} {} on them",
        range.low(),
        range.high(),
        grouped(range.size()),
        grouped(checked.sockets),
        plural(checked.sockets, "socket", "sockets")
    );
    let painted = lines.screen.paint(Tone::Strong, &name);
    lines.hang(&format!("{name}  "), &format!("{painted}  "), &text, None);
    // With --pid the table of the process stands above.
    let place = Place::of(check, checked);
    if check.process.is_none() {
        write_requests(lines, checked, &place);
    }
    write_causes(lines, checked, &place);
}

fn write_causes(lines: &mut Lines, checked: &CheckedNamespace<'_>, place: &Place) {
    let processes = checked.owners.map_or(&[][..], |owners| &owners.processes);
    let scene = cause::Scene {
        causes: &checked.verdict.causes,
        process: &|index| processes.get(index as usize).map(phrase::process),
        is_unsure: &|cause| is_unsure(cause, checked),
        no_owner: &|cause| no_owner(cause, checked),
        command: &|command| place.command(command),
        most_remedies: MOST_REMEDIES,
        more: "dryport check --json",
    };
    cause::write(lines, &scene);
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

fn write_requests(lines: &mut Lines, checked: &CheckedNamespace<'_>, place: &Place) {
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

/// One line each.
fn write_healthy(lines: &mut Lines, healthy: &[&CheckedNamespace<'_>]) {
    if healthy.is_empty() {
        return;
    }
    lines.gap();
    let name = |checked: &CheckedNamespace<'_>| phrase::namespace(&checked.namespace);
    let shown = healthy.get(..MOST_HEALTHY).unwrap_or(healthy);
    let widest = shown
        .iter()
        .map(|checked| super::layout::width(&name(checked)))
        .max()
        .unwrap_or(0);
    for checked in shown {
        let head = left(&name(checked), widest + 2);
        let painted = lines.screen.paint(Tone::Strong, &head);
        lines.hang(&head, &painted, &healthy_text(checked), None);
    }
    let more = healthy.len() - shown.len();
    if more > 0 {
        lines.line(&format!("{more} more, all ok: dryport check --json"));
    }
}

fn healthy_text(checked: &CheckedNamespace<'_>) -> String {
    let any = headline::any_new_destination(checked).map_or_else(
        || "nothing asks for a port".to_string(),
        |any| {
            format!(
                "{} of {} ports left",
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
            format!(", busiest pair {} used", used(&request.ledger))
        });
    format!("ok, {any}{busiest}")
}

/// What was not fully seen, and what would show it. Said once where it holds in every namespace.
fn write_coverage(lines: &mut Lines, check: &Check<'_>) {
    let mut gaps: Vec<(&Coverage, Vec<String>)> = Vec::new();
    for checked in &check.namespaces {
        let unseen = checked.coverage.iter().filter(|c| c.seen != Seen::Full);
        for coverage in unseen {
            let place = phrase::namespace(&checked.namespace);
            match gaps.iter_mut().find(|(other, _)| *other == coverage) {
                Some((_, places)) => places.push(place),
                None => gaps.push((coverage, vec![place])),
            }
        }
    }
    let many = check.namespaces.len();
    let gaps: Vec<(&Coverage, String)> = gaps
        .into_iter()
        .map(|(coverage, places)| match places.len() {
            all if all == many => (coverage, String::new()),
            1 | 2 => (coverage, format!(" ({})", places.join(", "))),
            several => (coverage, format!(" ({several} namespaces)")),
        })
        .collect();
    write_gaps(lines, &gaps);
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
        Fact::TimeWaitTimestamps => "timestamps of TIME_WAITs",
        Fact::V6Only => "IPv6-only sockets",
        Fact::Settings => "settings",
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
    let worst = check
        .namespaces
        .iter()
        .find(|checked| checked.verdict.level == check.level);
    let Some(checked) = worst.filter(|_| check.level > Level::Unknown) else {
        return match check.level {
            Level::Unknown => "dryport check --json".to_string(),
            _ => "dryport see --by destination".to_string(),
        };
    };
    let cause = checked.verdict.causes.first();
    let advised = cause
        .into_iter()
        .flat_map(|cause| &cause.remedies)
        .filter_map(|remedy| remedy.command.as_deref())
        .find(|command| command.starts_with("dryport"));
    Place::of(check, checked).command(advised.unwrap_or("dryport see --by process"))
}
