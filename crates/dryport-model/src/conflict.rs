//! Address conflicts: the rule of `bind()` and of all of UDP.
//!
//! A port is free for a new socket when no socket on it has an overlapping local address
//! (`inet_rcv_saddr_equal` with wildcards matching) and a compatible device. The destination plays
//! no part, and neither `SO_REUSEADDR` nor `SO_REUSEPORT` helps when the port is chosen by the
//! kernel.

use core::net::{IpAddr, Ipv4Addr};

use crate::{Claim, Family, Protocol, Socket, State};

/// Whether two sockets stand in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// They do not.
    No,
    /// They do.
    Yes,
    /// It depends on the old socket's `IPV6_V6ONLY`, which is not told for connected sockets, or on
    /// whether it is more than a request.
    Untold,
}

impl Overlap {
    const fn of(overlaps: bool) -> Self {
        if overlaps { Self::Yes } else { Self::No }
    }

    /// Yes, unless the old socket is v6only.
    const fn unless(v6only: Option<bool>) -> Self {
        match v6only {
            Some(true) => Self::No,
            Some(false) => Self::Yes,
            None => Self::Untold,
        }
    }
}

/// Whether a new socket with this address overlaps an old one. Addresses are canonical: v4-mapped
/// ones are IPv4.
#[must_use]
pub fn address_overlap(
    new: IpAddr,
    new_family: Family,
    new_v6only: bool,
    old: IpAddr,
    old_v6only: Option<bool>,
) -> Overlap {
    match (new, old) {
        (IpAddr::V4(new), IpAddr::V4(old)) => {
            Overlap::of(new == old || new.is_unspecified() || old.is_unspecified())
        }
        (IpAddr::V4(new), IpAddr::V6(old))
            if old.is_unspecified() || wildcard_v4(new, new_family) =>
        {
            Overlap::unless(old_v6only)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => Overlap::No,
        (IpAddr::V6(new), IpAddr::V4(_)) => Overlap::of(new.is_unspecified() && !new_v6only),
        (IpAddr::V6(new), IpAddr::V6(old)) => {
            Overlap::of(new == old || new.is_unspecified() || old.is_unspecified())
        }
    }
}

/// The IPv4 wildcard of an `AF_INET` socket meets native IPv6 sockets too, even a connected
/// `::1`→`::1`, because the kernel keeps a stand-in IPv4 address for them. (`::ffff:0.0.0.0` of an
/// `AF_INET6` socket does not.)
fn wildcard_v4(address: Ipv4Addr, family: Family) -> bool {
    address.is_unspecified() && family == Family::V4
}

/// Whether `socket` stands in the way of an address claim on its port. A TCP request socket owns no
/// port of its own; a full socket in SYN_RECV (after a simultaneous open) does, and has an inode
/// while a program holds it.
#[must_use]
pub fn claim_conflict(claim: &Claim, socket: &Socket) -> Overlap {
    let Claim::Address {
        local,
        family,
        v6only,
        device,
    } = *claim
    else {
        return Overlap::No;
    };
    if device != 0 && socket.device != 0 && device != socket.device {
        return Overlap::No;
    }
    if socket.protocol == Protocol::Udp && meets_stand_in(local, socket.local.ip()) {
        return Overlap::unless(socket.v6only);
    }
    let overlap = address_overlap(local, family, v6only, socket.local.ip(), socket.v6only);
    let may_own_nothing =
        socket.protocol == Protocol::Tcp && socket.state == State::SynRecv && socket.inode == 0;
    match overlap {
        Overlap::Yes if may_own_nothing => Overlap::Untold,
        overlap => overlap,
    }
}

/// Native IPv6 sockets keep 127.0.0.6 where an IPv4 address is expected (`LOOPBACK4_IPV6`), and
/// UDP's conflict test sees it (measured on 6.18). TCP has compared addresses by family since 6.1.
fn meets_stand_in(new: IpAddr, old: IpAddr) -> bool {
    const LOOPBACK4_IPV6: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
    new == LOOPBACK4_IPV6 && matches!(old, IpAddr::V6(old) if !old.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(new: &str, new_v6only: bool, old: &str, old_v6only: Option<bool>) -> Overlap {
        let new: IpAddr = new.parse().unwrap();
        let family = if new.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        };
        address_overlap(new, family, new_v6only, old.parse().unwrap(), old_v6only)
    }

    #[test]
    fn a_specific_address_meets_itself_and_the_wildcards() {
        assert_eq!(
            overlap("10.0.0.1", false, "10.0.0.1", Some(false)),
            Overlap::Yes
        );
        assert_eq!(
            overlap("10.0.0.1", false, "10.0.0.2", Some(false)),
            Overlap::No
        );
        assert_eq!(
            overlap("10.0.0.1", false, "0.0.0.0", Some(false)),
            Overlap::Yes
        );
        assert_eq!(overlap("10.0.0.1", false, "::", Some(false)), Overlap::Yes);
        assert_eq!(overlap("10.0.0.1", false, "::", Some(true)), Overlap::No);
        assert_eq!(overlap("10.0.0.1", false, "::1", Some(false)), Overlap::No);
    }

    #[test]
    fn the_v4_wildcard_meets_even_a_connected_v6_socket() {
        assert_eq!(overlap("0.0.0.0", false, "::1", Some(false)), Overlap::Yes);
        assert_eq!(overlap("0.0.0.0", false, "::1", Some(true)), Overlap::No);
        assert_eq!(overlap("0.0.0.0", false, "::1", None), Overlap::Untold);
    }

    #[test]
    fn a_v6_address_does_not_meet_the_v4_wildcard() {
        assert_eq!(overlap("::1", true, "0.0.0.0", Some(false)), Overlap::No);
        assert_eq!(overlap("::1", true, "::", Some(true)), Overlap::Yes);
    }

    #[test]
    fn the_dual_wildcard_meets_everything_and_the_v6only_one_no_v4() {
        for old in ["10.0.0.1", "0.0.0.0", "::1", "::"] {
            assert_eq!(overlap("::", false, old, Some(false)), Overlap::Yes);
        }
        assert_eq!(overlap("::", true, "10.0.0.1", Some(false)), Overlap::No);
        assert_eq!(overlap("::", true, "::1", Some(false)), Overlap::Yes);
    }
}
