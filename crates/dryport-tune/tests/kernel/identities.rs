//! Boots and namespaces told apart.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use dryport_tune::identity;

use crate::scratch::{NETWORK, in_scratch};

#[test]
fn a_namespace_has_a_cookie_of_its_own() {
    let boot = identity::boot_id().unwrap();
    assert_eq!(identity::boot_id().unwrap(), boot);
    let Some(here) = identity::netns_cookie().unwrap() else {
        eprintln!("this kernel tells no cookies");
        return;
    };
    assert_eq!(identity::netns_cookie().unwrap(), Some(here));
    let mut cookies = vec![here];
    for _ in 0..2 {
        in_scratch(NETWORK, || {
            cookies.extend(identity::netns_cookie().unwrap());
        });
    }
    let count = cookies.len();
    cookies.sort_unstable();
    cookies.dedup();
    assert_eq!(cookies.len(), count, "given twice");
}

#[test]
fn a_namespace_is_found_while_it_lives() {
    let inode = || fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
    assert_eq!(
        identity::namespaces().unwrap().is_gone(inode()),
        Some(false)
    );
    let mut scratch = None;
    in_scratch(NETWORK, || {
        scratch = Some(inode());
        assert_eq!(
            identity::namespaces().unwrap().is_gone(inode()),
            Some(false)
        );
    });
    let Some(scratch) = scratch else { return };
    // Another test's namespace may have the number by now, for a moment.
    let deadline = Instant::now() + Duration::from_secs(20);
    while identity::namespaces().unwrap().is_gone(scratch) == Some(false) {
        assert!(Instant::now() < deadline, "still there");
        thread::yield_now();
    }
}

#[test]
fn a_namespace_that_only_a_descriptor_holds_is_found() {
    let mut held = None;
    in_scratch(NETWORK, || {
        held = Some(fs::File::open("/proc/thread-self/ns/net").unwrap());
    });
    if let Some(held) = held {
        let inode = held.metadata().unwrap().ino();
        assert_eq!(identity::namespaces().unwrap().is_gone(inode), Some(false));
    }
}
