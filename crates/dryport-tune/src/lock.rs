//! One writer at a time: an advisory lock on a file, which ends with its holder, also by a crash.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::files::flags;
use crate::{Error, Result};

/// The lock, held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock on the file of that name, which is made where it is not there and stays
    /// behind: removing it would let two holders lock two files of one name. Does not wait.
    ///
    /// # Errors
    /// [`Error::Busy`] where another process, or another value in this one, holds it; or the file
    /// cannot be made.
    pub fn take(path: &Path) -> Result<Self> {
        // The owner's alone: whoever may open a file may lock it, and so keep all others out.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(path)
            .map_err(Error::of("open", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let pid = holder(file);
                return Err(Error::Busy {
                    path: path.to_owned(),
                    pid,
                });
            }
            Err(error) => return Err(Error::system("flock", path, error)),
        }
        let lock = Self {
            file,
            path: path.to_owned(),
        };
        // Only for the message of others: the lock holds without it.
        let _ = lock.sign();
        Ok(lock)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn sign(&self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        writeln!(&self.file, "{}", std::process::id())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the descriptor closes: a later holder has its own number there.
        let _ = self.file.set_len(0);
    }
}

fn holder(file: File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim_ascii().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert_eq!(first.path(), path);
        let busy = Lock::take(&path).unwrap_err();
        let own = std::process::id();
        assert!(
            matches!(busy, Error::Busy { pid: Some(pid), .. } if pid == own),
            "{busy}"
        );
        assert!(
            busy.to_string()
                .ends_with(&format!("is locked by process {own}"))
        );
        // Reading the number must not have taken anything away from the third.
        assert!(matches!(
            Lock::take(&path),
            Err(Error::Busy { pid: Some(_), .. })
        ));
        drop(first);
        let second = Lock::take(&path).unwrap();
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_link_is_not_locked_and_not_emptied() {
        let scratch = tempfile::tempdir().unwrap();
        let (victim, path) = (scratch.path().join("victim"), scratch.path().join("lock"));
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(Lock::take(&path).is_err());
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    }

    #[test]
    fn a_missing_directory_is_told_as_such() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Lock::take(&scratch.path().join("none/lock")).unwrap_err();
        assert!(matches!(error, Error::Absent { .. }), "{error}");
    }
}
