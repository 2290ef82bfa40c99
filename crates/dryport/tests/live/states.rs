//! States of a namespace: what every command says of them, and what the kernel then grants.

use dryport_lab::{Ask, AskOptions, Policy, Scenario, Stage, prepare};
use dryport_model::SocketPortRange;
use serde_json::Value;

use crate::program::{Answer, adds_up, dryport, headroom};

/// A namespace and what is to be said of it.
pub struct State {
    pub title: &'static str,
    range: &'static str,
    sysctl: &'static [(&'static str, &'static str)],
    setup: &'static [&'static str],
    /// Of `check`.
    level: &'static str,
    /// Every cause and its level.
    causes: Vec<(&'static str, &'static str)>,
    /// The cause that this process must own, and with how many ports.
    owned: Option<(&'static str, u32)>,
    claims: Vec<Claim>,
}

/// How many of one request are left.
struct Claim {
    /// For `dryport headroom`.
    words: &'static [&'static str],
    ask: Ask,
    /// Odd ranges have two ends.
    left: (u64, u64),
    error: &'static str,
}

/// Does not fit the words below: `--port-range`.
const LIMITED: &[&str] = &["127.0.0.1:9001", "--port-range", "20100-20199"];
/// Beyond this, asking the kernel would need too many descriptors.
const MOST_GRANTS: u64 = 2000;

fn connect(destination: &'static str) -> Ask {
    Ask::connect(destination.parse().unwrap())
}

/// `127.0.0.1:9000` unless told otherwise.
fn to_server(left: u64) -> Claim {
    to(&["127.0.0.1:9000"], left)
}

fn to(words: &'static [&'static str], left: u64) -> Claim {
    Claim {
        words,
        ask: connect(words[0]),
        left: (left, left),
        error: "EADDRNOTAVAIL",
    }
}

fn to_another(left: u64) -> Claim {
    to(&["127.0.0.1:9001"], left)
}

fn bound(left: u64) -> Claim {
    Claim {
        words: &["127.0.0.1:9002", "--bind", "--from", "127.0.0.1"],
        ask: Ask::bind("127.0.0.1:0".parse().unwrap()),
        left: (left, left),
        error: "EADDRINUSE",
    }
}

fn bound_to_another(left: u64) -> Claim {
    Claim {
        words: &["127.0.0.1:9002", "--bind", "--from", "127.0.0.2"],
        ask: Ask::bind("127.0.0.2:0".parse().unwrap()),
        ..bound(left)
    }
}

fn udp(left: u64) -> Claim {
    Claim {
        words: &["127.0.0.1:9", "--udp"],
        ask: connect("127.0.0.1:9").udp(),
        left: (left, left),
        error: "EAGAIN",
    }
}

fn in_own_range(left: u64) -> Claim {
    let range = Some(SocketPortRange {
        low: 20_100,
        high: 20_199,
    });
    let ask = connect("127.0.0.1:9001").with(AskOptions {
        range,
        ..AskOptions::default()
    });
    Claim {
        words: LIMITED,
        ask,
        ..to_another(left)
    }
}

/// 600 ports, all free.
fn quiet() -> State {
    State {
        title: "a small range, all free",
        range: "20000-20599",
        sysctl: &[],
        setup: &[],
        level: "ok",
        causes: vec![("range.narrow", "ok")],
        owned: None,
        claims: vec![],
    }
}

