//! Where something is taken away: rights, the kernel's types, descriptors.

use std::time::{Duration, Instant};

use dryport_bpf::{BpfTable, Error, Kernel};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::helper::Helper;
use crate::{Test, compare, scenes};

pub const TESTS: &[(&str, Test)] = &[
    ("without_rights_bpf_is_forbidden_at_once", without_rights),
    ("every_right_that_is_needed_is_asked_for", one_right_alone),
    ("with_both_rights_and_no_other_it_reads", both_rights),
    ("without_the_kernels_types_it_says_so", without_types),
    (
        "without_descriptors_it_fails_and_says_why",
        without_descriptors,
    ),
    (
        "owners_are_not_told_by_the_ids_of_another_namespace",
        other_pids,
    ),
    ("signals_come_in_the_way_of_nothing", signals),
];

/// Runs in a thread that has these capabilities alone.
fn with<R: Send>(capabilities: CapabilitySet, work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let sets = CapabilitySets {
                effective: capabilities,
                permitted: capabilities,
                inheritable: CapabilitySet::empty(),
            };
            set_capabilities(None, sets).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[track_caller]
fn is_forbidden(capabilities: CapabilitySet) {
    let (error, took) = with(capabilities, || {
        let began = Instant::now();
        let opened = Kernel::open();
        (opened.map(drop).unwrap_err(), began.elapsed())
    });
    assert!(matches!(error, Error::Forbidden(_)), "{error:?}");
    assert!(error.remedy().unwrap().contains("root"));
    // A machine under load takes its time for anything.
    assert!(took < Duration::from_millis(500), "{took:?}");
}

fn without_rights() {
    is_forbidden(CapabilitySet::empty());
}

fn one_right_alone() {
    is_forbidden(CapabilitySet::BPF);
    is_forbidden(CapabilitySet::PERFMON);
    is_forbidden(CapabilitySet::NET_ADMIN | CapabilitySet::SYS_PTRACE);
}

fn both_rights() {
    let stage = scenes::mixture();
    let rows = stage.client().run(|| {
        with(CapabilitySet::BPF | CapabilitySet::PERFMON, || {
            let kernel = Kernel::open().unwrap();
            dryport_bpf::read_owners(&kernel).unwrap();
            compare::are_equal(&BpfTable::open(&kernel, true).unwrap())
        })
    });
    assert!(!rows.unwrap().is_empty());
}

fn without_types() {
    let said = Helper::start(None, &["no-types"], None).says_to_the_end();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("NoTypes("), "{said:?}");
    assert!(said[1].contains("/sys/kernel/btf/vmlinux"), "{said:?}");
    assert!(said[2].contains("CONFIG_DEBUG_INFO_BTF"), "{said:?}");
}

fn without_descriptors() {
    let said = Helper::start(None, &["few-files"], None).says_to_the_end();
    let failed: Vec<&String> = said.iter().take_while(|line| *line != "ok").collect();
    assert!((3..said.len()).contains(&failed.len()), "{said:?}");
    for line in failed {
        // Being root is no help here.
        assert!(line.contains("Too many open files"), "{said:?}");
        assert!(line.ends_with(" / no remedy"), "{said:?}");
    }
    assert_eq!(said.last().unwrap(), "ok");
}

/// The verifier breaks off where one waits.
fn signals() {
    let said = Helper::start(None, &["signals"], None).says_to_the_end();
    assert_eq!(said, ["ok"; 20]);
}

fn other_pids() {
    let said = Helper::start(None, &["other-pids"], None).says_to_the_end();
    assert_eq!(said, ["OtherPids", "run it on the host"]);
}
