//! The right to make network namespaces: as root, or as the root of a user namespace of one's own.

use std::fs;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getgid, getrlimit, getuid, setrlimit};
use rustix::thread::UnshareFlags;
use thiserror::Error;

use crate::namespace::{enter, open_current, unshare};
use crate::{LabError, Namespace};

/// Both ends of every port there is, and some: 2 × 65,536 descriptors, below the kernel's usual
/// ceiling (`fs.nr_open`, 1,048,576).
const OPEN_FILES: u64 = 150_000;

/// How this process may make network namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It had the right already (`CAP_SYS_ADMIN`).
    Capable,
    /// It moved into a user namespace, where it is root.
    UserNamespace,
}

/// Why this process cannot make network namespaces.
#[derive(Debug, Error)]
#[error("no scratch network namespaces: {0}")]
pub struct Unavailable(#[from] LabError);

impl Privilege {
    /// Takes the right to make network namespaces. Call it first in `main`: an ordinary user gets
    /// it by moving the whole process into a user namespace, which the kernel allows only while
    /// there is one thread. Also raises the limit of open files, since every port that is asked
    /// for costs two descriptors.
    ///
    /// # Errors
    /// The kernel, a security module or the container forbids it; the first call refused is told.
    pub fn enter() -> Result<Self, Unavailable> {
        let privilege = if capable()? {
            Self::Capable
        } else {
            become_root_of_user_namespace()?;
            Self::UserNamespace
        };
        raise_open_files();
        // Some security modules let the namespace be made and then forbid all use of it.
        Namespace::new()?;
        Ok(privilege)
    }
}

impl Unavailable {
    /// Says `SKIPPED` and why. The exit code is a failure where `DRYPORT_REQUIRE` names `netns`.
    #[must_use]
    pub fn skip(&self) -> ExitCode {
        eprintln!("SKIPPED: {self}");
        let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
        if required.split([',', ' ']).any(|word| word == "netns") {
            eprintln!("but DRYPORT_REQUIRE names netns");
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }
}

/// Tries it and goes back, since capabilities alone do not tell (seccomp, security modules).
fn capable() -> Result<bool, LabError> {
    let home = open_current()?;
    if unshare(UnshareFlags::NEWNET).is_err() {
        return Ok(false);
    }
    enter(&home)?;
    Ok(true)
}

fn become_root_of_user_namespace() -> Result<(), LabError> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)?;
    // A user without privilege must give up setgroups() before mapping its group.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))
}

fn write(path: &str, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::file("write", path))
}

/// Best effort: most scenarios need few descriptors. Root may also lift the ceiling.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map(|ceiling| ceiling.max(OPEN_FILES));
    if setrlimit(
        Resource::Nofile,
        Rlimit {
            current: wanted,
            maximum: wanted,
        },
    )
    .is_err()
    {
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        );
    }
}
