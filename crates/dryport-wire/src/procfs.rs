//! What `/proc` says of processes and of all sockets together, as bytes.
//!
//! A program chooses its own name and, in a container, its cgroup's: nothing here trusts them.
//! Names leave through [`printable`]. Opening the files belongs to the host crate. Sources:
//! `proc(5)`, `fs/proc/array.c`, `fs/proc/base.c`, `net/ipv4/proc.c`.

use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

mod cgroup;
mod printable;
mod runtime;
mod sockstat;

pub use cgroup::{CgroupName, cgroup_path, unified_cgroup_path};
pub use printable::{PRINTABLE_LIMIT, printable, printable_up_to};
pub use runtime::{EXECUTABLE_HEAD_BYTES, runtime};
pub use sockstat::{Sockstat, Sockstat6, parse_sockstat, parse_sockstat6};

/// Why a file of `/proc` could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProcfsError {
    /// A part that must be there is not.
    #[error("/proc/PID/{file} has no {field}")]
    Missing {
        /// The file.
        file: &'static str,
        /// The part.
        field: &'static str,
    },
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Process id, in the namespace of the `/proc` that was read.
    pub pid: u32,
    /// Name, escaped.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, ...
    pub state: char,
    /// Parent's process id.
    pub parent: u32,
    /// Clock ticks from boot to the start: with the pid, it names a process for good.
    pub start_ticks: u64,
}

/// Reads `/proc/PID/stat`. The name stands between the first `(` and the **last** `)`, since it may
/// hold parentheses, spaces and line ends.
///
/// # Errors
/// A field is missing or not a number.
pub fn parse_stat(bytes: &[u8]) -> Result<Stat, ProcfsError> {
    let missing = |field| ProcfsError::Missing {
        file: "stat",
        field,
    };
    let open = memchr::memchr(b'(', bytes).ok_or(missing("name"))?;
    let close = memchr::memrchr(b')', bytes).ok_or(missing("name"))?;
    let name = bytes.get(open + 1..close).ok_or(missing("name"))?;
    let mut fields = words(bytes.get(close + 1..).unwrap_or(&[]));
    Ok(Stat {
        pid: number(bytes.get(..open).unwrap_or(&[])).ok_or(missing("pid"))?,
        name: printable(name),
        state: fields
            .next()
            .and_then(|word| word.first())
            .map_or('?', |byte| char::from(*byte)),
        parent: fields.next().and_then(number).ok_or(missing("parent"))?,
        // Field 22 of the file; the state was the third, the parent the fourth.
        start_ticks: fields
            .nth(17)
            .and_then(number)
            .ok_or(missing("start time"))?,
    })
}

/// Reads `/proc/PID/comm`: the name and a line's end. Escaped.
#[must_use]
pub fn parse_comm(bytes: &[u8]) -> String {
    printable(bytes.strip_suffix(b"\n").unwrap_or(bytes))
}

/// What `/proc/PID/status` says; `None` where a line is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Name, escaped; the kernel itself writes a line's end as `\n` and `\` as `\\`.
    pub name: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// Parent's process id.
    pub parent: Option<u32>,
    /// Real user id.
    pub real_uid: Option<u32>,
    /// Effective user id.
    pub effective_uid: Option<u32>,
    /// Process ids in each pid namespace, from that of the `/proc` inwards.
    pub namespace_pids: Vec<u32>,
    /// Effective capabilities, one bit each.
    pub effective_capabilities: Option<u64>,
    /// Number of threads.
    pub threads: Option<u32>,
}

/// Reads `/proc/PID/status`. Lines that are not understood are passed over; the first of two
/// equal keys counts.
#[must_use]
pub fn parse_status(bytes: &[u8]) -> Status {
    let mut status = Status::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (Some(key), Some(value)) = (line.get(..colon), line.get(colon + 1..)) else {
            continue;
        };
        apply_status(&mut status, key, value);
    }
    status
}

fn apply_status(status: &mut Status, key: &[u8], value: &[u8]) {
    let first = || words(value).next().and_then(number);
    match key {
        b"Name" if status.name.is_none() => {
            status.name = Some(printable(value.strip_prefix(b"\t").unwrap_or(value)));
        }
        b"Pid" if status.pid.is_none() => status.pid = first(),
        b"PPid" if status.parent.is_none() => status.parent = first(),
        b"Threads" if status.threads.is_none() => status.threads = first(),
        b"Uid" if status.real_uid.is_none() => {
            status.real_uid = first();
            status.effective_uid = words(value).nth(1).and_then(number);
        }
        b"NSpid" if status.namespace_pids.is_empty() => {
            status.namespace_pids = words(value).map_while(number).collect();
        }
        b"CapEff" if status.effective_capabilities.is_none() => {
            status.effective_capabilities = core::str::from_utf8(value.trim_ascii())
                .ok()
                .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        }
        _ => {}
    }
}

/// One end of a resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceLimit {
    /// No limit.
    Unlimited,
    /// This many.
    Count(u64),
}

/// The limit on descriptors (`RLIMIT_NOFILE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFilesLimit {
    /// What holds now.
    pub soft: ResourceLimit,
    /// How far the process may raise it.
    pub hard: ResourceLimit,
}

/// Reads the line `Max open files` of `/proc/PID/limits`.
#[must_use]
pub fn parse_open_files_limit(bytes: &[u8]) -> Option<OpenFilesLimit> {
    let line = bytes.split(|byte| *byte == b'\n');
    let values = line
        .filter_map(|line| line.strip_prefix(b"Max open files"))
        .next()?;
    let mut values = words(values);
    let mut limit = || match values.next()? {
        b"unlimited" => Some(ResourceLimit::Unlimited),
        count => number(count).map(ResourceLimit::Count),
    };
    Some(OpenFilesLimit {
        soft: limit()?,
        hard: limit()?,
    })
}

/// The inode number in what a link of `/proc/PID/fd` points to: `socket:[12345]`.
#[inline]
#[must_use]
pub fn socket_inode(link: &[u8]) -> Option<u32> {
    number(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

/// The inode number in what a link `/proc/PID/ns/net` points to, and in what `mountinfo` tells of a
/// mounted one: `net:[4026531840]`.
#[must_use]
pub fn net_namespace_inode(link: &[u8]) -> Option<u64> {
    number(link.strip_prefix(b"net:[")?.strip_suffix(b"]")?)
}

/// The words between white space.
fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// A whole number in decimal digits, white space around it allowed, no sign.
fn number<T: core::str::FromStr>(word: &[u8]) -> Option<T> {
    let digits = word.trim_ascii();
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
