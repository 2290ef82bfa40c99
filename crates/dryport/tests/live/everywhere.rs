//! `check` without `--netns`: every network namespace that may be entered. Others' namespaces, of
//! tests that run beside these, are in the answer too: each test looks for its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dryport_lab::{Namespace, Privilege};
use serde_json::Value;

use crate::helper::Helper;
use crate::namespaces::{Named, ip};
use crate::program::{Place, adds_up, dryport, outside, without};
use crate::{Skipped, Test, needs_root};

pub const TESTS: &[(&str, Test)] = &[
    (
        "check covers every namespace that may be entered",
        every_namespace_is_covered,
    ),
    (
        "check names a namespace as ip netns does",
        named_namespaces_are_covered,
    ),
    (
        "an ordinary user sees their own namespace, and is told of others",
        others_are_told,
    ),
    (
        "nothing is told of others where there are none",
        no_others_are_no_news,
    ),
    (
        "a namespace that vanishes while check runs is no error",
        vanishing_namespaces_are_no_error,
    ),
];

fn inode_of(helper: &Helper) -> u64 {
    let path = format!("/proc/{}/ns/net", helper.pid());
    fs::metadata(path).unwrap().ino()
}

#[track_caller]
fn namespace(document: &Value, inode: u64) -> &Value {
    let namespaces = document["namespaces"].as_array().unwrap();
    let found: Vec<&Value> = namespaces.iter().filter(|n| n["inode"] == inode).collect();
    assert_eq!(found.len(), 1, "{inode}: {document:#}");
    found[0]
}

fn told_of_others(document: &Value) -> Vec<&Value> {
    let coverage = document["coverage"].as_array().unwrap();
    let told = coverage.iter().filter(|c| c["fact"] == "namespaces");
    told.collect()
}

fn every_namespace_is_covered(_: Privilege) -> Result<(), Skipped> {
    let places = ["20000 20099", "21000 21049", "22000 22199"].map(Place::new);
    let [own, dry, idle] = &places;
    let (few, all, one) = (own.holder(5), dry.holder(1000), idle.holder(1));
    assert_eq!(all.granted(), (50, "EADDRNOTAVAIL"));

    let answer = dryport(&own.namespace, &["check", "--json"]);
    let document = answer.document();
    assert_eq!((answer.exit, &document["level"]), (2, &"critical".into()));
    for namespace in document["namespaces"].as_array().unwrap() {
        for request in namespace["requests"].as_array().unwrap() {
            adds_up(request);
        }
    }
    // The caller's first, each with its own range.
    let first = &document["namespaces"][0];
    assert_eq!(first["inode"], inode_of(&few));
    assert_eq!(
        (&first["netns"], &first["range"]["size"]),
        (&Value::Null, &100.into())
    );
    let netns = format!("pid:{}", all.pid());
    let short = namespace(&document, inode_of(&all));
    assert_eq!(
        (&short["level"], &short["range"]["size"]),
        (&"critical".into(), &50.into())
    );
    assert_eq!(
        (&short["netns"], &short["processes"]),
        (&netns.clone().into(), &1.into())
    );
    let well = namespace(&document, inode_of(&one));
    assert_eq!(
        (&well["level"], &well["range"]["size"]),
        (&"ok".into(), &200.into())
    );

    let causes = document["causes"].as_array().unwrap();
    let mine = |c: &&Value| c["namespace"]["inode"] == inode_of(&all);
    let cause = causes.iter().find(mine).unwrap();
    assert_eq!(cause["id"], "connect.tuple-dry");
    assert_eq!(cause["owners"][0]["pid"], all.pid());
    let command = cause["remedies"][0]["command"].as_str().unwrap();
    assert_eq!(command, format!("dryport see --by process --netns {netns}"));
    // And that command does it.
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let seen = dryport(&own.namespace, &[&words[..], &["--json"]].concat()).document();
    assert_eq!(seen["groups"][0]["ports"], 50, "{seen:#}");

    let text = dryport(&own.namespace, &["check"]);
    assert_eq!((text.exit, text.err.as_str()), (2, ""), "{text:?}");
    text.is_clean();
    let quiet = dryport(&own.namespace, &["check", "--quiet"]);
    assert_eq!((quiet.exit, quiet.out.lines().count()), (2, 1), "{quiet:?}");
    Ok(())
}

