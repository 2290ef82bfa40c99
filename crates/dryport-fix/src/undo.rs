//! Which change is taken back, and taking it back.

use crate::back::{take_back, take_back_ours};
use crate::entry::{Entry, Place, Stage};
use crate::error::{FixError, Result};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::repair::outlives_the_boot;

/// The change to take back: the one with this id, else the last one of this namespace.
///
/// # Errors
/// There is none.
pub fn chosen(entries: &[Entry], place: &Place, id: Option<&str>) -> Result<Entry> {
    let is_here = |entry: &&Entry| entry.place.is(place) || outlives_the_boot(entry, place);
    let Some(id) = id else {
        let is_open = |entry: &&Entry| !entry.stage.is_closed() && is_here(entry);
        let last = entries.iter().rfind(is_open).cloned();
        return last.ok_or_else(|| {
            FixError::Nothing(
                "dryport has changed nothing in this namespace that is still in force".into(),
            )
        });
    };
    let named = entries.iter().find(|entry| entry.id == id);
    let entry =
        named.ok_or_else(|| FixError::Nothing(format!("the journal holds no change {id}")))?;
    if entry.stage.is_closed() {
        return Err(FixError::Nothing(format!(
            "{id} is {} already",
            entry.stage.name()
        )));
    }
    if !is_here(&entry) {
        return Err(FixError::Elsewhere {
            id: id.into(),
            place: entry.place.clone(),
        });
    }
    let shares = |newer: &&Entry| {
        let key = |step: &crate::SettingStep| entry.settings.iter().any(|own| own.key == step.key);
        newer.id > entry.id
            && !newer.stage.is_closed()
            && is_here(newer)
            && (newer.settings.iter().any(key) || (newer.file.is_some() && entry.file.is_some()))
    };
    match entries.iter().rfind(shares) {
        Some(newer) => Err(FixError::Covered {
            newer: newer.id.clone(),
        }),
        None => Ok(entry.clone()),
    }
}

/// Takes a chosen change back.
///
/// # Errors
/// As [`take_back`].
pub fn undo(
    journal: &Journal,
    place: &Place,
    entry: &mut Entry,
    told: &mut dyn FnMut(&Progress),
) -> Result<()> {
    if entry.place.is(place) {
        take_back(journal, entry, told)
    } else {
        take_back_ours(journal, entry, told)
    }
}

/// Closes an entry without changing anything, where a person has put things right by hand.
///
/// # Errors
/// There is no such entry, or the journal cannot be written.
pub fn forget(journal: &Journal, entries: &[Entry], id: &str) -> Result<Entry> {
    let named = entries
        .iter()
        .find(|entry| entry.id == id && !entry.stage.is_closed());
    let mut entry = named
        .cloned()
        .ok_or_else(|| FixError::Nothing(format!("the journal holds no open change {id}")))?;
    entry.stage = Stage::Forgotten;
    journal.save(&entry)?;
    Ok(entry)
}
