//! The programs that apply files of settings at boot, as the oracle of who wins.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dryport_model::plan::Setting;
use dryport_tune::{sysctl, sysctl_d};
use dryport_wire::sysctl_conf::{Applier, DIRECTORIES, LAST_OF_PROCPS, setters};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::scratch::{MOUNTS, NETWORK, in_scratch, keep_mounts_here, mount, skip};

const SETTING: Setting = Setting::TcpTwReuse;
const NAMES: [&str; 6] = [
    "10-a.conf",
    "Z.conf",
    "99-b.conf",
    "99_.conf",
    ".h.conf",
    "b",
];
const PATTERNS: [&str; 14] = [
    "net.ipv4.tcp_tw_reuse",
    "net/ipv4/tcp_tw_reuse",
    "net.ipv4.tcp_tw_*use",
    "net.ipv4.t*reuse",
    "net.*.tcp_tw_reuse",
    "net.ipv?.tcp_tw_reuse",
    "net.ipv4.tcp_tw_reus[e]",
    "net.ipv4.[!a]cp_tw_reuse",
    "net.ipv4.[a-u]cp_tw_reuse",
    "net.ipv4.[[:alpha:]]cp_tw_reuse",
    "net.ipv4.\\tcp_tw_*",
    "net.ipv4.tcp_tw_reuse*",
    "net.ipv4.tcp_tw_reuse.x",
    "net.*",
];

/// A place (directory and name; beyond the directories `/etc/sysctl.conf`) and a text. `None`: a
/// link to `/dev/null`.
type Written = (usize, usize, Option<String>);

#[test]
fn the_winner_is_whom_systemd_sysctl_lets_win() {
    let program = [
        "/usr/lib/systemd/systemd-sysctl",
        "/lib/systemd/systemd-sysctl",
    ];
    match program.into_iter().find(|path| Path::new(path).exists()) {
        Some(program) => compare(Applier::SystemdSysctl, &[program]),
        None => skip("systemd-sysctl", "systemd-sysctl is not installed"),
    }
}

#[test]
fn the_winner_is_whom_sysctl_of_procps_lets_win() {
    let version = Command::new("sysctl").arg("--version").output();
    // Busybox has another; procps before 3.3.17 knows no globs.
    match version.map(|output| String::from_utf8_lossy(&output.stdout).contains("procps-ng 4.")) {
        Ok(true) => compare(Applier::ProcpsSystem, &["sysctl", "--system"]),
        _ => skip("sysctl", "there is no sysctl of procps 4"),
    }
}

fn compare(applier: Applier, command: &[&str]) {
    let scratch = tempfile::tempdir().unwrap();
    in_scratch(NETWORK | MOUNTS, || {
        let places = Places::cover(scratch.path());
        let mut runner = TestRunner::new(Config {
            // The kernel and the programs are asked anew each time: no file of failures.
            failure_persistence: None,
            ..Config::with_cases(60)
        });
        let result = runner.run(&prop::collection::vec(written(), 0..6), |files| {
            places.fill(&files);
            let tree = sysctl_d::read_tree(Path::new("/"));
            let key = SETTING.name();
            let predicted = setters(&tree.files, key, applier)
                .value()
                .map(str::to_owned);
            prop_assert_eq!(predicted, applied(command), "{:#?}", files);
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

fn written() -> impl Strategy<Value = Written> {
    let pattern = prop_oneof![Just(PATTERNS[0]), prop::sample::select(&PATTERNS[..])];
    let assign = prop::sample::select(vec!["=0", " = 1", "\t= 2 ", "=1\r", "=0", "=2", ""]);
    let line = (
        prop_oneof![4 => Just(""), 1 => Just("-"), 1 => Just("# ")],
        pattern,
        assign,
    );
    let line = line.prop_map(|(mark, pattern, assign)| format!("{mark}{pattern}{assign}\n"));
    let text = prop::collection::vec(line, 0..4).prop_map(|lines| lines.concat());
    let text = prop_oneof![6 => text.prop_map(Some), 1 => Just(None)];
    (0..=DIRECTORIES.len(), 0..NAMES.len(), text)
}

/// What the program makes of the setting; `None`: it leaves it alone.
fn applied(command: &[&str]) -> Option<String> {
    let [first, second] = ["0", "1"].map(|before| {
        sysctl::write(SETTING, before.as_bytes()).unwrap();
        // Its status tells of lines that were none, too.
        let mut program = Command::new(command[0]);
        program
            .args(&command[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        program.status().unwrap();
        let after = sysctl::read(SETTING).unwrap().unwrap();
        String::from_utf8(after).unwrap().trim_end().to_owned()
    });
    (first == second).then_some(first)
}

/// Empty places over those of the machine, as far as it has them.
struct Places {
    directories: Vec<PathBuf>,
    has_last: bool,
}

impl Places {
    fn cover(scratch: &Path) -> Self {
        keep_mounts_here();
        let real = DIRECTORIES
            .iter()
            .filter_map(|path| fs::canonicalize(path).ok());
        let directories: BTreeSet<PathBuf> = real.collect();
        for directory in &directories {
            mount("tmpfs", directory, "tmpfs", 0, "");
        }
        let has_last = Path::new(LAST_OF_PROCPS).is_file();
        if has_last {
            let empty = scratch.join("sysctl.conf");
            fs::write(&empty, "").unwrap();
            mount(
                empty.to_str().unwrap(),
                Path::new(LAST_OF_PROCPS),
                "",
                libc::MS_BIND,
                "",
            );
        }
        Self {
            directories: directories.into_iter().collect(),
            has_last,
        }
    }

    fn fill(&self, files: &[Written]) {
        for directory in &self.directories {
            for entry in fs::read_dir(directory).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        if self.has_last {
            fs::write(LAST_OF_PROCPS, "").unwrap();
        }
        for (directory, name, text) in files {
            let path = match self.directories.get(*directory) {
                Some(directory) => directory.join(NAMES[*name]),
                None if self.has_last => LAST_OF_PROCPS.into(),
                None => continue,
            };
            match text {
                Some(text) => fs::write(path, text).unwrap(),
                None if path.exists() => {}
                None => std::os::unix::fs::symlink("/dev/null", path).unwrap(),
            }
        }
    }
}
