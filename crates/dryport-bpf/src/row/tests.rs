use zerocopy::IntoBytes;

use super::*;

const HZ: u32 = 250;

/// An established IPv4 connection of TCP.
const HEAD: SocketHead = SocketHead {
    protocol: IPPROTO_TCP,
    state: 1,
    family: AF_INET,
    flags: 0,
    fastreuse: -1,
    fastreuseport: -1,
    reserved: 0,
    local_port: 20_000,
    remote_port: 9000,
    range_low: 0,
    range_high: 0,
    device: 0,
    inode: 0,
    uid: 0,
    age_ms: 0,
    remaining_jiffies: 0,
};

fn record(head: SocketHead, local: &str, remote: &str) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    for address in [local, remote] {
        match address.parse().unwrap() {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes
}

fn decode(bytes: &[u8]) -> (Vec<Sighting>, Decoded) {
    let mut seen = Vec::new();
    let decoded = decode_sockets(bytes, HZ, |sighting| seen.push(*sighting));
    (seen, decoded)
}

#[track_caller]
fn only(head: SocketHead) -> Sighting {
    let (local, remote) = match head.family {
        AF_INET => ("127.0.0.1", "127.0.0.2"),
        _ => ("::1", "::2"),
    };
    let bytes = record(head, local, remote);
    let (seen, decoded) = decode(&bytes);
    assert_eq!(
        (decoded.bytes, decoded.unreadable, decoded.is_broken),
        (bytes.len(), 0, false)
    );
    assert_eq!(seen.len(), 1);
    seen[0]
}

fn with_flags(flags: u8) -> Sighting {
    only(SocketHead { flags, ..HEAD })
}

#[test]
fn a_record_tells_the_socket() {
    let head = SocketHead {
        device: 7,
        inode: 4711,
        uid: 1000,
        ..HEAD
    };
    let expected = Socket {
        protocol: Protocol::Tcp,
        state: State::Established,
        family: Family::V4,
        local: "127.0.0.1:20000".parse().unwrap(),
        remote: "127.0.0.2:9000".parse().unwrap(),
        device: 7,
        v6only: Some(false),
        origin: Origin::Unknown,
        time_wait: None,
        inode: 4711,
        uid: 1000,
    };
    let seen = only(head);
    assert_eq!((seen.socket, seen.bucket), (expected, None));
    let v6 = only(SocketHead {
        family: AF_INET6,
        ..head
    });
    let expected = Socket {
        family: Family::V6,
        local: "[::1]:20000".parse().unwrap(),
        remote: "[::2]:9000".parse().unwrap(),
        ..expected
    };
    assert_eq!(v6.socket, expected);
    let udp = only(SocketHead {
        protocol: IPPROTO_UDP,
        state: 7,
        ..head
    });
    assert_eq!(
        (udp.socket.protocol, udp.socket.state),
        (Protocol::Udp, State::Close)
    );
}

#[test]
fn each_flag_means_one_thing() {
    let plain = with_flags(0);
    let stub = with_flags(SOCKET_TIME_WAIT).socket;
    assert_eq!(stub.time_wait.unwrap().timestamps, Some(false));
    let stamped = with_flags(SOCKET_TIME_WAIT | SOCKET_TIMESTAMPS).socket;
    assert_eq!(stamped.time_wait.unwrap().timestamps, Some(true));
    assert_eq!(
        with_flags(SOCKET_BUCKET).bucket,
        Some(BucketState::Shareable)
    );
    for (flags, origin) in [
        (SOCKET_ORIGIN_TOLD, Origin::Bound),
        (SOCKET_ORIGIN_TOLD | SOCKET_CONNECT_BIND, Origin::Automatic),
        // A kernel that does not tell it has no such bit, whatever stands there.
        (SOCKET_CONNECT_BIND, Origin::Unknown),
        (SOCKET_REQUEST | SOCKET_ORIGIN_TOLD, Origin::Unknown),
    ] {
        assert_eq!(with_flags(flags).socket.origin, origin, "{flags:#x}");
    }
    // Of a full socket these say nothing, and of an IPv4 one that neither.
    for flags in [SOCKET_TIMESTAMPS, SOCKET_AGE, SOCKET_REQUEST, SOCKET_V6ONLY] {
        assert_eq!(with_flags(flags), plain, "{flags:#x}");
    }
    let v6only = |flags, local: &str| {
        let head = SocketHead {
            flags,
            family: AF_INET6,
            ..HEAD
        };
        decode(&record(head, local, "::")).0[0].socket.v6only
    };
    assert_eq!(v6only(SOCKET_V6ONLY, "::"), Some(true));
    assert_eq!(v6only(0, "::"), Some(false));
    // A v4-mapped one cannot have it.
    assert_eq!(v6only(SOCKET_V6ONLY, "::ffff:127.0.0.1"), Some(false));
}

#[test]
fn listeners_and_idle_sockets_are_bound_and_udp_does_not_tell() {
    let origin = |protocol, state| {
        let flags = SOCKET_ORIGIN_TOLD | SOCKET_CONNECT_BIND;
        let head = SocketHead {
            protocol,
            state,
            flags,
            ..HEAD
        };
        only(head).socket.origin
    };
    assert_eq!(origin(IPPROTO_TCP, 10), Origin::Bound);
    assert_eq!(origin(IPPROTO_TCP, 13), Origin::Bound);
    assert_eq!(origin(IPPROTO_UDP, 1), Origin::Unknown);
    assert_eq!(origin(IPPROTO_UDP, 7), Origin::Unknown);
}

#[test]
fn a_bucket_is_shareable_where_both_are_minus_one() {
    for fastreuse in [-1, 0, 1] {
        for fastreuseport in [-1, 0, 1, 2] {
            let head = SocketHead {
                flags: SOCKET_BUCKET,
                fastreuse,
                fastreuseport,
                ..HEAD
            };
            let expected = match (fastreuse, fastreuseport) {
                (-1, -1) => BucketState::Shareable,
                _ => BucketState::Locked,
            };
            assert_eq!(
                only(head).bucket,
                Some(expected),
                "{fastreuse} {fastreuseport}"
            );
        }
    }
}

#[test]
fn a_range_of_the_sockets_own_is_told_where_there_is_one() {
    for (low, high) in [(0, 0), (20_000, 20_010), (0, 20_010), (20_000, 0)] {
        let head = SocketHead {
            range_low: low,
            range_high: high,
            ..HEAD
        };
        let expected = (low, high) != (0, 0);
        let expected = expected.then_some(SocketPortRange { low, high });
        assert_eq!(only(head).port_range, expected);
    }
}

#[test]
fn mapped_addresses_are_told_as_ipv4_and_both_ends_are_of_one_family() {
    let head = SocketHead {
        family: AF_INET6,
        ..HEAD
    };
    for (local, remote, told) in [
        (
            "::ffff:127.0.0.1",
            "::ffff:127.0.0.2",
            ("127.0.0.1", "127.0.0.2"),
        ),
        ("::ffff:127.0.0.1", "::", ("127.0.0.1", "0.0.0.0")),
        ("::ffff:0.0.0.0", "::", ("0.0.0.0", "0.0.0.0")),
        ("::", "::", ("::", "::")),
        ("::1", "::", ("::1", "::")),
    ] {
        let socket = decode(&record(head, local, remote)).0[0].socket;
        let told = [told.0, told.1].map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!([socket.local.ip(), socket.remote.ip()], told);
        assert_eq!(socket.family, Family::V6);
    }
}

fn stub(flags: u8, age_ms: u32, remaining_jiffies: i32) -> TimeWait {
    let head = SocketHead {
        state: 6,
        flags: SOCKET_TIME_WAIT | flags,
        age_ms,
        remaining_jiffies,
        ..HEAD
    };
    only(head).socket.time_wait.unwrap()
}

#[test]
fn a_timer_is_told_in_milliseconds_and_a_late_one_has_nothing_left() {
    let told = stub(SOCKET_AGE, 12_000, 48 * HZ as i32);
    assert_eq!((told.remaining_ms, told.age_ms), (48_000, 12_000));
    let late = stub(SOCKET_AGE, 61_500, -375);
    assert_eq!((late.remaining_ms, late.age_ms), (0, 61_500));
    // Without an age of its own it comes from the timer.
    assert_eq!(stub(0, 0, 48 * HZ as i32).age_ms, 12_000);
    assert_eq!(stub(0, 0, -375).age_ms, 60_000);
    // A FIN_WAIT2 stub's timer may be longer.
    assert_eq!(stub(0, 0, 120 * HZ as i32).age_ms, 0);
    let longest = stub(SOCKET_AGE, u32::MAX, i32::MAX);
    assert_eq!((longest.remaining_ms, longest.age_ms), (u32::MAX, u32::MAX));
    assert_eq!(stub(SOCKET_AGE, 0, i32::MIN).remaining_ms, 0);
}

#[test]
fn without_ticks_a_second_nothing_is_divided() {
    let head = SocketHead {
        flags: SOCKET_TIME_WAIT,
        remaining_jiffies: 5,
        ..HEAD
    };
    let bytes = record(head, "127.0.0.1", "127.0.0.2");
    decode_sockets(&bytes, 0, |seen| {
        assert_eq!(seen.socket.time_wait.unwrap().remaining_ms, 5000);
    });
}

/// IPv4 and IPv6, one of an unknown state, and one of an unknown protocol.
fn stretch() -> Vec<u8> {
    let v6 = SocketHead {
        family: AF_INET6,
        ..HEAD
    };
    let unreadable = [
        SocketHead { state: 0, ..v6 },
        SocketHead {
            protocol: 132,
            ..HEAD
        },
    ];
    [
        record(HEAD, "127.0.0.1", "127.0.0.2"),
        record(v6, "::1", "::2"),
        record(unreadable[0], "::1", "::2"),
        record(unreadable[1], "127.0.0.1", "127.0.0.2"),
        record(SocketHead { state: 12, ..v6 }, "::1", "::2"),
        record(HEAD, "127.0.0.1", "127.0.0.3"),
    ]
    .concat()
}

#[test]
fn records_that_are_not_understood_hide_no_other() {
    let bytes = stretch();
    let (seen, decoded) = decode(&bytes);
    assert_eq!(decoded.bytes, bytes.len());
    assert_eq!((decoded.unreadable, decoded.is_broken), (2, false));
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[2].socket.state, State::SynRecv);
    assert_eq!(seen[3].socket.remote.ip(), Ipv4Addr::new(127, 0, 0, 3));
}

