//! One row of a dump: `struct inet_diag_msg` and its attributes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dryport_model::{Family, Origin, Protocol, Socket, State, TimeWait};
use zerocopy::byteorder::{NativeEndian, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{AF_INET, AF_INET6, SocketId};
use crate::WireError;
use crate::netlink::{Attribute, attributes};

const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_SHUTDOWN: u16 = 8;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_MARK: u16 = 15;
const INET_DIAG_CGROUP_ID: u16 = 21;
const INET_DIAG_SOCKOPT: u16 = 22;

const TCP_CLOSE: u8 = 7;
/// `idiag_timer` of a TIME_WAIT entry, whatever its state (`inet_twsk_diag_fill`).
const TIMER_TIME_WAIT: u8 = 3;
/// `TCP_TIMEWAIT_LEN`, milliseconds.
const TIME_WAIT_MS: u32 = 60_000;

/// `struct inet_diag_msg`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DiagMessage {
    family: u8,
    state: u8,
    timer: u8,
    retransmits: u8,
    id: SocketId,
    expires: U32<NativeEndian>,
    receive_queue: U32<NativeEndian>,
    send_queue: U32<NativeEndian>,
    uid: U32<NativeEndian>,
    inode: U32<NativeEndian>,
}

/// The front of `struct tcp_info`, as far as 4.2 knew it.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TcpInfoFront {
    state_to_backoff: [u8; 5],
    options: u8,
    scales_to_rcv_mss: [u8; 18],
    unacked: U32<NativeEndian>,
    sacked_to_retrans: [u8; 16],
    last_data_sent: U32<NativeEndian>,
    last_ack_sent: U32<NativeEndian>,
    last_data_received: U32<NativeEndian>,
    last_ack_received_to_rcv_space: [u8; 44],
    total_retransmits: U32<NativeEndian>,
    pacing: [u8; 16],
    bytes_acked: U64<NativeEndian>,
    bytes_received: U64<NativeEndian>,
    segments_out: U32<NativeEndian>,
    segments_in: U32<NativeEndian>,
}

/// Where `tcpi_bytes_sent` stands (4.19), followed by `tcpi_bytes_retrans`.
const TCP_INFO_BYTES_SENT: usize = 200;

/// Everything a row tells. Attributes that were not there are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The socket in the model's words.
    pub socket: Socket,
    /// The kernel's number for the socket (`sock_gen_cookie`), unique while the machine runs.
    pub cookie: u64,
    /// Which timer runs: 0 none, 1 retransmit, 2 keepalive or SYN-ACK, 3 TIME_WAIT, 4 zero-window
    /// probe.
    pub timer: u8,
    /// How often that timer has fired.
    pub retransmits: u8,
    /// Milliseconds until it fires.
    pub expires_ms: u32,
    /// Bytes not read yet; for a listener, connections not accepted yet.
    pub receive_queue: u32,
    /// Bytes not acknowledged yet; for a listener, the most that may wait.
    pub send_queue: u32,
    /// Inode number of the cgroup that made it (5.9).
    pub cgroup_id: Option<u64>,
    /// `sk_shutdown`: 1 receiving was shut down, 2 sending.
    pub shutdown: Option<u8>,
    /// `struct inet_diag_sockopt` (5.10) as bits in order of declaration, see `SOCKOPT_*`.
    pub sockopt: Option<u16>,
    /// `SO_MARK`; told to `CAP_NET_ADMIN` only.
    pub mark: Option<u32>,
    /// `struct tcp_info`, where asked for.
    pub tcp_info: Option<TcpInfo>,
    /// Where the attributes ended early.
    pub malformed: Option<WireError>,
}

/// The part of `struct tcp_info` that tells how a connection came about and whether it lives.
/// Absent where the kernel is older than 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// `TCPI_OPT_*`: 1 timestamps, 2 SACK, 4 window scale, 8 ECN.
    pub options: u8,
    /// Segments not acknowledged yet; for a listener, connections not accepted yet.
    pub unacked: u32,
    /// Milliseconds since data was last sent.
    pub last_data_sent_ms: u32,
    /// Milliseconds since data last came in.
    pub last_data_received_ms: u32,
    /// Segments sent again so far.
    pub total_retransmits: u32,
    /// Bytes acknowledged by the peer; a SYN of ours counts as one.
    pub bytes_acked: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Segments sent.
    pub segments_out: u32,
    /// Segments received.
    pub segments_in: u32,
    /// Bytes sent, again ones included (4.19).
    pub bytes_sent: Option<u64>,
    /// Bytes sent again (4.19).
    pub bytes_retransmitted: Option<u64>,
}

