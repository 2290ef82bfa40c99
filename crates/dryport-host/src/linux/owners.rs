//! Which process holds which socket: a walk over `/proc/*/fd`.
//!
//! A process is asked for its name, executable and cgroup only if it holds a socket. The walk is
//! shared between threads, since almost all of its time is spent in the kernel.

use std::ffi::CStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dryport_model::{Owner, Owners};
use dryport_wire::procfs::{self, CgroupName};
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, fstat, open, readlinkat_raw, seek};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// What the walk found.
#[derive(Debug)]
pub struct OwnerWalk {
    /// The processes and their sockets.
    pub owners: Owners,
    /// By what means: `proc`, `bpf`.
    pub how: &'static str,
    /// Processes whose descriptors may not be read.
    pub forbidden: u32,
    elsewhere: Vec<u32>,
}

/// Walks over every process that may be read.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn read_owners() -> Result<OwnerWalk> {
    Ok(OwnerWalk::of(&process_ids()?))
}

/// Walks over the processes that live in the network namespace of the calling thread. A socket
/// may be held from elsewhere (a process that changed its namespace, a descriptor passed on);
/// [`OwnerWalk::extend`] looks there.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn read_owners_here() -> Result<OwnerWalk> {
    let here = fs::metadata("/proc/thread-self/ns/net")
        .map(|metadata| metadata.ino())
        .ok();
    let of = |pid: &u32| {
        fs::metadata(format!("/proc/{pid}/ns/net"))
            .map(|m| m.ino())
            .ok()
    };
    // Where it cannot be told the process counts as one of here: its descriptors tell.
    let is_here = |pid: &u32| of(pid).is_none_or(|inode| Some(inode) == here);
    let (near, elsewhere) = process_ids()?.into_iter().partition::<Vec<u32>, _>(is_here);
    Ok(OwnerWalk {
        elsewhere,
        ..OwnerWalk::of(&near)
    })
}

impl Default for OwnerWalk {
    fn default() -> Self {
        Self::whole(Owners::default(), "proc")
    }
}

impl OwnerWalk {
    /// What another reader found, in every process there is.
    #[must_use]
    pub const fn whole(owners: Owners, how: &'static str) -> Self {
        Self {
            owners,
            how,
            forbidden: 0,
            elsewhere: Vec::new(),
        }
    }

    fn of(pids: &[u32]) -> Self {
        let next = AtomicUsize::new(0);
        let cores = thread::available_parallelism()
            .map_or(1, usize::from)
            .clamp(1, 4);
        let threads = cores
            .min(pids.len().div_ceil(PROCESSES_WORTH_A_THREAD))
            .max(1);
        let parts: Vec<Part> = thread::scope(|scope| {
            // Where no thread is to be had, this one does it all.
            let other = |_| thread::Builder::new().spawn_scoped(scope, || walk(pids, &next));
            let others: Vec<_> = (1..threads).map_while(|i| other(i).ok()).collect();
            let mut parts = vec![walk(pids, &next)];
            parts.extend(others.into_iter().filter_map(|other| other.join().ok()));
            parts
        });
        merge(parts)
    }

    /// Whether there are processes that were left out so far.
    #[must_use]
    pub const fn can_extend(&self) -> bool {
        !self.elsewhere.is_empty()
    }

    /// Walks over the processes that were left out.
    #[must_use]
    pub fn extend(self) -> Self {
        let rest = Self::of(&self.elsewhere);
        Self {
            owners: self.owners.merge(rest.owners),
            how: self.how,
            forbidden: self.forbidden + rest.forbidden,
            elsewhere: Vec::new(),
        }
    }
}

/// Fewer processes than this are not worth another thread.
const PROCESSES_WORTH_A_THREAD: usize = 8;

/// What one thread found.
#[derive(Default)]
struct Part {
    processes: Vec<Owner>,
    by_inode: Vec<(u32, u32)>,
    forbidden: u32,
}

fn merge(parts: Vec<Part>) -> OwnerWalk {
    parts
        .into_iter()
        .fold(OwnerWalk::default(), |walk, part| OwnerWalk {
            owners: walk
                .owners
                .merge(Owners::new(part.processes, part.by_inode)),
            how: walk.how,
            forbidden: walk.forbidden + part.forbidden,
            elsewhere: Vec::new(),
        })
}

pub(crate) fn process_ids() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").map_err(|error| Error::system("list /proc", error))?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

