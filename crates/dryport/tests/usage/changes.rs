//! `fix`, `undo` and `rehearse`: wrong usage, what is refused, and what cannot be done here.
//!
//! Nothing here changes a setting of the machine: `fix` is asked for plans (`--dry-run`) only, and the
//! journal is one of the test's own.

use std::fs;
use std::path::Path;
use std::process::Output;

use super::{dryport, fails, is_unknown_here, is_wrong_usage, skipped, text};

const RANGE: &str = "net.ipv4.ip_local_port_range";
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
const REUSE: &str = "net.ipv4.tcp_tw_reuse";
const DELAY: &str = "net.ipv4.tcp_tw_reuse_delay";

/// Wrong usage of `fix --dry-run --set KEY=VALUE...`.
#[track_caller]
fn is_wrong_to_set(assignments: &[&str], named: &str) {
    let mut arguments = vec!["fix", "--dry-run", "--no-rehearsal"];
    for assignment in assignments {
        arguments.extend(["--set", assignment]);
    }
    is_wrong_usage(&arguments, named);
}

#[test]
fn a_setting_is_one_of_those_that_bear_on_ports() {
    for key in [
        "net.ipv4.nonsense",
        "net.ipv4.ip_forward",
        "vm.swappiness",
        "a-b",
    ] {
        is_wrong_to_set(&[&format!("{key}=1")], key);
    }
    for assignment in [
        "",
        "=",
        "=5",
        RANGE,
        ".=5",
        "net..ipv4=5",
        "net.ipv4/=5",
        "a b=1",
        "ü=1",
    ] {
        is_wrong_to_set(&[assignment], "--set");
    }
}

#[test]
fn a_value_is_one_that_the_kernel_takes() {
    for (key, value, named) in [
        (RANGE, "5000 4000", "5000"),
        (RANGE, "40000", "40000"),
        (RANGE, "", RANGE),
        (RANGE, "40000 70000", "70000"),
        (RANGE, "40000 41000 42000", RANGE),
        (RANGE, "a b", RANGE),
        (RANGE, "40000-41000-42000", RANGE),
        (RANGE, "-1 60000", RANGE),
        (RESERVED, "70000", "70000"),
        (RESERVED, "5-1", "5-1"),
        (RESERVED, "http", "http"),
        (RESERVED, "1;2", "1;2"),
        (RESERVED, "1-65535", "would be reserved"),
        (REUSE, "7", "tcp_tw_reuse=7: it is 0, 1, or 2"),
        (REUSE, "-1", "tcp_tw_reuse=-1"),
        (REUSE, "yes", "tcp_tw_reuse=yes"),
        (REUSE, "", REUSE),
        (DELAY, "0", "between 1 and 60000"),
        (DELAY, "60001", "between 1 and 60000"),
        (DELAY, "1.5", DELAY),
        (DELAY, "99999999999999999999", DELAY),
    ] {
        is_wrong_to_set(&[&format!("{key}={value}")], named);
    }
}

#[test]
fn a_range_begins_where_users_may_bind() {
    is_wrong_to_set(&[&format!("{RANGE}=0-60000")], "port 0");
    let file = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let start = fs::read_to_string(file).unwrap_or_default();
    match start.trim().parse::<u16>() {
        Ok(start @ 2..) => {
            let below = format!("{RANGE}={}-65000", start - 1);
            is_wrong_to_set(&[&below], &format!("ip_unprivileged_port_start ({start})"));
        }
        _ => skipped(
            "ip_unprivileged_port_start",
            "users may bind every port here",
        ),
    }
}

#[test]
fn a_setting_is_given_one_value() {
    let (one, other) = (format!("{REUSE}=1"), format!("{REUSE}=2"));
    is_wrong_to_set(&[&one, &other], "given twice");
    // Written with slashes it is the same.
    is_wrong_to_set(&[&one, "net/ipv4/tcp_tw_reuse=0"], "given twice");
    let range = format!("{RANGE}=40000 41999");
    is_wrong_to_set(&[&one, &range, &other], "given twice");
}