/// All of them.
#[expect(clippy::too_many_lines, reason = "a flat list")]
pub fn all() -> Vec<State> {
    vec![
        State {
            title: "the default range, all free",
            range: "32768-60999",
            causes: vec![],
            claims: vec![to_server(28_232), bound(28_232), udp(28_232)],
            ..quiet()
        },
        State {
            claims: vec![to_server(600), in_own_range(100), bound(600), udp(600)],
            ..quiet()
        },
        State {
            title: "one destination is dry",
            setup: &["hold 600 connect 127.0.0.1:9000"],
            level: "critical",
            causes: vec![
                ("connect.tuple-dry", "critical"),
                ("range.narrow", "critical"),
            ],
            owned: Some(("connect.tuple-dry", 600)),
            claims: vec![
                to_server(0),
                bound(0),
                bound_to_another(600),
                to_another(600),
                udp(600),
            ],
            ..quiet()
        },
        State {
            title: "one destination is nearly dry",
            setup: &["hold 500 connect 127.0.0.1:9000"],
            level: "warning",
            causes: vec![
                ("connect.tuple-dry", "warning"),
                ("range.narrow", "warning"),
            ],
            owned: Some(("connect.tuple-dry", 500)),
            claims: vec![to_server(100), bound(100)],
            ..quiet()
        },
        State {
            title: "an IPv6 destination is dry",
            setup: &["hold 600 connect [::1]:9000"],
            level: "critical",
            causes: vec![
                ("connect.tuple-dry", "critical"),
                ("range.narrow", "critical"),
            ],
            owned: Some(("connect.tuple-dry", 600)),
            claims: vec![to(&["[::1]:9000"], 0), to_server(600)],
            ..quiet()
        },
        State {
            title: "the range is locked by clients that bind before they connect",
            setup: &["hold 600 bind 127.0.0.1:0 connect 127.0.0.1:9000"],
            level: "critical",
            causes: vec![
                ("bind.range-dry", "critical"),
                ("connect.range-locked", "critical"),
                ("range.narrow", "critical"),
            ],
            owned: Some(("connect.range-locked", 600)),
            claims: vec![to_another(0), bound(0), bound_to_another(600), udp(600)],
            ..quiet()
        },
        State {
            title: "the range is locked by bound sockets",
            setup: &["hold 600 bind 127.0.0.1:0"],
            level: "critical",
            causes: vec![
                ("bind.range-dry", "critical"),
                ("connect.range-locked", "critical"),
                ("leak.bound", "ok"),
                ("range.narrow", "critical"),
            ],
            owned: Some(("bind.range-dry", 600)),
            claims: vec![bound(0), to_server(0), bound_to_another(600)],
            ..quiet()
        },
        State {
            title: "a few bound sockets leak",
            setup: &["hold 150 bind 127.0.0.1:0"],
            causes: vec![
                ("connect.range-locked", "ok"),
                ("leak.bound", "ok"),
                ("range.narrow", "ok"),
            ],
            owned: Some(("leak.bound", 150)),
            claims: vec![to_server(450), bound(450)],
            ..quiet()
        },
        State {
            title: "UDP is dry",
            setup: &["hold 600 udp connect 127.0.0.1:9"],
            level: "critical",
            causes: vec![("range.narrow", "critical"), ("udp.range-dry", "critical")],
            owned: Some(("udp.range-dry", 600)),
            claims: vec![udp(0), to_server(600)],
            ..quiet()
        },
        State {
            title: "connections are closed faster than TIME_WAIT lets go",
            sysctl: &[("net.ipv4.tcp_tw_reuse", "0")],
            setup: &["hold 580 connect 127.0.0.1:9000", "close"],
            level: "critical",
            causes: vec![
                ("connect.time-wait", "critical"),
                ("connect.tuple-dry", "critical"),
                ("range.narrow", "critical"),
            ],
            claims: vec![to_server(20), bound(20)],
            ..quiet()
        },
        State {
            title: "TIME_WAITs that the kernel takes over are left",
            setup: &["hold 580 connect 127.0.0.1:9000", "close", "wait 1500ms"],
            claims: vec![to_server(600), bound(20)],
            ..quiet()
        },
        State {
            title: "an odd range has two ends",
            range: "20000-20598",
            causes: vec![("range.narrow", "ok"), ("range.odd-size", "ok")],
            claims: vec![
                Claim {
                    left: (598, 599),
                    ..to_server(0)
                },
                udp(599),
            ],
            ..quiet()
        },
        State {
            title: "a service listens inside the range",
            setup: &["listen 127.0.0.1:20300"],
            causes: vec![("range.narrow", "ok"), ("range.overlaps-listener", "ok")],
            owned: Some(("range.overlaps-listener", 1)),
            claims: vec![to_server(599)],
            ..quiet()
        },
        State {
            title: "a program does not close what its peers closed",
            setup: &["hold 150 connect 127.0.0.1:9000", "close-server"],
            causes: vec![("leak.close-wait", "ok"), ("range.narrow", "ok")],
            owned: Some(("leak.close-wait", 150)),
            claims: vec![to_server(450)],
            ..quiet()
        },
        State {
            title: "past half the range connect() is slow",
            range: "20000-21199",
            setup: &["hold 700 connect 127.0.0.1:9000"],
            causes: vec![("connect.slow", "ok"), ("range.narrow", "ok")],
            owned: Some(("connect.slow", 700)),
            claims: vec![to_server(500)],
            ..quiet()
        },
        State {
            title: "reserved ports are not left",
            sysctl: &[("net.ipv4.ip_local_reserved_ports", "20000-20499")],
            claims: vec![to_server(100), bound(100), udp(100)],
            ..quiet()
        },
        State {
            title: "few ports beside the reserved ones are soon used",
            sysctl: &[("net.ipv4.ip_local_reserved_ports", "20000-20499")],
            setup: &["hold 100 connect 127.0.0.1:9000"],
            level: "critical",
            causes: vec![
                ("connect.tuple-dry", "critical"),
                ("range.narrow", "critical"),
            ],
            owned: Some(("connect.tuple-dry", 100)),
            claims: vec![to_server(0), to_another(100)],
            ..quiet()
        },
    ]
}

