//! A census of made-up sockets.

use alloc::vec;
use alloc::vec::Vec;

use crate::{
    CauseId, Census, Class, Family, Ledger, Level, Limits, NamespaceFacts, Origin, Owner, Owners,
    PortRange, Protocol, RequestUse, Socket, SocketPortRange, State, Thresholds, TimeWait, judge,
};

fn limits(low: u16, high: u16) -> Limits {
    Limits {
        range: PortRange::new(low, high).unwrap(),
        ..Limits::linux_default()
    }
}

fn socket(state: State, local: &str, remote: &str) -> Socket {
    let bound = matches!(state, State::Listen | State::BoundInactive);
    Socket {
        protocol: Protocol::Tcp,
        state,
        family: Family::V4,
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        device: 0,
        v6only: Some(false),
        origin: if bound {
            Origin::Bound
        } else {
            Origin::Unknown
        },
        time_wait: None,
        inode: 7,
        uid: 0,
    }
}

fn client(port: u16, remote: &str) -> Socket {
    let mut socket = socket(State::Established, "127.0.0.1:1", remote);
    socket.local.set_port(port);
    socket
}

/// A census whose doubtful ports the kernel called shareable.
fn census<'a>(limits: &'a Limits, sockets: &[Socket]) -> Census<'a> {
    let mut census = Census::new(limits);
    sockets.iter().for_each(|socket| census.observe(socket));
    census.forget_accepted();
    for port in census.ports_to_probe() {
        census.prove(port, Some(true));
    }
    census
}

fn used<'a>(uses: &'a [RequestUse], destination: &str) -> &'a RequestUse {
    let wanted = Some(destination.parse().unwrap());
    uses.iter()
        .find(|used| used.request.destination == wanted)
        .unwrap()
}

#[test]
fn each_destination_has_a_ledger_of_its_own() {
    let limits = limits(20000, 20007);
    let census = census(
        &limits,
        &[
            client(20000, "127.0.0.1:9000"),
            client(20001, "127.0.0.1:9000"),
            client(20000, "127.0.0.1:9001"),
            client(30000, "127.0.0.1:9000"),
        ],
    );
    let uses = census.tcp_requests(100);
    assert_eq!(uses.len(), 2);
    let busy = used(&uses, "127.0.0.1:9000");
    assert_eq!(
        busy.ledger,
        Ledger {
            free: 6,
            in_use: 2,
            ..Ledger::default()
        }
    );
    assert_eq!(used(&uses, "127.0.0.1:9001").headroom.at_least, 7);
    assert_eq!(census.any_new_destination().headroom.at_least, 8);
    assert_eq!(census.sockets(), 4);
}

#[test]
fn a_listener_locks_its_port_for_every_request() {
    let limits = limits(20000, 20007);
    let listener = socket(State::Listen, "127.0.0.9:20003", "0.0.0.0:0");
    let census = census(&limits, &[listener, client(20000, "127.0.0.1:9000")]);
    let uses = census.tcp_requests(100);
    let ledger = Ledger {
        free: 6,
        in_use: 1,
        locked: 1,
        ..Ledger::default()
    };
    assert_eq!(used(&uses, "127.0.0.1:9000").ledger, ledger);
    assert_eq!(census.any_new_destination().ledger.locked, 1);
}

#[test]
fn accepted_sockets_are_no_requests_whichever_comes_first() {
    let limits = limits(20000, 20007);
    let listener = socket(State::Listen, "0.0.0.0:20003", "0.0.0.0:0");
    let accepted = socket(State::Established, "127.0.0.1:20003", "127.0.0.1:40000");
    for sockets in [[listener, accepted], [accepted, listener]] {
        let census = census(&limits, &sockets);
        assert_eq!(census.request_count(), 0);
        assert!(census.tcp_requests(100).is_empty());
    }
}

#[test]
fn a_v6only_listener_accepts_no_ipv4() {
    let limits = limits(20000, 20007);
    let listener = |v6only| Socket {
        family: Family::V6,
        v6only: Some(v6only),
        ..socket(State::Listen, "[::]:20003", "[::]:0")
    };
    let client = client(20003, "127.0.0.1:9000");
    assert_eq!(
        census(&limits, &[listener(true), client]).request_count(),
        1
    );
    assert_eq!(
        census(&limits, &[listener(false), client]).request_count(),
        0
    );
}

#[test]
fn a_tuple_held_with_and_without_a_device_counts_once_for_each_request() {
    let limits = limits(20000, 20007);
    let plain = client(20000, "127.0.0.1:9000");
    let bound = Socket { device: 3, ..plain };
    let census = census(
        &limits,
        &[
            plain,
            bound,
            Socket {
                device: 3,
                ..client(20001, "127.0.0.1:9000")
            },
        ],
    );
    let uses = census.tcp_requests(100);
    let in_use = |device| {
        uses.iter()
            .find(|used| used.request.device == device)
            .unwrap()
            .ledger
            .in_use
    };
    // A plain socket stands in everybody's way, a bound one only in that of its device.
    assert_eq!((in_use(0), in_use(3)), (1, 2));
}

