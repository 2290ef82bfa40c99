//! Causes: what is wrong, who holds the ports, what to do and what not.

use dryport_model::{Cause, Level};

use super::headline::level_word;
use super::layout::{Lines, cut, left, right, width};
use super::number::{grouped, plural};
use super::paint::Tone;

const MOST_OWNERS: usize = 3;
/// Causes told at length; the rest are counted.
const MOST_CAUSES: usize = 4;
const LABEL: usize = 11;

/// The causes to write, and what they need to be told in words.
pub(super) struct Scene<'a> {
    /// The causes, notes among them.
    pub(super) causes: &'a [Cause],
    /// The name of a process by its index in the owners of a cause; `None` where it is not known.
    pub(super) process: &'a dyn Fn(u32) -> Option<String>,
    /// Whether only what could not be seen makes a cause more than a note.
    pub(super) is_unsure: &'a dyn Fn(&Cause) -> bool,
    /// Why nobody is named, where somebody could be expected.
    pub(super) no_owner: &'a dyn Fn(&Cause) -> Option<&'static str>,
    /// A command as it has to be typed.
    pub(super) command: &'a dyn Fn(&str) -> String,
    /// Remedies of one cause told at the most.
    pub(super) most_remedies: usize,
    /// What shows the causes that are left out.
    pub(super) more: &'a str,
}

/// Writes causes, then notes.
pub(super) fn write(lines: &mut Lines, scene: &Scene<'_>) {
    let (notes, mut causes): (Vec<&Cause>, Vec<&Cause>) = scene
        .causes
        .iter()
        .partition(|cause| cause.level == Level::Ok);
    // The model sorts by level; what is certain then comes before what may be.
    causes.sort_by_key(|cause| (core::cmp::Reverse(cause.level), (scene.is_unsure)(cause)));
    let mut told = Told::default();
    for cause in causes.iter().take(MOST_CAUSES) {
        lines.gap();
        write_cause(lines, cause, scene, &mut told);
    }
    if let Some(more) = causes
        .len()
        .checked_sub(MOST_CAUSES)
        .filter(|more| *more > 0)
    {
        lines.gap();
        lines.line(&format!(
            "{more} more {}: {}",
            plural(more as u64, "cause", "causes"),
            scene.more
        ));
    }
    if !notes.is_empty() {
        lines.gap();
        lines.line(&lines.screen.paint(Tone::Strong, "Notes"));
        for note in notes {
            write_note(lines, note, scene, &mut told);
        }
    }
}

/// What stands above already and need not be said twice.
#[derive(Default)]
struct Told<'a> {
    remedies: Vec<&'a str>,
    commands: Vec<&'a str>,
    owners: Vec<(u32, u32)>,
}

fn write_cause<'a>(lines: &mut Lines, cause: &'a Cause, scene: &Scene<'_>, told: &mut Told<'a>) {
    let screen = lines.screen;
    let unsure = if (scene.is_unsure)(cause) {
        "  if what was not seen is taken"
    } else {
        ""
    };
    lines.line(&format!(
        "{}  {}{}",
        screen.paint(Tone::Level(cause.level), &level_word(cause.level)),
        screen.paint(Tone::Strong, cause.id.name()),
        screen.paint(Tone::Uncertain, unsure)
    ));
    lines.hang("  ", "  ", &cause.summary, None);
    write_owners(lines, cause, scene, told);
    write_remedies(lines, cause, scene, told);
    for (index, avoid) in cause.avoid.iter().enumerate() {
        label(
            lines,
            if index == 0 { "beware" } else { "" },
            avoid,
            Some(Tone::Faint),
        );
    }
}

