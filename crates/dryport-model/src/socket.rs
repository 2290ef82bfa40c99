//! One socket as the operating system tells it.

use core::net::{IpAddr, SocketAddr};

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, MPTCP's subflows included.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The name used in reports: `tcp` or `udp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// The family a socket was created with (`AF_INET`, `AF_INET6`). An `AF_INET6` socket may hold
/// IPv4 addresses (v4-mapped); its addresses are then told as IPv4 ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Family {
    /// The family that an address belongs to; v4-mapped addresses are IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// A socket's state, in the kernel's words. The numbers are those of `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Connected. UDP: connected too.
    Established = 1,
    /// SYN sent, no answer yet.
    SynSent = 2,
    /// A request socket of a listener, or a simultaneous open.
    SynRecv = 3,
    /// We closed first, our FIN is not acknowledged.
    FinWait1 = 4,
    /// We closed first, the peer has not closed. With [`Socket::time_wait`] set: an orphan's stub.
    FinWait2 = 5,
    /// Both closed, ours first.
    TimeWait = 6,
    /// UDP: bound, not connected.
    Close = 7,
    /// The peer closed first, we have not.
    CloseWait = 8,
    /// We closed after the peer, our FIN is not acknowledged.
    LastAck = 9,
    /// Listening.
    Listen = 10,
    /// Simultaneous close.
    Closing = 11,
    /// TCP: bound, neither connected nor listening (`TCP_BOUND_INACTIVE`, told since Linux 6.8).
    BoundInactive = 13,
}

impl State {
    /// The state with this kernel number; 12 (`NEW_SYN_RECV`) is told as [`State::SynRecv`].
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            13 => Self::BoundInactive,
            _ => return None,
        })
    }

    /// The name that `netstat` users know, with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "UNCONN",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::BoundInactive => "BOUND",
        }
    }
}

/// How a socket came by its local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `connect()` chose it: the bind bucket can be shared (`SOCK_CONNECT_BIND`).
    Automatic,
    /// A `bind()` of any kind, `listen()` without bind, or an accepted child: never shared.
    Bound,
    /// Not told. `sock_diag` shows `bind(addr, 0)` followed by `connect()` exactly like an
    /// automatic port, and an accepted child as well.
    Unknown,
}

/// What is known of a TIME_WAIT entry (or of an orphan's FIN_WAIT2 stub).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeWait {
    /// Milliseconds until the kernel drops it, as its timer says. The timer wheel adds up to
    /// 2.05 s at HZ=250 (measured on 6.18), during which this is 0.
    pub remaining_ms: u32,
    /// Milliseconds since it was entered. From sock_diag: 60,000 − remaining, which is too small
    /// where a stray segment restarted the timer.
    pub age_ms: u32,
    /// Whether the old connection had TCP timestamps. `None`: not told.
    pub timestamps: Option<bool>,
}

/// One socket that holds a local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Transport.
    pub protocol: Protocol,
    /// State.
    pub state: State,
    /// Family the socket was created with.
    pub family: Family,
    /// Local endpoint; a v4-mapped address is told as IPv4.
    pub local: SocketAddr,
    /// Remote endpoint; unspecified with port 0 where there is none.
    pub remote: SocketAddr,
    /// Interface index the socket is bound to (`SO_BINDTODEVICE`), 0 for none.
    pub device: u32,
    /// `IPV6_V6ONLY`; `None` where it is not told. `Some(false)` for IPv4 and v4-mapped sockets.
    pub v6only: Option<bool>,
    /// How it came by its port.
    pub origin: Origin,
    /// The TIME_WAIT entry's timer; `None` for a full socket.
    pub time_wait: Option<TimeWait>,
    /// Inode number, by which `/proc/PID/fd` names it; 0 for TIME_WAIT and orphans.
    pub inode: u32,
    /// Effective user id of the creator; 0 for TIME_WAIT.
    pub uid: u32,
}

impl Socket {
    /// Whether this is a stub that the kernel keeps after the program let go.
    #[must_use]
    pub const fn is_time_wait_stub(&self) -> bool {
        self.time_wait.is_some()
    }

    /// Whether the socket stands in the table of connections (ehash), where a 4-tuple is unique.
    #[must_use]
    pub const fn holds_tuple(&self) -> bool {
        !matches!(
            self.state,
            State::Listen | State::BoundInactive | State::Close
        )
    }
}
