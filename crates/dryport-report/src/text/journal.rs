//! The screen of `undo` and `undo --list`.

use super::layout::Lines;
use super::paint::Tone;
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
    let id = lines.screen.paint(Tone::Strong, &entry.id);
    let place = match &entry.namespace {
        Some(namespace) if entry.is_here => format!(", {} (here)", phrase::namespace(namespace)),
        Some(namespace) => format!(", {}", phrase::namespace(namespace)),
        None => String::new(),
    };
    let made = entry
        .made
        .as_deref()
        .map_or_else(String::new, |made| format!("  {made}"));
    lines.line(&format!("{id}{made}{place}"));
    lines.hang("  ", "  ", &entry.stage, None);
    for (setting, from, to) in &entry.settings {
        lines.hang("      ", "    ", &format!("{setting}: {from} → {to}"), None);
    }
    if let Some(file) = &entry.file {
        lines.hang("      ", "    ", &format!("file {file}"), None);
    }
}