#[test]
fn what_does_nothing_for_ports_is_refused_with_its_page() {
    for (assignment, page) in [
        ("net.ipv4.tcp_fin_timeout=15", "setting.no-effect"),
        ("net/ipv4/tcp_fin_timeout=15", "setting.no-effect"),
        ("tcp_fin_timeout=15", "setting.no-effect"),
        ("net.ipv4.tcp_tw_recycle=1", "setting.no-effect"),
        ("net.ipv4.tcp_max_orphans=262144", "setting.no-effect"),
        ("net.ipv4.tcp_keepalive_time=60", "setting.no-effect"),
        ("net.core.somaxconn=65535", "setting.no-effect"),
        ("net.ipv4.ip_autobind_reuse=1", "setting.no-effect"),
        ("MaxUserPort=65534", "setting.no-effect"),
        (
            "net.ipv4.tcp_max_tw_buckets=5000",
            "connect.time-wait-overflow",
        ),
        ("net.ipv4.tcp_timestamps=0", "connect.time-wait"),
        ("net.netfilter.nf_conntrack_max=1048576", "nat.table-full"),
        ("fs.file-max=1000000", "not-exhaustion.descriptor-limit"),
        (
            "net.ipv4.ip_local_port_range=1 65535",
            "range.overlaps-listener",
        ),
    ] {
        let output = dryport(&["fix", "--dry-run", "--set", assignment])
            .output()
            .unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{assignment}: {output:?}");
        assert_eq!(text(&output.stdout), "", "{assignment}");
        assert!(stderr.contains(" is refused. "), "{assignment}: {stderr}");
        assert!(
            stderr.contains(&format!("`dryport explain {page}`")),
            "{assignment}: {stderr}"
        );
        let explained = dryport(&["explain", page]).output().unwrap();
        assert_eq!(explained.status.code(), Some(0), "{page} is no page");
    }
}

#[test]
fn a_target_is_a_rate_and_a_time() {
    for rate in [
        "0",
        "0/s",
        "-1",
        "NaN",
        "inf",
        "many",
        "",
        "1/fortnight",
        "20000000",
        "1/s/s",
    ] {
        is_wrong_usage(
            &["fix", "--dry-run", &format!("--target-rate={rate}")],
            "--target-rate",
        );
    }
    for hold in ["-1", "NaN", "long", "", "864001"] {
        is_wrong_usage(&["fix", "--dry-run", &format!("--hold={hold}")], "--hold");
    }
    for time in ["0", "0s", "-1s", "61m", "NaN", "soon", ""] {
        is_wrong_usage(
            &["fix", &format!("--confirm-within={time}")],
            "--confirm-within",
        );
        is_wrong_usage(&["rehearse", &format!("--for={time}")], "--for");
    }
    is_wrong_usage(&["fix", "--dry-run", "--to", "10.0.0.1"], "port is missing");
    is_wrong_usage(&["fix", "--dry-run", "--to", "10.0.0.1:0"], "port 0");
    is_wrong_usage(&["rehearse", "--to", "10.0.0.1"], "port is missing");
}

#[test]
fn options_that_contradict_each_other_are_wrong_usage() {
    let set = format!("{REUSE}=1");
    for (arguments, named) in [
        (&["--dry-run", "--yes"][..], "--yes"),
        (&["--confirm", "--yes"], "--yes"),
        (&["--confirm", "--dry-run"], "--dry-run"),
        (&["--confirm", "--target-rate=5"], "--target-rate"),
        (&["--confirm", "--set", &set], "--set"),
        (&["--confirm", "--to", "10.0.0.1:80"], "--to"),
        (&["--confirm", "--confirm-within=5s"], "--confirm-within"),
        (&["--dry-run", "--confirm-within=5s"], "--confirm-within"),
        (&["--set", &set, "--target-rate=5"], "--target-rate"),
        (&["--platform", "linux"], "FILE"),
        (&["--range", "40000-50000"], "FILE"),
        (&["capture.txt", "--platform", "solaris"], "solaris"),
        (&["capture.txt", "--range", "9-5"], "--range"),
        (&["capture.txt", "--yes"], "--yes"),
        (&["capture.txt", "--confirm"], "--confirm"),
        (&["capture.txt", "--confirm-within=5s"], "--confirm-within"),
        (&["capture.txt", "--live-only"], "--live-only"),
        (&["capture.txt", "--best-effort"], "--best-effort"),
        (&["capture.txt", "--no-rehearsal"], "--no-rehearsal"),
        (&["capture.txt", "--set", &set], "--set"),
        (&["capture.txt", "--to", "10.0.0.1:80"], "--to"),
        (&["capture.txt", "--netns", "blue"], "--netns"),
        (&["capture.txt", "--root", "/"], "--root"),
    ] {
        is_wrong_usage(&[&["fix"], arguments].concat(), named);
    }
    for (arguments, named) in [
        (&["--list", "--yes"][..], "--list"),
        (&["--list", "--forget", "1"], "--list"),
        (&["--list", "1"], "--list"),
        (&["--forget", "1", "--yes"], "--yes"),
        (&["--forget", "1", "2"], "--forget"),
        (&["1", "2"], "'2'"),
    ] {
        is_wrong_usage(&[&["undo"], arguments].concat(), named);
    }
    is_wrong_usage(&["rehearse", "--bind", "--udp"], "--udp");
    is_wrong_usage(&["rehearse", "--yes"], "--yes");
}

