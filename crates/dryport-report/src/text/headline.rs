//! The verdict in one sentence.

use dryport_model::{Claim, Coverage, Fact, Level, RequestVerdict, Seen};

use super::layout::Lines;
use super::number::{ends, grouped};
use super::paint::Tone;
use super::{Screen, phrase};
use crate::{Check, CheckedNamespace};

/// The first line of `check` alone, for `--quiet`; one line whatever its length.
#[must_use]
pub fn check_line(check: &Check<'_>, screen: Screen) -> String {
    format!(
        "{}  {}\n",
        screen.paint(Tone::Level(check.level), &level_word(check.level)),
        screen.paint(Tone::Strong, &sentence(check))
    )
}

/// The same at the head of a screen, wrapped.
pub(super) fn write(lines: &mut Lines, check: &Check<'_>) {
    let word = level_word(check.level);
    let painted = lines.screen.paint(Tone::Level(check.level), &word);
    lines.hang(
        &format!("{word}  "),
        &format!("{painted}  "),
        &sentence(check),
        Some(Tone::Strong),
    );
}

/// `CRITICAL`.
pub(super) fn level_word(level: Level) -> String {
    level.name().to_uppercase()
}

fn sentence(check: &Check<'_>) -> String {
    let finding = check.process.as_ref().and_then(|p| p.findings.first());
    match (finding, check.level) {
        (Some(finding), _) => finding.clone(),
        (None, Level::Unknown) => unknown(check),
        (None, Level::Ok) => well(check),
        (None, Level::Warning | Level::Critical) => short(check),
    }
}

/// How bad a namespace is: its level, how much of a range is taken (in millionths) by the request
/// that takes most, and how many sockets it has.
pub(super) fn severity(checked: &CheckedNamespace<'_>) -> (Level, u64, u64) {
    let requests = checked.verdict.requests.iter();
    let millionths = requests.map(|request| {
        let capacity = u64::from(request.ledger.capacity()).max(1);
        u64::from(request.ledger.taken()) * 1_000_000 / capacity
    });
    let taken = millionths.max().unwrap_or(0);
    (checked.verdict.level, taken, checked.sockets)
}

/// The worst of those that have the level of the whole.
pub(super) fn worst_namespace<'c, 'a>(check: &'c Check<'a>) -> Option<&'c CheckedNamespace<'a>> {
    let namespaces = check.namespaces.iter();
    namespaces
        .filter(|checked| checked.verdict.level == check.level)
        .min_by_key(|checked| core::cmp::Reverse(severity(checked)))
}

/// What is worst, and how many are no better off.
fn short(check: &Check<'_>) -> String {
    let Some(checked) = worst_namespace(check) else {
        return "Ports are short.".to_string();
    };
    let text = short_of(checked, check.level, &place(check, checked));
    let namespaces = check.namespaces.iter();
    let alike = namespaces.filter(|other| other.verdict.level == check.level);
    let how = match check.level {
        Level::Critical => "critical",
        _ => "getting short of ports",
    };
    match alike.count() {
        0 | 1 => text,
        2 => format!("{text} Another namespace is {how} too."),
        many => format!("{text} {} more namespaces are {how}.", many - 1),
    }
}

/// What is worst in one namespace. `place`: what names it in the sentence.
pub(super) fn short_of(checked: &CheckedNamespace<'_>, level: Level, place: &str) -> String {
    match worst(checked, level) {
        Some(request) => left(request, checked, place),
        None => checked.verdict.causes.first().map_or_else(
            || "Ports are short.".to_string(),
            |cause| cause.summary.clone(),
        ),
    }
}

/// The request to name: what is certain before what is not, and what hits every destination before
/// what hits one pair.
fn worst<'a>(checked: &CheckedNamespace<'a>, level: Level) -> Option<&'a RequestVerdict> {
    let requests = checked.verdict.requests.iter();
    requests
        .filter(|request| request.level == level)
        .min_by_key(|request| {
            (
                request.level_is_uncertain,
                request.request.claim() != Claim::Bucket,
            )
        })
}

fn left(request: &RequestVerdict, checked: &CheckedNamespace<'_>, place: &str) -> String {
    let ledger = &request.ledger;
    let device = checked.device_name(request.request.device);
    let clause = phrase::clause(&request.request, device) + place;
    let capacity = grouped(ledger.capacity());
    match (request.headroom.at_most, ledger.uncertain) {
        (0, _) if ledger.capacity() == 0 => {
            format!("No port is left {clause}: the whole range is reserved.")
        }
        (0, _) => format!("No port is left {clause}: all {capacity} are taken."),
        (_, 0) if request.headroom.is_exact() => format!(
            "Only {} of {capacity} ports left {clause}.",
            ends(request.headroom)
        ),
        (_, 0) => format!(
            "{} of {capacity} ports left {clause}.",
            ends(request.headroom)
        ),
        (_, unseen) => format!(
            "{} of {capacity} ports left {clause}: {} could not be judged.",
            ends(request.headroom),
            grouped(unseen)
        ),
    }
}

/// In which namespace, where there are several.
fn place(check: &Check<'_>, checked: &CheckedNamespace<'_>) -> String {
    if check.namespaces.len() > 1 {
        format!(" {}", phrase::in_namespace(checked))
    } else {
        String::new()
    }
}

fn well(check: &Check<'_>) -> String {
    let tightest = check
        .namespaces
        .iter()
        .filter_map(|checked| Some((checked, any_new_destination(checked)?)))
        .min_by_key(|(_, any)| any.headroom.at_least);
    let Some((_, any)) = tightest else {
        return "All is well: nothing asks for a port.".to_string();
    };
    let (count, least) = match check.namespaces.len() {
        0 | 1 => (String::new(), ""),
        several => (format!(" in {several} namespaces"), "at least "),
    };
    format!(
        "All is well{count}: {least}{} of {} ports left for any new destination.",
        ends(any.headroom),
        grouped(any.ledger.capacity()),
    )
}

/// The request that is always judged.
pub(super) fn any_new_destination<'a>(
    checked: &CheckedNamespace<'a>,
) -> Option<&'a RequestVerdict> {
    let requests = &checked.verdict.requests;
    requests
        .iter()
        .find(|request| request.request.claim() == Claim::Bucket)
}

fn unknown(check: &Check<'_>) -> String {
    let unseen = |coverage: &&Coverage| coverage.seen == Seen::None && coverage.why.is_some();
    // What could be seen is well, and something failed.
    let is_well = |checked: &CheckedNamespace<'_>| checked.verdict.level == Level::Ok;
    if !check.namespaces.is_empty() && check.namespaces.iter().all(is_well) {
        let failed = check.coverage.iter().find(|c| c.fact == Fact::Namespaces);
        let why = failed.and_then(|coverage| coverage.why.as_deref());
        return format!(
            "Not all could be judged: {}.",
            why.unwrap_or("something failed")
        );
    }
    let gaps = || {
        let namespaces = check.namespaces.iter();
        namespaces
            .flat_map(|checked| checked.coverage)
            .filter(unseen)
    };
    let why = gaps()
        .find(|coverage| coverage.fact == Fact::Sockets)
        .or_else(|| gaps().next())
        .and_then(|coverage| coverage.why.as_deref());
    match (check.namespaces.is_empty(), why) {
        (true, _) => "Nothing could be judged: no network namespace could be read.".to_string(),
        (false, Some(why)) => format!("Nothing could be judged: {why}"),
        (false, None) => "Nothing could be judged.".to_string(),
    }
}
