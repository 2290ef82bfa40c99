//! `doctor`: what it says can be seen is seen, and what was taken away is missed.

use dryport_lab::{Namespace, Privilege};
use serde_json::Value;

use crate::program::{dryport, without};
use crate::{Skipped, Test, needs_root};

pub const TESTS: &[(&str, Test)] = &[
    (
        "doctor finds everything that this kernel and this user have",
        finds_what_is_there,
    ),
    (
        "doctor says that the kernel does not answer where loopback was never up",
        loopback_down,
    ),
    (
        "doctor says what an ordinary user lacks, and what would change it",
        ordinary,
    ),
    (
        "doctor misses the kernel's types where they cannot be read",
        without_types,
    ),
];

fn seen<'a>(document: &'a Value, id: &str) -> &'a Value {
    let findings = document["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["id"] == id);
    finding.unwrap_or_else(|| panic!("no {id}: {document:#}"))
}

fn finds_what_is_there(_: Privilege) -> Result<(), Skipped> {
    let place = Namespace::new().unwrap();
    let answer = dryport(&place, &["doctor", "--json"]);
    assert_eq!(answer.exit, 0, "{answer:?}");
    let document = answer.document();
    for id in [
        "sockets_tcp",
        "sockets_udp",
        "bound_idle",
        "bind_buckets",
        "settings",
        "changes",
    ] {
        assert_eq!(seen(&document, id)["seen"], "full", "{document:#}");
    }
    let text = dryport(&place, &["doctor"]);
    assert_eq!((text.exit, text.err.as_str()), (0, ""));
    text.is_clean();
    assert!(
        text.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        text.out
    );
    let quiet = dryport(&place, &["doctor", "--quiet"]);
    assert_eq!(quiet.out.lines().count(), 1, "{quiet:?}");
    Ok(())
}

/// Of a namespace whose loopback interface was never up; taken down later, it still answers.
fn loopback_down(_: Privilege) -> Result<(), Skipped> {
    let place = Namespace::new().unwrap();
    let program = crate::program::reachable().to_str().unwrap();
    let words = ["unshare", "--net", program, "doctor", "--json"];
    let document = crate::program::launched(&place, &[], &words).document();
    let buckets = seen(&document, "bind_buckets");
    assert_eq!(buckets["seen"], "partial", "{document:#}");
    let change = buckets["change"].as_str().unwrap();
    assert!(change.contains("ip link set lo up"), "{change}");
    Ok(())
}

fn ordinary(privilege: Privilege) -> Result<(), Skipped> {
    // In a user namespace there is no other user to become.
    needs_root(privilege)?;
    let place = Namespace::new().unwrap();
    let document = without(&place, &["ordinary"], &["doctor", "--json"]).document();
    assert_eq!(seen(&document, "sockets_tcp")["seen"], "full");
    for id in ["owners", "namespaces", "changes"] {
        let finding = seen(&document, id);
        assert_ne!(finding["seen"], "full", "{document:#}");
        assert_eq!(finding["change"], "run it as root");
    }
    Ok(())
}

fn without_types(_: Privilege) -> Result<(), Skipped> {
    let place = Namespace::new().unwrap();
    let taken = ["tmpfs", "/sys/kernel/btf"];
    let document = without(&place, &taken, &["doctor", "--json"]).document();
    let probes = seen(&document, "bind_probes");
    assert_eq!(probes["seen"], "partial", "{document:#}");
    assert!(probes["change"].as_str().unwrap().contains("BTF"));
    Ok(())
}
