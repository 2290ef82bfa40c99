//! What tells this boot and this network namespace from others, and which namespaces are left.
//!
//! An inode number is given to another namespace once the first is gone; a cookie never is, until
//! the machine boots anew. A namespace is known for good by the boot id and its cookie.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dryport_wire::procfs::{net_namespace_inode, printable_up_to};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::{Error, Result};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Where `ip netns add` keeps its names.
const NAMED: &str = "/run/netns";
/// Below it are namespaces that containers' runtimes and others have bound somewhere.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The initial pid namespace (`PROC_PID_INIT_INO`), fixed in the kernel.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// A number in 36 characters that is new with each boot.
///
/// # Errors
/// `/proc` is not there, or holds something else.
pub fn boot_id() -> Result<String> {
    let path = Path::new(BOOT_ID);
    let text = fs::read_to_string(path).map_err(Error::of("read", path))?;
    let id = text.trim_ascii();
    if id.len() == 36
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        return Ok(id.to_owned());
    }
    Err(Error::Text {
        path: path.to_owned(),
        text: printable_up_to(id.as_bytes(), 40),
    })
}

/// The number of the calling thread's network namespace, never given twice in one boot. `None`:
/// the kernel does not tell (before 5.14).
///
/// # Errors
/// No socket can be made, or the kernel refuses for another reason.
pub fn netns_cookie() -> Result<Option<u64>> {
    // A socket belongs to the namespace of the thread that made it. Unix sockets are never
    // missing from a kernel or forbidden by a sandbox that lets anything run.
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(Error::of("socket", Path::new("AF_UNIX")))?;
    match cookie_of(&socket) {
        Ok(cookie) => Ok(Some(cookie)),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOPROTOOPT) => Ok(None),
        Err(error) => Err(Error::system(
            "getsockopt",
            Path::new("SO_NETNS_COOKIE"),
            error,
        )),
    }
}

fn cookie_of(socket: &OwnedFd) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `cookie`, which has that many and lives
    // through the call; any bytes are a u64.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The network namespaces that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Their inode numbers.
    pub inodes: BTreeSet<u64>,
    /// Processes, threads and names that could not be looked at.
    pub hidden: usize,
    /// Whether `/proc` shows the whole machine, and not only a container.
    pub is_whole_machine: bool,
}

impl Namespaces {
    /// Whether a namespace is gone. `None`: it was not found, and not all could be seen.
    ///
    /// Also when all could be seen, a namespace may live on in a way that no file of `/proc`
    /// shows: by a socket whose descriptor is in flight, or a mount in another mount namespace.
    #[must_use]
    pub fn is_gone(&self, inode: u64) -> Option<bool> {
        if self.inodes.contains(&inode) {
            return Some(false);
        }
        (self.hidden == 0 && self.is_whole_machine).then_some(true)
    }

    fn see(&mut self, inode: io::Result<u64>) {
        match inode {
            Ok(inode) => {
                self.inodes.insert(inode);
            }
            Err(error) if is_gone_meanwhile(&error) => {}
            Err(_) => self.hidden += 1,
        }
    }

    fn see_named(&mut self) {
        let Ok(entries) = fs::read_dir(NAMED) else {
            return;
        };
        for entry in entries.flatten() {
            self.see(inode(&entry.path()));
        }
    }

    fn see_mounted(&mut self) {
        match fs::read(MOUNTS) {
            Ok(bytes) => self.inodes.extend(mounted(&bytes)),
            Err(_) => self.hidden += 1,
        }
    }

    fn see_process(&mut self, process: &Path) {
        match fs::read_dir(process.join("task")) {
            Ok(threads) => {
                for thread in threads.flatten() {
                    self.see(inode(&thread.path().join("ns/net")));
                }
            }
            Err(error) if is_gone_meanwhile(&error) => {}
            Err(_) => self.hidden += 1,
        }
        self.see_held(process);
    }

    /// Namespaces that a process holds by a descriptor alone, as `ip netns exec` does for a while.
    fn see_held(&mut self, process: &Path) {
        match fs::read_dir(process.join("fd")) {
            Ok(descriptors) => {
                let links = descriptors
                    .flatten()
                    .filter_map(|fd| fs::read_link(fd.path()).ok());
                let held = links
                    .filter_map(|link| net_namespace_inode(link.as_os_str().as_encoded_bytes()));
                self.inodes.extend(held);
            }
            Err(error) if is_gone_meanwhile(&error) => {}
            Err(_) => self.hidden += 1,
        }
    }
}

/// Looks for every network namespace there is: of each thread, held by a descriptor, bound to a
/// name. Takes a second where programs hold a million descriptors.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn namespaces() -> Result<Namespaces> {
    let proc = Path::new("/proc");
    let mut found = Namespaces {
        is_whole_machine: shows_whole_machine(),
        ..Namespaces::default()
    };
    for entry in fs::read_dir(proc)
        .map_err(Error::of("list", proc))?
        .flatten()
    {
        if entry
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit)
        {
            found.see_process(&entry.path());
        }
    }
    found.see_named();
    found.see_mounted();
    Ok(found)
}

/// Not in a pid namespace of a container, and not with `hidepid`, which leaves out others'
/// processes without a word; pid 1 is somebody else's for all but root.
fn shows_whole_machine() -> bool {
    let is_initial =
        inode(Path::new("/proc/self/ns/pid")).is_ok_and(|pid| pid == INITIAL_PID_NAMESPACE);
    is_initial && Path::new("/proc/1").exists()
}

fn inode(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.ino())
}

/// A process or thread that ended during the walk holds nothing any more.
fn is_gone_meanwhile(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::SRCH)
    )
}

/// The fourth field of a line is what was mounted: `net:[4026532000]` for a namespace.
fn mounted(mountinfo: &[u8]) -> impl Iterator<Item = u64> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        fields.nth(3).and_then(net_namespace_inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_network_namespaces_are_seen() {
        let lines = b"22 1 0:4 net:[4026532270] /run/netns/a rw shared:1 - nsfs nsfs rw\n\
            23 1 0:4 mnt:[4026532271] /run/x rw - nsfs nsfs rw\n\
            24 1 8:1 / / rw - ext4 /dev/sda1 rw\nnet:[7]\n\n25 1 0:4 net:[] /x\n";
        assert_eq!(mounted(lines).collect::<Vec<_>>(), [4_026_532_270]);
    }

    #[test]
    fn only_a_whole_view_can_say_that_a_namespace_is_gone() {
        let mut seen = Namespaces {
            inodes: [7].into(),
            hidden: 0,
            is_whole_machine: true,
        };
        assert_eq!(
            (seen.is_gone(7), seen.is_gone(8)),
            (Some(false), Some(true))
        );
        seen.hidden = 1;
        assert_eq!((seen.is_gone(7), seen.is_gone(8)), (Some(false), None));
        (seen.hidden, seen.is_whole_machine) = (0, false);
        assert_eq!(seen.is_gone(8), None);
    }
}