#[test]
fn only_a_setting_of_a_namespace_can_be_rehearsed() {
    is_wrong_usage(&["rehearse", "--set", "kernel.pid_max=5"], "kernel.pid_max");
    is_wrong_usage(&["rehearse", "--set", "kernel.pid_max"], "--set");
    let upside_down = format!("{RANGE}=5000 4000");
    is_wrong_usage(&["rehearse", "--set", &upside_down], "5000");
}

#[test]
fn a_namespace_that_does_not_exist_is_told_before_anything_is_done() {
    for command in [
        &["fix", "--dry-run"][..],
        &["fix", "--confirm"],
        &["undo"],
        &["rehearse"],
    ] {
        let with = |namespace| [command, &["--netns", namespace]].concat();
        is_unknown_here(&with("dryport-no-such-one"), "dryport-no-such-one");
        is_wrong_usage(&with("../etc/passwd"), "../etc/passwd");
        is_wrong_usage(&with("pid:me"), "pid:me");
    }
}

/// The program with a journal of the test's own.
fn with_journal(state: &Path, arguments: &[&str]) -> Output {
    let mut command = dryport(arguments);
    command.env("DRYPORT_STATE_DIR", state).output().unwrap()
}

#[test]
fn without_a_change_there_is_nothing_to_take_back_or_to_keep() {
    let state = tempfile::tempdir().unwrap();
    for (arguments, named) in [
        (&["undo", "--yes"][..], "changed nothing in this namespace"),
        (
            &["undo", "--yes", "20261124-193012345-1"],
            "no change 20261124-193012345-1",
        ),
        (
            &["undo", "--forget", "20261124-193012345-1"],
            "no open change",
        ),
        (&["fix", "--confirm"], "no change waits"),
    ] {
        let output = with_journal(state.path(), arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
        assert!(
            text(&output.stderr).contains(named),
            "{arguments:?}: {output:?}"
        );
        assert!(text(&output.stderr).contains("\nhint: "), "{output:?}");
    }
    let listed = with_journal(state.path(), &["undo", "--list"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    assert_eq!(
        text(&listed.stdout),
        "dryport has changed nothing on this machine.\n"
    );
}

#[test]
fn an_entry_that_cannot_be_read_stops_everything_but_the_list() {
    for (bytes, why, hint) in [
        (
            &b"{\"version\": 99}"[..],
            "version 99",
            "use the dryport that wrote it",
        ),
        (b"", "damaged", "look at it"),
        (b"\xff\x00\x1b[31m", "damaged", "look at it"),
        (
            b"{\"version\": 1, \"id\": \"../../x\"}",
            "damaged",
            "look at it",
        ),
    ] {
        let state = tempfile::tempdir().unwrap();
        let journal = state.path().join("journal");
        fs::create_dir(&journal).unwrap();
        let entry = journal.join("20261124-193012345-1.json");
        fs::write(&entry, bytes).unwrap();
        for arguments in [
            &["undo", "--yes"][..],
            &["fix", "--confirm"],
            &["undo", "--forget", "x"],
        ] {
            let output = with_journal(state.path(), arguments);
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
            assert!(stderr.contains("20261124-193012345-1.json"), "{stderr}");
            assert!(stderr.contains(why) && stderr.contains(hint), "{stderr}");
        }
        let listed = with_journal(state.path(), &["undo", "--list"]);
        assert_eq!(listed.status.code(), Some(0), "{listed:?}");
        assert!(text(&listed.stdout).contains(why), "{listed:?}");
        assert!(!text(&listed.stdout).contains('\u{1b}'), "{listed:?}");
        assert_eq!(fs::read(&entry).unwrap(), bytes, "it stays as it was");
    }
}

#[test]
fn a_journal_that_cannot_be_made_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = with_journal(file.path(), &["undo", "--yes"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        text(&output.stderr).contains("journal cannot be written"),
        "{output:?}"
    );
    assert!(text(&output.stderr).contains("--state-dir"), "{output:?}");
    is_wrong_usage(&["undo", "--state-dir="], "--state-dir");
}

#[test]
fn a_destination_that_does_not_resolve_is_told() {
    // `.invalid` never resolves (RFC 6761).
    for command in [&["fix", "--dry-run", "--to"][..], &["rehearse", "--to"]] {
        let arguments = [command, &["no-such-host.invalid:80"]].concat();
        fails(&arguments, 3, "no-such-host.invalid");
    }
}
