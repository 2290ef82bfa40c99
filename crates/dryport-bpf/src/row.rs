//! From the programs' records to sockets and their holders.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dryport_host::Sighting;
use dryport_model::{
    BucketState, Family, Origin, Protocol, Socket, SocketPortRange, State, TimeWait,
};
use zerocopy::FromBytes;

use crate::record::{
    Holder, SOCKET_AGE, SOCKET_BUCKET, SOCKET_CONNECT_BIND, SOCKET_ORIGIN_TOLD, SOCKET_REQUEST,
    SOCKET_TIME_WAIT, SOCKET_TIMESTAMPS, SOCKET_V6ONLY, SocketHead,
};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
/// How long TIME_WAIT lasts (`TCP_TIMEWAIT_LEN`).
const TIME_WAIT_MS: u32 = 60_000;

/// What a stretch of records held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of whole records; what is behind them begins the next stretch.
    pub bytes: usize,
    /// Records of an unknown state or protocol.
    pub unreadable: u64,
    /// The length of a record was not to be told: the rest is lost.
    pub is_broken: bool,
}

/// Hands over the sockets of a stretch of records. `jiffies_per_second` is the kernel's HZ.
pub fn decode_sockets(
    bytes: &[u8],
    jiffies_per_second: u32,
    mut observe: impl FnMut(&Sighting),
) -> Decoded {
    let mut decoded = Decoded::default();
    let mut rest = bytes;
    while let Ok((head, behind)) = SocketHead::ref_from_prefix(rest) {
        let addresses = match head.family {
            AF_INET => behind.first_chunk::<8>().map(addresses_v4),
            AF_INET6 => behind.first_chunk::<32>().map(addresses_v6),
            _ => {
                decoded.is_broken = true;
                break;
            }
        };
        let Some((local, remote, length)) = addresses else {
            break;
        };
        match sighting(head, local, remote, jiffies_per_second) {
            Some(sighting) => observe(&sighting),
            None => decoded.unreadable += 1,
        }
        rest = behind.get(length..).unwrap_or_default();
        decoded.bytes = bytes.len() - rest.len();
    }
    decoded
}

fn addresses_v4(bytes: &[u8; 8]) -> (IpAddr, IpAddr, usize) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (
        Ipv4Addr::new(a, b, c, d).into(),
        Ipv4Addr::new(e, f, g, h).into(),
        8,
    )
}

/// A v4-mapped socket without a peer has `::` there, which becomes `0.0.0.0`, so that both are of
/// one family.
fn addresses_v6(bytes: &[u8; 32]) -> (IpAddr, IpAddr, usize) {
    let address = |part: &[u8]| {
        let octets = part.first_chunk::<16>().copied().unwrap_or_default();
        Ipv6Addr::from(octets).to_canonical()
    };
    let (local, remote) = bytes.split_at(16);
    let (local, remote) = (address(local), address(remote));
    if local.is_ipv4() && remote.is_unspecified() {
        return (local, Ipv4Addr::UNSPECIFIED.into(), 32);
    }
    (local, remote, 32)
}

#[inline]
fn sighting(head: &SocketHead, local: IpAddr, remote: IpAddr, hz: u32) -> Option<Sighting> {
    let has = |flag| head.flags & flag != 0;
    let protocol = match head.protocol {
        IPPROTO_TCP => Protocol::Tcp,
        IPPROTO_UDP => Protocol::Udp,
        _ => return None,
    };
    let state = State::from_number(head.state)?;
    let socket = Socket {
        protocol,
        state,
        family: if head.family == AF_INET {
            Family::V4
        } else {
            Family::V6
        },
        local: SocketAddr::new(local, head.local_port),
        remote: SocketAddr::new(remote, head.remote_port),
        device: head.device,
        v6only: Some(local.is_ipv6() && has(SOCKET_V6ONLY)),
        origin: origin(head, protocol, state),
        time_wait: has(SOCKET_TIME_WAIT).then(|| time_wait(head, hz)),
        inode: head.inode,
        uid: head.uid,
    };
    let bucket = has(SOCKET_BUCKET).then(|| bucket(head.fastreuse, head.fastreuseport));
    let port_range = (head.range_low, head.range_high);
    Some(Sighting {
        socket,
        bucket,
        port_range: (port_range != (0, 0)).then_some(SocketPortRange {
            low: head.range_low,
            high: head.range_high,
        }),
    })
}

/// -1 in both is a bucket in which only automatic ports are (`inet_bind_bucket`).
const fn bucket(fastreuse: i8, fastreuseport: i8) -> BucketState {
    match (fastreuse, fastreuseport) {
        (-1, -1) => BucketState::Shareable,
        _ => BucketState::Locked,
    }
}

const fn origin(head: &SocketHead, protocol: Protocol, state: State) -> Origin {
    match (protocol, state) {
        (Protocol::Tcp, State::Listen | State::BoundInactive) => Origin::Bound,
        (Protocol::Udp, _) => Origin::Unknown,
        // Its listener owns the bucket.
        _ if head.flags & SOCKET_REQUEST != 0 => Origin::Unknown,
        _ if head.flags & SOCKET_ORIGIN_TOLD == 0 => Origin::Unknown,
        _ if head.flags & SOCKET_CONNECT_BIND != 0 => Origin::Automatic,
        _ => Origin::Bound,
    }
}

/// A timer that is late has nothing left.
fn time_wait(head: &SocketHead, hz: u32) -> TimeWait {
    let jiffies = u64::try_from(head.remaining_jiffies).unwrap_or(0);
    let remaining_ms = u32::try_from(jiffies * 1000 / u64::from(hz.max(1))).unwrap_or(u32::MAX);
    TimeWait {
        remaining_ms,
        age_ms: if head.flags & SOCKET_AGE != 0 {
            head.age_ms
        } else {
            TIME_WAIT_MS.saturating_sub(remaining_ms)
        },
        timestamps: Some(head.flags & SOCKET_TIMESTAMPS != 0),
    }
}

/// Hands over the records of a stretch, and tells how many bytes they took.
pub fn decode_holders(bytes: &[u8], mut observe: impl FnMut(u32, u32, u32, &[u8; 16])) -> usize {
    let mut rest = bytes;
    while let Ok((holder, behind)) = Holder::ref_from_prefix(rest) {
        observe(holder.tgid, holder.inode, holder.netns, &holder.comm);
        rest = behind;
    }
    bytes.len() - rest.len()
}

#[cfg(test)]
mod tests;