#[test]
fn the_least_used_requests_are_counted_and_left_out() {
    let limits = limits(20000, 20007);
    let census = census(
        &limits,
        &[
            client(20000, "127.0.0.1:9000"),
            client(20001, "127.0.0.1:9001"),
            client(20002, "127.0.0.1:9001"),
        ],
    );
    let uses = census.tcp_requests(1);
    assert_eq!(uses.len(), 1);
    assert_eq!(used(&uses, "127.0.0.1:9001").ledger.in_use, 2);
    assert_eq!(census.request_count(), 2);
}

#[test]
fn an_untold_bucket_is_uncertain_until_the_kernel_was_asked() {
    let limits = limits(20000, 20007);
    let mut census = Census::new(&limits);
    census.observe(&client(20000, "127.0.0.1:9001"));
    assert_eq!(census.any_new_destination().ledger.uncertain, 1);
    assert_eq!(census.ports_to_probe(), [20000]);
    census.prove(20000, None);
    assert_eq!(census.any_new_destination().ledger.uncertain, 1);
    census.prove(20000, Some(false));
    assert_eq!(census.any_new_destination().ledger.count(Class::Locked), 1);
}

fn verdict_of(census: &Census<'_>) -> crate::Verdict {
    let owner = Owner {
        pid: 42,
        name: "leaky".into(),
        ..Owner::default()
    };
    let owners = Owners::new(vec![owner], vec![(7, 0)]);
    let thresholds = Thresholds::default();
    judge(&NamespaceFacts {
        census,
        owners: Some(&owners),
        thresholds,
    })
}

fn ids(verdict: &crate::Verdict) -> Vec<CauseId> {
    verdict.causes.iter().map(|cause| cause.id).collect()
}

#[test]
fn a_pair_that_used_its_range_is_critical_and_names_its_owner() {
    let limits = limits(20000, 20007);
    let sockets: Vec<Socket> = limits
        .range
        .ports()
        .map(|p| client(p, "127.0.0.1:9000"))
        .collect();
    let census = census(&limits, &sockets);
    let verdict = verdict_of(&census);
    assert_eq!(verdict.level, Level::Critical);
    let dry = verdict
        .causes
        .iter()
        .find(|cause| cause.id == CauseId::ConnectTupleDry)
        .unwrap();
    assert!(!dry.owners.groups.is_empty());
    assert!(dry.summary.contains("8 of 8"), "{}", dry.summary);
}

#[test]
fn idle_binds_lock_the_range_for_everybody() {
    let limits = limits(20000, 20007);
    let idle = |port: u16| {
        let mut idle = socket(State::BoundInactive, "127.0.0.2:1", "0.0.0.0:0");
        idle.local.set_port(port);
        idle
    };
    let sockets: Vec<Socket> = limits.range.ports().map(idle).collect();
    let census = census(&limits, &sockets);
    let verdict = verdict_of(&census);
    assert_eq!(verdict.level, Level::Critical);
    assert!(ids(&verdict).contains(&CauseId::ConnectRangeLocked));
}

#[test]
fn churn_is_told_from_use() {
    let limits = Limits {
        tw_reuse: crate::TimeWaitReuse::Off,
        ..limits(20000, 20007)
    };
    let stub = |port| Socket {
        state: State::TimeWait,
        inode: 0,
        time_wait: Some(TimeWait {
            remaining_ms: 30_000,
            age_ms: 30_000,
            timestamps: None,
        }),
        ..client(port, "127.0.0.1:9000")
    };
    let sockets: Vec<Socket> = limits.range.ports().map(stub).collect();
    let census = census(&limits, &sockets);
    let verdict = verdict_of(&census);
    assert_eq!(verdict.level, Level::Critical);
    assert!(ids(&verdict).contains(&CauseId::ConnectTimeWait));
}

#[test]
fn what_could_not_be_seen_makes_the_worse_level_and_says_so() {
    let limits = limits(20000, 20007);
    let mut census = Census::new(&limits);
    limits
        .range
        .ports()
        .for_each(|port| census.observe(&client(port, "127.0.0.1:9001")));
    let verdict = verdict_of(&census);
    let any = verdict
        .requests
        .iter()
        .find(|r| r.request.destination.is_none())
        .unwrap();
    assert_eq!(any.level, Level::Critical);
    assert!(any.level_is_uncertain);
}

