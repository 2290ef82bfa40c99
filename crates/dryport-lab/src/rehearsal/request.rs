//! The rehearsed request: the real one with the lab's addresses in place of the machine's, and the
//! sockets that follow from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dryport_model::{Claim, Family, Method, PortRange, Protocol, Request, SocketPortRange};

use super::Stand;
use crate::ask::{Ask, AskOptions, Local, Then, Transport};

const LOOPBACK: Ends = Ends {
    own: (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
    server: (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
};
/// See `Lab::veth`.
const VETH: Ends = Ends {
    own: (
        Ipv4Addr::new(10, 77, 0, 1),
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
    ),
    server: (
        Ipv4Addr::new(10, 77, 0, 2),
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2),
    ),
};
/// Where a stand-in for a locked port is bound: a local address that is in nobody's way. The bind
/// bucket has neither address nor family, so it locks the port for IPv6 as well.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
/// `SO_BINDTODEVICE` to the loopback interface.
const LOOPBACK_INDEX: u32 = 1;

/// Addresses of a topology.
struct Ends {
    own: (Ipv4Addr, Ipv6Addr),
    server: (Ipv4Addr, Ipv6Addr),
}

/// A request as it is rehearsed: the same claim, between the lab's addresses.
///
/// A `connect()` to another machine crosses a veth pair, so that the kernel does not treat it as
/// loopback (`tcp_tw_reuse` = 2); one that stays here, and every claim of an address, is rehearsed
/// over lo. *Any new destination* is rehearsed as one new destination on another machine. An
/// interface that the program names is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RehearsedRequest {
    /// With the lab's addresses; the server's port is still 0.
    request: Request,
    loopback: bool,
}

impl From<&Request> for RehearsedRequest {
    fn from(real: &Request) -> Self {
        let loopback = stays_here(real);
        let ends = if loopback { LOOPBACK } else { VETH };
        let pick = |(v4, v6): (Ipv4Addr, Ipv6Addr), like: IpAddr| match like.to_canonical() {
            IpAddr::V4(_) => IpAddr::V4(v4),
            IpAddr::V6(_) => IpAddr::V6(v6),
        };
        let own = |address: IpAddr| match address.to_canonical() {
            wildcard if wildcard.is_unspecified() => wildcard,
            address => pick(ends.own, address),
        };
        let like = real
            .destination
            .map(|destination| destination.ip())
            .or(real.source)
            .unwrap_or_else(|| wildcard(real.family));
        // Without bind() the route gives the source.
        let bound = real.source_bound || real.method == Method::Bind;
        Self {
            request: Request {
                source: real.source.filter(|_| bound).map(own),
                destination: Some(SocketAddr::new(pick(ends.server, like), 0)),
                device: 0,
                ..*real
            },
            loopback,
        }
    }
}

/// Whether the kernel's rules for loopback apply, or none that depend on the way.
fn stays_here(real: &Request) -> bool {
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    let way_counts = real.protocol == Protocol::Tcp && real.method == Method::Connect;
    !way_counts
        || real.device == LOOPBACK_INDEX
        || real.source.is_some_and(loopback)
        || real.destination.is_some_and(|to| loopback(to.ip()))
}

