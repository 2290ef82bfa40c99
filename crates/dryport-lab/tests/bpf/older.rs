//! Kernels that tell less: the running one as if some members were not there.

use std::time::{Duration, Instant};

use dryport_bpf::{BpfTable, Kernel};
use dryport_host::survey::{self, HeadroomSurvey, Means};
use dryport_host::{Sighting, read_limits, with_route_source};
use dryport_lab::random::{self, REUSE_DELAY_MS};
use dryport_lab::{Granted, Stage, Step};
use dryport_model::{Class, Origin, Protocol, Request, State};

use crate::{Test, rows, scenes, table};

pub const TESTS: &[(&str, Test)] = &[
    ("rows_need_no_member_that_came_late", rows_are_equal),
    (
        "what_an_older_kernel_does_not_tell_is_not_guessed",
        nothing_is_guessed,
    ),
    ("headroom_by_an_older_kernel_is_never_wrong", never_wrong),
];

type Members = &'static [(&'static str, &'static str)];

/// Since 6.14, 6.17.8 and 6.3; all at once is 5.9.
const LACKING: [Members; 4] = [
    &[("inet_timewait_sock", "tw_entry_stamp")],
    &[("inet_timewait_sock", "tw_connect_bind")],
    &[("inet_sock", "local_port_range")],
    &[
        ("inet_timewait_sock", "tw_entry_stamp"),
        ("inet_timewait_sock", "tw_connect_bind"),
        ("inet_sock", "local_port_range"),
        ("inet_bind2_bucket", "fastreuse"),
    ],
];

fn older(lacking: Members) -> BpfTable {
    BpfTable::open(&Kernel::without(lacking).unwrap(), true).unwrap()
}

fn rows_are_equal() {
    let stage = scenes::mixture();
    for lacking in LACKING {
        stage
            .client()
            .run(|| rows::are_equal(&older(lacking)))
            .unwrap();
    }
}

fn has(lacking: Members, member: &str) -> bool {
    lacking.iter().any(|(_, of)| *of == member)
}

fn nothing_is_guessed() {
    let stage = scenes::mixture();
    for lacking in LACKING {
        let (told, less) = stage
            .client()
            .run(|| {
                let tcp = |table: &BpfTable| {
                    let mut rows = rows::read(table, Protocol::Tcp, rows::ALL_PORTS);
                    rows.sort_by_key(|seen| {
                        format!(
                            "{:?}",
                            (seen.socket.local, seen.socket.remote, seen.socket.device)
                        )
                    });
                    rows
                };
                (tcp(&table(true)), tcp(&older(lacking)))
            })
            .unwrap();
        assert_eq!(told.len(), less.len());
        for (told, less) in told.iter().zip(&less) {
            tells_less(lacking, told, less);
        }
    }
}

fn tells_less(lacking: Members, told: &Sighting, less: &Sighting) {
    let is_bound = matches!(told.socket.state, State::Listen | State::BoundInactive);
    let expected = if has(lacking, "tw_connect_bind") && !is_bound {
        Origin::Unknown
    } else {
        told.socket.origin
    };
    assert_eq!(less.socket.origin, expected, "{told:?}");
    assert_eq!(less.bucket, told.bucket);
    let (Some(told), Some(less)) = (told.socket.time_wait, less.socket.time_wait) else {
        return;
    };
    assert_eq!(less.timestamps, told.timestamps);
    if has(lacking, "tw_entry_stamp") {
        assert_eq!(less.age_ms, 60_000_u32.saturating_sub(less.remaining_ms));
    }
}

/// A handful of random states with old and young TIME_WAITs.
fn never_wrong() {
    const SEEDS: [u64; 6] = [3, 8, 17, 29, 33, 41];
    let kernels = LACKING.map(|lacking| Kernel::without(lacking).unwrap());
    std::thread::scope(|scope| {
        for seed in SEEDS {
            let kernels = &kernels;
            scope.spawn(move || holds(seed, kernels));
        }
    });
}

fn holds(seed: u64, kernels: &[Kernel]) {
    let scenario = random::scenario(seed);
    let is_wait = |step: &Step| matches!(step, Step::Wait(_));
    let young = scenario.setup.iter().rposition(is_wait).map_or(0, |at| at + 1);
    let deadline = Instant::now() + Duration::from_secs(60);
    // Done anew if the machine was so slow that young TIME_WAITs grew old in between.
    while Instant::now() < deadline {
        let tables: Vec<BpfTable> = kernels
            .iter()
            .map(|kernel| BpfTable::open(kernel, false).unwrap())
            .collect();
        let mut stage = Stage::empty(&scenario).unwrap();
        stage.play_all(&scenario.setup[..young]).unwrap();
        let began = Instant::now();
        stage.play_all(&scenario.setup[young..]).unwrap();
        let request = stage.request().unwrap().unwrap();
        let predictions = stage.client().run(move || predict(&tables, request)).unwrap();
        let granted = stage.grant_all().unwrap();
        if began.elapsed() < Duration::from_millis(REUSE_DELAY_MS - 200) {
            predictions.iter().for_each(|survey| is_right(seed, survey, &granted));
            return;
        }
    }
    panic!("the machine is too slow for this state");
}

/// By each of the tables, with and without probes.
fn predict(tables: &[BpfTable], request: Request) -> Vec<HeadroomSurvey> {
    let request = with_route_source(request).unwrap();
    let read = read_limits(true).unwrap();
    let means = |table| [true, false].map(|probes| Means { table, probes });
    tables
        .iter()
        .flat_map(|table| means(table))
        .map(|means| survey::headroom(&request, &read, means).unwrap())
        .collect()
}

fn is_right(seed: u64, survey: &HeadroomSurvey, granted: &Granted) {
    let headroom = survey.classes.headroom();
    let told = format!("seed {seed}: {:?}, {granted:?}", survey.classes.ledger());
    let ends = headroom.at_least..=headroom.at_most;
    assert!(ends.contains(&granted.first_failure), "{headroom:?} {told}");
    for port in &granted.ports {
        let class = survey.classes.class(*port).unwrap();
        assert!(
            class.is_usable() || class == Class::Uncertain,
            "{port} {told}"
        );
    }
}