#[test]
fn a_range_of_odd_size_is_a_note() {
    let limits = limits(20000, 60000);
    let verdict = verdict_of(&census(&limits, &[]));
    assert_eq!(verdict.level, Level::Ok);
    assert!(ids(&verdict).contains(&CauseId::RangeOddSize));
}

/// 6 of 8 ports automatic to one destination, 2 more locked by clients to another.
fn crowded(limits: &Limits) -> Census<'_> {
    let mut census = Census::new(limits);
    for port in 20000..20006 {
        census.observe(&client(port, "127.0.0.1:9000"));
    }
    for port in [20006, 20007] {
        census.observe(&client(port, "127.0.0.1:9001"));
    }
    for port in 20000..20006 {
        census.prove(port, Some(true));
    }
    for port in [20006, 20007] {
        census.prove(port, Some(false));
    }
    census
}

#[test]
fn a_bind_is_judged_however_few_use_it() {
    let limits = limits(20000, 20007);
    let mut census = crowded(&limits);
    census.count_bind_requests();
    let binds = census.bind_requests();
    assert_eq!(binds.len(), 1);
    assert_eq!(binds[0].headroom.at_most, 0);
    assert!(ids(&verdict_of(&census)).contains(&CauseId::BindRangeDry));
}

#[test]
fn ports_of_their_own_choice_make_nobody_a_user_of_bind_to_port_0() {
    let limits = limits(20000, 20007);
    let mut census = crowded(&limits);
    census.set_fixed("127.0.0.1:20006".parse().unwrap());
    census.set_fixed("127.0.0.1:20007".parse().unwrap());
    census.count_bind_requests();
    assert!(census.bind_requests().is_empty());
}

#[test]
fn the_children_of_a_gone_listener_are_no_users_of_bind_to_port_0() {
    let limits = limits(20000, 20007);
    let mut census = Census::new(&limits);
    for remote in ["127.0.0.1:40000", "127.0.0.1:40001", "127.0.0.1:40002"] {
        census.observe(&client(20003, remote));
    }
    census.prove(20003, Some(false));
    census.count_bind_requests();
    assert!(census.bind_requests().is_empty());
}

#[test]
fn a_full_socket_in_syn_recv_is_a_connection_and_a_request_socket_is_not() {
    let limits = limits(20000, 20007);
    let full = Socket {
        state: State::SynRecv,
        ..client(20000, "127.0.0.1:9000")
    };
    let request = Socket { inode: 0, ..full };
    assert_eq!(census(&limits, &[full]).request_count(), 1);
    assert_eq!(census(&limits, &[request]).request_count(), 0);
}

#[test]
fn an_owner_has_a_port_once_however_many_sockets_stand_on_it() {
    let limits = limits(20000, 20007);
    let mut census = Census::new(&limits);
    for remote in ["127.0.0.1:40000", "127.0.0.1:40001"] {
        census.observe(&client(20003, remote));
    }
    census.prove(20003, Some(false));
    let verdict = verdict_of(&census);
    let any = verdict
        .requests
        .iter()
        .find(|r| r.request.destination.is_none())
        .unwrap();
    assert_eq!(
        any.owners
            .processes
            .iter()
            .map(|share| share.ports)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_client_with_a_port_range_of_its_own_is_judged_within_it() {
    let limits = limits(20000, 20099);
    let own = SocketPortRange {
        low: 20000,
        high: 20003,
    };
    let mut census = Census::new(&limits);
    for port in 20000..20003 {
        census.observe_with(&client(port, "127.0.0.1:9000"), Some(own));
    }
    // The same tuple space, whoever chose from which range.
    census.observe(&client(20003, "127.0.0.1:9000"));
    census.observe(&client(20050, "127.0.0.1:9000"));
    for port in census.ports_to_probe() {
        census.prove(port, Some(true));
    }
    let uses = census.tcp_requests(10);
    let left = |range| {
        let used = uses.iter().find(|used| used.request.port_range == range);
        used.unwrap().headroom.at_most
    };
    assert_eq!(left(Some(own)), 0);
    assert_eq!(left(None), 95);
    let verdict = judge(&NamespaceFacts {
        census: &census,
        owners: None,
        thresholds: Thresholds::default(),
    });
    let dry = verdict
        .causes
        .iter()
        .find(|cause| cause.id == CauseId::ConnectTupleDry);
    // No setting of the system gives it a port, so none is advised, and the range is not to blame.
    assert!(
        dry.unwrap()
            .remedies
            .iter()
            .all(|r| r.command.as_deref() != Some("dryport fix"))
    );
    let narrow = verdict
        .causes
        .iter()
        .find(|cause| cause.id == CauseId::RangeNarrow);
    assert_eq!(narrow.unwrap().level, Level::Ok);
}
