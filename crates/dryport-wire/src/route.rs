//! Routes, links and addresses (`NETLINK_ROUTE`): questions and the reading of answers.
//!
//! Messages that change something are in `route/edit.rs`; only scratch namespaces get them. Sources: `include/uapi/linux/{rtnetlink,if_link,if_addr,veth}.h`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dryport_model::Protocol;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::WireError;
use crate::netlink::{Attribute, Message, NLM_F_DUMP, NLM_F_REQUEST, attributes};

mod edit;

pub use edit::{
    EDIT_SEQUENCE, add_address, add_local_route, add_route, delete_link, new_dummy, new_veth,
    set_link_up,
};

/// Message kind of a link.
pub const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
/// Message kind of an address.
pub const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// Message kind of a route.
pub const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_IP_PROTO: u16 = 27;
const RTA_DPORT: u16 = 29;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_VIA: u16 = 18;

const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
/// Leaves the counters out: a quarter of a link's bytes.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// `struct rtmsg`.
#[derive(Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct RouteHeader {
    family: u8,
    destination_length: u8,
    source_length: u8,
    tos: u8,
    table: u8,
    protocol: u8,
    scope: u8,
    kind: u8,
    flags: u32,
}

/// `struct ifinfomsg`.
#[derive(Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct LinkHeader {
    family: u8,
    padding: u8,
    hardware: u16,
    index: u32,
    flags: u32,
    change: u32,
}

/// `struct ifaddrmsg`.
#[derive(Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct AddressHeader {
    family: u8,
    prefix: u8,
    flags: u8,
    scope: u8,
    index: u32,
}

/// What becomes of a packet (`RTN_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Sent to a gateway or on a link.
    Unicast,
    /// Taken in by this machine.
    Local,
    /// Sent to all on a link.
    Broadcast,
    /// An anycast address of this machine.
    Anycast,
    /// Sent to a group.
    Multicast,
    /// Dropped without a word.
    Blackhole,
    /// Refused: unreachable.
    Unreachable,
    /// Refused: prohibited.
    Prohibit,
    /// Another number.
    Other(u8),
}

impl RouteKind {
    const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Unicast,
            2 => Self::Local,
            3 => Self::Broadcast,
            4 => Self::Anycast,
            5 => Self::Multicast,
            6 => Self::Blackhole,
            7 => Self::Unreachable,
            8 => Self::Prohibit,
            other => Self::Other(other),
        }
    }
}

/// The route to one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The local address that `connect()` would take.
    pub source: Option<IpAddr>,
    /// Index of the interface it leaves by.
    pub oif: Option<u32>,
    /// What becomes of a packet.
    pub kind: RouteKind,
    /// The next hop.
    pub gateway: Option<IpAddr>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in the namespace.
    pub index: u32,
    /// Its name. Invalid UTF-8 is replaced; it may hold control characters (the kernel forbids
    /// only `/`, `:` and white space), so print it through [`crate::procfs::printable`].
    pub name: String,
    /// Index of the bridge, bond or VRF it belongs to.
    pub master: Option<u32>,
    /// Its driver's kind: `veth`, `dummy`, `vrf`, ...; physical devices have none.
    pub kind: Option<String>,
    /// `IFF_UP`.
    pub up: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
}

/// One local address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The interface's index.
    pub index: u32,
    /// The local address.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

/// Asks for the route that a packet to `destination` would take (`ip route get`), as from
/// `source` and out of interface `oif` where given. V4-mapped addresses are asked as IPv4.
/// `flow`: transport and destination port, which policy rules may look at (`ip rule ... dport`,
/// 4.17). Without a route, the kernel answers with an error (`ENETUNREACH`, `EHOSTUNREACH`, ...).
#[must_use]
pub fn route_request(
    sequence: u32,
    destination: IpAddr,
    source: Option<IpAddr>,
    oif: Option<u32>,
    flow: Option<(Protocol, u16)>,
) -> Vec<u8> {
    let destination = destination.to_canonical();
    let source = source
        .map(|source| source.to_canonical())
        .filter(|source| !source.is_unspecified() && source.is_ipv4() == destination.is_ipv4());
    let mut message = Message::new(RTM_GETROUTE, NLM_F_REQUEST, sequence);
    message.push(&RouteHeader {
        family: family_of(destination),
        destination_length: bits_of(destination),
        source_length: source.map_or(0, bits_of),
        ..RouteHeader::default()
    });
    push_address(&mut message, RTA_DST, destination);
    if let Some(source) = source {
        push_address(&mut message, RTA_SRC, source);
    }
    if let Some(oif) = oif {
        message.attribute(RTA_OIF, &oif.to_ne_bytes());
    }
    if let Some((protocol, port)) = flow {
        let number: u8 = match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        message.attribute(RTA_IP_PROTO, &[number]);
        message.attribute(RTA_DPORT, &port.to_be_bytes());
    }
    message.finish()
}

