//! Rows of the BPF table beside those of sock_diag.

use dryport_bpf::BpfTable;
use dryport_host::Sighting;
use dryport_lab::{Step, prepare, random};
use dryport_model::{Family, PortRange, Protocol, Socket, State};
use libtest_mimic::Trial;

use crate::compare::{ALL_PORTS, are_equal, are_equal_on, buckets_are_the_kernels};
use crate::{Test, scenes, table};

pub const TESTS: &[(&str, Test)] = &[
    (
        "every_kind_of_socket_is_told_as_sock_diag_tells_it",
        every_kind,
    ),
    ("a_cut_cable_and_its_states_are_told_the_same", a_cut_cable),
    ("requests_and_waiting_children_are_told_the_same", requests),
    ("only_the_ports_asked_for_are_told", asked_ports),
    ("without_inodes_all_else_is_told", without_inodes),
];

const RANDOM_STATES: u64 = 60;
const STATES_A_TEST: u64 = 20;

fn every_kind() {
    let stage = scenes::mixture();
    let _other = scenes::other_user(stage.client());
    let rows = stage.client().run(|| are_equal(&table(true))).unwrap();
    let has = |what: &str, wanted: fn(&Socket) -> bool| {
        let found = rows.iter().filter(|seen| wanted(&seen.socket)).count();
        assert!(found > 0, "the scene has no {what}");
    };
    has("other user", |socket| socket.uid == scenes::OTHER_USER);
    has("device", |socket| socket.device != 0);
    has("mapped", |socket| {
        socket.family == Family::V6 && socket.local.is_ipv4()
    });
    has("v6only", |socket| socket.v6only == Some(true));
    has("dual stack", |socket| {
        socket.local.is_ipv6() && socket.local.ip().is_unspecified() && socket.v6only == Some(false)
    });
    has("stub in FIN_WAIT2", |socket| {
        socket.is_time_wait_stub() && socket.state == State::FinWait2
    });
    has("full FIN_WAIT2", |socket| {
        !socket.is_time_wait_stub() && socket.state == State::FinWait2
    });
    has("connected UDP", |socket| {
        socket.protocol == Protocol::Udp && socket.state == State::Established
    });
    own_ranges(&rows);
    let stubs = rows.iter().filter_map(|seen| seen.socket.time_wait);
    assert!(stubs.into_iter().all(|stub| stub.timestamps == Some(true)));
    for state in [
        State::Listen,
        State::Established,
        State::TimeWait,
        State::CloseWait,
        State::BoundInactive,
        State::Close,
    ] {
        let found = rows.iter().any(|seen| seen.socket.state == state);
        assert!(found, "the scene has no {}", state.name());
    }
}

/// Two connections of the scene and a UDP socket have a range of their own.
fn own_ranges(rows: &[Sighting]) {
    let (mut tcp, mut udp) = (0, 0);
    for seen in rows {
        let range = seen.port_range.map(|range| (range.low, range.high));
        match (range, seen.socket.protocol) {
            (Some((20_700, 20_710)), Protocol::Tcp) => tcp += 1,
            (Some((20_900, 20_910)), Protocol::Udp) => udp += 1,
            (Some(_), _) => panic!("{seen:?}"),
            (None, _) => {}
        }
    }
    assert_eq!((tcp, udp), (2, 1));
}

fn a_cut_cable() {
    let stage = scenes::cut_cable();
    let rows = stage.client().run(|| are_equal(&table(true))).unwrap();
    for state in [State::SynSent, State::FinWait1, State::LastAck] {
        let found = rows.iter().any(|seen| seen.socket.state == state);
        assert!(found, "the scene has no {}: {rows:#?}", state.name());
    }
    stage.server().run(|| are_equal(&table(true))).unwrap();
}

fn requests() {
    let (place, _held) = scenes::requests();
    let rows = place.run(|| are_equal(&table(true))).unwrap();
    let requests = rows
        .iter()
        .filter(|seen| seen.socket.state == State::SynRecv);
    assert_eq!(requests.count(), scenes::REQUESTS);
    let waiting =
        |seen: &&Sighting| seen.socket.state == State::Established && seen.socket.inode == 0;
    assert_eq!(rows.iter().filter(waiting).count(), scenes::WAITING);
}

fn asked_ports() {
    let stage = scenes::mixture();
    let told = stage.client().run(|| {
        let table = table(true);
        let all: usize = [
            (1, 19_499),
            (19_500, 19_500),
            (19_501, 20_499),
            (20_500, 65_535),
        ]
        .into_iter()
        .map(|(low, high)| {
            let ports = PortRange::new(low, high).unwrap();
            let mut rows = are_equal_on(&table, Protocol::Tcp, ports, true);
            rows.extend(are_equal_on(&table, Protocol::Udp, ports, true));
            let outside = |seen: &&Sighting| !ports.contains(seen.socket.local.port());
            assert_eq!(rows.iter().find(outside), None);
            rows.len()
        })
        .sum();
        // Nothing of an earlier question is left.
        (all, are_equal(&table).len())
    });
    let (parts, whole) = told.unwrap();
    assert_eq!(parts, whole);
}

fn without_inodes() {
    let stage = scenes::mixture();
    let rows = stage.client().run(|| {
        let table = table(false);
        let mut rows = are_equal_on(&table, Protocol::Tcp, ALL_PORTS, false);
        rows.extend(are_equal_on(&table, Protocol::Udp, ALL_PORTS, false));
        rows
    });
    let by_bpf = |seen: &Sighting| seen.socket.state != State::BoundInactive;
    let mut rows = rows.unwrap();
    rows.retain(by_bpf);
    assert!(rows.iter().all(|seen| seen.socket.inode == 0));
}

/// The states of [`random`], several in one test.
pub fn random() -> impl Iterator<Item = Trial> {
    (1..=RANDOM_STATES)
        .step_by(STATES_A_TEST as usize)
        .map(|first| {
            let last = first + STATES_A_TEST - 1;
            let name = format!("random_states_{first}_to_{last}_are_told_the_same");
            Trial::test(name, move || {
                (first..=last).fold(table(true), random_state);
                Ok(())
            })
        })
}

/// One table goes from thread to thread: making it takes longer than reading.
fn random_state(table: BpfTable, seed: u64) -> BpfTable {
    let mut state = random::scenario(seed);
    // How old a TIME_WAIT is makes no other row of it.
    state.setup.retain(|step| !matches!(step, Step::Wait(_)));
    let had_timestamps = state.sysctl["net.ipv4.tcp_timestamps"] == "1";
    let stage = prepare(&state).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let client = move || {
        let rows = are_equal(&table);
        buckets_are_the_kernels(&rows);
        (rows, table)
    };
    let (rows, table) = stage.client().run(client).unwrap();
    for stub in rows.iter().filter_map(|seen| seen.socket.time_wait) {
        assert_eq!(stub.timestamps, Some(had_timestamps), "seed {seed}");
    }
    let server = move || {
        are_equal(&table);
        table
    };
    stage.server().run(server).unwrap()
}
