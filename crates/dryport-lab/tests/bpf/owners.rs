//! Who holds sockets: one pass by BPF beside the walk over `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dryport_host::OwnerWalk;
use dryport_lab::Namespace;
use dryport_model::{Owner, Protocol};
use rustix::net::{ipproto, listen};

use crate::helper::{self, Helper, hex};
use crate::{Test, compare, kernel, scenes, table};

pub const TESTS: &[(&str, Test)] = &[
    ("owners_are_those_of_proc", same_as_proc),
    ("sockets_of_a_single_thread_are_found", of_a_thread),
    ("mptcp_has_its_owner", of_mptcp),
    ("hostile_names_become_printable", hostile_names),
    ("processes_that_end_meanwhile_hide_nobody_else", short_lives),
    ("a_million_other_files_hide_no_socket", a_million_files),
];

fn by_bpf() -> OwnerWalk {
    let walk = dryport_bpf::read_owners(kernel()).unwrap();
    assert_eq!(
        (walk.how, walk.forbidden, walk.can_extend()),
        ("bpf", 0, false)
    );
    walk
}

/// The sockets that a helper has open. Its standard error may be one, as this process's own.
fn sockets_of(pid: u32) -> Vec<u32> {
    let own = [0, 1, 2].map(|fd| inode(Path::new(&format!("/proc/self/fd/{fd}"))));
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    links
        .filter_map(|entry| inode(&entry.unwrap().path()))
        .filter(|inode| !own.contains(&Some(*inode)))
        .collect()
}

/// `socket:[4711]`.
fn inode(link: &Path) -> Option<u32> {
    let target = fs::read_link(link).ok()?;
    let number = target.to_str()?.strip_prefix("socket:[")?;
    number.strip_suffix(']')?.parse().ok()
}

/// Which of these processes hold a socket. Others may have it for a moment: what another test
/// starts has all of this process's until it is its own program.
fn holders(walk: &OwnerWalk, inode: u32, of: &BTreeSet<u32>) -> Vec<u32> {
    let mut pids: Vec<u32> = walk
        .owners
        .of(inode)
        .map(|(_, owner)| owner.pid)
        .filter(|pid| of.contains(pid))
        .collect();
    pids.sort_unstable();
    pids
}

fn owner(walk: &OwnerWalk, pid: u32) -> &Owner {
    let mut found = walk
        .owners
        .processes
        .iter()
        .filter(|owner| owner.pid == pid);
    let owner = found.next().unwrap_or_else(|| panic!("no process {pid}"));
    assert_eq!(found.next(), None);
    owner
}

fn same_as_proc() {
    let places = [Namespace::new().unwrap(), Namespace::new().unwrap()];
    let shared = places[0].run(|| UdpSocket::bind("127.0.0.1:0").unwrap());
    let shared = OwnedFd::from(shared.unwrap());
    let mut helpers = vec![Helper::start(None, &["hold"], None)];
    for place in &places {
        let copy = shared.try_clone().unwrap();
        helpers.push(Helper::start(Some(place), &["hold"], None));
        helpers.push(Helper::start(Some(place), &["hold"], Some(copy)));
    }
    helpers
        .iter_mut()
        .for_each(|helper| assert_eq!(helper.says(), "ready"));
    // This process is in neither of the namespaces, and has sockets in both.
    let own: Vec<OwnedFd> = places.iter().flat_map(scenes::other_user).collect();
    let idle = places[1].run(helper::idle).unwrap();

    let me = std::process::id();
    let pids: BTreeSet<u32> = helpers.iter().map(Helper::pid).chain([me]).collect();
    let mut inodes: BTreeSet<u32> = helpers.iter().flat_map(|h| sockets_of(h.pid())).collect();
    assert_eq!(inodes.len(), 5 * 5 + 1);
    inodes.extend(
        own.iter()
            .chain([&shared, &idle])
            .map(|fd| helper::inode(fd) as u32),
    );
    assert_eq!(inodes.len(), 5 * 5 + 2 * 4 + 2);

    let (bpf, proc) = (by_bpf(), dryport_host::read_owners().unwrap());
    for inode in inodes {
        let by_proc = holders(&proc, inode, &pids);
        assert!(!by_proc.is_empty());
        assert_eq!(holders(&bpf, inode, &pids), by_proc, "socket {inode}");
    }
    let of_shared = holders(&bpf, helper::inode(&shared) as u32, &pids);
    let mut expected = vec![me, helpers[2].pid(), helpers[4].pid()];
    expected.sort_unstable();
    assert_eq!(of_shared, expected);
    let of_idle = holders(&bpf, helper::inode(&idle) as u32, &pids);
    assert_eq!(of_idle, [me]);
    for pid in pids {
        assert_eq!(owner(&bpf, pid), owner(&proc, pid));
    }
}