impl TcpInfo {
    /// Whether the connection uses TCP timestamps (`TCPI_OPT_TIMESTAMPS`).
    #[must_use]
    pub const fn has_timestamps(&self) -> bool {
        self.options & 1 != 0
    }
}

/// Reads a row's socket only.
///
/// # Errors
/// The payload is shorter than `struct inet_diag_msg`, or its family or state is unknown.
#[inline]
pub fn decode_socket(payload: &[u8], protocol: Protocol) -> Result<Socket, WireError> {
    let (message, rest) = split(payload)?;
    let mut socket = socket_of(message, protocol)?;
    if may_tell_v6only(message, &socket) {
        socket.v6only = attributes(rest)
            .map_while(Result::ok)
            .find(|attribute| attribute.kind == INET_DIAG_SKV6ONLY)
            .and_then(|attribute| attribute.u8())
            .map(|value| value != 0);
    }
    Ok(socket)
}

/// Reads a whole row. Attributes behind a malformed one are lost, told in [`Row::malformed`].
///
/// # Errors
/// As [`decode_socket`].
pub fn decode_row(payload: &[u8], protocol: Protocol) -> Result<Row, WireError> {
    let (message, rest) = split(payload)?;
    let mut row = bare_row(message, socket_of(message, protocol)?);
    let tells_v6only = may_tell_v6only(message, &row.socket);
    for attribute in attributes(rest) {
        match attribute {
            Ok(attribute) => apply(&mut row, &attribute, tells_v6only),
            Err(error) => row.malformed = Some(error),
        }
    }
    Ok(row)
}

#[inline]
fn split(payload: &[u8]) -> Result<(&DiagMessage, &[u8]), WireError> {
    DiagMessage::ref_from_prefix(payload).map_err(|_| WireError::Truncated {
        what: "sock_diag row",
        offset: 0,
        need: size_of::<DiagMessage>(),
        have: payload.len(),
    })
}

#[inline]
fn socket_of(message: &DiagMessage, protocol: Protocol) -> Result<Socket, WireError> {
    let id = &message.id;
    let (family, local, remote) = match message.family {
        AF_INET => (Family::V4, v4(&id.local), v4(&id.remote)),
        AF_INET6 => {
            let (local, remote) = v6(&id.local, &id.remote);
            (Family::V6, local, remote)
        }
        family => {
            return Err(WireError::UnknownFamily {
                what: "sock_diag row",
                family,
            });
        }
    };
    let state = state_of(message.state, protocol)?;
    Ok(Socket {
        protocol,
        state,
        family,
        local: SocketAddr::new(local, id.local_port.get()),
        remote: SocketAddr::new(remote, id.remote_port.get()),
        device: id.device.get(),
        v6only: local.is_ipv4().then_some(false),
        origin: match state {
            State::Listen | State::BoundInactive => Origin::Bound,
            _ => Origin::Unknown,
        },
        time_wait: time_wait_of(message, protocol),
        inode: message.inode.get(),
        uid: message.uid.get(),
    })
}

/// sock_diag tells `TCP_BOUND_INACTIVE` sockets by their `sk_state`, which is 7.
#[inline]
fn state_of(number: u8, protocol: Protocol) -> Result<State, WireError> {
    match (number, protocol) {
        (TCP_CLOSE, Protocol::Tcp) => Ok(State::BoundInactive),
        _ => State::from_number(number).ok_or(WireError::UnknownState { state: number }),
    }
}

#[inline]
fn time_wait_of(message: &DiagMessage, protocol: Protocol) -> Option<TimeWait> {
    if message.timer != TIMER_TIME_WAIT || protocol != Protocol::Tcp {
        return None;
    }
    let remaining_ms = message.expires.get();
    // For a FIN_WAIT2 stub the age is not known in truth: its timer starts at tcp_fin_timeout or
    // more. The arithmetic is kept; nothing may be decided by that age.
    let age_ms = TIME_WAIT_MS.saturating_sub(remaining_ms);
    Some(TimeWait {
        remaining_ms,
        age_ms,
        timestamps: None,
    })
}

