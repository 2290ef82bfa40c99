//! Rows of the BPF table beside those of sock_diag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dryport_bpf::BpfTable;
use dryport_host::{Probe, Sighting, SockDiag, SocketTable};
use dryport_lab::{Stage, Step, prepare, random};
use dryport_model::{BucketState, PortRange, ProbeKind, Protocol, Socket, State};
use libtest_mimic::Trial;

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

pub const ALL_PORTS: PortRange = match PortRange::new(1, 65_535) {
    Some(range) => range,
    None => PortRange::LINUX_DEFAULT,
};

const RANDOM_STATES: u64 = 60;
const STATES_A_TEST: u64 = 20;

/// A busy machine may need a while until closed connections have reached their state.
const DEADLINE: Duration = Duration::from_secs(5);

/// What both must tell alike. A TIME_WAIT's `uid` is left out: it has no owner.
type Key = String;

fn key(socket: &Socket, with_inode: bool) -> Key {
    let is_stub = socket.is_time_wait_stub();
    format!(
        "{} {} {:?} {} -> {} device {} inode {} uid {}{}",
        socket.protocol.name(),
        socket.state.name(),
        socket.family,
        socket.local,
        socket.remote,
        socket.device,
        if with_inode { socket.inode } else { 0 },
        if is_stub { 0 } else { socket.uid },
        if is_stub { " stub" } else { "" },
    )
}

type Rows = BTreeMap<Key, Vec<Sighting>>;

/// Everything of a protocol on these ports, in the calling thread's namespace.
pub fn read(table: &dyn SocketTable, protocol: Protocol, ports: PortRange) -> Vec<Sighting> {
    let mut rows = Vec::new();
    let tally = table
        .read(protocol, ports, &mut |seen| rows.push(*seen))
        .unwrap();
    assert_eq!(tally.unreadable, 0);
    assert_eq!(tally.rows, rows.len() as u64);
    rows
}

fn keyed(rows: &[Sighting], with_inode: bool) -> Rows {
    let mut keyed = Rows::new();
    for seen in rows {
        let key = key(&seen.socket, with_inode);
        keyed.entry(key).or_default().push(*seen);
    }
    keyed
}

/// Compares both protocols on all ports in the calling thread's namespace, and gives the rows.
#[track_caller]
pub fn are_equal(table: &BpfTable) -> Vec<Sighting> {
    let mut rows = are_equal_on(table, Protocol::Tcp, ALL_PORTS, true);
    rows.extend(are_equal_on(table, Protocol::Udp, ALL_PORTS, true));
    rows
}

/// Compares until both tables agree. What still changes is read anew.
#[track_caller]
fn are_equal_on(
    table: &BpfTable,
    protocol: Protocol,
    ports: PortRange,
    with_inode: bool,
) -> Vec<Sighting> {
    let started = Instant::now();
    loop {
        let before = keyed(&read(&SockDiag, protocol, ports), true);
        let rows = read(table, protocol, ports);
        let after = keyed(&read(&SockDiag, protocol, ports), true);
        if !same_keys(&before, &after) && started.elapsed() < DEADLINE {
            continue;
        }
        match compare(
            [&before, &after].map(|rows| with(rows, with_inode)),
            &rows,
            with_inode,
        ) {
            Ok(()) => return rows,
            Err(_) if started.elapsed() < DEADLINE => {}
            Err(difference) => panic!("{difference}"),
        }
    }
}

fn with(rows: &Rows, with_inode: bool) -> Rows {
    keyed(
        &rows.values().flatten().copied().collect::<Vec<_>>(),
        with_inode,
    )
}

fn same_keys(one: &Rows, other: &Rows) -> bool {
    let counts = |rows: &Rows| -> Vec<(Key, usize)> {
        let count = |(key, seen): (&Key, &Vec<Sighting>)| (key.clone(), seen.len());
        rows.iter().map(count).collect()
    };
    counts(one) == counts(other)
}

