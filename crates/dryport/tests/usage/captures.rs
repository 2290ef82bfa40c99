//! `dryport fix FILE`: what is planned for the machine of a capture, as commands and as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::{dryport, fails, text};

fn fixture(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    format!("{root}/{path}")
}

const WINDOWS_2003: &str = "windows-2003/netstat-5.2/dry-max-user-port-5000.txt";
const WINDOWS_10: &str = "windows-10/netstat-10.0/de-dry-wartend.txt";
const WINDOWS_10_UDP: &str = "windows-10/netstat-10.0/dry-udp.txt";
const MACOS: &str = "macos/netstat-14/many-destinations-dry.txt";
const FREEBSD: &str = "freebsd/netstat-14/one-destination-dry.txt";
const LINUX: &str = "debian-12/ss-6.1/tan-dry-time-wait.txt";

const ALL: [&str; 6] = [
    WINDOWS_2003,
    WINDOWS_10,
    WINDOWS_10_UDP,
    MACOS,
    FREEBSD,
    LINUX,
];

fn fix(capture: &str, options: &[&str]) -> Output {
    let path = fixture(capture);
    let arguments = [&["fix", path.as_str()], options].concat();
    dryport(&arguments).output().unwrap()
}

#[track_caller]
fn planned(capture: &str, options: &[&str]) -> Value {
    let output = fix(capture, &[options, &["--json"]].concat());
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no document: {output:?}"));
    let schemas = dryport_report::json::schemas().into_iter();
    let schema = schemas
        .clone()
        .find(|(name, _)| *name == "dryport.plan-1.json");
    let validator = jsonschema::validator_for(&schema.unwrap().1).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{capture}: {errors:#?}");
    document
}

#[test]
fn the_command_of_each_system_is_shown() {
    for (capture, shown) in [
        (
            WINDOWS_2003,
            &[r#""MaxUserPort"=dword:"#, "REGEDIT4", "needs a restart"][..],
        ),
        (
            WINDOWS_10,
            &["netsh int ipv4 set dynamicport tcp start=49152 num=16384"],
        ),
        (
            WINDOWS_10_UDP,
            &["netsh int ipv4 set dynamicport udp start=49152 num=16384"],
        ),
        (MACOS, &["sysctl -w net.inet.ip.portrange.first=49152"]),
        (FREEBSD, &["sysctl net.inet.ip.portrange.first=10000"]),
        (
            LINUX,
            &[
                r#"sysctl -w net.ipv4.ip_local_port_range="32768 60999""#,
                // Nothing that is reserved there is dropped, though the capture does not tell it.
                "${reserved:+$reserved,}",
            ],
        ),
    ] {
        let output = fix(capture, &[]);
        assert_eq!(output.status.code(), Some(0), "{capture}: {output:?}");
        assert_eq!(text(&output.stderr), "", "{capture}");
        let screen = text(&output.stdout);
        for words in shown {
            assert!(screen.contains(words), "{capture} lacks {words}: {screen}");
        }
        assert!(screen.contains("\nAnd back\n"), "{capture}: {screen}");
        // What is shown of a capture cannot be applied or taken back here.
        assert!(!screen.contains("dryport undo"), "{capture}: {screen}");
    }
}

#[test]
fn documents_hold_to_the_schema() {
    for (capture, platform) in [
        (WINDOWS_2003, "windows-2003"),
        (WINDOWS_10, "windows"),
        (WINDOWS_10_UDP, "windows"),
        (MACOS, "macos"),
        (FREEBSD, "freebsd"),
        (LINUX, "linux"),
    ] {
        let document = planned(capture, &[]);
        assert_eq!(document["platform"], platform);
        assert_eq!(document["level"], "critical", "{capture}");
        assert_eq!(document["outcome"]["state"], "shown");
        assert_eq!(document["request"], Value::Null);
        assert_eq!(document["rehearsal"], Value::Null);
        assert_eq!(document["undo"], Value::Null);
        assert_eq!(document["reaches"], true);
        assert!(
            !document["recipes"].as_array().unwrap().is_empty(),
            "{capture}"
        );
        let (before, after) = (
            &document["expected"]["headroom_before"],
            &document["expected"]["headroom_after"],
        );
        assert!(
            after["at_least"].as_u64() > before["at_most"].as_u64(),
            "{document:#}"
        );
    }
}

#[test]
fn quiet_is_one_line() {
    for capture in ALL {
        let output = fix(capture, &["--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{capture}: {output:?}");
        assert_eq!(text(&output.stdout).lines().count(), 1, "{output:?}");
    }
}

#[test]
fn a_target_beyond_every_setting_is_a_warning() {
    for capture in [WINDOWS_2003, WINDOWS_10, MACOS, FREEBSD, LINUX] {
        let output = fix(capture, &["--target-rate", "1000000/s"]);
        assert_eq!(output.status.code(), Some(1), "{capture}: {output:?}");
        let screen = text(&output.stdout);
        assert!(
            screen.contains("no setting is enough for 1,000,000"),
            "{capture}: {screen}"
        );
        let document = planned(capture, &["--target-rate", "1000000/s"]);
        assert_eq!(document["reaches"], false);
        assert_eq!(document["refusals"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_rate_can_be_planned_for() {
    let document = planned(WINDOWS_2003, &["--target-rate", "30/s", "--hold", "10"]);
    let after = document["expected"]["sustainable_per_second_after"].as_f64();
    assert!(after >= Some(30.0), "{document:#}");
    assert_eq!(document["needed"], 7_500, "30 × (10 + 240)");
}

#[test]
fn where_all_is_well_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("fixes");
    let idle = "debian-12/ss-6.1/tan-idle.txt";
    let output = fix(idle, &["--write", into.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stdout).starts_with("OK  Nothing needs to change"),
        "{output:?}"
    );
    assert_eq!(planned(idle, &[])["outcome"]["state"], "nothing_to_do");
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn written(capture: &str, expected: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("fixes");
    let output = fix(capture, &["--write", into.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{capture}: {output:?}");
    for line in text(&output.stderr).lines() {
        assert!(line.starts_with("wrote "), "{line}");
    }
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(files(&into), expected, "{capture}");
    (directory, into)
}

#[test]
fn the_files_apply_and_take_back() {
    let read = |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap();

    let (_keep, path) = written(
        WINDOWS_2003,
        &[
            "dryport-apply.reg",
            "dryport-undo.reg",
            "dryport-apply.cmd",
            "dryport-undo.cmd",
        ],
    );
    assert!(read(&path, "dryport-apply.reg").starts_with("REGEDIT4\r\n\r\n[HKEY_LOCAL_MACHINE"));
    assert!(read(&path, "dryport-undo.reg").contains("\"MaxUserPort\"=dword:00001388\r\n"));

    let (_keep, path) = written(
        WINDOWS_10,
        &[
            "dryport-apply.cmd",
            "dryport-undo.cmd",
            "dryport-apply.ps1",
            "dryport-undo.ps1",
        ],
    );
    let back = "netsh int ipv4 set dynamicport tcp start=50000 num=255\r\n";
    assert!(read(&path, "dryport-undo.cmd").contains(back));

    let (_keep, path) = written(
        MACOS,
        &[
            "dryport-apply.sh",
            "dryport-undo.sh",
            "dryport.sysctl.plist",
            "dryport-undo-launchd.sh",
        ],
    );
    assert!(read(&path, "dryport-undo.sh").contains("portrange.first=50000\n"));

    let (_keep, path) = written(
        FREEBSD,
        &["dryport-apply.sh", "dryport-undo.sh", "sysctl.conf"],
    );
    assert!(read(&path, "sysctl.conf").ends_with("net.inet.ip.portrange.first=10000\n"));

    let (_keep, path) = written(
        LINUX,
        &[
            "dryport-apply.sh",
            "dryport-undo.sh",
            "99-zz-dryport.conf",
            "dryport-undo-sysctl.d.sh",
            "dryport-apply-netns.sh",
            "dryport-undo-netns.sh",
            "dryport-docker.sh",
            "compose.override.yaml",
            "dryport-podman.sh",
            "pod-sysctls.yaml",
            "dryport.conf",
        ],
    );
    assert!(read(&path, "dryport-undo.sh").contains("ip_local_port_range=\"40000 40009\"\n"));
    assert!(read(&path, "pod-sysctls.yaml").contains("name: net.ipv4.ip_local_port_range"));
}

#[test]
fn files_are_written_to_a_new_directory_only() {
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path().to_str().unwrap();
    let capture = fixture(LINUX);
    fails(&["fix", &capture, "--write", there], 3, there);
    assert_eq!(files(directory.path()), [""; 0]);
    let below = format!("{there}/none/fixes");
    fails(&["fix", &capture, "--write", &below], 3, &below);
}

#[test]
fn what_cannot_be_planned_from_is_told() {
    for (capture, named) in [
        ("mixed/two-ranges-unknown.txt", "contradicts itself"),
        ("linux/sysctl/conf-file.txt", "no table of sockets"),
    ] {
        let output = fix(capture, &[]);
        assert_eq!(output.status.code(), Some(3), "{capture}: {output:?}");
        assert!(text(&output.stdout).is_empty(), "{output:?}");
        assert!(text(&output.stderr).contains(named), "{output:?}");
        assert!(text(&output.stderr).contains("\nhint: "), "{output:?}");
    }
    fails(&["fix", "/nowhere/capture.txt"], 3, "/nowhere/capture.txt");
    fails(&["fix", &fixture("mixed")], 3, "is a directory");
    // What is asked decides where the input contradicts itself.
    let output = fix(
        "mixed/two-ranges-unknown.txt",
        &["--range", "40000-40009", "--quiet"],
    );
    assert_ne!(output.status.code(), Some(3), "{output:?}");
}
