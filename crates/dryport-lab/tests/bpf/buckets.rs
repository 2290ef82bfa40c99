//! The state of bind buckets: who may still join a port, beside what the kernel grants.

use dryport_model::{BucketState, Origin, Protocol};

use crate::{Test, compare, scenes, table};

pub const TESTS: &[(&str, Test)] = &[
    ("automatic_ports_are_shareable", automatic),
    ("ports_that_bind_chose_are_locked", chosen_by_bind),
    (
        "ports_of_listeners_and_their_children_are_locked",
        listeners,
    ),
    (
        "a_bucket_whose_binder_left_is_what_the_kernel_says",
        binder_left,
    ),
];

use BucketState::{Locked, Shareable};

/// Plays steps on ports 20000 to 20007; every row there is of this state and origin, and the kernel
/// agrees.
#[track_caller]
fn all_are(setup: &[&str], state: BucketState, origin: Origin) {
    for (port, told, from) in buckets_after(setup) {
        assert_eq!(
            (told, from),
            (Some(state), origin),
            "port {port} after {setup:?}"
        );
    }
}

#[track_caller]
fn buckets_after(setup: &[&str]) -> Vec<(u16, Option<BucketState>, Origin)> {
    let stage = scenes::stage(&format!(
        "[[scenario]]\nid = \"bucket\"\ntitle = \"a bucket\"\nrange = \"20000-20007\"\nsetup = {setup:?}\n"
    ));
    let rows = stage.client().run(|| {
        let mut rows = compare::read(&table(true), Protocol::Tcp, compare::ALL_PORTS);
        rows.retain(|seen| (20_000..=20_007).contains(&seen.socket.local.port()));
        compare::buckets_are_the_kernels(&rows);
        rows
    });
    let told: Vec<_> = rows
        .unwrap()
        .iter()
        .map(|seen| (seen.socket.local.port(), seen.bucket, seen.socket.origin))
        .collect();
    assert!(!told.is_empty(), "nothing holds a port after {setup:?}");
    told
}

fn automatic() {
    for setup in [
        &["hold 2 connect 127.0.0.1:9000"][..],
        &["hold 2 connect [::1]:9000"],
        &["hold 2 connect 127.0.0.1:9000 mapped"],
        &["hold 2 connect 127.0.0.1:9000 from 127.0.0.2"],
        &["hold 2 connect 127.0.0.1:9000 range 20002-20005"],
        &["hold 2 connect 127.0.0.1:9000 device lo"],
        &[
            "hold 8 connect 127.0.0.1:9000",
            "hold 8 connect 127.0.0.1:9001",
        ],
        &["hold 2 connect 127.0.0.1:9000 as a", "close a"],
        &["hold 2 connect 127.0.0.1:9000 as a", "close-client a"],
        &["hold 2 connect 127.0.0.1:9000 as a", "close-server a"],
        &["hold 2 connect 127.0.0.1:9000 as a", "shutdown a"],
    ] {
        all_are(setup, Shareable, Origin::Automatic);
    }
}

fn chosen_by_bind() {
    for setup in [
        &["hold 2 bind 127.0.0.1 connect 127.0.0.1:9000"][..],
        &["hold 2 bind ::1 connect [::1]:9000"],
        &["hold bind 127.0.0.1:20003 connect 127.0.0.1:9000"],
        &["hold 2 bind 127.0.0.1 connect 127.0.0.1:9000 reuseaddr"],
        &["hold 2 bind 127.0.0.1 connect 127.0.0.1:9000 reuseport"],
        &[
            "hold 2 bind 127.0.0.1 connect 127.0.0.1:9000 as a",
            "close a",
        ],
        &[
            "hold 2 bind 127.0.0.1 connect 127.0.0.1:9000 as a",
            "close-client a",
        ],
        &[
            "hold bind 127.0.0.1:20003 connect 127.0.0.1:9000 as a",
            "close a",
        ],
    ] {
        all_are(setup, Locked, Origin::Bound);
    }
}

fn listeners() {
    for setup in [
        &["listen 0.0.0.0:20003"][..],
        &["listen [::]:20003"],
        &["listen 0.0.0.0"],
        &[
            "listen 127.0.0.1:20003",
            "hold bind 127.0.0.1:19000 connect 127.0.0.1:20003",
        ],
        &[
            "listen 127.0.0.1:20003 as server",
            "hold bind 127.0.0.1:19000 connect 127.0.0.1:20003",
            "close server",
        ],
        &[
            "listen 127.0.0.1:20003 as server",
            "hold bind 127.0.0.1:19000 connect 127.0.0.1:20003 as client",
            "close server",
            "close-server client",
            "close-client client",
        ],
        // The kernel's helper does not take its child's TIME_WAIT for one.
        &[
            "hold mptcp listen 127.0.0.1:20003",
            "hold bind 127.0.0.1:19000 connect 127.0.0.1:20003 as client",
            "close-server client",
            "close-client client",
        ],
    ] {
        all_are(setup, Locked, Origin::Bound);
    }
}

/// Since 6.17.8 the bucket is reckoned anew when a binder leaves, before it stays locked: asked of the
/// kernel either way (`compare::buckets_are_the_kernels`).
fn binder_left() {
    let fill = "hold 8 connect 127.0.0.1:9000";
    let visit = "hold bind 127.0.0.2:20003 reuseaddr as visitor";
    let stays = buckets_after(&[fill, visit]);
    let of = |told: &[(u16, Option<BucketState>, Origin)], port| {
        told.iter()
            .filter(|(of, bucket, _)| *of == port && bucket.is_some())
            .map(|(_, bucket, origin)| (*bucket, *origin))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&stays, 20_003), [(Some(Locked), Origin::Automatic)]);
    assert_eq!(of(&stays, 20_004), [(Some(Shareable), Origin::Automatic)]);
    for setup in [
        &[fill, visit, "close visitor"][..],
        &[fill, visit, "disconnect visitor", "close visitor"],
        &[
            "hold 8 connect 127.0.0.1:9000 as a",
            "close a",
            visit,
            "close visitor",
        ],
        &[
            fill,
            "hold bind 127.0.0.2:20003 connect 127.0.0.1:9001 reuseaddr as visitor",
            "reset visitor",
        ],
    ] {
        assert_eq!(of(&buckets_after(setup), 20_003).len(), 1, "{setup:?}");
    }
}
