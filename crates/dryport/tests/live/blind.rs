//! Where something may not be seen: ordinary users, a hidden `/proc`, settings that are missing or
//! make no sense.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use dryport_lab::{Namespace, Privilege, Scenario, Stage, prepare};
use serde_json::Value;

use crate::program::{Place, headroom, without};
use crate::{Skipped, Test, needs_root};

pub const TESTS: &[(&str, Test)] = &[
    (
        "an ordinary user gets the numbers that root gets",
        ordinary_users_see_the_same,
    ),
    (
        "owners that may not be read are told",
        unread_owners_are_told,
    ),
    (
        "owners that a hidden /proc withholds are told",
        a_hidden_proc_is_told,
    ),
    ("without /proc it says so", no_proc_is_told),
    (
        "a setting that makes no sense is named",
        malformed_settings_are_named,
    ),
    (
        "a setting that is missing is assumed and told",
        missing_settings_are_told,
    ),
    (
        "a setting that may not be read is assumed and told",
        forbidden_settings_are_told,
    ),
];

const MIXTURE: &str = r#"
[[scenario]]
id = "BLIND"
title = "what only asking the kernel tells apart"
range = "20000-20199"
setup = [
    "listen 127.0.0.1:20150",
    "hold 60 bind 127.0.0.1:0 connect 127.0.0.1:9000",
    "hold 50 connect 127.0.0.1:9000",
    "hold 40 connect 127.0.0.1:9001 as old",
    "close-server old",
    "hold 20 udp connect 127.0.0.1:9",
    "hold 9 bind 127.0.0.1:0",
]
"#;

const COMMANDS: [&[&str]; 7] = [
    &["check", "--netns", "."],
    &["see", "-t"],
    &["see", "-u", "--by", "destination"],
    &["headroom", "127.0.0.1:9000"],
    &["headroom", "127.0.0.1:9001"],
    &[
        "headroom",
        "127.0.0.1:9002",
        "--bind",
        "--from",
        "127.0.0.1",
    ],
    &["headroom", "127.0.0.1:9", "--udp"],
];

fn mixture() -> Stage {
    prepare(&Scenario::parse("mixture", MIXTURE).unwrap()[0]).unwrap()
}

fn ordinary_users_see_the_same(_: Privilege) -> Result<(), Skipped> {
    let stage = mixture();
    for command in COMMANDS {
        let words = [command, &["--json"]].concat();
        let root = without(stage.client(), &[], &words);
        let ordinary = without(stage.client(), &["ordinary"], &words);
        assert_eq!(root.exit, ordinary.exit, "{command:?}");
        let (mut root, mut ordinary) = (root.document(), ordinary.document());
        forget_owners(&mut root);
        forget_owners(&mut ordinary);
        assert_eq!(first_difference(&root, &ordinary), None, "{command:?}");
    }
    Ok(())
}

/// Where two documents differ: the whole of them would be too long to read.
fn first_difference(a: &Value, b: &Value) -> Option<(String, String)> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a
            .iter()
            .find_map(|(key, value)| first_difference(value, b.get(key)?)),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(a, b)| first_difference(a, b))
        }
        _ => (a != b).then(|| (a.to_string(), b.to_string())),
    }
}

/// Leaves out what an ordinary user cannot see and what says so, and by what reader the rest was seen,
/// and puts lists in order.
fn forget_owners(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("owners");
            fields.remove("owner_groups");
            fields.remove("time_wait_left_seconds");
            fields.remove("how");
            fields.values_mut().for_each(forget_owners);
        }
        Value::Array(values) => {
            values.retain(|value| value["fact"] != "owners" && value["fact"] != "port_ranges");
            values.iter_mut().for_each(forget_owners);
            // Sockets come in the order of the kernel's hash, which may change between dumps.
            values.sort_by_cached_key(ToString::to_string);
        }
        _ => {}
    }
}

/// How far the owners were seen, and why not.
#[track_caller]
fn owners_coverage(document: &Value) -> (&str, &str) {
    let coverage = document["coverage"].as_array().unwrap();
    let owners = coverage.iter().find(|c| c["fact"] == "owners").unwrap();
    (
        owners["seen"].as_str().unwrap(),
        owners["why"].as_str().unwrap_or_default(),
    )
}

fn unread_owners_are_told(_: Privilege) -> Result<(), Skipped> {
    let stage = mixture();
    for command in ["check", "see"] {
        let words = [command, "--netns", ".", "--json"];
        let root = without(stage.client(), &[], &words).document();
        assert_eq!(owners_coverage(&root), ("full", ""));
        let ordinary = without(stage.client(), &["ordinary"], &words).document();
        let (seen, why) = owners_coverage(&ordinary);
        assert_eq!(seen, "partial", "{command}");
        assert!(why.contains("root"), "{command}: {why}");
        let words = [&words[..], &["--no-owners"]].concat();
        let refused = without(stage.client(), &[], &words).document();
        assert_eq!(owners_coverage(&refused).0, "none", "{command}");
    }
    let text = without(stage.client(), &["ordinary"], &["check", "--netns", "."]);
    assert!(text.out.contains("root"), "{}", text.out);
    let text = without(stage.client(), &["ordinary"], &["see"]);
    assert!(
        text.err.starts_with("not seen: ") && text.err.contains("root"),
        "{}",
        text.err
    );
    Ok(())
}

