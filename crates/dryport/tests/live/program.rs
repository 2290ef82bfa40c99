//! Runs the built program and reads what it says.

use std::fs::{self, Permissions};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use dryport_lab::Namespace;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use serde_json::Value;
use tempfile::TempDir;

use crate::helper::Helper;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dryport");
/// A copy that every user can reach.
static REACHABLE: OnceLock<PathBuf> = OnceLock::new();

/// Makes a copy of the program that every user can reach: the directory it was built in may be
/// closed to others.
pub fn make_reachable() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("dryport");
    fs::copy(PROGRAM, &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    REACHABLE.set(copy).unwrap();
    directory
}

/// What a run said.
#[derive(Debug)]
pub struct Answer {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program in a namespace.
pub fn dryport(place: &Namespace, words: &[&str]) -> Answer {
    let mut command = place.command(PROGRAM).unwrap();
    command.args(words);
    answer(command)
}

/// Runs the program where this one is.
pub fn outside(words: &[&str]) -> Answer {
    let mut command = Command::new(PROGRAM);
    command.args(words);
    answer(command)
}

/// Runs the program in a namespace after something was taken away; see `helper::launch`.
pub fn without(place: &Namespace, taken: &[&str], words: &[&str]) -> Answer {
    let program = REACHABLE.get().unwrap().to_str().unwrap();
    launched(place, taken, &[&[program], words].concat())
}

/// The same with any program. `dryport` in its arguments becomes the program's path.
pub fn launched(place: &Namespace, taken: &[&str], words: &[&str]) -> Answer {
    let mut command = myself(place);
    command
        .args(["--helper", "launch"])
        .args(taken)
        .arg("--")
        .args(words);
    answer(command)
}

/// The path of the program's copy that every user can reach.
pub fn reachable() -> &'static Path {
    REACHABLE.get().unwrap()
}

/// This test program, to be started in a namespace as a helper.
pub fn myself(place: &Namespace) -> Command {
    place
        .command(std::env::current_exe().unwrap().to_str().unwrap())
        .unwrap()
}

fn answer(mut command: Command) -> Answer {
    let output = command
        .stdin(Stdio::null())
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked"), "{command:?}: {err}");
    let Some(exit @ (0..=3 | 64)) = code else {
        panic!("{command:?} ended with {}: {err}", output.status);
    };
    Answer { exit, out, err }
}

impl Answer {
    /// The document, which must hold to its schema and be all that was said.
    #[track_caller]
    pub fn document(&self) -> Value {
        assert_eq!(self.err, "");
        let document: Value = serde_json::from_str(&self.out).unwrap();
        let name = document["schema"].as_str().unwrap().replace('/', "-");
        let file = format!(
            "{}/../../docs/schema/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        document
    }

    /// It failed for what it found on this machine: nothing on standard output, one line that
    /// names the thing, one hint.
    #[track_caller]
    pub fn is_unknown(&self, named: &str) {
        assert_eq!(self.exit, 3, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 2, "{self:?}");
        assert!(
            lines[0].starts_with("dryport: ") && lines[0].contains(named),
            "{self:?}"
        );
        assert!(lines[1].starts_with("hint: "), "{self:?}");
        self.is_clean();
    }

    /// No byte of it can move a cursor or change a colour.
    #[track_caller]
    pub fn is_clean(&self) {
        let dirty = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!dirty(&self.out) && !dirty(&self.err), "{self:?}");
    }
}

/// The two ends of a headroom.
#[track_caller]
pub fn headroom(answer: &Value) -> (u64, u64) {
    let end = |name: &str| answer["headroom"][name].as_u64().unwrap();
    (end("at_least"), end("at_most"))
}

/// Every port is in exactly one class, and the headroom comes from the classes.
#[track_caller]
pub fn adds_up(answer: &Value) {
    let ledger = answer["ledger"].as_object().unwrap();
    let class = |name: &str| ledger[name].as_u64().unwrap();
    let sum: u64 = ledger.values().map(|ports| ports.as_u64().unwrap()).sum();
    assert_eq!(sum, answer["range"]["size"].as_u64().unwrap(), "{answer}");
    let (at_least, at_most) = headroom(answer);
    let usable = class("free") + class("time_wait_reusable");
    assert_eq!(at_most, usable + class("uncertain"), "{answer}");
    assert!(
        at_least <= at_most && at_least + 1 + class("uncertain") >= at_most,
        "{answer}"
    );
}

/// A namespace with a server on port 9000 of every address, which never accepts: a connection
/// stands complete in its queue and costs no descriptor on that side.
pub struct Place {
    pub namespace: Namespace,
    _server: OwnedFd,
}

impl Place {
    /// With `low high` as `ip_local_port_range`.
    pub fn new(range: &str) -> Self {
        let namespace = Namespace::new().unwrap();
        namespace
            .set("net.ipv4.ip_local_port_range", range)
            .unwrap();
        namespace.set("net.core.somaxconn", "65535").unwrap();
        let server = namespace.run(|| {
            let family = AddressFamily::INET6;
            let flags = SocketFlags::CLOEXEC;
            let server = socket_with(family, SocketType::STREAM, flags, None).unwrap();
            bind(&server, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9000))).unwrap();
            listen(&server, 65_535).unwrap();
            server
        });
        Self {
            namespace,
            _server: server.unwrap(),
        }
    }

    /// Another process in it that connects to the server until refused, at most `most` times.
    pub fn holder(&self, most: usize) -> Helper {
        let most = most.to_string();
        Helper::start(myself(&self.namespace), &["hold", "127.0.0.1:9000", &most])
    }
}