/// All that is said of a state is so.
pub fn holds(state: &State) {
    let mut stage = prepare(&scenario(state)).unwrap();
    check_holds(state, &stage);
    see_holds(&stage);
    for claim in &state.claims {
        assert_eq!(predict(&stage, claim), claim.left, "{:?}", claim.words);
    }
    for claim in &state.claims {
        // Anew, since what was granted before left TIME_WAITs behind.
        let (at_least, at_most) = predict(&stage, claim);
        if at_most > MOST_GRANTS {
            continue;
        }
        let granted = stage.grant_all_of(&claim.ask, Policy::default()).unwrap();
        let count = u64::from(granted.first_failure);
        assert!(
            (at_least..=at_most).contains(&count),
            "{:?}: {count} granted",
            claim.words
        );
        assert_eq!(granted.errno, Some(claim.error), "{:?}", claim.words);
    }
}

fn scenario(state: &State) -> Scenario {
    let sysctl = state
        .sysctl
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    let text = format!(
        "[[scenario]]\nid = 'S'\ntitle = '-'\nrange = '{}'\nsetup = {:?}\n\
         request = 'connect 127.0.0.1:9000'\n",
        state.range, state.setup
    );
    let mut scenario = Scenario::parse("state", &text).unwrap().remove(0);
    if !state.setup.iter().any(|step| step.starts_with("wait")) {
        // Where age is not the point, no TIME_WAIT that a count leaves behind may grow old enough
        // to be taken over between the next prediction and its count.
        let never = ("net.ipv4.tcp_tw_reuse".into(), "0".into());
        scenario.sysctl.extend([never]);
    }
    scenario.sysctl.extend(sysctl);
    scenario
}

fn exit_of(level: &str) -> i32 {
    match level {
        "ok" => 0,
        "warning" => 1,
        "critical" => 2,
        _ => 3,
    }
}

fn levels_agree(answer: &Answer, document: &Value) {
    assert_eq!(
        answer.exit,
        exit_of(document["level"].as_str().unwrap()),
        "{document}"
    );
}