fn walk(pids: &[u32], next: &AtomicUsize) -> Part {
    let mut part = Part::default();
    let mut buffer = Vec::with_capacity(32 * 1024);
    while let Some(pid) = pids.get(next.fetch_add(1, Ordering::Relaxed)) {
        let process = part.processes.len() as u32;
        let before = part.by_inode.len();
        match sockets_of(*pid, buffer.spare_capacity_mut(), |inode| {
            part.by_inode.push((inode, process));
        }) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::PERM) => part.forbidden += 1,
            // The process ended meanwhile.
            Err(_) => {}
        }
        if part.by_inode.len() > before {
            part.processes.push(describe_process(*pid));
        }
    }
    part
}

/// The inode of every socket that a process has open.
///
/// Descriptors are numbered densely from 0, so they are looked up by number first, as many as the
/// directory's size says there are (since 6.2), which costs a fifth less than listing them; what
/// is left above is listed.
pub(crate) fn sockets_of(
    pid: u32,
    buffer: &mut [MaybeUninit<u8>],
    mut on_socket: impl FnMut(u32),
) -> std::result::Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let open = u64::try_from(fstat(&directory)?.st_size).unwrap_or(0);
    // Before 6.2 the size is 0; a program that opens and closes a lot leaves gaps.
    let numbers = if open == 0 {
        0
    } else {
        open.saturating_mul(2).saturating_add(16)
    };
    let (mut found, mut next) = (0, 0_u64);
    while found < open && next < numbers {
        let mut name = [0; 24];
        if let Link::Target(inode) = read_link(&directory, decimal(next, &mut name)) {
            found += 1;
            inode.into_iter().for_each(&mut on_socket);
        }
        next += 1;
    }
    // A busy process opens and closes meanwhile, so the rest is listed in any case. The position in
    // this directory is the number plus 2, for `.` and `..`.
    seek(&directory, SeekFrom::Start(next + 2))?;
    let mut entries = RawDir::new(&directory, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if let Link::Target(Some(inode)) = read_link(&directory, entry.file_name()) {
            on_socket(inode);
        }
    }
    Ok(())
}

/// What a descriptor's link points to.
enum Link {
    /// There is no such descriptor.
    Absent,
    /// A socket's inode, or something else.
    Target(Option<u32>),
}

fn read_link(directory: &OwnedFd, name: &CStr) -> Link {
    let mut target = [MaybeUninit::<u8>::uninit(); 64];
    match readlinkat_raw(directory, name, target.as_mut_slice()) {
        Ok((target, _)) => Link::Target(procfs::socket_inode(target)),
        Err(_) => Link::Absent,
    }
}

/// A number as a C string, without allocating.
fn decimal(mut number: u64, buffer: &mut [u8; 24]) -> &CStr {
    let mut first = buffer.len() - 1;
    loop {
        first -= 1;
        buffer[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    // 20 digits at most, and the last byte stays 0.
    CStr::from_bytes_until_nul(buffer.get(first..).unwrap_or_default()).unwrap_or_default()
}

/// Name, executable and cgroup of a process, made printable; the name is empty where it ended.
#[must_use]
pub fn describe_process(pid: u32) -> Owner {
    let root = Path::new("/proc").join(pid.to_string());
    let comm = fs::read(root.join("comm")).unwrap_or_default();
    let executable = fs::read_link(root.join("exe")).ok();
    let cgroups = fs::read(root.join("cgroup")).unwrap_or_default();
    let cgroup = procfs::cgroup_path(&cgroups);
    let name = cgroup.map(CgroupName::of).unwrap_or_default();
    Owner {
        pid,
        name: procfs::parse_comm(&comm),
        executable: executable.map(|path| procfs::printable(path.as_os_str().as_encoded_bytes())),
        cgroup: cgroup.map(procfs::printable),
        container: name.container,
        runtime: name.runtime,
        pod: name.pod_uid,
        unit: name.unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_number_becomes_a_c_string() {
        let mut buffer = [0; 24];
        assert_eq!(decimal(0, &mut buffer), c"0");
        let mut buffer = [0; 24];
        assert_eq!(decimal(u64::MAX, &mut buffer), c"18446744073709551615");
    }

    #[test]
    fn sockets_behind_a_gap_in_the_numbers_are_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // SAFETY: duplicates a descriptor that is open; the copy is closed below.
        let far = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900) };
        assert!(far >= 900);
        let near = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd()))
            .unwrap()
            .ino();
        drop(socket);
        let mut buffer = Vec::with_capacity(1024);
        let mut inodes = Vec::new();
        sockets_of(std::process::id(), buffer.spare_capacity_mut(), |inode| {
            inodes.push(inode);
        })
        .unwrap();
        assert!(
            inodes.contains(&(near as u32)),
            "{near} is not in {inodes:?}"
        );
        // SAFETY: the descriptor is ours and used no more.
        unsafe { libc::close(far) };
    }
}
