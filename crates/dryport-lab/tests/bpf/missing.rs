//! Kernels that lack what cannot be done without: a clear refusal.

use dryport_bpf::{BpfTable, Error, Kernel, read_owners};

use crate::Test;

pub const TESTS: &[(&str, Test)] = &[
    (
        "a_missing_member_is_refused_with_the_verifiers_words",
        refused,
    ),
    ("owners_without_a_member_are_refused", owners_refused),
    ("udp_alone_may_be_missing", udp_alone),
];

/// Told by name of the program, and with words to look for.
#[track_caller]
fn is_clear(error: &Error) {
    assert!(
        matches!(error, Error::Refused { .. } | Error::Unfit { .. }),
        "{error:?}"
    );
    if let Error::Refused { log, .. } = error {
        assert!(!log.is_empty(), "{error:?}");
        // What stands where the member was looked for (libbpf's number for "poisoned").
        assert!(log.contains("195896080"), "{log}");
    }
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 300, "{text}");
}

fn refused() {
    for member in [
        ("inet_connection_sock", "icsk_bind_hash"),
        ("inet_bind_bucket", "fastreuse"),
        ("inet_bind_bucket", "port"),
        ("sock", "sk_userlocks"),
        ("sock_common", "skc_v6_daddr"),
        ("inet_timewait_sock", "tw_timer"),
        ("tcp_timewait_sock", "tw_ts_recent_stamp"),
    ] {
        let kernel = Kernel::without(&[member]).unwrap();
        match BpfTable::open(&kernel, true) {
            Ok(_) => panic!("{member:?} is not missed"),
            Err(error) => is_clear(&error),
        }
    }
}

fn owners_refused() {
    for member in [
        ("task_struct", "tgid"),
        ("file", "f_inode"),
        ("socket", "sk"),
        ("sock", "sk_protocol"),
    ] {
        let kernel = Kernel::without(&[member]).unwrap();
        is_clear(&read_owners(&kernel).unwrap_err());
    }
}

/// Then sock_diag tells of it.
fn udp_alone() {
    let kernel = Kernel::without(&[("bpf_iter__udp", "udp_sk")]).unwrap();
    let table = BpfTable::open(&kernel, true).unwrap();
    let place = dryport_lab::Namespace::new().unwrap();
    let _held = crate::scenes::other_user(&place);
    let rows = place
        .run(move || crate::compare::are_equal(&table))
        .unwrap();
    assert!(!rows.is_empty());
}
