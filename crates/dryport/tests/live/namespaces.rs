//! Other namespaces and other processes: `--netns`, `--pid`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use dryport_lab::{Namespace, Privilege};

use crate::helper::Helper;
use crate::program::{Place, dryport, headroom, launched, myself, outside, reachable, without};
use crate::{Skipped, Test, needs_root};

pub const TESTS: &[(&str, Test)] = &[
    (
        "--netns pid:N answers for the namespace of that process",
        the_namespace_of_a_process,
    ),
    (
        "--netns NAME answers for the namespace of that name",
        a_named_namespace,
    ),
    (
        "a namespace that may not be entered is told",
        a_forbidden_namespace,
    ),
    (
        "an ordinary user may name the namespace it is in",
        the_own_namespace,
    ),
    (
        "check --pid tells that a process lacks descriptors and not ports",
        out_of_descriptors,
    ),
    (
        "check --pid tells that a process is out of ports",
        out_of_ports,
    ),
    (
        "check --pid tells that a process lacks nothing",
        nothing_is_lacking,
    ),
    (
        "check --pid looks at one process only",
        other_requests_do_not_count,
    ),
];

fn inode(path: &str) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn the_namespace_of_a_process(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let holder = place.holder(90);
    let namespace = format!("pid:{}", holder.pid());
    let inode = inode(&format!("/proc/{}/ns/net", holder.pid()));

    let answer = outside(&[
        "headroom",
        "127.0.0.1:9000",
        "--netns",
        &namespace,
        "--json",
    ]);
    let document = answer.document();
    assert_eq!((answer.exit, headroom(&document)), (1, (10, 10)));
    assert_eq!(document["request"]["namespace"]["inode"], inode);
    let document = outside(&["check", "--netns", &namespace, "--json"]).document();
    assert_eq!(document["level"], "warning");
    assert_eq!(document["namespaces"][0]["inode"], inode);
    assert_eq!(document["causes"][0]["owners"][0]["pid"], holder.pid());
    let document = outside(&["see", "--netns", &namespace, "--json"]).document();
    // Both ends of each connection, and the listener.
    assert_eq!(document["count"], 181);
    assert_eq!(document["sockets"][0]["namespace"]["inode"], inode);
    Ok(())
}

/// A name of `ip netns`; taken back at the end.
pub struct Named(pub String);

impl Named {
    pub fn new(purpose: &str) -> Result<Self, Skipped> {
        let name = format!("dryport-{purpose}-{}", std::process::id());
        ip(&["netns", "add", &name])?;
        let named = Self(name);
        ip(&["-n", &named.0, "link", "set", "lo", "up"])?;
        Ok(named)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.0]);
    }
}