fn a_hidden_proc_is_told(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let stage = mixture();
    let hidden = ["hidepid", "ordinary"];
    for command in ["check", "see"] {
        let words = [command, "--netns", ".", "--json"];
        let root = without(stage.client(), &[], &words);
        let ordinary = without(stage.client(), &hidden, &words);
        assert_eq!(root.exit, ordinary.exit, "{ordinary:?}");
        let mut ordinary = ordinary.document();
        let (seen, why) = owners_coverage(&ordinary);
        assert_eq!(seen, "partial", "{command}");
        assert!(!why.is_empty());
        let mut root = root.document();
        forget_owners(&mut root);
        forget_owners(&mut ordinary);
        assert_eq!(first_difference(&root, &ordinary), None, "{command}");
    }
    Ok(())
}

fn no_proc_is_told(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    for command in [
        &["check"][..],
        &["check", "--json"],
        &["check", "--no-owners"],
        &["see"],
        &["see", "--json", "--no-owners"],
        &["headroom", "127.0.0.1:9000"],
        &["headroom", "127.0.0.1:9000", "--udp", "--json"],
    ] {
        for who in [&["tmpfs", "/proc"][..], &["tmpfs", "/proc", "ordinary"]] {
            let answer = without(&place.namespace, who, command);
            answer.is_unknown("/proc");
        }
    }
    // Not "there is no process 1".
    let answer = without(
        &place.namespace,
        &["tmpfs", "/proc"],
        &["check", "--pid", "1"],
    );
    assert_eq!(answer.exit, 3, "{answer:?}");
    Ok(())
}

fn malformed_settings_are_named(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("setting");
    let file = file.to_str().unwrap();
    for (setting, texts) in [
        (
            "ip_local_port_range",
            &[
                "",
                "\n",
                "lots\n",
                "5\n",
                "60999 32768\n",
                "1 2 3\n",
                "-1 5\n",
                "1 70000\n",
                "\x1b[31m\n",
                "1\u{202e} 2\n",
            ][..],
        ),
        (
            "ip_local_reserved_ports",
            &["a-b\n", "9-5\n", "70000\n", "1,,2\n", "1 2\n"],
        ),
        ("tcp_tw_reuse", &["maybe\n", "", "-1\n", "\x07\n"]),
        ("tcp_timestamps", &["yes\n"]),
    ] {
        let target = format!("/proc/sys/net/ipv4/{setting}");
        for text in texts {
            fs::write(file, text).unwrap();
            for command in [
                &["check", "--netns", "."][..],
                &["check", "--netns", ".", "--json"],
                &["headroom", "127.0.0.1:9000"],
            ] {
                let answer = without(&place.namespace, &["bind", file, &target], command);
                answer.is_unknown(&target);
            }
        }
    }
    fs::write(file, b"\xff\xfe\0\n").unwrap();
    let target = "/proc/sys/net/ipv4/ip_local_port_range";
    without(&place.namespace, &["bind", file, target], &["check"]).is_unknown(target);
    Ok(())
}

fn missing_settings_are_told(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    defaults_are_told(&place.namespace, &["tmpfs", "/proc/sys/net/ipv4"]);
    Ok(())
}

fn forbidden_settings_are_told(privilege: Privilege) -> Result<(), Skipped> {
    // Of a user namespace's only user, every file is its own.
    needs_root(privilege)?;
    let place = Place::new("20000 20099");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("setting");
    fs::write(&file, "20000 20099\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let target = "/proc/sys/net/ipv4/ip_local_port_range";
    let taken = ["bind", file.to_str().unwrap(), target, "ordinary"];
    defaults_are_told(&place.namespace, &taken);
    Ok(())
}

/// The default range is assumed, and that is said by every command that uses it.
fn defaults_are_told(place: &Namespace, taken: &[&str]) {
    let words = ["check", "--netns", ".", "--json"];
    let check = without(place, taken, &words).document();
    let assumptions = check["assumptions"].as_array().unwrap();
    let told = |text: &Value| text.as_str().unwrap().contains("ip_local_port_range");
    assert!(assumptions.iter().any(told), "{assumptions:?}");
    let document = without(place, taken, &["headroom", "127.0.0.1:9000", "--json"]).document();
    assert_eq!(headroom(&document), (28_232, 28_232));
    let coverage = document["coverage"].as_array().unwrap();
    let settings = coverage.iter().find(|c| c["fact"] == "settings").unwrap();
    assert_eq!(settings["seen"], "partial", "{settings}");
    for words in [
        &["check", "--netns", "."][..],
        &["headroom", "127.0.0.1:9000"],
    ] {
        let text = without(place, taken, words);
        assert!(text.out.contains("ip_local_port_range"), "{}", text.out);
    }
}
