//! One answer, whichever reader: `--reader bpf` beside `--reader sock_diag`.

use dryport_lab::{Namespace, Privilege, Scenario, Stage, prepare};
use serde_json::Value;

use crate::program::{Place, dryport, without};
use crate::same_as_ss::MIXTURE;
use crate::{Skipped, Test, needs_root};

pub const TESTS: &[(&str, Test)] = &[
    (
        "both readers give the same verdict, numbers and owners",
        both_readers_agree,
    ),
    (
        "a client with a port range of its own is judged within it by BPF",
        own_ranges_are_seen,
    ),
    (
        "a reader that cannot be had is an error, and auto does without",
        a_missing_reader,
    ),
];

/// The first answer that BPF gives here.
fn bpf(place: &Namespace, words: &[&str]) -> Result<Value, Skipped> {
    let answer = dryport(place, &[words, &["--json", "--reader", "bpf"]].concat());
    if answer.exit == 3 && answer.err.contains("BPF reader cannot be used") {
        return Err(Skipped {
            needed: "bpf",
            why: answer.err,
        });
    }
    Ok(answer.document())
}

/// The document without what readers may tell differently: how they saw it, and when.
fn told(mut document: Value) -> Value {
    forget(&mut document);
    document
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["coverage", "time_wait_left_seconds"] {
                members.remove(name);
            }
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

fn mixture() -> Stage {
    prepare(&Scenario::parse("mixture", MIXTURE).unwrap()[0]).unwrap()
}

fn both_readers_agree(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let stage = mixture();
    // Young TIME_WAITs grow old between two looks.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for words in [
        &["check", "--netns", "."][..],
        &["headroom", "127.0.0.1:9000"],
        &["headroom", "[::1]:9000"],
        &["headroom", "127.0.0.1:9000", "--udp"],
        &["headroom", "[::1]:9000", "--bind"],
    ] {
        let both = || {
            let by_bpf = bpf(stage.client(), words)?;
            let by_sock_diag = [words, &["--json", "--reader", "sock_diag"]].concat();
            let by_sock_diag = dryport(stage.client(), &by_sock_diag).document();
            Ok((told(by_bpf), told(by_sock_diag)))
        };
        // Tests beside this one start programs: for an instant a child holds our sockets too.
        let mut answers = both()?;
        for _ in 0..5 {
            if answers.0 == answers.1 {
                break;
            }
            answers = both()?;
        }
        assert_eq!(answers.0, answers.1, "{words:?}");
    }
    Ok(())
}

fn own_ranges_are_seen(privilege: Privilege) -> Result<(), Skipped> {
    const RANGED: &str = r#"
[[scenario]]
id = "RANGED"
title = "a client with a range of its own"
range = "20000-20199"
setup = [
    "hold 4 connect 127.0.0.1:9000 range 20000-20003",
    "hold 3 connect 127.0.0.1:9000",
]
"#;
    needs_root(privilege)?;
    let stage = prepare(&Scenario::parse("ranged", RANGED).unwrap()[0]).unwrap();
    let document = bpf(stage.client(), &["check", "--netns", "."])?;
    let requests = document["namespaces"][0]["requests"].as_array().unwrap();
    let ranged = requests
        .iter()
        .find(|request| request["request"]["port_range"]["low"] == 20000)
        .unwrap_or_else(|| panic!("{document:#}"));
    assert_eq!(ranged["headroom"]["at_most"], 0, "{ranged:#}");
    assert_eq!(document["level"], "critical");
    // The other reader says that it cannot tell.
    let words = ["check", "--netns", ".", "--json", "--reader", "sock_diag"];
    let untold = dryport(stage.client(), &words).document();
    let coverage = untold["coverage"].as_array().unwrap();
    let ranges = coverage
        .iter()
        .find(|c| c["fact"] == "port_ranges")
        .unwrap();
    assert_eq!(ranges["seen"], "none", "{ranges}");
    Ok(())
}

fn a_missing_reader(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let place = Place::new("20000 20099");
    let powerless = ["ordinary"];
    let words = ["check", "--netns", ".", "--reader"];
    let refused = without(
        &place.namespace,
        &powerless,
        &[&words[..], &["bpf"]].concat(),
    );
    assert_eq!(refused.exit, 3, "{refused:?}");
    assert!(refused.err.contains("hint: "), "{refused:?}");
    assert_eq!(refused.out, "");
    let auto = without(
        &place.namespace,
        &powerless,
        &[&words[..], &["auto"]].concat(),
    );
    assert_eq!(auto.exit, 0, "{auto:?}");
    Ok(())
}