const fn wildcard(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

impl RehearsedRequest {
    /// Whether it is rehearsed over the loopback interface.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The ports that the kernel walks in a namespace with this range.
    pub(super) fn ports(&self, namespace: PortRange) -> PortRange {
        let limits = dryport_model::Limits {
            range: namespace,
            ..dryport_model::Limits::linux_default()
        };
        self.request.range(&limits)
    }

    /// The error that means *no port*. Any other is the lab's failure.
    pub(super) const fn error_when_dry(&self) -> &'static str {
        self.request.error_when_dry()
    }

    /// Whether the claim is a TCP 4-tuple, and so shares ports.
    pub(super) fn is_connection(&self) -> bool {
        (self.request.protocol, self.request.method) == (Protocol::Tcp, Method::Connect)
    }

    /// Whether each granted socket has a peer whose end the lab must clear away.
    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self.request.protocol, Protocol::Tcp)
    }

    /// Where the server listens.
    pub(super) fn server(&self, port: u16) -> SocketAddr {
        let address = self.request.destination.map(|destination| destination.ip());
        SocketAddr::new(address.unwrap_or(LOOPBACK.own.0.into()), port)
    }

    /// The socket that the program asks for.
    pub(super) fn ask(&self, server_port: u16) -> Ask {
        let to = self.server(server_port);
        let source = self.request.source;
        let unbound = || source.unwrap_or_else(|| wildcard(self.request.family));
        let (local, then) = match (self.request.method, source) {
            (Method::Bind, _) => (Local::Bind(SocketAddr::new(unbound(), 0)), Then::Stay),
            (Method::Connect, Some(source)) => (Local::From(source), Then::Connect(to)),
            (Method::Connect, None) => (Local::Route, Then::Connect(to)),
        };
        let transport = match self.request.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        };
        Ask {
            transport,
            family: self.request.family,
            local,
            then,
            options: AskOptions {
                v6only: self.request.v6only,
                range: self.request.port_range,
                ..AskOptions::default()
            },
        }
    }

    /// The same as it is used: a TCP socket that was bound goes on to connect.
    pub(super) fn use_ask(&self, server_port: u16) -> Ask {
        let mut ask = self.ask(server_port);
        if self.is_tcp() {
            ask.then = Then::Connect(self.server(server_port));
        }
        ask
    }

    /// The socket that stands on a port, if a socket has to be kept there.
    pub(super) fn standing(&self, port: u16, stand: Stand, server_port: u16) -> Option<Ask> {
        match (stand, self.request.claim()) {
            (Stand::TimeWait | Stand::TimeWaitWithoutTimestamps, _) if self.is_tcp() => None,
            (_, Claim::Address { local, .. }) => {
                let ask = self.ask(server_port);
                Some(Ask {
                    local: Local::Bind(SocketAddr::new(local, port)),
                    then: Then::Stay,
                    ..ask
                })
            }
            (Stand::Locked, _) => Some(Ask::bind(SocketAddr::new(ELSEWHERE, port))),
            (_, _) => Some(self.connection(port, server_port)),
        }
    }

    /// A connection whose TIME_WAIT stands in the way.
    pub(super) fn connection(&self, port: u16, server_port: u16) -> Ask {
        let mut ask = if self.is_connection() {
            self.ask(server_port)
        } else {
            Ask::connect(self.server(server_port))
        };
        ask.options.range = Some(SocketPortRange {
            low: port,
            high: port,
        });
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(real: &Request) -> String {
        let rehearsed = RehearsedRequest::from(real);
        let way = if rehearsed.is_loopback() {
            "lo"
        } else {
            "veth"
        };
        format!("{way}: {}", rehearsed.ask(7))
    }

    fn tcp(source: &str, destination: &str) -> Request {
        Request::tcp_connect(source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn addresses_become_those_of_the_lab() {
        let far = tcp("192.0.2.1", "198.51.100.1:443");
        assert_eq!(asked(&far), "veth: connect 10.77.0.2:7");
        let from = Request {
            source_bound: true,
            ..far
        };
        assert_eq!(asked(&from), "veth: connect 10.77.0.2:7 from 10.77.0.1");
        let six = tcp("2001:db8::1", "[2001:db8::2]:443");
        assert_eq!(asked(&six), "veth: connect [fd77::2]:7");
        let any = Request::any_new_destination();
        assert_eq!(asked(&any), "veth: connect 10.77.0.2:7");
        let mapped = Request {
            family: Family::V6,
            ..tcp("127.0.0.1", "127.0.0.2:80")
        };
        assert_eq!(asked(&mapped), "lo: connect 127.0.0.1:7 mapped");
        let bind = Request::tcp_bind("192.0.2.1".parse().unwrap());
        assert_eq!(asked(&bind), "lo: bind 127.0.0.1");
        let wildcard = Request::tcp_bind("::".parse().unwrap());
        assert_eq!(asked(&wildcard), "lo: bind ::");
        let udp = Request::udp_any(Family::V6);
        assert_eq!(asked(&udp), "lo: udp connect [::1]:7");
    }

    /// An own address that is not 127/8 is no loopback to the kernel, even over lo.
    #[test]
    fn what_is_loopback_is_decided_as_the_kernel_does() {
        let loopback = |real: &Request| RehearsedRequest::from(real).is_loopback();
        assert!(!loopback(&tcp("192.0.2.1", "192.0.2.1:80")));
        assert!(loopback(&tcp("::1", "[::1]:80")));
        let on_lo = Request {
            device: LOOPBACK_INDEX,
            ..tcp("192.0.2.1", "192.0.2.1:80")
        };
        assert!(loopback(&on_lo));
    }
}
