//! One process: its limits, its sockets, and the programs that may rewrite its connects.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dryport_model::Owner;
use dryport_wire::procfs::{self, ResourceLimit};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::owners::{describe_process, sockets_of};
use crate::error::{Error, Result};

/// How many descriptors a process has open, and how many it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// Open now.
    pub open: u64,
    /// The limit in force; `None`: unlimited.
    pub soft: Option<u64>,
    /// Up to where the process may raise it itself; `None`: unlimited.
    pub hard: Option<u64>,
}

/// BPF programs on `connect()` in the cgroups of a process: they may rewrite its destination or
/// source, or forbid the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectHooks {
    /// The hooks found, as `connect4: 1 program`; empty where there is none.
    Found(Vec<String>),
    /// Why they could not be asked for.
    Unseen(String),
}

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Who it is.
    pub owner: Owner,
    /// Inodes of its sockets, sorted; `None` where its descriptors may not be read.
    pub sockets: Option<Vec<u32>>,
    /// Its descriptors; `None` where they may not be read.
    pub descriptors: Option<DescriptorLimit>,
    /// Hooks on its `connect()`.
    pub connect_hooks: ConnectHooks,
}

impl Process {
    /// Reads what may be read.
    ///
    /// # Errors
    /// [`Error::NoProcess`].
    pub fn read(pid: u32) -> Result<Self> {
        let root = Path::new("/proc").join(pid.to_string());
        if !root.exists() {
            return Err(Error::NoProcess { pid });
        }
        let owner = describe_process(pid);
        let sockets = socket_inodes(pid);
        let descriptors = descriptor_limit(&root);
        let cgroups = fs::read(root.join("cgroup")).unwrap_or_default();
        let connect_hooks = connect_hooks(procfs::unified_cgroup_path(&cgroups));
        Ok(Self {
            owner,
            sockets,
            descriptors,
            connect_hooks,
        })
    }
}

fn socket_inodes(pid: u32) -> Option<Vec<u32>> {
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut inodes = Vec::new();
    sockets_of(pid, buffer.spare_capacity_mut(), |inode| inodes.push(inode)).ok()?;
    inodes.sort_unstable();
    inodes.dedup();
    Some(inodes)
}

fn descriptor_limit(root: &Path) -> Option<DescriptorLimit> {
    let limits = fs::read(root.join("limits")).ok()?;
    let limit = procfs::parse_open_files_limit(&limits)?;
    let open = fs::read_dir(root.join("fd")).ok()?.count() as u64;
    let count = |limit| match limit {
        ResourceLimit::Count(count) => Some(count),
        ResourceLimit::Unlimited => None,
    };
    Some(DescriptorLimit {
        open,
        soft: count(limit.soft),
        hard: count(limit.hard),
    })
}

/// `BPF_CGROUP_INET4_CONNECT` and `BPF_CGROUP_INET6_CONNECT`.
const HOOKS: [(&str, u32); 2] = [("connect4", 10), ("connect6", 11)];

fn connect_hooks(cgroup: Option<&[u8]>) -> ConnectHooks {
    let Some(directory) = cgroup.and_then(cgroup_directory) else {
        return ConnectHooks::Unseen("the cgroup (v2) of the process could not be found".into());
    };
    let mut found = Vec::new();
    for (name, kind) in HOOKS {
        match effective_programs(&directory, kind) {
            Ok(0) => {}
            Ok(1) => found.push(format!("{name}: 1 program")),
            Ok(count) => found.push(format!("{name}: {count} programs")),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                return ConnectHooks::Unseen("needs root (CAP_NET_ADMIN) to be asked for".into());
            }
            Err(error) => return ConnectHooks::Unseen(format!("bpf: {error}")),
        }
    }
    ConnectHooks::Found(found)
}

/// The directory of a cgroup v2 path, where that hierarchy is mounted.
fn cgroup_directory(path: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path.strip_prefix(b"/")?));
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(PathBuf::from)
        .filter(|root| root.join("cgroup.controllers").exists())
        .map(|root| root.join(path))
        .find(|directory| directory.is_dir())
}

/// `BPF_PROG_QUERY` for the programs in force on a cgroup, inherited ones included.
fn effective_programs(directory: &Path, attach_type: u32) -> io::Result<u32> {
    /// The members of `union bpf_attr` for `BPF_PROG_QUERY` (`include/uapi/linux/bpf.h`).
    #[repr(C)]
    struct Query {
        target_fd: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        padding: u32,
    }
    const BPF_PROG_QUERY: libc::c_int = 16;
    const BPF_F_QUERY_EFFECTIVE: u32 = 1;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cgroup: OwnedFd = open(directory, flags, Mode::empty())?;
    let mut query = Query {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_type,
        query_flags: BPF_F_QUERY_EFFECTIVE,
        attach_flags: 0,
        prog_ids: 0,
        prog_cnt: 0,
        padding: 0,
    };
    // SAFETY: `query` is laid out as the kernel expects for this command, its size is given, and
    // it outlives the call; without a `prog_ids` buffer the kernel writes the count alone.
    let status = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_QUERY,
            &raw mut query,
            size_of::<Query>(),
        )
    };
    match status {
        0 => Ok(query.prog_cnt),
        _ => {
            let error = io::Error::last_os_error();
            // The buffer for the ids is too small (it is absent), but the count was written.
            if error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) {
                Ok(query.prog_cnt)
            } else {
                Err(error)
            }
        }
    }
}
