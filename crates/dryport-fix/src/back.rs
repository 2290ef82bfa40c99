//! Taking a change back: all of it or nothing, and said only after reading back.

use std::fs;
use std::path::{Path, PathBuf};

use dryport_model::plan::Setting;
use dryport_tune::{files, sysctl};
use dryport_wire::procfs::printable_up_to;
use dryport_wire::sysctl as text;

use crate::change::same;
use crate::entry::{Entry, FileStep, SettingStep, Stage};
use crate::error::{FixError, Result};
use crate::journal::Journal;
use crate::progress::Progress;

/// Longer values are cut where they are told.
const MOST_SHOWN: usize = 200;
/// The kernel takes a shorter list in one piece (`proc_do_large_bitmap`: a page, less one byte).
const SHORTEST_TORN_BYTES: usize = 4095;

/// Something that is neither as it was nor as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreeValues {
    /// The setting or the file.
    pub key: String,
    /// Before the change.
    pub before: String,
    /// What the change made of it.
    pub after: String,
    /// What it is now.
    pub now: String,
}

/// Takes a change back, in the namespace of the calling thread, which must be the entry's.
///
/// Can be repeated: what has its old bytes already is left alone, so that it goes on where an
/// interrupted run stopped.
///
/// # Errors
/// Somebody else changed one of the values (then nothing is changed), or the system refuses.
pub fn take_back(
    journal: &Journal,
    entry: &mut Entry,
    told: &mut dyn FnMut(&Progress),
) -> Result<()> {
    forget_unwritten_file(entry)?;
    let moved = moved(entry)?;
    if !moved.is_empty() {
        return Err(FixError::ChangedSince(moved));
    }
    entry.stage = Stage::Undoing;
    // On a full disk the values come first. An entry that says less than is true does no harm: what
    // is left to do is seen from the values.
    let _ = journal.save(entry);
    // The settings are taken back also where the file cannot be.
    let file = entry.file.as_ref().map_or(Ok(()), restore_file);
    if let (Some(step), Ok(())) = (&entry.file, &file) {
        told(&Progress::FileRestored {
            path: step.path.clone(),
        });
    }
    for step in entry.settings.iter().rev() {
        restore_setting(step)?;
        told(&Progress::Restored {
            key: step.key.clone(),
            value: shown(&step.before.get().unwrap_or_default()),
        });
    }
    file?;
    entry.stage = Stage::Undone;
    entry.confirm_by_ms = None;
    if journal.save(entry).is_ok() {
        told(&Progress::Closed);
    }
    Ok(())
}

/// Takes back what is still as it was set; what somebody else has changed since stays. For a change
/// that was not confirmed in time (what locks people out has to go, whatever else was touched), and
/// for one of an earlier boot of this machine.
///
/// # Errors
/// The system refuses, or somebody else changed the file.
pub fn take_back_ours(
    journal: &Journal,
    entry: &mut Entry,
    told: &mut dyn FnMut(&Progress),
) -> Result<()> {
    let mut left = Vec::new();
    for step in &entry.settings {
        let now = sysctl::read(setting(step)?)?.unwrap_or_default();
        let (before, after) = bytes(step);
        if now == before || same(setting(step)?, &now, &after) {
            left.push(step.clone());
        }
    }
    entry.settings = left;
    take_back(journal, entry, told)
}

/// Before a change is confirmed its file is only meant to be written: whatever stands there is
/// somebody else's, unless the confirmation was interrupted.
fn forget_unwritten_file(entry: &mut Entry) -> Result<()> {
    let Some(step) = entry
        .file
        .as_ref()
        .filter(|_| entry.stage == Stage::Unconfirmed)
    else {
        return Ok(());
    };
    if files::read_optional(Path::new(&step.path))? != step.after.get() {
        tidy_file(entry)?;
        entry.file = None;
    }
    Ok(())
}

/// Whether the file that an entry wrote, or was about to write, is there.
pub(crate) fn file_is_in_force(entry: &Entry) -> Result<bool> {
    let Some(step) = &entry.file else {
        return Ok(false);
    };
    let now = files::read_optional(Path::new(&step.path))?;
    Ok(now != step.before.as_ref().and_then(crate::Bytes::get))
}

