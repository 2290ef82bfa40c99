//! Who belongs together: the processes of a container, a pod, a systemd unit, a program.
//!
//! Only what a cgroup's path told, which is good for showing and not for trusting: whoever may make
//! cgroups may name them as any runtime does.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{Owner, OwnerShare, Owners};

/// What a group of processes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// A container.
    Container,
    /// A Kubernetes pod, by processes of it that are in none of its containers.
    Pod,
    /// A systemd unit.
    Unit,
    /// A process, or several of one name in one cgroup.
    Process,
}

impl GroupKind {
    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Pod => "pod",
            Self::Unit => "unit",
            Self::Process => "process",
        }
    }
}

/// Processes that belong together, and how many ports they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerGroup {
    /// What it is.
    pub kind: GroupKind,
    /// Index into [`Owners::processes`] of the process that stands for the group: of those with the
    /// name that most of the ports are held under, the one that holds most. By ports and not by
    /// heads, so that a proxy is not hidden behind the three shells that start it.
    pub process: u32,
    /// Processes of the group that hold any of the ports; it may have more.
    pub processes: u32,
    /// How many of them have the name of `process`.
    pub namesakes: u32,
    /// Number of ports. One that several processes of the group hold counts once.
    pub ports: u32,
}

/// What makes processes belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Home<'a> {
    /// Names of containers (LXC, systemd-nspawn) are those of one runtime.
    Container(Option<&'static str>, &'a str),
    Pod(&'a str),
    /// Two users may each have a unit of one name.
    Unit(Option<&'a str>, &'a str),
    /// What has neither container nor unit of its own: what somebody started at a prompt, and every
    /// program where no systemd runs or where we are inside the container. Workers of one program
    /// have one name and one cgroup; 200 of them are one answer. The executable is no part of it: for
    /// processes of other users it may not be read, and after an upgrade the old workers' differs
    /// (` (deleted)`). The price is that two scripts of one interpreter, started at one prompt, are
    /// told as one; by process they are two.
    Program(&'a str, Option<&'a str>),
    /// Without a name nothing says that two are alike.
    Process(u32),
}

impl<'a> Home<'a> {
    fn of(owner: &'a Owner) -> Self {
        if let Some(container) = &owner.container {
            return Self::Container(owner.runtime, container);
        }
        if let Some(pod) = &owner.pod {
            return Self::Pod(pod);
        }
        match owner.unit.as_deref().filter(|unit| !is_session(unit)) {
            Some(unit) => Self::Unit(owner.unit_user(), unit),
            None if owner.name.is_empty() => Self::Process(owner.pid),
            None => Self::Program(&owner.name, owner.cgroup.as_deref()),
        }
    }

    const fn kind(self) -> GroupKind {
        match self {
            Self::Container(..) => GroupKind::Container,
            Self::Pod(_) => GroupKind::Pod,
            Self::Unit(..) => GroupKind::Unit,
            Self::Program(..) | Self::Process(_) => GroupKind::Process,
        }
    }
}

/// Units that say who was logged in, not what runs: the scope of a login (logind's
/// `session-ID.scope`), of a terminal (VTE) or of a pane (tmux), and the service managers themselves.
/// "session-3.scope holds 28,000 ports" helps nobody; "curl" does.
fn is_session(unit: &str) -> bool {
    let scope = |prefix: &str| unit.strip_prefix(prefix)?.strip_suffix(".scope");
    let is_login = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    unit == "init.scope"
        || manager(unit).is_some()
        || scope("session-").is_some_and(is_login)
        || scope("vte-spawn-").or(scope("tmux-spawn-")).is_some()
}

/// The user id of `user@1000.service`.
fn manager(unit: &str) -> Option<&str> {
    let id = unit.strip_prefix("user@")?.strip_suffix(".service")?;
    id.bytes().all(|byte| byte.is_ascii_digit()).then_some(id)
}

impl Owner {
    /// The id of the user whose own service manager runs the unit; `None` for a unit of the system.
    #[must_use]
    pub fn unit_user(&self) -> Option<&str> {
        self.unit.as_ref().filter(|_| self.container.is_none())?;
        self.cgroup.as_deref()?.split('/').find_map(manager)
    }
}

/// A process's ports.
pub(super) type Ports<'a> = (OwnerShare, &'a [(u32, u16)]);

/// The groups of the processes that hold ports, the largest first.
pub(super) fn groups(owners: &Owners, held: &[Ports<'_>]) -> Vec<OwnerGroup> {
    let mut homes: BTreeMap<Home<'_>, Vec<(&Owner, Ports<'_>)>> = BTreeMap::new();
    for ports in held {
        if let Some(owner) = owners.processes.get(ports.0.process as usize) {
            homes
                .entry(Home::of(owner))
                .or_default()
                .push((owner, *ports));
        }
    }
    let mut groups: Vec<OwnerGroup> = homes
        .into_iter()
        .filter_map(|(home, members)| group(home.kind(), &members))
        .collect();
    groups.sort_by_key(|group| (Reverse(group.ports), group.process));
    groups
}

