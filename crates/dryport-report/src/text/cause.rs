//! Causes: what is wrong, who holds the ports, what to do and what not.

use dryport_model::{Cause, Level, OwnerGroup, Remedy};

use super::headline::level_word;
use super::holders::{Holder, Holders};
use super::home::Room;
use super::layout::{Lines, left};
use super::number::plural;
use super::paint::Tone;

/// Causes told at length; the rest are counted.
const MOST_CAUSES: usize = 4;
const LABEL: usize = 11;

/// The causes to write, and what they need to be told in words.
pub(super) struct Scene<'a> {
    /// The causes, notes among them.
    pub(super) causes: &'a [Cause],
    /// A group of the owners of a cause in words; `None` where nothing is known of it.
    pub(super) holder: &'a dyn Fn(&OwnerGroup, Room) -> Option<Holder>,
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
    /// Ids of remedies that were told of another namespace above.
    pub(super) above: &'a [&'static str],
}

/// Writes causes, then notes. Gives the ids of all remedies that are told by now.
pub(super) fn write(lines: &mut Lines, scene: &Scene<'_>) -> Vec<&'static str> {
    let (notes, mut causes): (Vec<&Cause>, Vec<&Cause>) = scene
        .causes
        .iter()
        .partition(|cause| cause.level == Level::Ok);
    // The model sorts by level; what is certain then comes before what may be.
    causes.sort_by_key(|cause| (core::cmp::Reverse(cause.level), (scene.is_unsure)(cause)));
    let mut told = Told {
        remedies: scene.above.to_vec(),
        ..Told::default()
    };
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
    told.remedies
}

/// What stands above already and need not be said twice.
#[derive(Default)]
struct Told<'a> {
    remedies: Vec<&'static str>,
    commands: Vec<&'a str>,
    owners: Vec<OwnerGroup>,
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
    let is_above = |remedy: &Remedy| scene.above.contains(&remedy.id);
    if !cause.remedies.is_empty() && cause.remedies.iter().all(is_above) {
        return;
    }
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
    let groups = &cause.owners.groups;
    if groups.is_empty() {
        if let Some(why) = (scene.no_owner)(cause) {
            label(lines, "held by", why, None);
        }
        return;
    }
    if *groups == told.owners {
        return;
    }
    let head = label_text(lines, "held by");
    let holders = Holders {
        groups,
        holder: scene.holder,
        waiting: evidence(cause, "time_wait"),
    };
    holders.write(lines, &head, LABEL);
    told.owners.clone_from(groups);
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
        write_again(lines, cause, scene, told);
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

/// The remedies stand above; where that was of another namespace, their commands are others here.
fn write_again<'a>(lines: &mut Lines, cause: &'a Cause, scene: &Scene<'_>, told: &mut Told<'a>) {
    let commands = cause
        .remedies
        .iter()
        .take(scene.most_remedies)
        .filter_map(|remedy| remedy.command.as_deref());
    let fresh: Vec<&str> = commands
        .filter(|command| !told.commands.contains(command))
        .collect();
    let colon = if fresh.is_empty() { "" } else { ":" };
    label(lines, "do", &format!("as above{colon}"), None);
    for command in fresh {
        let painted = lines.screen.paint(Tone::Command, &(scene.command)(command));
        lines.line(&format!("{}{painted}", " ".repeat(LABEL)));
        told.commands.push(command);
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
