//! Who holds sockets, in one pass over the open files of every process.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use dryport_host::{OwnerWalk, describe_process};
use dryport_model::{Owner, Owners};
use dryport_wire::procfs::parse_comm;

use crate::program::read_records;
use crate::row::decode_holders;
use crate::{Error, Kernel, Result};

/// The initial pid namespace (`PROC_PID_INIT_INO`), fixed in the kernel.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Reads who holds which TCP and UDP socket, whatever network namespace it is of.
///
/// A process that ended meanwhile is told by its name alone. Sockets that no file of a process
/// leads to (orphans, in flight between processes, registered with io_uring alone) have no owner.
///
/// # Errors
/// The kernel refuses, or process ids seen here are not the kernel's.
pub fn read_owners(kernel: &Kernel) -> Result<OwnerWalk> {
    read(kernel, |_| true)
}

/// The same for the sockets of one network namespace, named by its inode number, by whatever
/// process they are held. What a process is called is looked up for those alone.
///
/// # Errors
/// As [`read_owners`].
pub fn read_owners_of(kernel: &Kernel, netns: u64) -> Result<OwnerWalk> {
    read(kernel, |of| u64::from(of) == netns)
}

fn read(kernel: &Kernel, is_wanted: impl Fn(u32) -> bool) -> Result<OwnerWalk> {
    let own = std::fs::metadata("/proc/self/ns/pid").map(|metadata| metadata.ino());
    if !own.is_ok_and(|own| own == INITIAL_PID_NAMESPACE) {
        return Err(Error::OtherPids);
    }
    let ([iterator], _) = kernel.holders()?.load(kernel, ["task_file"])?;
    let mut found = Found::default();
    read_records(iterator?.open()?, |bytes| {
        Some(decode_holders(bytes, |tgid, inode, netns, comm| {
            if is_wanted(netns) {
                found.see(tgid, inode, comm);
            }
        }))
    })
    .map_err(|source| Error::System {
        what: "read open files",
        source,
    })?;
    Ok(OwnerWalk::whole(found.owners(), "bpf"))
}

/// Files come process by process.
#[derive(Default)]
struct Found {
    processes: Vec<(u32, [u8; 16])>,
    index: HashMap<u32, u32>,
    by_inode: Vec<(u32, u32)>,
}

impl Found {
    fn see(&mut self, tgid: u32, inode: u32, comm: &[u8; 16]) {
        let process = match self.processes.last() {
            Some((last, _)) if *last == tgid => self.processes.len() as u32 - 1,
            _ => *self.index.entry(tgid).or_insert_with(|| {
                self.processes.push((tgid, *comm));
                self.processes.len() as u32 - 1
            }),
        };
        self.by_inode.push((inode, process));
    }

    fn owners(self) -> Owners {
        let owner = |(pid, comm): &(u32, [u8; 16])| {
            let described = describe_process(*pid);
            if described.name.is_empty() {
                let name = comm.split(|byte| *byte == 0).next().unwrap_or_default();
                return Owner {
                    name: parse_comm(name),
                    ..described
                };
            }
            described
        };
        Owners::new(self.processes.iter().map(owner).collect(), self.by_inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comm(text: &[u8]) -> [u8; 16] {
        let mut comm = [0; 16];
        comm[..text.len()].copy_from_slice(text);
        comm
    }

    /// No such process ever (`PID_MAX_LIMIT` is 4,194,304).
    const GONE: u32 = 5_000_000;

    #[test]
    fn a_process_that_ended_is_told_by_the_name_it_had() {
        let mut found = Found::default();
        found.see(GONE, 11, &comm(b"two\nlines"));
        found.see(GONE + 1, 12, &comm(b"\x1b[31mred\xff"));
        found.see(GONE + 2, 13, &comm(b"fifteen letters"));
        found.see(GONE + 3, 14, &[b'x'; 16]);
        let owners = found.owners();
        let name = |inode| owners.of(inode).next().unwrap().1.name.clone();
        assert_eq!(name(11), r"two\x0alines");
        assert_eq!(name(12), r"\x1b[31mred\xff");
        assert_eq!(name(13), "fifteen letters");
        assert_eq!(name(14), "x".repeat(16));
    }

    #[test]
    fn files_of_one_process_may_come_in_pieces() {
        let mut found = Found::default();
        for (tgid, inode) in [
            (GONE, 1),
            (GONE, 2),
            (GONE + 1, 3),
            (GONE, 4),
            (GONE + 1, 1),
        ] {
            found.see(tgid, inode, &comm(b"name"));
        }
        let owners = found.owners();
        assert_eq!(owners.processes.len(), 2);
        let pids = |inode| -> Vec<u32> { owners.of(inode).map(|(_, owner)| owner.pid).collect() };
        assert_eq!(pids(1), [GONE, GONE + 1]);
        assert_eq!(
            (pids(2), pids(3), pids(4)),
            (vec![GONE], vec![GONE + 1], vec![GONE])
        );
    }
}
