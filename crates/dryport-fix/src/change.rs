//! Making a change: journal, write, read back, verify, make it last.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use dryport_model::plan::Setting;
use dryport_tune::{files, sysctl};
use dryport_wire::sysctl as text;
use jiff::Timestamp;

use crate::back::{shown, take_back, three_values};
use crate::confirm::milliseconds_since_start;
use crate::entry::{Access, Bytes, Entry, FileStep, Place, SettingStep, Stage, VERSION};
use crate::error::{FixError, Result};
use crate::file::FileWanted;
use crate::journal::Journal;
use crate::progress::Progress;

/// A change as it is to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Setting, the value that the plan was made from, and the new value, in the order of writing.
    pub settings: Vec<(Setting, String, String)>,
    /// The file that makes it last.
    pub file: Option<FileWanted>,
    /// Take it back after this time unless it is confirmed; the file is then written only when it
    /// is.
    pub confirm_within: Option<Duration>,
}

/// Makes a change in the namespace of the calling thread, which is `place`. `verify` looks at the
/// namespace afresh and says what is wrong, if anything is.
///
/// # Errors
/// Nothing was changed, or everything was taken back, or (told as such) it could not be.
pub fn apply(
    journal: &Journal,
    place: &Place,
    wanted: &Wanted,
    verify: impl FnOnce() -> std::result::Result<(), String>,
    told: &mut dyn FnMut(&Progress),
) -> Result<Entry> {
    let mut entry = prepared(place, wanted)?;
    journal.save(&entry)?;
    told(&Progress::Journaled);
    match carry_out(journal, &mut entry, wanted, verify, told) {
        Ok(()) => Ok(entry),
        Err(because) => Err(give_up(journal, &mut entry, because, told)),
    }
}

/// Takes back what was done of a change that did not succeed.
fn give_up(
    journal: &Journal,
    entry: &mut Entry,
    because: FixError,
    told: &mut dyn FnMut(&Progress),
) -> FixError {
    let because = Box::new(because);
    match take_back(journal, entry, told) {
        Ok(()) => FixError::TakenBack { because },
        Err(back) => FixError::NotTakenBack {
            because,
            back: Box::new(back),
        },
    }
}

fn carry_out(
    journal: &Journal,
    entry: &mut Entry,
    wanted: &Wanted,
    verify: impl FnOnce() -> std::result::Result<(), String>,
    told: &mut dyn FnMut(&Progress),
) -> Result<()> {
    for (setting, _, to) in &wanted.settings {
        write_and_read_back(*setting, to)?;
        told(&Progress::Written {
            key: setting.name().into(),
            value: to.clone(),
        });
    }
    verify().map_err(FixError::NotVerified)?;
    told(&Progress::Verified);
    if let Some(within) = wanted.confirm_within {
        entry.stage = Stage::Unconfirmed;
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        entry.confirm_by_ms = Some(milliseconds_since_start().saturating_add(within));
        return journal.save(entry);
    }
    persist(entry, told)?;
    entry.stage = Stage::Applied;
    journal.save(entry)?;
    told(&Progress::Closed);
    Ok(())
}

/// Writes the entry's file.
pub(crate) fn persist(entry: &Entry, told: &mut dyn FnMut(&Progress)) -> Result<()> {
    let Some(step) = &entry.file else {
        return Ok(());
    };
    let path = Path::new(&step.path);
    let (before, after) = (step.before.as_ref().and_then(Bytes::get), step.after.get());
    let now = files::read_optional(path)?;
    if now != before && now != after {
        return Err(FixError::ChangedSince(vec![three_values(step, now)]));
    }
    if let Some(directory) = path.parent() {
        files::create_directories(directory)?;
    }
    step.write(&after.unwrap_or_default())?;
    told(&Progress::Persisted {
        path: step.path.clone(),
    });
    Ok(())
}

fn write_and_read_back(setting: Setting, value: &str) -> Result<()> {
    sysctl::write(setting, value.as_bytes())?;
    let now = sysctl::read(setting)?.unwrap_or_default();
    if same(setting, &now, value.as_bytes()) {
        return Ok(());
    }
    Err(FixError::NotAsWritten {
        key: setting.name().into(),
        written: shown(value.as_bytes()),
        now: shown(&now),
    })
}

/// The entry before anything is written.
fn prepared(place: &Place, wanted: &Wanted) -> Result<Entry> {
    let now = Timestamp::now();
    let settings = wanted.settings.iter().map(|(setting, from, to)| {
        let before = sysctl::read(*setting)?.unwrap_or_default();
        if !same(*setting, &before, from.as_bytes()) {
            return Err(FixError::Moved {
                key: setting.name().into(),
                now: shown(&before),
            });
        }
        Ok(SettingStep {
            key: setting.name().into(),
            before: Bytes::new(&before),
            after: Bytes::new(to.as_bytes()),
        })
    });
    let settings = settings.collect::<Result<_>>()?;
    let file = wanted.file.as_ref().map(prepared_file).transpose()?;
    Ok(Entry {
        version: VERSION,
        // Milliseconds, so that the names sort by time; the process id makes them unique.
        id: format!(
            "{}-{}",
            now.strftime("%Y%m%d-%H%M%S%3f"),
            std::process::id()
        ),
        made: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        stage: Stage::Prepared,
        place: place.clone(),
        settings,
        file,
        confirm_by_ms: None,
    })
}

fn prepared_file(wanted: &FileWanted) -> Result<FileStep> {
    // A link is followed by the reader and refused by the writer.
    files::refuse_other_than_a_file(&wanted.path)?;
    let found = fs::metadata(&wanted.path).ok();
    let before = files::read_optional(&wanted.path)?;
    let above = wanted.path.ancestors().skip(1);
    let mut missing: Vec<&Path> = above.take_while(|path| !path.exists()).collect();
    missing.reverse();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(FileStep {
        path: text(&wanted.path),
        before: before.as_deref().map(Bytes::new),
        after: Bytes::new(&wanted.contents),
        access: found.map(|found| Access {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
        }),
        directories: missing.into_iter().map(text).collect(),
    })
}

/// Whether two texts of a setting mean the same: the kernel writes tabs where people write blanks,
/// and joins neighbours in lists.
pub(crate) fn same(setting: Setting, one: &[u8], other: &[u8]) -> bool {
    let (Ok(one), Ok(other)) = (std::str::from_utf8(one), std::str::from_utf8(other)) else {
        return one == other;
    };
    match setting {
        Setting::LocalPortRange => {
            matches!((text::parse_range(one), text::parse_range(other)), (Ok(a), Ok(b)) if a == b)
        }
        Setting::ReservedPorts => {
            matches!((text::parse_port_list(one), text::parse_port_list(other)), (Ok(a), Ok(b)) if a == b)
        }
        _ => {
            matches!((text::parse_number(one), text::parse_number(other)), (Ok(a), Ok(b)) if a == b)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_and_ours_mean_the_same() {
        let range = Setting::LocalPortRange;
        assert!(same(range, b"32768\t60999\n", b"32768 60999"));
        assert!(!same(range, b"32768\t60999\n", b"32768 61000"));
        let list = Setting::ReservedPorts;
        assert!(same(list, b"1-3\n", b"1,2,3"));
        assert!(same(list, b"\n", b""));
        assert!(!same(list, b"\n", b"1"));
        assert!(same(Setting::TcpTwReuse, b"2\n", b"2"));
        assert!(!same(Setting::TcpTwReuse, b"2\n", b"rubbish"));
    }
}