fn named_namespaces_are_covered(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let named = Named::new("covered")?;
    let inode = fs::metadata(format!("/run/netns/{}", named.0))
        .unwrap()
        .ino();
    let document = outside(&["check", "--json"]).document();
    let found = namespace(&document, inode);
    assert_eq!(
        (&found["name"], &found["netns"]),
        (&(*named.0).into(), &(*named.0).into())
    );
    // No process lives in it.
    assert_eq!(
        (&found["processes"], &found["level"]),
        (&0.into(), &"ok".into())
    );
    let from_inside = Command::new("ip")
        .args([
            "netns",
            "exec",
            &named.0,
            crate::program::reachable().to_str().unwrap(),
        ])
        .args(["check", "--json"])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&from_inside.stdout).unwrap();
    let first = &document["namespaces"][0];
    assert_eq!(
        (&first["inode"], &first["netns"]),
        (&inode.into(), &Value::Null)
    );
    Ok(())
}

fn others_are_told(privilege: Privilege) -> Result<(), Skipped> {
    let (own, other) = (Place::new("20000 20099"), Place::new("21000 21049"));
    let dry = other.holder(1000);
    let answer = without(&own.namespace, &["ordinary"], &["check", "--json"]);
    let document = answer.document();
    assert_eq!((answer.exit, &document["level"]), (0, &"ok".into()));
    let namespaces = document["namespaces"].as_array().unwrap();
    assert_eq!(namespaces.len(), 1, "{document:#}");
    assert_eq!(namespaces[0]["range"]["low"], 20000);
    let told = told_of_others(&document);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["seen"], "partial");
    let why = told[0]["why"].as_str().unwrap();
    // In a user namespace there is no other user to become.
    let who = match privilege {
        Privilege::Capable => "root sees",
        Privilege::UserNamespace => "CAP_SYS_ADMIN",
    };
    assert!(
        why.contains("may not be entered") && why.contains(who),
        "{why}"
    );
    let text = without(&own.namespace, &["ordinary"], &["check"]);
    assert!(
        text.exit == 0 && text.out.contains("may not be entered"),
        "{text:?}"
    );
    drop(dry);
    Ok(())
}

fn no_others_are_no_news(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let own = Place::new("20000 20099");
    // Neither others' processes nor names of namespaces are to be seen.
    let alone = ["tmpfs", "/run", "hidepid", "ordinary"];
    let document = without(&own.namespace, &alone, &["check", "--json"]).document();
    assert_eq!(document["namespaces"].as_array().unwrap().len(), 1);
    assert!(told_of_others(&document).is_empty(), "{document:#}");
    Ok(())
}

/// Namespaces that come and go for as long as this lives.
struct Churn {
    is_over: AtomicBool,
}

impl Churn {
    /// With a process in each, which ends too.
    fn of_processes(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let namespace = Namespace::new().unwrap();
            let mut sleep = namespace.command("sleep").unwrap();
            let mut child = sleep.arg("60").stdin(Stdio::null()).spawn().unwrap();
            drop(namespace);
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn of_names(&self) {
        let name = format!("dryport-churn-{}", std::process::id());
        while !self.is_over.load(Ordering::Relaxed) && ip(&["netns", "add", &name]).is_ok() {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

fn vanishing_namespaces_are_no_error(privilege: Privilege) -> Result<(), Skipped> {
    const ROUNDS: usize = 8;
    let own = Place::new("20000 20099");
    let churn = Churn {
        is_over: AtomicBool::new(false),
    };
    let answers = thread::scope(|scope| {
        scope.spawn(|| churn.of_processes());
        if privilege == Privilege::Capable {
            scope.spawn(|| churn.of_names());
        }
        let words = ["check", "--json"];
        let answers: Vec<_> = (0..ROUNDS)
            .map(|_| dryport(&own.namespace, &words))
            .collect();
        churn.is_over.store(true, Ordering::Relaxed);
        answers
    });
    for answer in answers {
        assert!((0..=2).contains(&answer.exit), "{answer:?}");
        let document = answer.document();
        let failed = |c: &&Value| c["why"].as_str().unwrap().contains("judged");
        let failed: Vec<&Value> = told_of_others(&document)
            .into_iter()
            .filter(failed)
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(document["namespaces"][0]["range"]["size"], 100);
    }
    Ok(())
}