/// Removes what a broken-off write left beside an entry's file.
pub(crate) fn tidy_file(entry: &Entry) -> Result<()> {
    let Some(step) = &entry.file else {
        return Ok(());
    };
    files::remove_leftover(Path::new(&step.path))?;
    let made: Vec<PathBuf> = step.directories.iter().map(PathBuf::from).collect();
    files::remove_empty_directories(&made)?;
    Ok(())
}

/// What is neither as it was nor as it was set.
pub(crate) fn moved(entry: &Entry) -> Result<Vec<ThreeValues>> {
    let mut moved = Vec::new();
    for step in &entry.settings {
        let setting = setting(step)?;
        let (before, after) = bytes(step);
        let now = sysctl::read(setting)?.unwrap_or_default();
        let ours = same(setting, &now, &before)
            || same(setting, &now, &after)
            || (entry.stage.is_interrupted() && is_torn(setting, &now, [&before, &after]));
        if !ours {
            moved.push(ThreeValues {
                key: step.key.clone(),
                before: shown(&before),
                after: shown(&after),
                now: shown(&now),
            });
        }
    }
    if let Some(step) = &entry.file {
        let (before, after) = (
            step.before.as_ref().and_then(crate::Bytes::get),
            step.after.get(),
        );
        let now = files::read_optional(Path::new(&step.path))?;
        if now != before && now != after {
            moved.push(three_values(step, now));
        }
    }
    Ok(moved)
}

/// A list longer than a page is written in pieces, so a run that was killed in between leaves the
/// beginning of one of the two.
fn is_torn(setting: Setting, now: &[u8], lists: [&[u8]; 2]) -> bool {
    let read = |bytes: &[u8]| text::parse_port_list(&String::from_utf8_lossy(bytes)).ok();
    let (Some(now), Setting::ReservedPorts) = (read(now), setting) else {
        return false;
    };
    lists.into_iter().any(|list| {
        let whole = read(list).unwrap_or_default();
        list.len() > SHORTEST_TORN_BYTES && now.iter().all(|port| whole.contains(port))
    })
}

fn restore_setting(step: &SettingStep) -> Result<()> {
    let setting = setting(step)?;
    let (before, _) = bytes(step);
    if sysctl::read(setting)?.as_ref() != Some(&before) {
        sysctl::write(setting, &before)?;
    }
    let now = sysctl::read(setting)?.unwrap_or_default();
    if now == before {
        return Ok(());
    }
    Err(FixError::NotAsWritten {
        key: step.key.clone(),
        written: shown(&before),
        now: shown(&now),
    })
}

/// What a file was, was made, and is.
pub(crate) fn three_values(step: &FileStep, now: Option<Vec<u8>>) -> ThreeValues {
    let text = |bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => shown(&bytes),
        None => "absent".into(),
    };
    ThreeValues {
        key: step.path.clone(),
        before: text(step.before.as_ref().and_then(crate::Bytes::get)),
        after: text(step.after.get()),
        now: text(now),
    }
}

fn restore_file(step: &FileStep) -> Result<()> {
    let path = Path::new(&step.path);
    files::remove_leftover(path)?;
    match step.before.as_ref().and_then(crate::Bytes::get) {
        Some(before) if files::read_optional(path)?.as_ref() != Some(&before) => {
            step.write(&before)?;
        }
        // A link or a directory that came since is not ours; it was told apart by what it holds.
        None if fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) => {
            files::remove(path)?;
        }
        None | Some(_) => {}
    }
    let made: Vec<PathBuf> = step.directories.iter().map(PathBuf::from).collect();
    files::remove_empty_directories(&made)?;
    Ok(())
}

fn setting(step: &SettingStep) -> Result<Setting> {
    Setting::from_linux_name(&step.key)
        .ok_or_else(|| FixError::Nothing(format!("{} is no setting of dryport", step.key)))
}

fn bytes(step: &SettingStep) -> (Vec<u8>, Vec<u8>) {
    (
        step.before.get().unwrap_or_default(),
        step.after.get().unwrap_or_default(),
    )
}

/// A value on one line; what was empty says so.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let words = bytes.split(u8::is_ascii_whitespace);
    let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
    match printable_up_to(&words.join(&b' '), MOST_SHOWN) {
        text if text.is_empty() => "(empty)".into(),
        text => text,
    }
}
