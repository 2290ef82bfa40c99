//! Confirming a change before it is taken back by itself.

use rustix::time::{ClockId, clock_gettime};

use crate::back::moved;
use crate::change::persist;
use crate::entry::{Entry, Place, Stage};
use crate::error::{FixError, Result};
use crate::journal::Journal;
use crate::progress::Progress;

/// Milliseconds since the machine started, sleep included (`CLOCK_BOOTTIME`): setting the clock
/// moves no deadline.
#[must_use]
pub fn milliseconds_since_start() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (time.tv_sec.max(0), time.tv_nsec.max(0));
    u64::try_from(seconds).unwrap_or(0) * 1000 + u64::try_from(nanoseconds).unwrap_or(0) / 1_000_000
}

/// Keeps the change of this namespace that waits for it, and makes it last if that was asked for.
///
/// # Errors
/// None waits, or its file cannot be written: then it stays unconfirmed.
pub fn confirm(journal: &Journal, place: &Place, told: &mut dyn FnMut(&Progress)) -> Result<Entry> {
    let entries = journal.entries()?;
    let waiting = entries
        .into_iter()
        .rfind(|entry| entry.stage == Stage::Unconfirmed && entry.place.is(place));
    let Some(mut entry) = waiting else {
        return Err(FixError::Nothing(
            "no change waits for a confirmation in this namespace".into(),
        ));
    };
    let moved = moved(&entry)?;
    if !moved.is_empty() {
        return Err(FixError::ChangedSince(moved));
    }
    persist(&entry, told)?;
    entry.stage = Stage::Applied;
    entry.confirm_by_ms = None;
    journal.save(&entry)?;
    told(&Progress::Closed);
    Ok(entry)
}
