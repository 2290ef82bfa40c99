//! The screen of `rehearse`: what the kernel granted before and after.

use dryport_model::Headroom;

use super::Screen;
use super::layout::Lines;
use super::number::{ends, grouped};
use super::paint::Tone;
use super::plan::{rate, table};
use crate::{MeasuredAnswer, RehearsalAnswer};

/// The first line alone, for `--quiet`.
#[must_use]
pub fn rehearsal_line(answer: &RehearsalAnswer, screen: Screen) -> String {
    format!("{}\n", screen.paint(Tone::Strong, &sentence(answer)))
}

/// The whole screen.
#[must_use]
pub fn rehearsal(answer: &RehearsalAnswer, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    lines.hang("", "", &sentence(answer), Some(Tone::Strong));
    if !answer.changes.is_empty() {
        lines.gap();
        for (setting, from, to) in &answer.changes {
            let shown = |value: &str| match value.split_ascii_whitespace().collect::<Vec<_>>() {
                words if words.is_empty() => "(empty)".to_string(),
                words => words.join(" "),
            };
            let from = from.as_deref().map_or_else(|| "absent".into(), shown);
            let name = screen.paint(Tone::Strong, setting);
            lines.line(&format!("  {name}  {from} → {}", shown(to)));
        }
    }
    lines.gap();
    let mut all = Vec::new();
    if let Some((before, after)) = answer.predicted {
        all.push(("predicted".to_string(), ends(before), ends(after)));
    }
    all.extend(rows(Some(answer)));
    let refused = |side: &MeasuredAnswer| side.refused_with.unwrap_or("nothing").to_string();
    all.push((
        "then refused with".into(),
        refused(&answer.before),
        refused(&answer.after),
    ));
    all.push((
        "connections per second, sustained".into(),
        sustained(&answer.before),
        sustained(&answer.after),
    ));
    table(&mut lines, &answer.subject, &all);
    let mut notes = answer.notes.clone();
    for side in [&answer.before, &answer.after] {
        notes.extend(side.sustained_note.clone());
    }
    notes.dedup();
    if !notes.is_empty() {
        lines.gap();
        for note in notes {
            lines.hang("  - ", "  - ", &note, None);
        }
    }
    lines.finish()
}

/// What was measured, as rows of the table of a plan.
pub(super) fn rows(answer: Option<&RehearsalAnswer>) -> Vec<(String, String, String)> {
    answer
        .map(|answer| {
            (
                "granted in a rehearsal".to_string(),
                grouped(answer.before.granted),
                grouped(answer.after.granted),
            )
        })
        .into_iter()
        .collect()
}

fn sustained(side: &MeasuredAnswer) -> String {
    match side.sustained_per_second {
        None => "–".into(),
        measured => rate(measured),
    }
}

fn sentence(answer: &RehearsalAnswer) -> String {
    let (before, after) = (answer.before.granted, answer.after.granted);
    let agrees = answer.predicted.is_none_or(|(one, other)| {
        let fits = |headroom: Headroom, measured| {
            headroom.at_least <= measured && measured <= headroom.at_most
        };
        fits(one, before) && fits(other, after)
    });
    let verdict = match (before == after, agrees) {
        (_, false) => "That is not what was predicted.",
        (true, true) if answer.changes.is_empty() => "",
        (true, true) => "The change gives nothing.",
        (false, true) => "",
    };
    let text = format!(
        "This kernel granted {} before and {} after the change. {verdict}",
        grouped(before),
        grouped(after)
    );
    let text = if answer.changes.is_empty() {
        format!("This kernel granted {}. {verdict}", grouped(before))
    } else {
        text
    };
    text.trim_end().to_string()
}