fn check_holds(state: &State, stage: &Stage) {
    let answer = dryport(stage.client(), &["check", "--netns", ".", "--json"]);
    let document = answer.document();
    levels_agree(&answer, &document);
    assert_eq!(document["level"], state.level, "{document:#}");
    let causes = document["causes"].as_array().unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found: Vec<(String, String)> = causes
        .iter()
        .map(|cause| (word(&cause["id"]), word(&cause["level"])))
        .collect();
    found.sort();
    let expected: Vec<(String, String)> = state
        .causes
        .iter()
        .map(|(id, level)| ((*id).into(), (*level).into()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(document["assumptions"], Value::Array(vec![]));
    let namespace = &document["namespaces"][0];
    for request in namespace["requests"].as_array().unwrap() {
        adds_up(request);
        assert_eq!(request["ledger"]["uncertain"], 0, "{request}");
        assert!(
            request["coverage"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|c| c["fact"] != "port_ranges")
                .all(|c| c["seen"] == "full")
        );
    }
    for cause in causes {
        assert!(!cause["summary"].as_str().unwrap().is_empty());
        assert!(!cause["evidence"].as_array().unwrap().is_empty(), "{cause}");
        assert!(!cause["remedies"].as_array().unwrap().is_empty(), "{cause}");
    }
    if let Some((id, ports)) = state.owned {
        let cause = causes.iter().find(|cause| cause["id"] == id).unwrap();
        let owner = ourselves(cause);
        assert_eq!(owner["ports"], ports, "{cause}");
        let executable = std::env::current_exe().unwrap();
        assert_eq!(owner["executable"], executable.to_str().unwrap());
    }
    as_text(stage, &["check", "--netns", "."], answer.exit);
    let words = ["check", "--netns", ".", "--json", "--no-owners"];
    let without = dryport(stage.client(), &words).document();
    assert_eq!(without["level"], document["level"]);
    let nobody = |cause: &Value| cause["owners"].is_null();
    assert!(without["causes"].as_array().unwrap().iter().all(nobody));
}

/// The text says it with the same exit code, within 80 columns; `--quiet` in one line.
fn as_text(stage: &Stage, words: &[&str], exit: i32) {
    let text = dryport(stage.client(), words);
    assert_eq!((text.exit, text.err.as_str()), (exit, ""), "{text:?}");
    text.is_clean();
    // Commands and paths are not broken.
    let is_prose = |line: &&str| !line.contains("/") && !line.contains("sysctl");
    let widest = text
        .out
        .lines()
        .filter(is_prose)
        .map(|line| line.chars().count())
        .max();
    assert!(widest.unwrap() <= 80, "{}", text.out);
    let quiet = dryport(stage.client(), &[words, &["--quiet"]].concat());
    assert_eq!(
        (quiet.exit, quiet.out.lines().count()),
        (exit, 1),
        "{quiet:?}"
    );
}

/// This process among the owners. Tests beside this one start programs: for an instant a child of
/// ours holds all our sockets too.
#[track_caller]
fn ourselves(held: &Value) -> &Value {
    let owners = held["owners"].as_array().unwrap();
    let own = owners
        .iter()
        .find(|owner| owner["pid"] == std::process::id());
    own.unwrap_or_else(|| panic!("{held}"))
}

fn see_holds(stage: &Stage) {
    let plain = dryport(stage.client(), &["see", "--json"]);
    let document = plain.document();
    assert_eq!(plain.exit, 0);
    let sockets = document["sockets"].as_array().unwrap();
    let owned = sockets.iter().filter(|socket| !socket["inode"].is_null());
    for socket in owned {
        ourselves(socket);
    }
    let grouped = dryport(stage.client(), &["see", "--json", "--by", "process"]).document();
    assert_eq!(grouped["count"], document["count"]);
}

fn predict(stage: &Stage, claim: &Claim) -> (u64, u64) {
    let words = [&["headroom"], claim.words].concat();
    let answer = dryport(stage.client(), &[&words[..], &["--json"]].concat());
    let document = answer.document();
    levels_agree(&answer, &document);
    adds_up(&document);
    assert_eq!(document["ledger"]["uncertain"], 0, "{document}");
    assert_eq!(document["error_when_dry"], claim.error);
    as_text(stage, &words, answer.exit);
    headroom(&document)
}
