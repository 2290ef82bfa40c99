//! `dryport collect` and `scripts/collect.sh`: what they write is read by `dryport explain`, and
//! holds nothing that it should not.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of #[test] functions"
)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use dryport_lab::Namespace;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dryport");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/collect.sh");

fn dryport(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// What a run writes that succeeds and complains of nothing.
#[track_caller]
fn written(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{command:?}: {output:?}");
    assert_eq!(text(output.stderr), "", "{command:?}");
    text(output.stdout)
}

#[track_caller]
fn fails(arguments: &[&str], exit: i32, named: &str) {
    let output: Output = dryport(arguments).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(exit),
        "{arguments:?}: {output:?}"
    );
    assert_eq!(text(output.stdout), "", "{arguments:?}");
    let said = text(output.stderr);
    assert!(said.contains(named) && said.contains("\nhint: "), "{said}");
}

/// What `dryport explain --json -` makes of a text, and its exit code.
fn explained(collected: &str) -> (Value, i32) {
    let mut child = dryport(&["explain", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(collected.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap();
    (document, output.status.code().unwrap())
}

/// Nothing of it could not be read, and the range is this one.
#[track_caller]
fn has_range(document: &Value, (low, high): (u64, u64)) {
    assert_eq!(document["platform"]["name"], "linux");
    assert_eq!(document["inputs"][0]["notes"], Value::Array(Vec::new()));
    let range = &document["ranges"][0];
    assert_eq!(range["source"], "found", "{range}");
    assert_eq!(
        (range["low"].as_u64(), range["high"].as_u64()),
        (Some(low), Some(high))
    );
}

/// That of the namespace the tests run in.
fn range_here() -> (u64, u64) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let ends: Vec<u64> = text
        .split_whitespace()
        .map(|end| end.parse().unwrap())
        .collect();
    (ends[0], ends[1])
}

/// `None` where it is forbidden, which is said, and fails where `DRYPORT_REQUIRE` names `netns`.
fn namespace() -> Option<Namespace> {
    match Namespace::new() {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            skip("netns", &format!("no scratch network namespaces: {error}"));
            None
        }
    }
}

fn skip(needed: &str, why: &str) {
    eprintln!("SKIPPED: {why}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    if required.split([',', ' ']).any(|word| word == needed) {
        panic!("SKIPPED ({why}), but DRYPORT_REQUIRE names {needed}");
    }
}

/// A namespace with ten ports, all of them used to one destination, and a bound port besides.
struct Dry {
    namespace: Namespace,
    _sockets: (TcpListener, Vec<TcpStream>),
}

impl Dry {
    fn new() -> Option<Self> {
        let namespace = namespace()?;
        namespace
            .set("net.ipv4.ip_local_port_range", "40000 40009")
            .unwrap();
        let sockets = namespace.run(|| {
            let server = TcpListener::bind("127.0.0.1:9000").unwrap();
            let mut clients = Vec::new();
            let error = loop {
                match TcpStream::connect("127.0.0.1:9000") {
                    Ok(client) => clients.push(client),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
            assert_eq!(clients.len(), 10);
            (server, clients)
        });
        Some(Self {
            namespace,
            _sockets: sockets.unwrap(),
        })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(program).unwrap();
        command.args(arguments);
        command
    }

    /// What explain says is what check says on the spot.
    #[track_caller]
    fn is_told_by(&self, collected: &str) {
        let (document, exit) = explained(collected);
        has_range(&document, (40000, 40009));
        let check = self
            .command(PROGRAM, &["check", "--netns", ".", "--json"])
            .output()
            .unwrap();
        let check_exit = check.status.code();
        let check: Value = serde_json::from_slice(&check.stdout).unwrap();
        assert_eq!(document["level"], "critical", "{collected}");
        assert_eq!(document["level"], check["level"]);
        assert_eq!((Some(exit), exit), (check_exit, 2));
        assert_eq!(document["causes"][0]["id"], "connect.tuple-dry");
        assert_eq!(check["causes"][0]["id"], "connect.tuple-dry");
    }
}

#[test]
fn explain_reads_the_range_and_every_socket_of_what_collect_writes() {
    let (document, _) = explained(&written(dryport(&["collect"])));
    has_range(&document, range_here());
    let (document, _) = explained(&written(dryport(&["collect", "--no-owners"])));
    has_range(&document, range_here());
}

#[test]
fn a_range_that_ran_dry_is_told_from_the_collected_text_as_on_the_spot() {
    let Some(dry) = Dry::new() else { return };
    let collected = written(dry.command(PROGRAM, &["collect"]));
    dry.is_told_by(&collected);
    let holder = format!("pid={},fd=0)", std::process::id());
    assert!(collected.contains(&holder), "{collected}");
    let (document, _) = explained(&collected);
    // Both ends of ten connections (the queue of the listener keeps one), and the listener.
    assert_eq!(document["inputs"][0]["rows"], 21);
    let without = written(dry.command(PROGRAM, &["collect", "--no-owners"]));
    dry.is_told_by(&without);
    assert!(!without.contains("pid="), "{without}");
}

#[test]
fn a_long_list_of_reserved_ports_is_collected_whole() {
    let Some(namespace) = namespace() else { return };
    let list: Vec<String> = (20_000..30_000)
        .step_by(2)
        .map(|port: u16| port.to_string())
        .collect();
    let list = list.join(",");
    namespace
        .set("net.ipv4.ip_local_reserved_ports", &list)
        .unwrap();
    let line = format!("net.ipv4.ip_local_reserved_ports = {list}\n");
    let mut own = namespace.command(PROGRAM).unwrap();
    own.arg("collect");
    assert!(written(own).contains(&line));
    let mut script = namespace.command("sh").unwrap();
    script.arg(SCRIPT);
    assert!(written(script).contains(&line));
}

#[test]
fn neither_the_host_name_nor_the_environment_is_collected() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    let mut script = Command::new("sh");
    script.arg(SCRIPT);
    for mut command in [dryport(&["collect"]), script] {
        for name in ["USER", "HOME", "HOSTNAME", "LOGNAME", "API_TOKEN"] {
            command.env(name, format!("/secret-value-of-{name}"));
        }
        let collected = written(command);
        assert!(!collected.contains("secret-value"), "{collected}");
        let mut words = collected.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
        assert!(words.all(|word| word != host), "{host} in {collected}");
    }
}

#[test]
fn the_script_tells_the_same_range_and_the_same_verdict() {
    let shells = [&["dash"][..], &["busybox", "ash"], &["sh"]];
    let dry = Dry::new();
    for shell in shells {
        let words = [&shell[1..], &[SCRIPT]].concat();
        let mut here = Command::new(shell[0]);
        here.args(&words);
        match here.output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skip(shell[0], &format!("there is no {}", shell[0]));
                continue;
            }
            _ => {}
        }
        let (document, _) = explained(&written(here));
        has_range(&document, range_here());
        if let Some(dry) = &dry {
            dry.is_told_by(&written(dry.command(shell[0], &words)));
        }
    }
}

#[test]
fn a_file_is_written_whole_and_one_that_exists_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("collected.txt");
    let arguments = ["collect", "--output", path.to_str().unwrap()];
    let said = written(dryport(&arguments));
    assert!(said.contains("collected.txt: "), "{said}");
    let collected = fs::read_to_string(&path).unwrap();
    let (document, _) = explained(&collected);
    has_range(&document, range_here());
    fails(&arguments, 3, "exists already");
    assert_eq!(fs::read_to_string(&path).unwrap(), collected);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
    let place = tempfile::tempdir().unwrap();
    let absent = place.path().join("absent/collected.txt");
    // Root may write everywhere but here.
    for path in ["/proc/collected.txt", absent.to_str().unwrap()] {
        fails(&["collect", "--output", path], 3, path);
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn options_that_mean_nothing_here_are_wrong_usage() {
    fails(&["collect", "--json"], 64, "dryport check --json");
    fails(&["collect", "--quiet"], 64, "--quiet");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = dryport(&["collect"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
