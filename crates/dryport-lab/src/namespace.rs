//! One scratch network namespace: its life, threads and programs inside it, its settings.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::LabError;

const CURRENT: &str = "/proc/thread-self/ns/net";

/// A network namespace without a name, its loopback interface up. It ends when this value and all
/// sockets and programs in it are gone, also after a crash.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// Makes a fresh one. The calling thread stays where it is.
    ///
    /// # Errors
    /// The process lacks the right; see [`crate::Privilege::enter`].
    pub fn new() -> Result<Self, LabError> {
        let fd = in_thread(|| {
            unshare(UnshareFlags::NEWNET)?;
            crate::link::set_up("lo", true)?;
            open_current()
        })??;
        Ok(Self { fd })
    }

    /// Runs `work` in a thread inside the namespace and waits for it. A panic of `work` goes on in
    /// the caller.
    ///
    /// # Errors
    /// The thread could not be started or could not enter.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, LabError> {
        in_thread(|| {
            enter(&self.fd)?;
            Ok(work())
        })?
    }

    /// Moves the calling thread into the namespace for good.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn enter_current_thread(&self) -> Result<(), LabError> {
        enter(&self.fd)
    }

    /// Reads a setting, named as `sysctl` does: `net.ipv4.tcp_tw_reuse`.
    ///
    /// # Errors
    /// There is no such setting, or it cannot be read.
    pub fn get(&self, key: &str) -> Result<String, LabError> {
        let path = sysctl_path(key);
        let text = self.run(|| read_setting(&path))?;
        Ok(text
            .map_err(LabError::file("read", &path))?
            .trim_end()
            .to_owned())
    }

    /// Writes a setting, named as `sysctl` does.
    ///
    /// # Errors
    /// There is no such setting, or the kernel refuses the value.
    pub fn set(&self, key: &str, value: &str) -> Result<(), LabError> {
        let path = sysctl_path(key);
        // Nothing at all would not be written at all; the line's end empties a list.
        let value = if value.is_empty() { "\n" } else { value };
        self.run(|| fs::write(&path, value))?
            .map_err(LabError::file("write", &path))
    }

    /// Where another program can open the namespace, as long as this value lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.fd.as_raw_fd()
        ))
    }

    /// A command that will run inside the namespace.
    ///
    /// # Errors
    /// The descriptor cannot be doubled.
    pub fn command(&self, program: &str) -> Result<Command, LabError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3).map_err(LabError::system(
            "fcntl(F_DUPFD_CLOEXEC)",
            "a network namespace",
        ))?;
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure only makes the system call setns(); it neither
        // allocates nor takes a lock, and it owns the descriptor that it uses.
        unsafe {
            command.pre_exec(move || {
                move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(())
            });
        }
        Ok(command)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Runs `work` in a thread of its own, so that a change of namespace stays there.
fn in_thread<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, LabError> {
    thread::scope(|scope| {
        let handle = thread::Builder::new()
            .spawn_scoped(scope, work)
            .map_err(LabError::Thread)?;
        Ok(handle
            .join()
            .unwrap_or_else(|payload| std::panic::resume_unwind(payload)))
    })
}

/// Moves the calling thread into the network namespace that `fd` stands for.
pub(crate) fn enter(fd: &OwnedFd) -> Result<(), LabError> {
    move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(LabError::system("setns", "a network namespace"))
}

/// The calling thread's network namespace.
pub(crate) fn open_current() -> Result<OwnedFd, LabError> {
    open(CURRENT, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(LabError::system("open", CURRENT))
}

/// Gives the calling thread new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), LabError> {
    // SAFETY: the flags are namespaces only, never FILES, so no thread sees another's descriptors.
    unsafe { unshare_unsafe(flags) }.map_err(LabError::system("unshare", format!("{flags:?}")))
}

/// `/proc/sys/net` shows the namespace of the thread that opens it.
fn sysctl_path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(key.replace('.', "/"))
}

/// Reads a setting in one call: a list of ports (`proc_do_large_bitmap`) ends at the second one.
fn read_setting(path: &std::path::Path) -> io::Result<String> {
    let mut bytes = vec![0; 256 * 1024];
    let length = fs::File::open(path)?.read(&mut bytes)?;
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}