#[test]
fn records_may_be_split_anywhere() {
    let bytes = stretch();
    let whole = decode(&bytes).0;
    for at in 0..=bytes.len() {
        let (mut seen, first) = decode(&bytes[..at]);
        assert!(!first.is_broken && first.bytes <= at);
        // Less than one record is left over.
        assert!(at - first.bytes < 68, "{at}: {first:?}");
        let (rest, second) = decode(&bytes[first.bytes..]);
        seen.extend(rest);
        assert_eq!(seen, whole, "{at}");
        assert_eq!(first.bytes + second.bytes, bytes.len());
        assert_eq!(first.unreadable + second.unreadable, 2);
    }
}

#[test]
fn behind_an_unknown_family_nothing_can_be_read() {
    let good = record(HEAD, "127.0.0.1", "127.0.0.2");
    let bad = record(SocketHead { family: 1, ..HEAD }, "127.0.0.1", "127.0.0.2");
    let (seen, decoded) = decode(&[good.clone(), bad, good.clone()].concat());
    assert_eq!(seen.len(), 1);
    assert_eq!(
        decoded,
        Decoded {
            bytes: good.len(),
            unreadable: 0,
            is_broken: true
        }
    );
}

#[test]
fn holders_may_be_split_anywhere() {
    let holder = |tgid| Holder {
        tgid,
        inode: tgid + 1,
        netns: 5,
        comm: *b"name\0 and behind",
    };
    let bytes = [holder(1), holder(u32::MAX - 1)].map(|one| one.as_bytes().to_vec());
    let bytes = bytes.concat();
    for at in 0..=bytes.len() {
        let mut seen = Vec::new();
        let mut take = |bytes: &[u8]| {
            decode_holders(bytes, |tgid, inode, netns, comm| {
                seen.push((tgid, inode, netns, *comm));
            })
        };
        let first = take(&bytes[..at]);
        assert_eq!(first, at / size_of::<Holder>() * size_of::<Holder>());
        assert_eq!(first + take(&bytes[first..]), bytes.len());
        let expected = |tgid| (tgid, tgid + 1, 5, *b"name\0 and behind");
        assert_eq!(seen, [expected(1), expected(u32::MAX - 1)]);
    }
}
