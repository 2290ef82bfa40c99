//! How a program comes by a socket with a local port: the recipe that a scenario holds or counts.
//!
//! Owns the vocabulary, not the system calls (see `socket`) nor the text (see `ask::text`).

use std::net::{IpAddr, SocketAddr};

use dryport_model::{Family, Method, Protocol, Request, SocketPortRange};

mod text;

/// The protocol a socket is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// TCP by way of `IPPROTO_MPTCP`.
    Mptcp,
    /// UDP.
    Udp,
}

/// What is done about the local end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Local {
    /// Nothing: the route gives the address, the kernel the port.
    Route,
    /// `bind(address, 0)` with `IP_BIND_ADDRESS_NO_PORT`: the address only.
    From(IpAddr),
    /// `bind()`; with port 0 the kernel chooses the port there and then.
    Bind(SocketAddr),
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing: the socket stays bound.
    Stay,
    /// `connect()`.
    Connect(SocketAddr),
    /// UDP: a first `sendto()` without `connect()`.
    SendTo(SocketAddr),
    /// `listen()`.
    Listen,
}

/// Socket options, set before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AskOptions {
    /// `SO_REUSEADDR`.
    pub reuseaddr: bool,
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// `IPV6_V6ONLY`.
    pub v6only: bool,
    /// `TCP_FASTOPEN_CONNECT`.
    pub fastopen: bool,
    /// `TCP_MD5SIG_EXT` with one key for every peer.
    pub md5: bool,
    /// Not to wait for the peer's answer: a connection under way counts as made.
    pub no_wait: bool,
    /// `SO_BINDTODEVICE`.
    pub device: Option<String>,
    /// `IP_LOCAL_PORT_RANGE`.
    pub range: Option<SocketPortRange>,
    /// `TCP_LINGER2`, seconds; negative resets instead of waiting in FIN_WAIT2.
    pub linger2: Option<i32>,
}

/// How a program comes by one socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Protocol.
    pub transport: Transport,
    /// Family of the socket: an IPv6 socket with IPv4 addresses is a v4-mapped one.
    pub family: Family,
    /// The local end.
    pub local: Local,
    /// What comes after.
    pub then: Then,
    /// Socket options.
    pub options: AskOptions,
}

impl Ask {
    /// A TCP socket that connects.
    #[must_use]
    pub fn connect(destination: SocketAddr) -> Self {
        Self::plain(destination.ip(), Local::Route, Then::Connect(destination))
    }

    /// A TCP socket that is bound and stays so; port 0 leaves the choice to the kernel.
    #[must_use]
    pub fn bind(local: SocketAddr) -> Self {
        Self::plain(local.ip(), Local::Bind(local), Then::Stay)
    }

    /// A TCP socket that listens.
    #[must_use]
    pub fn listen(local: SocketAddr) -> Self {
        Self::plain(local.ip(), Local::Bind(local), Then::Listen)
    }

    /// A UDP socket whose first call is `sendto()`.
    #[must_use]
    pub fn send_to(destination: SocketAddr) -> Self {
        Self::plain(destination.ip(), Local::Route, Then::SendTo(destination)).udp()
    }

    fn plain(address: IpAddr, local: Local, then: Then) -> Self {
        let family = if address.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        };
        Self {
            transport: Transport::Tcp,
            family,
            local,
            then,
            options: AskOptions::default(),
        }
    }

    /// The same over UDP.
    #[must_use]
    pub fn udp(self) -> Self {
        Self {
            transport: Transport::Udp,
            ..self
        }
    }

    /// The same with `bind()` first.
    #[must_use]
    pub fn bound(self, local: SocketAddr) -> Self {
        Self {
            local: Local::Bind(local),
            ..self
        }
    }

    /// The same with the source address bound, the port left open.
    #[must_use]
    pub fn from(self, source: IpAddr) -> Self {
        Self {
            local: Local::From(source),
            ..self
        }
    }

    /// The same with an IPv6 socket; IPv4 addresses become v4-mapped ones.
    #[must_use]
    pub fn mapped(self) -> Self {
        Self {
            family: Family::V6,
            ..self
        }
    }

    /// The same with other options.
    #[must_use]
    pub fn with(self, options: AskOptions) -> Self {
        Self { options, ..self }
    }

    /// The remote end, if there is one.
    #[must_use]
    pub const fn destination(&self) -> Option<SocketAddr> {
        match self.then {
            Then::Connect(to) | Then::SendTo(to) => Some(to),
            Then::Stay | Then::Listen => None,
        }
    }

    /// The model's words for it, `device_index` being the interface of [`AskOptions::device`].
    /// The source is left open where the route decides. `None` for a socket that names its port:
    /// nothing is left to choose there.
    #[must_use]
    pub fn request(&self, device_index: u32) -> Option<Request> {
        let (method, source, source_bound) = match (self.local, self.then) {
            (Local::Bind(local), _) if local.port() != 0 => return None,
            (Local::Bind(local), _) => (Method::Bind, Some(local.ip()), true),
            (_, Then::Listen) => (Method::Bind, None, false),
            (Local::From(source), _) => (Method::Connect, Some(source), true),
            (Local::Route, _) => (Method::Connect, None, false),
        };
        let protocol = match self.transport {
            Transport::Tcp | Transport::Mptcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        Some(Request {
            protocol,
            method,
            family: self.family,
            source,
            source_bound,
            destination: self.destination(),
            device: device_index,
            port_range: self.options.range,
            v6only: self.options.v6only,
        })
    }
}
