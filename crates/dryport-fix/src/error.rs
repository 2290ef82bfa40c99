//! What can go wrong with a change, and what became of it.

use std::path::PathBuf;

use dryport_tune::Error as TuneError;
use thiserror::Error;

use crate::ThreeValues;
use crate::entry::{EntryError, Place};

/// This crate's results.
pub type Result<T, E = FixError> = std::result::Result<T, E>;

/// Why a change was not made, or not taken back.
#[derive(Debug, Error)]
pub enum FixError {
    /// The system refused; nothing was changed.
    #[error(transparent)]
    Tune(TuneError),
    /// Another run is at work.
    #[error("another dryport is changing settings{}", pid.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    Busy {
        /// Its process id, where it told.
        pid: Option<u32>,
    },
    /// An entry of the journal cannot be read; nothing was changed.
    #[error("the journal's {} cannot be used: {source}", path.display())]
    Entry {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: EntryError,
    },
    /// The journal's directory cannot be read; nothing was changed.
    #[error("{} cannot be read: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others may write the journal's directory; nothing was changed.
    #[error("{} is another user's, or others may write it", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// A newer change of the same stands above it.
    #[error("{newer} was made later and changed the same")]
    Covered {
        /// The newer entry.
        newer: String,
    },
    /// The journal cannot be written; nothing was changed.
    #[error("the journal cannot be written, so nothing was changed: {source}")]
    Journal {
        /// Why.
        source: TuneError,
    },
    /// A value is not what the plan was made from; nothing was changed.
    #[error("{key} was changed by somebody else since the plan was made: it is {now}")]
    Moved {
        /// The setting.
        key: String,
        /// What it is now.
        now: String,
    },
    /// The kernel showed another value than the one that was written.
    #[error("{key} was written as {written} and reads as {now}")]
    NotAsWritten {
        /// The setting.
        key: String,
        /// What was written.
        written: String,
        /// What it is now.
        now: String,
    },
    /// The fresh census did not find what was planned.
    #[error("the change did not do what was planned: {0}")]
    NotVerified(String),
    /// A change did not succeed and was taken back: every old value was read back.
    #[error("{because}; everything was taken back")]
    TakenBack {
        /// What went wrong.
        because: Box<FixError>,
    },
    /// A change did not succeed, and taking it back did not either.
    #[error("{because}; and taking it back failed: {back}")]
    NotTakenBack {
        /// What went wrong.
        because: Box<FixError>,
        /// What went wrong with taking it back.
        back: Box<FixError>,
    },
    /// Somebody else changed what would be taken back; nothing was changed.
    #[error("{}", moved(.0))]
    ChangedSince(Vec<ThreeValues>),
    /// A change waits for its confirmation.
    #[error("a change that waits for `dryport fix --confirm` is in force here ({id})")]
    WaitsForConfirmation {
        /// The entry.
        id: String,
    },
    /// The change was made in another namespace.
    #[error("{id} was made in another network namespace ({})", shown(place))]
    Elsewhere {
        /// The entry.
        id: String,
        /// Where.
        place: Place,
    },
    /// There is nothing to take back or to confirm here.
    #[error("{0}")]
    Nothing(String),
}

fn moved(values: &[ThreeValues]) -> String {
    let each = values.iter().map(|v| {
        format!(
            "{} was {} before, was set to {}, and is now {}",
            v.key, v.before, v.after, v.now
        )
    });
    format!(
        "somebody else changed it since: {}",
        each.collect::<Vec<_>>().join("; ")
    )
}

fn shown(place: &Place) -> String {
    place
        .name
        .clone()
        .unwrap_or_else(|| format!("net:[{}]", place.inode))
}

impl From<TuneError> for FixError {
    fn from(error: TuneError) -> Self {
        match error {
            TuneError::Busy { pid, .. } => Self::Busy { pid },
            other => Self::Tune(other),
        }
    }
}
