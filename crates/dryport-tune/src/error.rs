//! What can go wrong when something is written or read back.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

/// Result with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a setting or a file could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel knows the setting and does not take the value (`EINVAL`).
    #[error("{path}: the kernel does not take '{value}': {source}")]
    Refused {
        /// The file below `/proc/sys`.
        path: PathBuf,
        /// What was to be written, cut and escaped.
        value: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is mounted read-only (`EROFS`), as `/proc/sys` is in most containers.
    #[error("{path}: the file system is read-only: {source}")]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process lacks the right (`EACCES`, `EPERM`).
    #[error("{path}: not permitted: {source}")]
    NotPermitted {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such file or setting (`ENOENT`).
    #[error("{path}: does not exist: {source}")]
    Absent {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room is left (`ENOSPC`, `EDQUOT`).
    #[error("{path}: no room left: {source}")]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A symbolic link stands where a file is to be replaced or removed. Replacing it would lose
    /// where it leads.
    #[error("{path} is a symbolic link{}", target.as_ref().map(|to| format!(" to {}", to.display())).unwrap_or_default())]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads; `None` where that could not be read.
        target: Option<PathBuf>,
    },
    /// Something else than a regular file: a directory, a pipe, a device.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// What is none.
        path: PathBuf,
    },
    /// A file that is longer than anything that belongs there.
    #[error("{path} is longer than {limit_bytes} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest that is read.
        limit_bytes: u64,
    },
    /// Another process holds the lock.
    #[error("{path} is locked{}", pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// Who holds it; `None` where it has not said so.
        pid: Option<u32>,
    },
    /// The kernel took a part of the value and then nothing more. What is in force now has to be
    /// read.
    #[error("{path}: only {written_bytes} bytes of the value were taken")]
    Partial {
        /// The file below `/proc/sys`.
        path: PathBuf,
        /// How much was taken.
        written_bytes: usize,
    },
    /// Another failure.
    #[error("{call} {path}: {source}")]
    System {
        /// The call.
        call: &'static str,
        /// Its object.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A text of the kernel that was not understood.
    #[error("{path}: '{text}' was not understood")]
    Text {
        /// The file.
        path: PathBuf,
        /// What stood there, cut and escaped.
        text: String,
    },
}

impl Error {
    /// Sorts the failure of a call on a path.
    pub(crate) fn system(call: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.to_owned(), source.into());
        match Errno::from_io_error(&source) {
            Some(Errno::ROFS) => Self::ReadOnly { path, source },
            Some(Errno::ACCESS | Errno::PERM) => Self::NotPermitted { path, source },
            Some(Errno::NOENT) => Self::Absent { path, source },
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full { path, source },
            _ => Self::System { call, path, source },
        }
    }

    /// The same as a function, for `map_err`.
    pub(crate) fn of<E: Into<io::Error>>(
        call: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::system(call, path, source)
    }
}
