//! The screen of `rehearse`: what the kernel granted before and after.

use dryport_model::Headroom;

use super::Screen;
use super::layout::Lines;
use super::number::{ends, grouped};
use super::paint::Tone;
use super::plan::{rate, shown, table, table_now, write_values};
use crate::{MeasuredAnswer, RehearsalAnswer};

/// Two measurements of one rate differ by less.
const CLEARLY_MORE: f64 = 1.25;

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
            let from = from.as_deref().map_or_else(|| "absent".into(), shown);
            write_values(&mut lines, setting, (&from, &shown(to)), "");
        }
    }
    lines.gap();
    write_measured(&mut lines, answer);
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

fn write_measured(lines: &mut Lines, answer: &RehearsalAnswer) {
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
    if answer.changes.is_empty() {
        // Measured twice under the same settings: once is enough to tell.
        table_now(lines, &answer.subject, &all);
    } else {
        table(lines, &answer.subject, &all);
    }
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
    let verdict = if !agrees {
        "That is not what was predicted.".into()
    } else if answer.changes.is_empty() || before != after {
        String::new()
    } else {
        same_ports(answer)
    };
    let text = if answer.changes.is_empty() {
        format!("This kernel granted {}. {verdict}", grouped(before))
    } else {
        format!(
            "This kernel granted {} before and {} after the change. {verdict}",
            grouped(before),
            grouped(after)
        )
    };
    text.trim_end().to_string()
}

/// No port more: then the rate tells what the change is good for.
fn same_ports(answer: &RehearsalAnswer) -> String {
    let rates = (
        answer.before.sustained_per_second,
        answer.after.sustained_per_second,
    );
    match rates {
        (before, Some(after)) if before.is_none_or(|before| after > before * CLEARLY_MORE) => {
            format!(
                "It then sustains {} connections per second.",
                rate(Some(after))
            )
        }
        (Some(before), Some(after)) if after * CLEARLY_MORE < before => {
            format!(
                "It then sustains {} connections per second only.",
                rate(Some(after))
            )
        }
        _ => "The change gives nothing.".into(),
    }
}
