//! What a program asks of the kernel: one more connection, or one more bound socket.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Family, Limits, PortRange, Protocol};

/// How the program comes by its local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `connect()` (UDP: or a first `sendto()`) on a socket without a port, also after
    /// `IP_BIND_ADDRESS_NO_PORT` with `bind(addr, 0)`.
    Connect,
    /// `bind(addr, 0)` first; also `listen()` without bind.
    Bind,
}

impl Method {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Bind => "bind",
        }
    }
}

/// The socket option `IP_LOCAL_PORT_RANGE` (6.3) as set, 0 for an end left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketPortRange {
    /// Lowest port, or 0.
    pub low: u16,
    /// Highest port, or 0.
    pub high: u16,
}

/// One request for a local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Transport.
    pub protocol: Protocol,
    /// How the port is chosen.
    pub method: Method,
    /// Family of the socket; an IPv6 socket with IPv4 addresses is a v4-mapped one.
    pub family: Family,
    /// Local address. For `connect` over TCP the one that the route gives; for `bind` the bound
    /// one; unspecified is the wildcard. `None`: any.
    pub source: Option<IpAddr>,
    /// The program binds its source address before it connects (with
    /// `IP_BIND_ADDRESS_NO_PORT`). Decides for UDP, whose ports are else claimed on the wildcard.
    pub source_bound: bool,
    /// Where to. `None`: any destination that nobody is connected to yet.
    pub destination: Option<SocketAddr>,
    /// Interface index of `SO_BINDTODEVICE`, 0 for none.
    pub device: u32,
    /// `IP_LOCAL_PORT_RANGE` of the socket.
    pub port_range: Option<SocketPortRange>,
    /// `IPV6_V6ONLY` of the socket; means nothing for IPv4.
    pub v6only: bool,
}

/// What a request competes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// TCP `connect`: a port whose bind bucket can be shared and whose 4-tuple is free.
    Tuple {
        /// Local address.
        source: IpAddr,
        /// Remote endpoint.
        destination: SocketAddr,
        /// Interface index, 0 for none.
        device: u32,
    },
    /// TCP `connect` to a destination nobody is connected to: only the bind bucket counts.
    Bucket,
    /// TCP `bind` and all of UDP: a port that no socket with an overlapping address holds.
    Address {
        /// Local address; unspecified is the wildcard.
        local: IpAddr,
        /// Family of the socket.
        family: Family,
        /// `IPV6_V6ONLY`.
        v6only: bool,
        /// Interface index, 0 for none.
        device: u32,
    },
}

