//! Who holds sockets.

use alloc::string::String;
use alloc::vec::Vec;

mod group;

pub use group::{GroupKind, OwnerGroup};

/// A process as `/proc` tells it. Every string is hostile input, made printable by its reader.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Owner {
    /// Process id, in the reader's pid namespace.
    pub pid: u32,
    /// Name (`comm`).
    pub name: String,
    /// Path of the executable; `None` where it may not be read.
    pub executable: Option<String>,
    /// cgroup path.
    pub cgroup: Option<String>,
    /// Container id, found in the cgroup path.
    pub container: Option<String>,
    /// What runs the container (`docker`, `containerd`, `cri-o`, …), where the path tells.
    pub runtime: Option<&'static str>,
    /// Uid of the Kubernetes pod, found in the cgroup path.
    pub pod: Option<String>,
    /// systemd unit, found in the cgroup path.
    pub unit: Option<String>,
}

/// A process and how many ports it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerShare {
    /// Index into [`Owners::processes`].
    pub process: u32,
    /// Number of ports.
    pub ports: u32,
}

/// Who holds ports, counted twice over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortHolders {
    /// By process, the largest share first.
    pub processes: Vec<OwnerShare>,
    /// By container, else by unit, else by program; the largest share first.
    pub groups: Vec<OwnerGroup>,
}

impl PortHolders {
    /// Where nothing tells who belongs together: each process is a group of its own.
    #[must_use]
    pub fn ungrouped(processes: Vec<OwnerShare>) -> Self {
        let alone = |share: &OwnerShare| OwnerGroup {
            kind: GroupKind::Process,
            process: share.process,
            processes: 1,
            namesakes: 1,
            ports: share.ports,
        };
        Self {
            groups: processes.iter().map(alone).collect(),
            processes,
        }
    }
}

/// Which process holds which socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The processes that hold sockets.
    pub processes: Vec<Owner>,
    /// Inode number and index of the process, sorted; a socket shared by several processes stands
    /// here several times.
    by_inode: Vec<(u32, u32)>,
}

impl Owners {
    /// From pairs of socket inode and index into `processes`, in any order.
    #[must_use]
    pub fn new(processes: Vec<Owner>, mut by_inode: Vec<(u32, u32)>) -> Self {
        by_inode.sort_unstable();
        by_inode.dedup();
        Self {
            processes,
            by_inode,
        }
    }

    /// Both together; they name different processes.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let first = self.processes.len() as u32;
        self.processes.extend(other.processes);
        self.by_inode.extend(
            other
                .by_inode
                .into_iter()
                .map(|(inode, process)| (inode, process + first)),
        );
        // Two sorted runs: quick.
        self.by_inode.sort();
        self
    }

    /// The processes that hold a socket.
    pub fn of(&self, inode: u32) -> impl Iterator<Item = (u32, &Owner)> + '_ {
        let first = self.by_inode.partition_point(|(other, _)| *other < inode);
        self.by_inode
            .iter()
            .skip(first)
            .take_while(move |(other, _)| *other == inode && inode != 0)
            .filter_map(|(_, process)| Some((*process, self.processes.get(*process as usize)?)))
    }

    /// How many of these sockets have no process here.
    #[must_use]
    pub fn count_unowned(&self, mut inodes: Vec<u32>) -> usize {
        inodes.sort_unstable();
        let mut owned = self.by_inode.iter().map(|(inode, _)| *inode).peekable();
        let is_unowned = |inode: &&u32| {
            while owned.next_if(|owned| *owned < **inode).is_some() {}
            owned.peek() != Some(*inode)
        };
        inodes.iter().filter(is_unowned).count()
    }

    /// Counts ports by process and by group, the largest share first, from ports and the inodes of
    /// the sockets on them. A port that several processes hold counts for each, and once for each of
    /// their groups; one that a process holds many sockets on (the children of a listener) counts
    /// once for it.
    #[must_use]
    pub fn holders(&self, sockets: impl Iterator<Item = (u16, u32)>) -> PortHolders {
        let mut held: Vec<(u32, u16)> = sockets
            .flat_map(|(port, inode)| self.of(inode).map(move |(process, _)| (process, port)))
            .collect();
        held.sort_unstable();
        held.dedup();
        let by_process: Vec<group::Ports<'_>> = held
            .chunk_by(|(one, _), (other, _)| one == other)
            .filter_map(|ports| {
                let (process, _) = *ports.first()?;
                let share = OwnerShare {
                    process,
                    ports: ports.len() as u32,
                };
                Some((share, ports))
            })
            .collect();
        let mut processes: Vec<OwnerShare> = by_process.iter().map(|(share, _)| *share).collect();
        processes.sort_by_key(|share| (core::cmp::Reverse(share.ports), share.process));
        PortHolders {
            processes,
            groups: group::groups(self, &by_process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_socket_counts_for_each_of_its_processes() {
        let process = |pid| Owner {
            pid,
            ..Owner::default()
        };
        let owners = Owners::new(
            [process(7), process(8)].into(),
            [(50, 1), (40, 0), (40, 1)].into(),
        );
        assert_eq!(owners.count_unowned([99, 50, 41, 40, 40].into()), 2);
        let sockets = [(1, 40), (2, 50), (2, 50), (3, 0), (4, 99)];
        let shares = owners.holders(sockets.into_iter()).processes;
        assert_eq!(
            shares,
            [
                OwnerShare {
                    process: 1,
                    ports: 2
                },
                OwnerShare {
                    process: 0,
                    ports: 1
                }
            ]
        );
    }
}
