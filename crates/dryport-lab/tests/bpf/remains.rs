//! What is left in the kernel when a reader is gone: nothing.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::Test;
use crate::helper::Helper;

pub const TESTS: &[(&str, Test)] = &[
    ("what_is_dropped_is_gone", dropped),
    ("a_killed_reader_leaves_nothing", killed),
];

/// The kernel frees programs in the background.
const DEADLINE: Duration = Duration::from_secs(10);

/// A link, program or map by its id, which is never given twice (`idr_alloc_cyclic`).
struct Part {
    command: libc::c_int,
    id: u32,
    name: String,
}

impl Part {
    /// `prog_id 7`.
    fn parse(line: &str) -> Self {
        let (word, id) = line.split_once(' ').unwrap();
        // BPF_*_GET_FD_BY_ID.
        let command = match word {
            "prog_id" => 13,
            "map_id" => 14,
            "link_id" => 30,
            _ => panic!("{line}"),
        };
        Self {
            command,
            id: id.parse().unwrap(),
            name: line.to_owned(),
        }
    }

    fn is_there(&self) -> bool {
        // The start of `union bpf_attr` for these commands: id, next_id, open_flags.
        let attributes = [self.id, 0, 0];
        // SAFETY: the members that the command reads, with their size; no addresses among them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                self.command,
                attributes.as_ptr(),
                size_of_val(&attributes),
            )
        };
        if result < 0 {
            let error = io::Error::last_os_error();
            assert_eq!(
                error.raw_os_error(),
                Some(libc::ENOENT),
                "{}: {error}",
                self.name
            );
            return false;
        }
        // SAFETY: the kernel has just opened it for us alone.
        drop(unsafe { OwnedFd::from_raw_fd(result as libc::c_int) });
        true
    }
}

/// What the helper says it has, which must be all there is to a table: two links, two programs and
/// what they are told.
fn parts_of(helper: &mut Helper) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        match helper.says().as_str() {
            "all" => break,
            line => parts.push(Part::parse(line)),
        }
    }
    for word in ["link_id", "prog_id", "map_id"] {
        assert!(
            parts.iter().any(|part| part.name.starts_with(word)),
            "no {word}"
        );
    }
    parts
}

#[track_caller]
fn are_gone(parts: &[Part]) {
    let deadline = Instant::now() + DEADLINE;
    while let Some(left) = parts.iter().find(|part| part.is_there()) {
        assert!(Instant::now() < deadline, "{} is left", left.name);
        std::thread::sleep(Duration::from_millis(1));
    }
    let pinned: Vec<_> = fs::read_dir("/sys/fs/bpf").into_iter().flatten().collect();
    assert_eq!(pinned.len(), 0, "{pinned:?}");
}

/// While the process that had them goes on.
fn dropped() {
    let mut helper = Helper::start(None, &["read-and-drop"], None);
    are_gone(&parts_of(&mut helper));
    assert_eq!(helper.says_to_the_end(), Vec::<String>::new());
}

fn killed() {
    let mut helper = Helper::start(None, &["half-read"], None);
    let parts = parts_of(&mut helper);
    assert_eq!(helper.says(), "reading");
    for part in &parts {
        assert!(part.is_there(), "{} is not there", part.name);
    }
    helper.kill();
    are_gone(&parts);
}