fn compare([before, after]: [Rows; 2], rows: &[Sighting], with_inode: bool) -> Result<(), String> {
    let rows = keyed(rows, with_inode);
    if !same_keys(&before, &rows) {
        let missing = |here: &Rows, there: &Rows| -> Vec<String> {
            let differs = |key: &&Key| here[*key].len() != there.get(*key).map_or(0, Vec::len);
            here.keys().filter(differs).cloned().collect()
        };
        return Err(format!(
            "sock_diag alone: {:#?}\nBPF alone: {:#?}",
            missing(&before, &rows),
            missing(&rows, &before)
        ));
    }
    for (key, seen) in &rows {
        for (at, bpf) in seen.iter().enumerate() {
            compare_details(&before[key][at], bpf, &after[key][at])
                .map_err(|what| format!("{key}: {what}"))?;
        }
    }
    Ok(())
}

fn compare_details(before: &Sighting, bpf: &Sighting, after: &Sighting) -> Result<(), String> {
    let differs = |what: &str| Err(format!("{what}: {before:?} {bpf:?} {after:?}"));
    let told = before.socket.v6only;
    if told.is_some() && told != bpf.socket.v6only {
        return differs("v6only");
    }
    let socket = &bpf.socket;
    // A request socket of a listener has no bucket of its own, and idle ones are told by sock_diag.
    let has_bucket = socket.protocol == Protocol::Tcp
        && !matches!(socket.state, State::BoundInactive | State::SynRecv);
    if has_bucket != bpf.bucket.is_some() {
        return differs("bucket");
    }
    let (Some(first), Some(time_wait), Some(last)) = (
        before.socket.time_wait,
        socket.time_wait,
        after.socket.time_wait,
    ) else {
        return Ok(());
    };
    if time_wait.timestamps.is_none() {
        return differs("timestamps");
    }
    // A jiffy is 10 ms at most.
    let left = time_wait.remaining_ms;
    if left + 10 < last.remaining_ms || left > first.remaining_ms + 10 {
        return differs("remaining");
    }
    let whole = time_wait.age_ms + left;
    if socket.state == State::TimeWait && !(59_900..=60_100).contains(&whole) {
        return differs("age");
    }
    Ok(())
}

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
        socket.family == dryport_model::Family::V6 && socket.local.is_ipv4()
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
                (first..=last).for_each(random_state);
                Ok(())
            })
        })
}

fn random_state(seed: u64) {
    let mut state = random::scenario(seed);
    // How old a TIME_WAIT is makes no other row of it.
    state.setup.retain(|step| !matches!(step, Step::Wait(_)));
    let had_timestamps = state.sysctl["net.ipv4.tcp_timestamps"] == "1";
    let stage = prepare(&state).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let rows = stage.client().run(|| {
        let rows = are_equal(&table(true));
        buckets_are_the_kernels(&rows);
        rows
    });
    let stubs = rows.unwrap();
    let stubs = stubs.iter().filter_map(|seen| seen.socket.time_wait);
    for stub in stubs {
        assert_eq!(stub.timestamps, Some(had_timestamps), "seed {seed}");
    }
    is_told_at_the_server(&stage);
}

fn is_told_at_the_server(stage: &Stage) {
    stage.server().run(|| are_equal(&table(true))).unwrap();
}

/// Whoever asks for one of these ports gets it where the bucket is told to be shareable, and is
/// refused where it is told to be locked. In the calling thread's namespace.
#[track_caller]
pub fn buckets_are_the_kernels(rows: &[Sighting]) {
    let read = dryport_host::read_limits(true).unwrap();
    let probe = Probe::new(ProbeKind::Connect).unwrap();
    for seen in rows {
        let port = seen.socket.local.port();
        let may_be_asked = read.limits.range.contains(port) && !read.limits.reserved.contains(port);
        if let Some(bucket) = seen.bucket.filter(|_| may_be_asked) {
            let granted = probe.ask(port).granted();
            assert_eq!(granted, Some(bucket == BucketState::Shareable), "{seen:?}");
        }
    }
}
