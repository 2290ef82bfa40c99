//! A namespace, a journal and a tree of sysctl.d files of a test's own, and the program run there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dryport_lab::Namespace;
use dryport_model::plan::Setting;
use dryport_tune::sysctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::tree::Tree;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_dryport");
/// Below the root.
pub const OUR_FILE: &str = "etc/sysctl.d/99-zz-dryport.conf";
/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub const RANGE: &str = "net.ipv4.ip_local_port_range";
pub const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
pub const REUSE: &str = "net.ipv4.tcp_tw_reuse";

/// A change that takes a minute to read by hand: both kinds of value, and a file.
pub const FIX: &[&str] = &[
    "fix",
    "--yes",
    "--no-rehearsal",
    "--best-effort",
    "--set",
    "net.ipv4.ip_local_port_range=28000 60999",
    "--set",
    "net.ipv4.ip_local_reserved_ports=30000-30010",
];
/// Another one, of another setting.
pub const FIX_REUSE: &[&str] = &[
    "fix",
    "--yes",
    "--no-rehearsal",
    "--best-effort",
    "--set",
    "net.ipv4.tcp_tw_reuse=1",
];
pub const UNDO: &[&str] = &["undo", "--yes"];
pub const CONFIRM: &[&str] = &["fix", "--confirm"];

/// What a run said.
#[derive(Debug)]
pub struct Answer {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    #[track_caller]
    pub fn is_done(&self) {
        assert_eq!(self.exit, 0, "{self:?}");
    }

    /// It changed nothing, whatever it said.
    #[track_caller]
    pub fn is_unchanged(&self, world: &World, before: &Seen) {
        assert_eq!(&world.seen(), before, "{self:?}");
    }

    /// It failed, and said why in words that name each of these.
    #[track_caller]
    pub fn is_refused(&self, named: &[&str]) {
        assert_eq!(self.exit, 3, "{self:?}");
        for name in named {
            assert!(self.err.contains(name), "{name} is not named: {self:?}");
        }
        let dirty = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!dirty(&self.out) && !dirty(&self.err), "{self:?}");
    }
}

/// All that `undo` promises to bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Each setting, byte for byte.
    pub settings: Vec<(Setting, Vec<u8>)>,
    /// All below the root.
    pub files: Tree,
}

/// A [`Seen`] with the journal of that time, to start from it again.
pub struct Start {
    pub seen: Seen,
    pub journal: Tree,
}

