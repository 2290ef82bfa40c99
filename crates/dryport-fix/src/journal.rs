//! The journal on the disk: one file for each change, and a lock for those who write.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use dryport_tune::files;
use dryport_tune::lock::Lock;
use rustix::process::geteuid;

use crate::entry::{Entry, EntryError};
use crate::error::{FixError, Result};

/// Closed entries that are kept for `undo --list`.
const MOST_CLOSED: usize = 50;
/// The journal tells what this machine's settings were: nothing secret, but nobody else's to write.
const MODE: u32 = 0o644;
const LOCK: &str = "lock";

/// The journal, locked for this process.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    _lock: Lock,
}

/// An entry as it was found.
#[derive(Debug)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// What it holds, or why it cannot be read.
    pub entry: std::result::Result<Entry, EntryError>,
}

impl Journal {
    /// Opens the journal below `directory`, which is made if it is not there, and locks it.
    ///
    /// # Errors
    /// Another process holds it, or the directory cannot be written.
    pub fn open(directory: &Path) -> Result<Self> {
        let failed = |error| match error {
            dryport_tune::Error::Busy { pid, .. } => FixError::Busy { pid },
            source => FixError::Journal { source },
        };
        files::create_directories(directory).map_err(failed)?;
        belongs_to_us(directory)?;
        let lock = Lock::take(&directory.join(LOCK)).map_err(failed)?;
        // Of a run that was killed before its first entry had a name. What cannot be removed stays.
        for path in list(directory)? {
            if files::is_leftover(&path) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(Self {
            directory: directory.into(),
            _lock: lock,
        })
    }

    /// Every entry, the oldest first.
    ///
    /// # Errors
    /// One of them cannot be read: what it says may matter to whoever goes on.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let readable = |kept: Kept| {
            kept.entry.map_err(|source| FixError::Entry {
                path: kept.path,
                source,
            })
        };
        Self::look(&self.directory)?
            .into_iter()
            .map(readable)
            .collect()
    }

    /// The entry with this id, whatever stands beside it.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<Entry>> {
        let entries = Self::look(&self.directory)?.into_iter();
        let mut readable = entries.filter_map(|kept| kept.entry.ok());
        Ok(readable.find(|entry| entry.id == id))
    }

    /// Every entry below `directory`, the oldest first, without a lock. A directory that is not
    /// there holds none.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn look(directory: &Path) -> Result<Vec<Kept>> {
        let mut paths = list(directory)?;
        let is_entry =
            |path: &PathBuf| path.extension().is_some_and(|end| end == "json") && path.is_file();
        paths.retain(is_entry);
        paths.sort();
        let kept = paths.into_iter().filter_map(|path| {
            let bytes = match files::read_optional(&path) {
                Ok(bytes) => bytes?,
                Err(error) => {
                    return Some(Kept {
                        path,
                        entry: Err(EntryError::Damaged(error.to_string())),
                    });
                }
            };
            Some(Kept {
                entry: Entry::parse(&bytes).and_then(|entry| entry.named_as(&path)),
                path,
            })
        });
        Ok(kept.collect())
    }

    /// Writes an entry to the disk, whole or not at all.
    ///
    /// # Errors
    /// The disk is full, or may not be written.
    pub fn save(&self, entry: &Entry) -> Result<()> {
        let path = self.path(entry);
        let bytes = entry.to_bytes().map_err(|source| FixError::Entry {
            path: path.clone(),
            source,
        })?;
        // What could not be read again could not be taken back.
        Entry::parse(&bytes).map_err(|source| FixError::Entry {
            path: path.clone(),
            source,
        })?;
        files::replace(&path, &bytes, MODE).map_err(|source| FixError::Journal { source })
    }

    /// Forgets the oldest of the closed entries. What cannot be removed stays.
    pub fn tidy(&self, entries: &[Entry]) {
        let closed: Vec<&Entry> = entries.iter().filter(|e| e.stage.is_closed()).collect();
        let surplus = closed.len().saturating_sub(MOST_CLOSED);
        for entry in closed.into_iter().take(surplus) {
            let _ = files::remove(&self.path(entry));
        }
    }

    fn path(&self, entry: &Entry) -> PathBuf {
        self.directory.join(format!("{}.json", entry.id))
    }
}

/// What stands in the journal is written back as it is, with all rights: it must be nobody else's to
/// write.
fn belongs_to_us(directory: &Path) -> Result<()> {
    let metadata = fs::metadata(directory).map_err(|source| FixError::Directory {
        path: directory.into(),
        source,
    })?;
    let own = geteuid().as_raw();
    let is_ours = metadata.uid() == own || metadata.uid() == 0;
    if is_ours && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(FixError::NotOurs {
        path: directory.into(),
    })
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source| FixError::Directory {
        path: directory.into(),
        source,
    };
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(unreadable))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(error)),
    }
}
