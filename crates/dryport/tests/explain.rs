//! `dryport explain` as a user runs it: what cannot be read, what contradicts itself, several files,
//! pages, pipes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of #[test] functions"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn dryport(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dryport"));
    command
        .arg("explain")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("NO_COLOR");
    command
}

fn run(arguments: &[&str]) -> Output {
    dryport(arguments).output().unwrap()
}

/// The program with a text on standard input.
fn paste(arguments: &[&str], text: &[u8]) -> Output {
    let mut child = dryport(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_vec();
    let writing = std::thread::spawn(move || {
        // The program may refuse the rest.
        let _ = stdin.write_all(&text);
    });
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no document: {output:?}"))
}

/// Exit code 3, nothing on standard output, one line that names the thing, and a hint.
#[track_caller]
fn refuses(output: &Output, named: &str, hint: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let lines: Vec<&str> = stderr.lines().collect();
    let [error, told] = lines[..] else {
        panic!("not an error and a hint: {stderr}");
    };
    assert!(
        error.starts_with("dryport: ") && error.contains(named),
        "{stderr}"
    );
    assert!(
        told.starts_with("hint: ") && told.contains(hint),
        "{stderr}"
    );
}

fn file(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn fixture(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    root.join(path).display().to_string()
}

const NETSTAT: &str =
    "  TCP    192.0.2.10:50001       198.51.100.7:443       ESTABLISHED     7312\n";
const RANGE: &str = "Protocol tcp Dynamic Port Range\n---------------------------------\nStart Port      : 50000\nNumber of Ports : 255\n";

#[test]
fn what_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().display().to_string();
    refuses(&run(&["no-such-file"]), "no-such-file", "--list");
    refuses(&run(&[&here]), "is a directory", "files in it");
    let empty = file(directory.path(), "empty", b"");
    refuses(&run(&[&empty]), "nothing in", "netstat -anob");
    refuses(&paste(&[], b""), "nothing in standard input", "ss -tanp");
    let prose = file(directory.path(), "prose", b"The quick brown fox\njumps.\n");
    refuses(
        &run(&[&prose]),
        "nothing that is known here, in 2 lines",
        "netstat -anob",
    );
}

#[test]
fn what_is_no_text_is_named_with_what_to_do() {
    let gzip = [b"\x1f\x8b\x08\x00".as_slice(), &[7; 100]].concat();
    refuses(&paste(&[], &gzip), "compressed", "gunzip");
    refuses(
        &paste(&[], b"\x89PNG\r\n\x1a\n\0\0\0"),
        "a picture",
        "text out of it",
    );
    refuses(&paste(&[], b"ElfFile\0\0\0\0\0"), "event log", "wevtutil");
    let binary: Vec<u8> = (0..5000_u32).map(|i| (i * 7 % 32) as u8).collect();
    refuses(&paste(&[], &binary), "binary data", "text");
}

#[test]
fn a_file_that_vanishes_while_it_is_read_is_named() {
    // Reading from a process's memory at 0 fails after the file was opened.
    refuses(
        &run(&["/proc/self/mem"]),
        "/proc/self/mem",
        "stay where it is",
    );
}

#[test]
fn a_hostile_file_name_cannot_move_the_cursor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a\u{202e}b");
    fs::write(&path, NETSTAT).unwrap();
    let output = dryport(&[]).arg(&path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\\u{202e}"), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
}

#[test]
fn two_ranges_contradict_each_other_and_nothing_is_guessed() {
    let other = RANGE.replace("50000", "49152");
    let text = format!("{RANGE}\n{other}\n{NETSTAT}");
    let output = paste(&["--json"], text.as_bytes());
    assert_eq!(output.status.code(), Some(3));
    let document = document(&output);
    assert_eq!(document["level"], "unknown");
    let told = document["contradictions"][0].as_str().unwrap();
    assert!(
        told.contains("50000-50254") && told.contains("49152-49406"),
        "{told}"
    );
    assert!(document["requests"].as_array().unwrap().is_empty());
    // The user decides.
    let output = paste(&["--json", "--range", "50000-50254"], text.as_bytes());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn captures_of_two_systems_contradict_each_other() {
    let ss = "ESTAB 0 0 10.0.0.1:40000 10.0.0.2:443\n";
    let text = format!("{NETSTAT}{ss}");
    let output = paste(&["--json"], text.as_bytes());
    assert_eq!(output.status.code(), Some(3));
    let told = document(&output)["contradictions"][0].to_string();
    assert!(told.contains("two systems"), "{told}");
}

#[test]
fn several_files_are_of_one_machine() {
    let directory = tempfile::tempdir().unwrap();
    let rows: String = (50_000..50_255)
        .map(|port| NETSTAT.replace("50001", &port.to_string()))
        .collect();
    let netstat = file(directory.path(), "netstat.txt", rows.as_bytes());
    let netsh = file(directory.path(), "netsh.txt", RANGE.as_bytes());
    for order in [[&netstat, &netsh], [&netsh, &netstat]] {
        let output = run(&["--json", order[0], order[1]]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let document = document(&output);
        assert_eq!(document["inputs"].as_array().unwrap().len(), 2);
        assert_eq!(document["causes"][0]["id"], "windows.range-dry");
        assert_eq!(document["requests"][0]["headroom"]["at_least"], 0);
    }
}

#[test]
fn what_was_not_in_the_input_is_called_an_assumption() {
    let output = paste(&["--json"], NETSTAT.as_bytes());
    let assumptions = document(&output)["assumptions"].to_string();
    let line = paste(&["--quiet"], NETSTAT.as_bytes());
    let line = String::from_utf8(line.stdout).unwrap();
    assert!(line.contains("if the default range is in force"), "{line}");
    assert!(
        assumptions.contains("49152-65535") && assumptions.contains("assumed"),
        "{assumptions}"
    );
    let with = document(&paste(
        &["--json"],
        format!("{RANGE}\n{NETSTAT}").as_bytes(),
    ));
    assert_eq!(with["assumptions"].as_array().unwrap().len(), 0, "{with}");
    assert_eq!(with["ranges"][0]["source"], "found");
}

#[test]
fn the_classic_guidance_works_for_windows_2003() {
    let rows: String = (1025..=5000)
        .map(|port| {
            NETSTAT
                .replace("50001", &port.to_string())
                .replace("ESTABLISHED     7312", "TIME_WAIT       0")
        })
        .collect();
    let output = paste(&["--platform", "windows-2003"], rows.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    let at = |what: &str| {
        text.find(what)
            .unwrap_or_else(|| panic!("no {what} in\n{text}"))
    };
    // Fewer connections first, then the range, then the wait; with limits, and the restart told.
    assert!(at("reuse them") < at("/v MaxUserPort /t REG_DWORD /d 65534"));
    assert!(at("/v MaxUserPort") < at("/v TcpTimedWaitDelay /t REG_DWORD /d 30"));
    for wanted in ["5000 to 65534", "30 to 300", "Restart Windows", "3,976"] {
        at(wanted);
    }
}

#[test]
fn an_interval_is_judged_by_its_worst_table() {
    let output = run(&[
        "--json",
        &fixture("windows-10/netstat-10.0/interval-blocks-do-not-add-up.txt"),
    ]);
    let document = document(&output);
    assert_eq!(document["tables"], 3, "{document}");
    assert!(document["rows"].as_u64() < document["inputs"][0]["rows"].as_u64());
}

#[test]
fn a_document_holds_to_its_schema() {
    let schema = include_str!("../../../docs/schema/dryport.explain-1.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for path in [
        "windows-10/netstat-10.0/dry-cut.txt",
        "windows-10/netsh-10.0/two-ranges.txt",
        "debian-12/netstat-2.10/an-dry.txt",
        "messages/nginx-1.24/false-alarms.txt",
    ] {
        let file = fixture(path);
        if !Path::new(&file).exists() {
            continue;
        }
        let document = document(&run(&["--json", &file]));
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{path}: {errors:#?}");
    }
}

#[test]
fn what_explain_writes_it_can_read() {
    let first = run(&["--json", &fixture("debian-12/netstat-2.10/an-dry.txt")]);
    let again = document(&paste(&["--json"], &first.stdout));
    assert_eq!(again["level"], document(&first)["level"]);
    assert_eq!(again["inputs"][0]["format"], "dryport-json");
}

#[test]
fn every_cause_has_a_page_and_stands_in_the_list() {
    let list = run(&["--list"]);
    assert_eq!(list.status.code(), Some(0));
    let list = String::from_utf8(list.stdout).unwrap();
    let ids: Vec<&str> = list.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(ids.len() >= 20, "{ids:?}");
    for id in ids {
        let page = run(&[id]);
        assert_eq!(page.status.code(), Some(0), "{id}");
        let kept = fs::read(
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/causes/{id}.md")),
        );
        assert_eq!(page.stdout, kept.unwrap(), "{id}");
    }
}

#[test]
fn wrong_usage_is_told() {
    for (arguments, named) in [
        (&["--platform", "beos"][..], "beos"),
        (&["--range", "9-5"], "9-5"),
        (&["--range", "0-0"], "0-0"),
        (&["--list", "x"], "--list"),
        (&["--list", "--json"], "--json"),
        (&["connect.slow", "leak.bound"], "stands alone"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(named),
            "{output:?}"
        );
    }
}

#[test]
fn a_document_in_one_line_is_read_whatever_its_length() {
    let records: Vec<String> = (49_152..=65_535_u32)
        .map(|port| {
            format!(
                "{{\"LocalAddress\":\"192.0.2.10\",\"LocalPort\":{port},\"OwningProcess\":4,\
                 \"RemoteAddress\":\"198.51.100.7\",\"RemotePort\":443,\"State\":5}}"
            )
        })
        .collect();
    let text = format!("[{}]", records.join(","));
    assert!(text.len() > 1 << 20);
    let document = document(&paste(&["--json"], text.as_bytes()));
    assert_eq!(document["inputs"][0]["rows"], 16_384);
    assert_eq!(document["inputs"][0]["lines"], 1);
    assert_eq!(document["requests"][0]["headroom"]["at_least"], 0);
}

#[test]
fn colours_and_marks_in_the_middle_hide_no_row() {
    let rows: String = (50_000..50_100)
        .map(|port| format!("\x1b[32mESTAB\x1b[0m 0 0 10.0.0.1:{port} 10.9.9.9:443\n"))
        .collect();
    let text = format!("hello\n\u{feff}net.ipv4.ip_local_port_range = 50000 50099\n{rows}");
    let output = paste(&["--json"], text.as_bytes());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn tables_of_different_states_are_one_and_the_worst_of_others_counts() {
    let row = |state: &str, port: u16| format!("{state} 0 0 10.0.0.1:{port} 10.9.9.9:443\n");
    let head = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n";
    let range = "net.ipv4.ip_local_port_range = 50000 50099\n";
    let (one, other): (String, String) = (
        (50_000..50_050).map(|port| row("ESTAB", port)).collect(),
        (50_050..50_100)
            .map(|port| row("TIME-WAIT", port))
            .collect(),
    );
    let both = document(&paste(
        &["--json"],
        format!("{range}{head}{one}\n{head}{other}").as_bytes(),
    ));
    assert_eq!(both["level"], "critical", "{both}");
    assert_eq!(both["tables"], 1);
    // The same states come again: later, and fewer.
    let full: String = (50_000..50_100).map(|port| row("ESTAB", port)).collect();
    let later = format!("{range}{head}{full}\n{head}{one}");
    let worst = document(&paste(&["--json"], later.as_bytes()));
    assert_eq!(
        (&worst["level"], &worst["tables"]),
        (&"critical".into(), &2.into()),
        "{worst}"
    );
}

#[test]
fn sockets_outside_of_an_assumed_range_refute_it() {
    let rows: String = (1024..3000)
        .map(|port| format!("TIME-WAIT 0 0 10.0.0.1:{port} 10.9.9.9:443\n"))
        .collect();
    let output = paste(&["--json"], rows.as_bytes());
    assert_eq!(output.status.code(), Some(3));
    let told = document(&output)["contradictions"][0].to_string();
    assert!(
        told.contains("1,976 of 1,976 client ports lie outside"),
        "{told}"
    );
    let given = paste(&["--json", "--range", "1024-3000"], rows.as_bytes());
    assert_eq!(given.status.code(), Some(2));
}

#[test]
fn quiet_is_one_line() {
    let output = run(&["--quiet", &fixture("debian-12/netstat-2.10/an-dry.txt")]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("CRITICAL  No port is left"), "{text}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let script = format!(
        "{} explain {} | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_dryport"),
        fixture("debian-12/netstat-2.10/an-dry.txt")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

fn pair(state: &str, ports: impl Iterator<Item = u16>, to: &str) -> String {
    ports
        .map(|port| format!("{state} 0 0 10.0.0.1:{port} {to}\n"))
        .collect()
}

fn judged(text: &str) -> Value {
    document(&paste(&["--json"], text.as_bytes()))
}

#[test]
fn no_remedy_is_narrower_than_the_range_in_force() {
    let range = "net.ipv4.ip_local_port_range = 1024 65535\n";
    let message = "dial tcp 10.0.0.5:6379: connect: cannot assign requested address\n";
    let text = judged(&format!("{range}{message}")).to_string();
    assert!(!text.contains("16384 60999"), "{text}");
    let windows = "C:\\>netsh int ipv4 show dynamicport tcp\n---------------------------------\n\
                   Start Port      : 1025\nNumber of Ports : 64510\n\nEvent ID: 4231\nSource: Tcpip\n";
    let text = judged(windows).to_string();
    assert!(!text.contains("set dynamicport"), "{text}");
}

#[test]
fn what_is_reserved_stays_in_the_list_that_is_advised() {
    let text =
        "net.ipv4.ip_local_reserved_ports = 40000-40100\nLISTEN 0 128 0.0.0.0:33000 0.0.0.0:*\n";
    let document = judged(text);
    let command = &document["causes"][0]["remedies"][0]["command"];
    let wanted = "sysctl -w net.ipv4.ip_local_reserved_ports=33000,40000-40100";
    assert_eq!(command, wanted, "{document}");
}

#[test]
fn settings_of_one_system_do_not_decide_the_ports_of_another() {
    let rows: String = (49_152..=65_499)
        .map(|port| NETSTAT.replace("50001", &port.to_string()))
        .collect();
    let document = judged(&format!(
        "net.ipv4.ip_local_port_range = 1024 65535\n{rows}"
    ));
    assert_eq!(document["ranges"][0]["low"], 49_152, "{document}");
    assert_eq!(document["level"], "critical");
}

#[test]
fn every_udp_socket_takes_a_port_from_those_without_an_address() {
    let range = "net.ipv4.ip_local_port_range = 40000 40099\n";
    let row = |address: &str, port: u16| format!("udp UNCONN 0 0 {address}:{port} 0.0.0.0:*\n");
    let rows: String = (40_000..40_100)
        .map(|port| {
            row(
                if port % 2 == 0 {
                    "10.0.0.1"
                } else {
                    "10.0.0.2"
                },
                port,
            )
        })
        .collect();
    let document = judged(&format!("{range}{rows}"));
    assert_eq!(document["causes"][0]["id"], "udp.range-dry", "{document}");
}

#[test]
fn the_port_that_an_odd_range_may_not_reach_parts_the_two_ends() {
    let range = "net.ipv4.ip_local_port_range = 40000 40100\n";
    let rows = pair("ESTAB", 40_001..40_101, "10.0.0.5:443");
    let document = judged(&format!("{range}{rows}"));
    let requests = document["requests"].as_array().unwrap();
    let pair = requests
        .iter()
        .find(|r| !r["destination"].is_null())
        .unwrap();
    assert_eq!(pair["headroom"]["at_least"], 0, "{document}");
    assert_eq!(pair["headroom"]["at_most"], 1);
}

#[test]
fn a_message_about_another_destination_is_a_cause_of_its_own() {
    let range = "net.ipv4.ip_local_port_range = 40000 40099\n";
    let rows = pair("ESTAB", 40_000..40_085, "10.0.0.5:6379");
    let message = "dial tcp 10.0.0.77:443: connect: cannot assign requested address\n";
    let document = judged(&format!("{range}{rows}{message}"));
    let dry = |cause: &&Value| cause["id"] == "connect.tuple-dry";
    let causes: Vec<&Value> = document["causes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(dry)
        .collect();
    assert_eq!(causes.len(), 2, "{document}");
    assert_eq!(causes[0]["level"], "critical");
    assert_eq!(causes[1]["level"], "warning");
}

#[test]
fn an_address_that_ipv6_cannot_reach_is_not_called_exhaustion() {
    let message = "dial tcp [2001:db8::5]:443: connect: cannot assign requested address\n";
    let document = judged(message);
    assert_eq!(document["level"], "unknown", "{document}");
    let told = document["causes"][0]["summary"].as_str().unwrap();
    assert!(told.contains("no IPv6 address"), "{told}");
}