pub struct World {
    pub namespace: Namespace,
    scratch: TempDir,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            namespace: Namespace::new().unwrap(),
            scratch: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.root()).unwrap();
        world
    }

    /// With files of others, and lines of others in our file.
    pub fn with_files() -> Self {
        let world = Self::new();
        for (path, text) in [
            (
                OUR_FILE,
                "# by hand\nvm.swappiness = 10\nnet.ipv4.tcp_tw_reuse=2\nno newline at the end",
            ),
            ("etc/sysctl.d/10-network.conf", "net.ipv4.ip_forward = 0\n"),
            (
                "usr/lib/sysctl.d/50-default.conf",
                "net.ipv4.ip_local_port_range = 1 2\n",
            ),
            ("etc/sysctl.conf", "# nothing\n"),
        ] {
            world.write(path, text);
        }
        world
    }

    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub fn root(&self) -> PathBuf {
        self.scratch().join("root")
    }

    pub fn state(&self) -> PathBuf {
        self.scratch().join("state")
    }

    pub fn journal(&self) -> PathBuf {
        self.state().join("journal")
    }

    /// Writes a file below the root, with the directories above it.
    pub fn write(&self, below: &str, text: &str) {
        let path = self.root().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn set(&self, key: &str, value: &str) {
        self.namespace.set(key, value).unwrap();
    }

    pub fn get(&self, key: &str) -> String {
        self.namespace.get(key).unwrap()
    }

    pub fn seen(&self) -> Seen {
        Seen {
            settings: self.namespace.run(settings).unwrap(),
            files: Tree::of(&self.root()),
        }
    }

    pub fn start(&self) -> Start {
        Start {
            seen: self.seen(),
            journal: Tree::of(&self.state()),
        }
    }

    pub fn go_back_to(&self, start: &Start) {
        start.seen.files.put_back(&self.root());
        start.journal.put_back(&self.state());
        self.set_all(&start.seen.settings);
    }

    /// Writes settings without the program.
    pub fn set_all(&self, settings: &[(Setting, Vec<u8>)]) {
        let write = || {
            for (setting, bytes) in settings {
                sysctl::write(*setting, bytes).unwrap();
            }
        };
        self.namespace.run(write).unwrap();
    }

    /// The program's words with the places of this world.
    pub fn words(&self, words: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut add = |name: &str, path: PathBuf| {
            all.extend([name.into(), path.to_str().unwrap().into()]);
        };
        add("--state-dir", self.state());
        let has_root = words.first() == Some(&"fix")
            && !words.contains(&"--confirm")
            && !words.contains(&"--root");
        if has_root {
            add("--root", self.root());
        }
        all
    }

    pub fn run(&self, words: &[&str]) -> Answer {
        answer(self.command(PROGRAM, words))
    }

    /// The program (or a copy of it) with the places of this world.
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = self.namespace.command(program).unwrap();
        command.args(self.words(words));
        command
    }

    /// Files of the journal that end in `.json`, in the order of time.
    pub fn entries(&self) -> Vec<PathBuf> {
        let Ok(directory) = fs::read_dir(self.journal()) else {
            return Vec::new();
        };
        let paths = directory.map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        paths.sort();
        paths
    }

    /// The entries as they stand.
    pub fn read_entries(&self) -> Vec<Value> {
        let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        self.entries().into_iter().map(read).collect()
    }

    /// The stages of all entries.
    pub fn stages(&self) -> Vec<String> {
        let stage = |entry: Value| entry["stage"].as_str().unwrap().to_owned();
        self.read_entries().into_iter().map(stage).collect()
    }

    /// Edits the newest entry behind the program's back.
    pub fn edit_entry(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.entries().pop().unwrap();
        let mut entry: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut entry);
        fs::write(&path, serde_json::to_vec(&entry).unwrap()).unwrap();
    }

    /// Nothing that a broken-off write leaves is there, and every entry can be read.
    #[track_caller]
    pub fn is_tidy(&self) {
        for directory in [self.root(), self.state()] {
            let tree = Tree::of(&directory);
            let left = tree
                .names()
                .find(|name| name.to_string_lossy().ends_with(".dryport-new"));
            assert_eq!(left, None, "{tree:?}");
        }
        let list = self.run(&["undo", "--list"]);
        list.is_done();
        assert!(!list.out.contains("damaged"), "{list:?}");
    }

    /// The number of the namespace.
    pub fn inode(&self) -> u64 {
        rustix::fs::fstat(&self.namespace).unwrap().st_ino
    }

    /// The guards that wait for a change in this world.
    pub fn guards(&self) -> Vec<Pid> {
        let state = self.state();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
            words.contains(&b"--guard".as_slice())
                && words.contains(&state.as_os_str().as_encoded_bytes())
        })
        .map(Pid::from_raw)
        .collect()
    }

    pub fn kill_guards(&self) {
        for guard in self.guards() {
            // One that ends by itself meanwhile is as good.
            let _ = kill(guard, Signal::SIGKILL);
            let _ = waitpid(guard, None);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_guards();
    }
}

/// The settings of the calling thread's namespace.
fn settings() -> Vec<(Setting, Vec<u8>)> {
    let read = |setting: &Setting| Some((*setting, sysctl::read(*setting).unwrap()?));
    Setting::LINUX.iter().filter_map(read).collect()
}

pub fn answer(mut command: Command) -> Answer {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked"), "{command:?}: {err}");
    let Some(exit @ (0..=3 | 64)) = output.status.code() else {
        panic!("{command:?} ended with {}: {err}", output.status);
    };
    Answer { exit, out, err }
}

/// Waits until `holds`.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
