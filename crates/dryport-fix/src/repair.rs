//! What an interrupted run left, put right before anything else is done.

use crate::back::{file_is_in_force, take_back, take_back_ours, tidy_file};
use crate::confirm::milliseconds_since_start;
use crate::entry::{Entry, Place, Stage};
use crate::error::Result;
use crate::journal::Journal;
use crate::progress::Progress;

/// What was found.
#[derive(Debug, Default)]
pub struct Repaired {
    /// Changes that were taken back now.
    pub taken_back: Vec<Entry>,
    /// Interrupted or overdue changes in other namespaces, which have to be taken back from there.
    pub elsewhere: Vec<Entry>,
    /// Every entry as it stands now, the oldest first.
    pub entries: Vec<Entry>,
}

/// Takes back what an interrupted run or a missed confirmation left in this namespace, and closes
/// entries whose namespace is gone. `is_gone` tells of a namespace of this boot whether it is
/// certainly gone.
///
/// # Errors
/// The journal cannot be read or written, or somebody else changed what has to be taken back.
pub fn repair(
    journal: &Journal,
    place: &Place,
    is_gone: impl Fn(&Place) -> bool,
    told: &mut dyn FnMut(&Progress),
) -> Result<Repaired> {
    let mut repaired = Repaired::default();
    let now = milliseconds_since_start();
    // The newest first: what was done last is taken back first.
    for mut entry in journal.entries()?.into_iter().rev() {
        if entry.stage.is_closed() {
            repaired.entries.push(entry);
            continue;
        }
        let overdue = entry.stage == Stage::Unconfirmed
            && (entry.place.boot_id != place.boot_id
                || entry.confirm_by_ms.is_none_or(|by| by <= now));
        let is_due = entry.stage.is_interrupted() || overdue;
        if is_lost(&entry, place, &is_gone)? {
            tidy_file(&entry)?;
            entry.stage = Stage::Gone;
            journal.save(&entry)?;
        } else if overdue && entry.place.is(place) {
            take_back_ours(journal, &mut entry, told)?;
            repaired.taken_back.push(entry.clone());
        } else if is_due && entry.place.is(place) {
            take_back(journal, &mut entry, told)?;
            repaired.taken_back.push(entry.clone());
        } else if is_due && outlives_the_boot(&entry, place) {
            take_back_ours(journal, &mut entry, told)?;
            repaired.taken_back.push(entry.clone());
        } else if is_due {
            repaired.elsewhere.push(entry.clone());
        }
        repaired.entries.push(entry);
    }
    repaired.entries.reverse();
    journal.tidy(&repaired.entries);
    Ok(repaired)
}

/// The machine's own settings come back after a restart if a file says so, and then there is still
/// something to take back.
pub(crate) fn outlives_the_boot(entry: &Entry, place: &Place) -> bool {
    entry.file.is_some()
        && entry.place.is_host()
        && place.is_host()
        && entry.place.boot_id != place.boot_id
}

/// Whether nothing is left to take back: the namespace is gone and with it its values, and no file
/// brings them back.
fn is_lost(entry: &Entry, place: &Place, is_gone: impl Fn(&Place) -> bool) -> Result<bool> {
    let is_over =
        entry.place.boot_id != place.boot_id || (!entry.place.is(place) && is_gone(&entry.place));
    Ok(is_over && !file_is_in_force(entry)?)
}