impl Request {
    /// A TCP `connect()` from a source to a destination.
    #[must_use]
    pub fn tcp_connect(source: IpAddr, destination: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Tcp,
            method: Method::Connect,
            family: Family::of(destination.ip()),
            source: Some(source),
            source_bound: false,
            destination: Some(destination),
            device: 0,
            port_range: None,
            v6only: false,
        }
    }

    /// A TCP `connect()` to a destination that nobody is connected to yet.
    #[must_use]
    pub const fn any_new_destination() -> Self {
        Self {
            protocol: Protocol::Tcp,
            method: Method::Connect,
            family: Family::V4,
            source: None,
            source_bound: false,
            destination: None,
            device: 0,
            port_range: None,
            v6only: false,
        }
    }

    /// A UDP socket's first `connect()` or `sendto()`.
    #[must_use]
    pub const fn udp_any(family: Family) -> Self {
        Self {
            protocol: Protocol::Udp,
            family,
            ..Self::any_new_destination()
        }
    }

    /// `bind(source, 0)` over TCP.
    #[must_use]
    pub fn tcp_bind(source: IpAddr) -> Self {
        Self {
            method: Method::Bind,
            family: Family::of(source),
            source: Some(source),
            source_bound: true,
            ..Self::any_new_destination()
        }
    }

    /// What the request competes for.
    #[must_use]
    pub fn claim(&self) -> Claim {
        match (self.protocol, self.method, self.source, self.destination) {
            (Protocol::Tcp, Method::Connect, Some(source), Some(destination)) => Claim::Tuple {
                source: source.to_canonical(),
                destination,
                device: self.device,
            },
            (Protocol::Tcp, Method::Connect, _, _) => Claim::Bucket,
            // UDP chooses the port before the route is known, so on the wildcard
            // (`inet_autobind`, then `udp_lib_get_port` with the current local address).
            (Protocol::Udp, Method::Connect, _, _) if !self.source_bound => {
                self.address_claim(wildcard(self.family))
            }
            (_, _, source, _) => {
                self.address_claim(source.unwrap_or_else(|| wildcard(self.family)))
            }
        }
    }

    /// bind() to a native IPv6 address makes the socket v6only (`inet6_bind`).
    fn address_claim(&self, local: IpAddr) -> Claim {
        let native_v6 =
            matches!(local.to_canonical(), IpAddr::V6(address) if !address.is_unspecified());
        Claim::Address {
            local: local.to_canonical(),
            family: self.family,
            v6only: self.family == Family::V6 && (self.v6only || native_v6),
            device: self.device,
        }
    }

    /// The ports the kernel walks: `IP_LOCAL_PORT_RANGE` replaces an end of the namespace's range
    /// only where the given value lies inside it (`inet_sk_get_local_port_range`).
    #[must_use]
    pub fn range(&self, limits: &Limits) -> PortRange {
        let whole = limits.range;
        let Some(own) = self.port_range else {
            return whole;
        };
        let low = if whole.contains(own.low) {
            own.low
        } else {
            whole.low()
        };
        let high = if whole.contains(own.high) {
            own.high
        } else {
            whole.high()
        };
        PortRange::new(low, high).unwrap_or(whole)
    }

    /// The error the program gets when no port is left.
    #[must_use]
    pub const fn error_when_dry(&self) -> &'static str {
        match (self.protocol, self.method) {
            (_, Method::Bind) => "EADDRINUSE",
            (Protocol::Tcp, Method::Connect) => "EADDRNOTAVAIL",
            (Protocol::Udp, Method::Connect) => "EAGAIN",
        }
    }
}

/// The unspecified address of a family.
const fn wildcard(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(low: u16, high: u16) -> Limits {
        Limits {
            range: PortRange::new(low, high).unwrap(),
            ..Limits::linux_default()
        }
    }

    fn with_range(low: u16, high: u16) -> Request {
        Request {
            port_range: Some(SocketPortRange { low, high }),
            ..Request::any_new_destination()
        }
    }

    #[test]
    fn a_socket_range_counts_only_inside_the_namespace_range() {
        let limits = limits(20000, 20007);
        let range = |low, high| {
            let range = with_range(low, high).range(&limits);
            (range.low(), range.high())
        };
        assert_eq!(range(20002, 20004), (20002, 20004));
        assert_eq!(range(20005, 0), (20005, 20007));
        assert_eq!(range(30000, 30010), (20000, 20007));
        assert_eq!(range(20004, 20020), (20004, 20007));
    }

    #[test]
    fn udp_claims_the_wildcard_unless_bound() {
        let mut request = Request::udp_any(Family::V4);
        request.source = Some("127.0.0.1".parse().unwrap());
        assert!(matches!(request.claim(), Claim::Address { local, .. } if local.is_unspecified()));
        request.source_bound = true;
        assert!(matches!(request.claim(), Claim::Address { local, .. } if !local.is_unspecified()));
    }

    #[test]
    fn binding_a_native_v6_address_is_v6only() {
        let request = Request::tcp_bind("::1".parse().unwrap());
        assert!(matches!(
            request.claim(),
            Claim::Address { v6only: true, .. }
        ));
        let request = Request::tcp_bind("::".parse().unwrap());
        assert!(matches!(
            request.claim(),
            Claim::Address { v6only: false, .. }
        ));
    }
}