/// Asks for every interface of the namespace, without counters.
#[must_use]
pub fn links_request(sequence: u32) -> Vec<u8> {
    let mut message = Message::new(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    message.push(&LinkHeader::default());
    message.attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    message.finish()
}

/// Asks for every address of the namespace, both families.
#[must_use]
pub fn addresses_request(sequence: u32) -> Vec<u8> {
    let mut message = Message::new(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    message.push(&AddressHeader {
        family: AF_UNSPEC,
        ..AddressHeader::default()
    });
    message.finish()
}

/// Reads the payload of an [`RTM_NEWROUTE`].
///
/// # Errors
/// The payload is shorter than its header, or of another family than IPv4 and IPv6.
pub fn decode_route(payload: &[u8]) -> Result<Route, WireError> {
    let (header, rest) = split::<RouteHeader>(payload, "route")?;
    known_family("route", header.family)?;
    let mut route = Route {
        source: None,
        oif: None,
        kind: RouteKind::from_number(header.kind),
        gateway: None,
    };
    let mut asked_source = None;
    for attribute in attributes(rest).map_while(Result::ok) {
        match attribute.kind {
            RTA_SRC => asked_source = specified(attribute.value),
            RTA_PREFSRC => route.source = specified(attribute.value),
            RTA_OIF => route.oif = attribute.u32(),
            RTA_GATEWAY => route.gateway = address_of(attribute.value),
            // struct rtvia: a family of 2 bytes, then the address.
            RTA_VIA => route.gateway = attribute.value.get(2..).and_then(address_of),
            _ => {}
        }
    }
    // The kernel echoes the source that was asked for. IPv6 adds its own preference all the same,
    // and echoes `::` where none was asked for (seen on 6.18).
    route.source = asked_source.or(route.source);
    Ok(route)
}

/// Reads the payload of an [`RTM_NEWLINK`].
///
/// # Errors
/// The payload is shorter than its header.
pub fn decode_link(payload: &[u8]) -> Result<Link, WireError> {
    let (header, rest) = split::<LinkHeader>(payload, "link")?;
    let mut link = Link {
        index: header.index,
        name: String::new(),
        master: None,
        kind: None,
        up: header.flags & IFF_UP != 0,
        loopback: header.flags & IFF_LOOPBACK != 0,
    };
    for attribute in attributes(rest).map_while(Result::ok) {
        match attribute.kind {
            IFLA_IFNAME => link.name = lossy(&attribute),
            IFLA_MASTER => link.master = attribute.u32(),
            IFLA_LINKINFO => {
                link.kind = attribute
                    .nested()
                    .map_while(Result::ok)
                    .find(|inner| inner.kind == IFLA_INFO_KIND)
                    .map(|inner| lossy(&inner));
            }
            _ => {}
        }
    }
    Ok(link)
}

/// Reads the payload of an [`RTM_NEWADDR`].
///
/// # Errors
/// The payload is shorter than its header, of another family, or without an address.
pub fn decode_address(payload: &[u8]) -> Result<LinkAddress, WireError> {
    let (header, rest) = split::<AddressHeader>(payload, "address")?;
    known_family("address", header.family)?;
    let (mut local, mut address) = (None, None);
    for attribute in attributes(rest).map_while(Result::ok) {
        match attribute.kind {
            IFA_LOCAL => local = address_of(attribute.value),
            IFA_ADDRESS => address = address_of(attribute.value),
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the peer's; IPv6 without a peer has only that one.
    match local.or(address) {
        Some(address) => Ok(LinkAddress {
            index: header.index,
            address,
            prefix: header.prefix,
        }),
        None => Err(WireError::Truncated {
            what: "address attribute",
            offset: size_of::<AddressHeader>(),
            need: 4,
            have: rest.len(),
        }),
    }
}

/// A fixed structure and what follows it.
fn split<'a, T: FromBytes>(
    payload: &'a [u8],
    what: &'static str,
) -> Result<(T, &'a [u8]), WireError> {
    T::read_from_prefix(payload).map_err(|_| WireError::Truncated {
        what,
        offset: 0,
        need: size_of::<T>(),
        have: payload.len(),
    })
}

const fn known_family(what: &'static str, family: u8) -> Result<(), WireError> {
    match family {
        AF_INET | AF_INET6 => Ok(()),
        _ => Err(WireError::UnknownFamily { what, family }),
    }
}

const fn family_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

const fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// An address in network order; its family is told by its length.
fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|octets| Ipv6Addr::from(octets).into())
}

/// An address that is not the unspecified one.
fn specified(bytes: &[u8]) -> Option<IpAddr> {
    address_of(bytes).filter(|address| !address.is_unspecified())
}

fn push_address(message: &mut Message, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => message.attribute(kind, &address.octets()),
        IpAddr::V6(address) => message.attribute(kind, &address.octets()),
    };
}

fn lossy(attribute: &Attribute<'_>) -> String {
    String::from_utf8_lossy(attribute.text()).into_owned()
}

#[cfg(test)]
mod tests;