/// `/proc/PID/fd` shows the first thread's descriptors alone.
fn of_a_thread() {
    let mut helper = Helper::start(None, &["hold-in-a-thread"], None);
    let mut inodes: Vec<u32> = Vec::new();
    while let Ok(inode) = helper.says().parse() {
        inodes.push(inode);
    }
    assert_eq!(inodes.len(), 5);
    let walk = by_bpf();
    for inode in inodes {
        assert_eq!(
            holders(&walk, inode, &[helper.pid()].into()),
            [helper.pid()]
        );
    }
}

/// The socket with the port is the kernel's own; its inode is that of the program's.
fn of_mptcp() {
    let place = Namespace::new().unwrap();
    let made = place.run(|| {
        let made = helper::bound(ipproto::MPTCP)?;
        listen(&made, 1).unwrap();
        let rows = compare::read(&table(true), Protocol::Tcp, compare::ALL_PORTS);
        assert_eq!(rows.len(), 1);
        Some((made, rows[0].socket.inode))
    });
    let Some((made, inode)) = made.unwrap() else {
        return eprintln!("SKIPPED: this kernel has no MPTCP");
    };
    assert_eq!(u64::from(inode), helper::inode(&made));
    let me = std::process::id();
    assert_eq!(holders(&by_bpf(), inode, &[me].into()), [me]);
}

fn hostile_names() {
    let names: [&[u8]; 7] = [
        b"two\nlines",
        b"\x1b[31mred\x07",
        b"\x1b]0;title\x07",
        b"\xff\xfe\x80bytes",
        b"\xe2\x80\xaethgir",
        b"\xc2\x9b31mCSI",
        b"back\\x1b",
    ];
    let start = |name: &&[u8]| Helper::start(None, &["hold", &hex(name)], None);
    let mut helpers: Vec<Helper> = names.iter().map(start).collect();
    helpers
        .iter_mut()
        .for_each(|helper| assert_eq!(helper.says(), "ready"));
    let (bpf, proc) = (by_bpf(), dryport_host::read_owners().unwrap());
    for helper in &helpers {
        let found = owner(&bpf, helper.pid());
        assert_eq!(found, owner(&proc, helper.pid()));
        assert!(!found.name.is_empty());
        let is_shown = |c: char| c.is_ascii_graphic() || c == ' ';
        assert!(found.name.chars().all(is_shown), "{:?}", found.name);
    }
}

fn short_lives() {
    const READINGS: usize = 25;
    let mut stable: Vec<Helper> = (0..3)
        .map(|_| Helper::start(None, &["hold"], None))
        .collect();
    stable
        .iter_mut()
        .for_each(|helper| assert_eq!(helper.says(), "ready"));
    let held: Vec<(u32, Vec<u32>)> = stable
        .iter()
        .map(|helper| (helper.pid(), sockets_of(helper.pid())))
        .collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    Helper::start(None, &["brief"], None).says_to_the_end();
                }
            });
        }
        let _stop = scopeguard(&is_over);
        for _ in 0..READINGS {
            let walk = by_bpf();
            for (pid, inodes) in &held {
                for inode in inodes {
                    assert_eq!(holders(&walk, *inode, &[*pid].into()), [*pid]);
                }
            }
        }
    });
}

/// Sets the flag when it goes, also in a panic: a scope waits for its threads.
pub fn scopeguard(flag: &AtomicBool) -> impl Drop + '_ {
    struct Guard<'a>(&'a AtomicBool);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    Guard(flag)
}

/// After a million files without a socket among them the kernel breaks off with EAGAIN.
fn a_million_files() {
    let mut helper = Helper::start(None, &["hoard"], None);
    let said = helper.says();
    let Ok(pid) = said.parse() else {
        return eprintln!("SKIPPED: a million open files: {said}");
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let inodes = loop {
        match sockets_of(pid) {
            inodes if inodes.len() == 5 => break inodes,
            inodes => assert!(Instant::now() < deadline, "{inodes:?}"),
        }
    };
    let walk = by_bpf();
    for inode in inodes {
        assert_eq!(holders(&walk, inode, &[pid].into()), [pid]);
    }
}