fn write_owners(lines: &mut Lines, cause: &Cause, scene: &Scene<'_>, told: &mut Told<'_>) {
    let shares: Vec<(u32, u32)> = cause.owners.iter().map(|s| (s.process, s.ports)).collect();
    if shares.is_empty() {
        if let Some(why) = (scene.no_owner)(cause) {
            label(lines, "held by", why, None);
        }
        return;
    }
    if shares == told.owners {
        return;
    }
    let rows = holders(cause, scene);
    let counts = rows.iter().map(|(_, n)| width(n)).max().unwrap_or(0);
    let most = lines
        .screen
        .columns()
        .saturating_sub(LABEL + counts + "   ports".len());
    let longest = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let names = longest.min(most);
    for (index, (name, ports)) in rows.iter().enumerate() {
        lines.line(&format!(
            "{}{}  {} {}",
            label_text(lines, if index == 0 { "held by" } else { "" }),
            left(&cut(name, names), names),
            right(ports, counts),
            if ports == "1" { "port" } else { "ports" }
        ));
    }
    told.owners = shares;
}

/// Names and ports: the largest processes, the others together, and what no process holds any more.
fn holders(cause: &Cause, scene: &Scene<'_>) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = cause
        .owners
        .iter()
        .take(MOST_OWNERS)
        .filter_map(|share| Some(((scene.process)(share.process)?, grouped(share.ports))))
        .collect();
    let rest = cause.owners.get(MOST_OWNERS..).unwrap_or_default();
    if !rest.is_empty() {
        let ports: u64 = rest.iter().map(|share| u64::from(share.ports)).sum();
        let processes = plural(rest.len() as u64, "process", "processes");
        rows.push((format!("{} more {processes}", rest.len()), grouped(ports)));
    }
    let waiting = evidence(cause, "time_wait");
    if waiting > 0 {
        rows.push(("no process, in TIME_WAIT".to_string(), grouped(waiting)));
    }
    rows
}

/// A number of the cause's evidence, 0 where it has none of that name.
pub(super) fn evidence(cause: &Cause, name: &str) -> u64 {
    let found = cause.evidence.iter().find(|e| e.name == name);
    found.map_or(0, |evidence| evidence.value)
}

fn write_remedies<'a>(lines: &mut Lines, cause: &'a Cause, scene: &Scene<'_>, told: &mut Told<'a>) {
    let fresh = cause
        .remedies
        .iter()
        .filter(|remedy| !told.remedies.contains(&remedy.id))
        .take(scene.most_remedies)
        .collect::<Vec<_>>();
    if fresh.is_empty() && !cause.remedies.is_empty() {
        label(lines, "do", "as above", None);
    }
    for (index, remedy) in fresh.into_iter().enumerate() {
        // Where Windows has to be restarted, the sentence says so.
        let restart = if remedy.restart_needed && !remedy.summary.contains("Restart ") {
            " (needs\u{a0}a\u{a0}restart)"
        } else {
            ""
        };
        let text = format!("{}{restart}", remedy.summary);
        let head = label_text(lines, if index == 0 { "do" } else { "" });
        let number = format!("{}. ", index + 1);
        let indent = " ".repeat(LABEL + number.len());
        lines.hang(&indent, &format!("{head}{number}"), &text, None);
        if let Some(command) = &remedy.command {
            lines.line(&format!(
                "{indent}{}",
                lines.screen.paint(Tone::Command, &(scene.command)(command))
            ));
        }
        told.commands.extend(remedy.command.as_deref());
        told.remedies.push(remedy.id);
    }
}

fn write_note<'a>(lines: &mut Lines, note: &'a Cause, scene: &Scene<'_>, told: &mut Told<'a>) {
    let text = format!("{} [{}]", note.summary, note.id.name());
    lines.hang("  - ", "  - ", &text, None);
    let first = note.remedies.first();
    let command = first.and_then(|remedy| remedy.command.as_deref());
    if let Some(command) = command.filter(|command| !told.commands.contains(command)) {
        lines.line(&format!(
            "    {}",
            lines.screen.paint(Tone::Command, &(scene.command)(command))
        ));
        told.commands.push(command);
    }
}

fn label(lines: &mut Lines, name: &str, text: &str, tone: Option<Tone>) {
    let head = label_text(lines, name);
    lines.hang(&" ".repeat(LABEL), &head, text, tone);
}

fn label_text(lines: &Lines, name: &str) -> String {
    lines
        .screen
        .paint(Tone::Faint, &left(&format!("  {name}"), LABEL))
}