pub fn ip(words: &[&str]) -> Result<(), Skipped> {
    let output = Command::new("ip").args(words).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Skipped {
            needed: "root",
            why: format!("ip {words:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }),
        Err(error) => Err(Skipped {
            needed: "ss",
            why: format!("ip: {error}"),
        }),
    }
}

fn a_named_namespace(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let named = Named::new("test")?;
    let inode = inode(&format!("/run/netns/{}", named.0));
    let answer = outside(&["headroom", "127.0.0.1:9000", "--netns", &named.0, "--json"]);
    let document = answer.document();
    assert_eq!((answer.exit, headroom(&document)), (0, (28_232, 28_232)));
    assert_eq!(document["request"]["namespace"]["inode"], inode);
    assert_eq!(document["request"]["namespace"]["name"], *named.0);
    let document = outside(&["check", "--netns", &named.0, "--json"]).document();
    assert_eq!(document["namespaces"][0]["name"], *named.0);
    let text = outside(&["check", "--netns", &named.0]);
    assert!(text.out.contains(&named.0), "{text:?}");

    let forbidden = without(
        &Namespace::new().unwrap(),
        &["ordinary"],
        &["check", "--netns", &named.0],
    );
    forbidden.is_unknown(&named.0);
    assert!(
        forbidden.err.contains("may not be entered"),
        "{forbidden:?}"
    );
    Ok(())
}

fn a_forbidden_namespace(_: Privilege) -> Result<(), Skipped> {
    let (place, other) = (Namespace::new().unwrap(), Place::new("20000 20099"));
    let holder = other.holder(1);
    let namespace = format!("pid:{}", holder.pid());
    for command in [&["check"][..], &["see"], &["headroom", "127.0.0.1:9000"]] {
        let words = [command, &["--netns", &namespace]].concat();
        let answer = without(&place, &["ordinary"], &words);
        answer.is_unknown(&namespace);
        assert!(answer.err.contains("may not be entered"), "{answer:?}");
        assert!(answer.err.contains("root"), "{answer:?}");
    }
    Ok(())
}

/// It needs no right to stay where one is.
fn the_own_namespace(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let program = reachable().to_str().unwrap();
    for option in ["--pid $$", "--netns pid:$$"] {
        let script = format!("exec {program} check --json {option}");
        let answer = launched(&place.namespace, &["ordinary"], &["/bin/sh", "-c", &script]);
        assert_eq!(answer.exit, 0, "{option}: {answer:?}");
        assert_eq!(answer.document()["namespaces"][0]["range"]["size"], 100);
    }
    Ok(())
}

fn out_of_descriptors(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let hoarder = Helper::start(myself(&place.namespace), &["hoard", "64"]);
    let pid = hoarder.pid().to_string();
    let answer = outside(&["check", "--pid", &pid, "--json"]);
    let document = answer.document();
    // A false alarm raises no level.
    assert_eq!((answer.exit, &document["level"]), (0, &"ok".into()));
    let cause = |id: &str| {
        document["causes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["id"] == id)
    };
    assert!(cause("not-exhaustion.descriptor-limit"), "{document:#}");
    let process = &document["process"];
    assert_eq!(process["pid"], hoarder.pid());
    assert_eq!(process["open_files_limit"]["soft"], 64);
    // What it inherited above its limit counts too.
    assert!(process["open_files"].as_u64().unwrap() >= 64, "{process}");
    let first = process["findings"][0].as_str().unwrap();
    assert!(
        first.contains("EMFILE") && first.contains("not a lack of ports"),
        "{first}"
    );
    let text = outside(&["check", "--pid", &pid]);
    assert!(text.exit == 0 && text.out.contains("EMFILE"), "{text:?}");
    Ok(())
}

fn out_of_ports(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let holder = place.holder(1000);
    assert_eq!(holder.granted(), (100, "EADDRNOTAVAIL"));
    let pid = holder.pid().to_string();
    let answer = outside(&["check", "--pid", &pid, "--json"]);
    let document = answer.document();
    assert_eq!((answer.exit, &document["level"]), (2, &"critical".into()));
    let process = &document["process"];
    let request = &process["requests"][0];
    assert_eq!(request["sockets"], 100);
    assert_eq!(request["request"]["destination_port"], 9000);
    assert_eq!(headroom(request), (0, 0));
    let first = process["findings"][0].as_str().unwrap();
    assert!(
        first.contains("127.0.0.1:9000") && first.contains("EADDRNOTAVAIL"),
        "{first}"
    );
    assert_eq!(
        process["namespace"]["inode"],
        inode(&format!("/proc/{pid}/ns/net"))
    );
    Ok(())
}

fn nothing_is_lacking(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let holder = place.holder(3);
    let answer = outside(&["check", "--json", "--pid", &holder.pid().to_string()]);
    let document = answer.document();
    assert_eq!((answer.exit, &document["level"]), (0, &"ok".into()));
    assert_eq!(document["process"]["requests"][0]["sockets"], 3);
    assert_eq!(
        document["process"]["findings"].as_array().unwrap().len(),
        1,
        "{document:#}"
    );
    Ok(())
}

fn other_requests_do_not_count(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let _dry = place.holder(1000);
    let other = Helper::start(myself(&place.namespace), &["hold", "127.0.0.2:9000", "2"]);
    let answer = outside(&["check", "--json", "--pid", &other.pid().to_string()]);
    assert_eq!(
        (answer.exit, &answer.document()["level"]),
        (0, &"ok".into())
    );
    assert_eq!(
        dryport(&place.namespace, &["check", "--netns", "."]).exit,
        2
    );
    Ok(())
}
