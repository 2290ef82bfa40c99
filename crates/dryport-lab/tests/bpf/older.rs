//! Kernels that tell less: the running one as if some members were not there.

use std::time::Duration;

use dryport_bpf::{BpfTable, Kernel};
use dryport_host::survey::{self, HeadroomSurvey, Means};
use dryport_host::{Sighting, read_limits, with_route_source};
use dryport_lab::random;
use dryport_lab::{Ask, Ends, Granted, Scenario, Step, Then, Transport, prepare};
use dryport_model::{Class, Origin, Protocol, Request, State};

use crate::{Test, compare, scenes, table};

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
            .run(|| compare::are_equal(&older(lacking)))
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
                    let mut rows = compare::read(table, Protocol::Tcp, compare::ALL_PORTS);
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
    let range = told
        .port_range
        .filter(|_| !has(lacking, "local_port_range"));
    assert_eq!(less.port_range, range);
    let (Some(told), Some(less)) = (told.socket.time_wait, less.socket.time_wait) else {
        return;
    };
    assert_eq!(less.timestamps, told.timestamps);
    if has(lacking, "tw_entry_stamp") {
        assert_eq!(less.age_ms, 60_000_u32.saturating_sub(less.remaining_ms));
    }
}

/// Random states with TIME_WAITs that a request may be given, once when all of them are young and once
/// when all are old, so that no slow machine makes one the other.
fn never_wrong() {
    const STATES: usize = 5;
    let kernels = LACKING.map(|lacking| Kernel::without(lacking).unwrap());
    let states = (1..).map(random::scenario).filter(may_reuse).take(STATES);
    for mut state in states {
        state.setup.retain(|step| !matches!(step, Step::Wait(_)));
        for (delay, wait) in [("60000", 0), ("100", 200)] {
            let key = "net.ipv4.tcp_tw_reuse_delay".to_owned();
            state.sysctl.insert(key, delay.to_owned());
            state.setup.push(Step::Wait(Duration::from_millis(wait)));
            holds(&state, &kernels);
        }
    }
}

fn may_reuse(state: &Scenario) -> bool {
    let is_closed = |step: &Step| {
        matches!(
            step,
            Step::Close {
                ends: Ends::Both,
                ..
            }
        )
    };
    let connects = matches!(
        &state.request,
        Some(Ask {
            transport: Transport::Tcp,
            then: Then::Connect(_),
            ..
        })
    );
    connects && state.setup.iter().any(is_closed) && state.sysctl["net.ipv4.tcp_tw_reuse"] != "0"
}

fn holds(state: &Scenario, kernels: &[Kernel]) {
    let open = |kernel| BpfTable::open(kernel, false).unwrap();
    let tables: Vec<BpfTable> = kernels.iter().map(open).collect();
    let mut stage = prepare(state).unwrap();
    let request = stage.request().unwrap().unwrap();
    let predictions = stage.client().run(move || predict(&tables, request));
    let granted = stage.grant_all().unwrap();
    for survey in predictions.unwrap() {
        is_right(&state.id, &survey, &granted);
    }
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

fn is_right(state: &str, survey: &HeadroomSurvey, granted: &Granted) {
    let headroom = survey.classes.headroom();
    let told = format!("{state}: {:?}, {granted:?}", survey.classes.ledger());
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