/// `inet_diag_msg_attrs_fill` tells `IPV6_V6ONLY` of `AF_INET6` sockets in LISTEN and CLOSE only.
/// A v4-mapped one cannot have it.
#[inline]
fn may_tell_v6only(message: &DiagMessage, socket: &Socket) -> bool {
    message.family == AF_INET6
        && socket.v6only.is_none()
        && matches!(
            socket.state,
            State::Listen | State::Close | State::BoundInactive
        )
}

#[inline]
fn v4(bytes: &[u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = *bytes;
    Ipv4Addr::new(a, b, c, d).into()
}

/// Local and remote address of an `AF_INET6` row. A v4-mapped socket without a peer has `::`
/// there, which becomes `0.0.0.0`, so that both are of one family.
#[inline]
fn v6(local: &[u8; 16], remote: &[u8; 16]) -> (IpAddr, IpAddr) {
    let local = Ipv6Addr::from(*local).to_canonical();
    match Ipv6Addr::from(*remote).to_canonical() {
        remote if local.is_ipv4() && remote.is_unspecified() => {
            (local, Ipv4Addr::UNSPECIFIED.into())
        }
        remote => (local, remote),
    }
}

fn bare_row(message: &DiagMessage, socket: Socket) -> Row {
    let [low, high] = message.id.cookie;
    Row {
        socket,
        cookie: u64::from(high.get()) << 32 | u64::from(low.get()),
        timer: message.timer,
        retransmits: message.retransmits,
        expires_ms: message.expires.get(),
        receive_queue: message.receive_queue.get(),
        send_queue: message.send_queue.get(),
        cgroup_id: None,
        shutdown: None,
        sockopt: None,
        mark: None,
        tcp_info: None,
        malformed: None,
    }
}

fn apply(row: &mut Row, attribute: &Attribute<'_>, tells_v6only: bool) {
    match attribute.kind {
        INET_DIAG_SKV6ONLY if tells_v6only => {
            row.socket.v6only = attribute.u8().map(|value| value != 0);
        }
        INET_DIAG_SHUTDOWN => row.shutdown = attribute.u8(),
        INET_DIAG_MARK => row.mark = attribute.u32(),
        INET_DIAG_CGROUP_ID => row.cgroup_id = attribute.u64(),
        INET_DIAG_SOCKOPT => row.sockopt = sockopt_bits(attribute.value),
        INET_DIAG_INFO => row.tcp_info = tcp_info(attribute.value),
        _ => {}
    }
}

/// Two bytes of C bit fields. Big-endian machines fill a byte from its highest bit.
fn sockopt_bits(value: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = value.get(..2)?.try_into().ok()?;
    let bytes = if cfg!(target_endian = "big") {
        bytes.map(u8::reverse_bits)
    } else {
        bytes
    };
    Some(u16::from_le_bytes(bytes))
}

/// UDP rows have the attribute too where it was asked for, but empty.
fn tcp_info(value: &[u8]) -> Option<TcpInfo> {
    let (front, _) = TcpInfoFront::ref_from_prefix(value).ok()?;
    let later = value.get(TCP_INFO_BYTES_SENT..).unwrap_or(&[]);
    let sent = <[U64<NativeEndian>; 2]>::read_from_prefix(later)
        .ok()
        .map(|(sent, _)| sent);
    Some(TcpInfo {
        options: front.options,
        unacked: front.unacked.get(),
        last_data_sent_ms: front.last_data_sent.get(),
        last_data_received_ms: front.last_data_received.get(),
        total_retransmits: front.total_retransmits.get(),
        bytes_acked: front.bytes_acked.get(),
        bytes_received: front.bytes_received.get(),
        segments_out: front.segments_out.get(),
        segments_in: front.segments_in.get(),
        bytes_sent: sent.map(|[sent, _]| sent.get()),
        bytes_retransmitted: sent.map(|[_, again]| again.get()),
    })
}
