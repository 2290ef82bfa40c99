//! Where the journal is, and which namespace this is.

use std::env;
use std::path::PathBuf;

use dryport_fix::{FixError, Journal, Kept, Place, Progress, Repaired, repair};
use dryport_host::Namespace;
use dryport_tune::{Error as TuneError, identity};

use crate::args::StateArgs;
use crate::failure::{Failure, tell};

/// Where services keep their state.
const SYSTEM: &str = "/var/lib/dryport";
const JOURNAL: &str = "journal";

/// Opens the journal, which locks it: the one of the system, or the user's own where that one may
/// not be written.
pub fn open(args: &StateArgs) -> Result<Journal, FixError> {
    let directories = directories(args);
    let mut first = None;
    for directory in &directories {
        match Journal::open(&directory.join(JOURNAL)) {
            Err(FixError::Journal { source }) if may_not(&source) && directories.len() > 1 => {
                first.get_or_insert(FixError::Journal { source });
            }
            opened => return opened,
        }
    }
    Err(first.unwrap_or_else(|| FixError::Nothing("there is no place for a journal".into())))
}

/// Every entry that can be read, without a lock.
pub fn look(args: &StateArgs) -> Result<Vec<Kept>, FixError> {
    let mut all = Vec::new();
    for directory in directories(args) {
        match Journal::look(&directory.join(JOURNAL)) {
            Ok(kept) => all.extend(kept),
            // Another user's directory does not hide one's own.
            Err(FixError::Directory { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn directories(args: &StateArgs) -> Vec<PathBuf> {
    if let Some(directory) = &args.state_dir {
        return vec![directory.clone()];
    }
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let own = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let mut directories = vec![PathBuf::from(SYSTEM)];
    directories.extend(own.map(|own| own.join("dryport")));
    directories
}

fn may_not(error: &TuneError) -> bool {
    matches!(
        error,
        TuneError::NotPermitted { .. } | TuneError::ReadOnly { .. }
    )
}

/// The namespace of the calling thread.
pub fn place() -> Result<Place, Failure> {
    let namespace = Namespace::current()?;
    Ok(Place {
        boot_id: identity::boot_id().map_err(FixError::from)?,
        cookie: identity::netns_cookie().map_err(FixError::from)?,
        inode: namespace.inode,
        name: namespace.name,
    })
}

/// Puts right what an interrupted run left, and tells it.
pub fn repaired(journal: &Journal, place: &Place) -> Result<Repaired, FixError> {
    let mut told = false;
    let seen = std::cell::OnceCell::new();
    let is_gone = |other: &Place| {
        let namespaces = seen.get_or_init(|| identity::namespaces().unwrap_or_default());
        // The number may be another namespace's by now, but then the old one is gone for certain
        // only if its cookie can be compared, which takes entering it.
        namespaces.is_gone(other.inode) == Some(true)
            || (other.inode == place.inode && !other.is(place))
    };
    let repaired = repair(journal, place, is_gone, &mut |progress: &Progress| {
        if !std::mem::replace(&mut told, true) {
            tell("an interrupted or unconfirmed change is taken back first:");
        }
        tell(&format!("  {progress}"));
    })?;
    for entry in &repaired.elsewhere {
        let there = match &entry.place.name {
            Some(name) => format!("`dryport undo --netns {name}` takes it back"),
            None => format!(
                "`dryport undo --netns pid:N` takes it back, N being a process in net:[{}]",
                entry.place.inode
            ),
        };
        tell(&format!(
            "a change in another namespace was interrupted or not confirmed: {there}"
        ));
    }
    Ok(repaired)
}