/// `None` for no members.
fn group(kind: GroupKind, members: &[(&Owner, Ports<'_>)]) -> Option<OwnerGroup> {
    let mut names: BTreeMap<&str, (u64, u32)> = BTreeMap::new();
    for (owner, (share, _)) in members {
        let (ports, processes) = names.entry(&owner.name).or_default();
        *ports += u64::from(share.ports);
        *processes += 1;
    }
    // The last of equals in the order of the alphabet; any fixed one will do.
    let (name, (_, namesakes)) = names.into_iter().max_by_key(|(_, counts)| *counts)?;
    let (_, (lead, _)) = members
        .iter()
        .filter(|(owner, _)| owner.name == name)
        .max_by_key(|(_, (share, _))| (share.ports, Reverse(share.process)))?;
    Some(OwnerGroup {
        kind,
        process: lead.process,
        processes: members.len() as u32,
        namesakes,
        ports: match members {
            [(_, (share, _))] => share.ports,
            several => distinct(several),
        },
    })
}

fn distinct(members: &[(&Owner, Ports<'_>)]) -> u32 {
    let all = members.iter().flat_map(|(_, (_, ports))| ports.iter());
    let mut ports: Vec<u16> = all.map(|(_, port)| *port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.len() as u32
}

#[cfg(test)]
mod tests {
    use super::super::PortHolders;
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec;

    fn owner(pid: u32, name: &str, cgroup: &str) -> Owner {
        Owner {
            pid,
            name: name.into(),
            cgroup: Some(cgroup.into()),
            ..Owner::default()
        }
    }

    fn in_container(pid: u32, name: &str, runtime: &'static str, id: &str) -> Owner {
        Owner {
            container: Some(id.into()),
            runtime: Some(runtime),
            ..owner(pid, name, "/a")
        }
    }

    fn in_unit(pid: u32, name: &str, cgroup: &str) -> Owner {
        Owner {
            unit: cgroup.split('/').next_back().map(String::from),
            ..owner(pid, name, cgroup)
        }
    }

    /// Kind, pid of the one that stands for it, processes, namesakes, ports.
    type Told = (GroupKind, u32, u32, u32, u32);

    /// Each socket is a port and the processes that hold it; its inode is its place in the list.
    fn told(processes: Vec<Owner>, sockets: &[(u16, &[u32])]) -> Vec<Told> {
        let inodes = || (1..).zip(sockets);
        let by_inode = inodes()
            .flat_map(|(inode, (_, held))| held.iter().map(move |process| (inode, *process)))
            .collect();
        let owners = Owners::new(processes, by_inode);
        let held = inodes().map(|(inode, (port, _))| (*port, inode));
        let groups = owners.holders(held).groups;
        let told = groups.iter().map(|group| {
            let pid = owners.processes[group.process as usize].pid;
            let OwnerGroup {
                kind,
                processes,
                namesakes,
                ports,
                ..
            } = *group;
            (kind, pid, processes, namesakes, ports)
        });
        told.collect()
    }

    #[test]
    fn two_hundred_workers_of_a_container_are_one_group() {
        let workers = (0..200)
            .map(|pid| in_container(pid, "nginx", "docker", "aa"))
            .collect();
        let sockets: Vec<(u16, [u32; 1])> =
            (0..28_000).map(|n| (n, [u32::from(n) % 200])).collect();
        let sockets: Vec<(u16, &[u32])> = sockets
            .iter()
            .map(|(port, held)| (*port, &held[..]))
            .collect();
        assert_eq!(
            told(workers, &sockets),
            [(GroupKind::Container, 0, 200, 200, 28_000)]
        );
    }

    #[test]
    fn a_port_counts_once_for_a_group_and_for_each_group_that_has_it() {
        let processes = vec![
            in_container(1, "nginx", "docker", "aa"),
            in_container(2, "nginx", "docker", "aa"),
            in_unit(3, "docker-proxy", "/system.slice/docker.service"),
        ];
        // One socket that three hold, one that two of a group hold, and two sockets on one port.
        let sockets: &[(u16, &[u32])] = &[(80, &[0, 1, 2]), (81, &[0, 1]), (82, &[0]), (82, &[1])];
        assert_eq!(
            told(processes, sockets),
            [
                (GroupKind::Container, 1, 2, 2, 3),
                (GroupKind::Unit, 3, 1, 1, 1)
            ]
        );
    }

    #[test]
    fn the_name_is_that_of_most_ports_and_not_of_most_processes() {
        let named = |pid, name| in_container(pid, name, "podman", "aa");
        let processes = vec![
            named(1, "sh"),
            named(2, "sh"),
            named(3, "envoy"),
            named(4, "envoy"),
        ];
        let sockets: &[(u16, &[u32])] = &[(1, &[0]), (2, &[1]), (3, &[2]), (4, &[3]), (5, &[3])];
        assert_eq!(
            told(processes, sockets),
            [(GroupKind::Container, 4, 4, 2, 5)]
        );
    }

    #[test]
    fn containers_of_one_name_are_told_apart_by_their_runtime() {
        let processes = vec![
            in_container(1, "init", "lxc", "web"),
            in_container(2, "init", "systemd-nspawn", "web"),
        ];
        assert_eq!(told(processes, &[(1, &[0]), (2, &[1])]).len(), 2);
    }

    #[test]
    fn what_is_in_a_pod_but_in_no_container_is_the_pods() {
        let sandbox = Owner {
            pod: Some("0123".into()),
            ..owner(1, "qemu", "/kubepods/pod0123")
        };
        let inside = Owner {
            pod: Some("0123".into()),
            ..in_container(2, "java", "containerd", "aa")
        };
        assert_eq!(
            told(vec![sandbox, inside], &[(1, &[0]), (2, &[0]), (3, &[1])]),
            [
                (GroupKind::Pod, 1, 1, 1, 2),
                (GroupKind::Container, 2, 1, 1, 1)
            ]
        );
    }

    #[test]
    fn what_was_started_at_a_prompt_is_told_by_its_name() {
        let user = "/user.slice/user-1000.slice";
        for unit in [
            "session-3.scope",
            "session-c1.scope",
            "user@1000.service",
            "user@1000.service/init.scope",
            "user@1000.service/app.slice/tmux-spawn-1b2c.scope",
            "user@1000.service/app.slice/vte-spawn-1b2c.scope",
        ] {
            let home = std::format!("{user}/{unit}");
            let here = |pid, name| in_unit(pid, name, &home);
            let elsewhere = in_unit(4, "curl", &std::format!("{user}/session-4.scope"));
            let processes = vec![here(1, "curl"), here(2, "curl"), here(3, "wget"), elsewhere];
            let sockets: &[(u16, &[u32])] = &[(1, &[0]), (2, &[1]), (3, &[2]), (4, &[3])];
            assert_eq!(
                told(processes, sockets),
                [
                    (GroupKind::Process, 1, 2, 2, 2),
                    (GroupKind::Process, 3, 1, 1, 1),
                    (GroupKind::Process, 4, 1, 1, 1)
                ],
                "{unit}"
            );
        }
        for unit in [
            "run-u7.scope",
            "session-of-tests.scope",
            "user@home.service",
        ] {
            let one = in_unit(1, "curl", &std::format!("{user}/{unit}"));
            assert_eq!(
                told(vec![one], &[(1, &[0])])[0].0,
                GroupKind::Unit,
                "{unit}"
            );
        }
    }

    #[test]
    fn units_of_one_name_are_told_apart_by_their_user() {
        let of = |pid, user: u32| {
            let cgroup = "/user.slice/user-U.slice/user@U.service/app.slice/web.service";
            in_unit(pid, "web", &cgroup.replace('U', &std::format!("{user}")))
        };
        let system = in_unit(4, "web", "/system.slice/web.service");
        assert_eq!(
            (of(1, 1000).unit_user(), system.unit_user()),
            (Some("1000"), None)
        );
        let processes = vec![of(1, 1000), of(2, 1000), of(3, 1001), system];
        let groups = told(processes, &[(1, &[0]), (2, &[1]), (3, &[2]), (4, &[3])]);
        let ports: Vec<u32> = groups.iter().map(|(.., ports)| *ports).collect();
        assert_eq!(ports, [2, 1, 1]);
    }

    proptest! {
        #[test]
        fn every_process_is_in_one_group_which_holds_no_more_than_its_processes(
            kinds in prop::collection::vec((0..4_u8, 0..3_u8), 1..12),
            sockets in prop::collection::vec((0..20_u16, prop::collection::vec(0..12_u32, 0..4)), 0..40),
        ) {
            let process = |(pid, (kind, name)): (u32, &(u8, u8))| {
                let name = std::format!("{name}");
                match kind {
                    0 => in_container(pid, &name, "docker", "aa"),
                    1 => in_container(pid, &name, "podman", "bb"),
                    2 => in_unit(pid, &name, "/system.slice/a.service"),
                    _ => owner(pid, &name, "/"),
                }
            };
            let owners = Owners::new(
                (0..).zip(&kinds).map(process).collect(),
                (1..).zip(&sockets).flat_map(|(inode, (_, held))| held.iter().map(move |p| (inode, *p))).collect(),
            );
            let held = (1..).zip(&sockets).map(|(inode, (port, _))| (*port, inode));
            let PortHolders { processes, groups } = owners.holders(held);
            let heads: u32 = groups.iter().map(|group| group.processes).sum();
            prop_assert_eq!(heads as usize, processes.len());
            let all: u32 = processes.iter().map(|share| share.ports).sum();
            prop_assert!(groups.iter().map(|group| group.ports).sum::<u32>() <= all);
            for group in groups {
                let lead = processes.iter().find(|share| share.process == group.process).unwrap();
                prop_assert!((lead.ports..=20).contains(&group.ports));
                prop_assert!((1..=group.processes).contains(&group.namesakes));
            }
        }
    }

    #[test]
    fn processes_without_a_name_are_not_alike() {
        let processes = vec![owner(1, "", "/"), owner(2, "", "/")];
        assert_eq!(told(processes, &[(1, &[0]), (2, &[1])]).len(), 2);
    }
}
