//! Holds two tables of one namespace beside each other, and bucket states beside the kernel's answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dryport_bpf::BpfTable;
use dryport_host::{Probe, Sighting, SockDiag, SocketTable};
use dryport_model::{BucketState, PortRange, ProbeKind, Protocol, Socket, State};

pub const ALL_PORTS: PortRange = match PortRange::new(1, 65_535) {
    Some(range) => range,
    None => PortRange::LINUX_DEFAULT,
};

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
pub fn are_equal_on(
    table: &BpfTable,
    protocol: Protocol,
    ports: PortRange,
    with_inode: bool,
) -> Vec<Sighting> {
    let started = Instant::now();
    loop {
        let by_sock_diag = || keyed(&read(&SockDiag, protocol, ports), with_inode);
        let before = by_sock_diag();
        let rows = read(table, protocol, ports);
        let after = by_sock_diag();
        let is_late = started.elapsed() > DEADLINE;
        if !same_keys(&before, &after) && !is_late {
            continue;
        }
        match compare(&before, &keyed(&rows, with_inode), &after) {
            Ok(()) => return rows,
            Err(difference) => assert!(!is_late, "{difference}"),
        }
    }
}

fn same_keys(one: &Rows, other: &Rows) -> bool {
    let counts = |rows: &Rows| -> Vec<(Key, usize)> {
        let count = |(key, seen): (&Key, &Vec<Sighting>)| (key.clone(), seen.len());
        rows.iter().map(count).collect()
    };
    counts(one) == counts(other)
}

fn compare(before: &Rows, rows: &Rows, after: &Rows) -> Result<(), String> {
    if !same_keys(before, rows) || !same_keys(rows, after) {
        let missing = |here: &Rows, there: &Rows| -> Vec<String> {
            let differs = |key: &&Key| here[*key].len() != there.get(*key).map_or(0, Vec::len);
            here.keys().filter(differs).cloned().collect()
        };
        return Err(format!(
            "sock_diag alone: {:#?}\nBPF alone: {:#?}",
            missing(before, rows),
            missing(rows, before)
        ));
    }
    for (key, seen) in rows {
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
