//! The screen of `undo` and `undo --list`.

use super::layout::{Lines, width};
use super::paint::Tone;
use super::plan::{folded, shown};
use super::{Screen, phrase};
use crate::{JournalAnswer, JournalLine};

/// Changes of the journal, or what was taken back.
#[must_use]
pub fn journal(answer: &JournalAnswer, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    if let Some(done) = &answer.done {
        lines.hang("", "", done, Some(Tone::Strong));
        return lines.finish();
    }
    if answer.entries.is_empty() {
        lines.line("dryport has changed nothing on this machine.");
    }
    for entry in &answer.entries {
        lines.gap();
        write_entry(&mut lines, entry);
    }
    lines.finish()
}

fn write_entry(lines: &mut Lines, entry: &JournalLine) {
    let place = entry.namespace.as_ref().map_or_else(String::new, |place| {
        let here = if entry.is_here { " (here)" } else { "" };
        format!("{}{here}", phrase::namespace(place))
    });
    let about: Vec<&str> = [entry.made.as_deref().unwrap_or_default(), &place]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let about = about.join(", ");
    let id = lines.screen.paint(Tone::Strong, &entry.id);
    if width(&entry.id) + 2 + width(&about) <= lines.screen.columns() {
        lines.line(&format!("{id}  {about}"));
    } else {
        lines.line(&id);
        lines.hang("  ", "  ", &about, None);
    }
    lines.hang("  ", "  ", &stage(&entry.stage), None);
    for (setting, from, to) in &entry.settings {
        write_setting(lines, setting, from, to);
    }
    if let Some(file) = &entry.file {
        lines.line(&format!("    file {file}"));
    }
}

fn write_setting(lines: &mut Lines, setting: &str, from: &str, to: &str) {
    let (from, to) = (shown(from), shown(to));
    let line = format!("    {setting}: {from} → {to}");
    if width(&line) <= lines.screen.columns() {
        lines.line(&line);
        return;
    }
    lines.line(&format!("    {setting}"));
    for (head, value) in [("      before  ", from), ("      after   ", to)] {
        lines.list(head, head, &folded(&value));
    }
}

/// How far it came, and what that means. What is no stage says itself why the entry cannot be read.
fn stage(word: &str) -> String {
    let meaning = match word {
        "prepared" => "interrupted while it was made; the next run takes it back",
        "unconfirmed" => "in force, and taken back unless `dryport fix --confirm` follows in time",
        "applied" => "in force",
        "undoing" => "interrupted while it was taken back; the next run goes on",
        "undone" => "taken back",
        "gone" => "nothing is left to take back",
        "forgotten" => "closed by hand, nothing was changed",
        why_not => return why_not.into(),
    };
    format!("{word}: {meaning}")
}
