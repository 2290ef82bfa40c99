//! Messages that make and change links, addresses and routes. Only scratch namespaces get them.
//!
//! Each asks for an acknowledgement and is sent alone, so all carry the sequence number
//! [`EDIT_SEQUENCE`].

use alloc::vec::Vec;
use core::net::IpAddr;

use super::{
    AddressHeader, IFA_ADDRESS, IFA_LOCAL, IFF_UP, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_LINKINFO, IFLA_NET_NS_FD, LinkHeader, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_VIA, RTM_DELLINK,
    RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, RouteHeader, family_of, push_address,
};
use crate::netlink::{Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};

/// The sequence number of every message made here.
pub const EDIT_SEQUENCE: u32 = 1;

const CREATE: u16 = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
const VETH_INFO_PEER: u16 = 1;
/// Usable at once: no duplicate address detection, which would hold it back for a second.
const IFA_F_NODAD: u8 = 0x02;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_HOST: u8 = 254;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;

/// A pair of virtual Ethernet links. The peer is made in the network namespace that the
/// descriptor stands for (in the caller's, where `None`). Both start down.
#[must_use]
pub fn new_veth(name: &str, peer_name: &str, peer_netns_fd: Option<i32>) -> Vec<u8> {
    new_link(name, "veth", |data| {
        data.nest(VETH_INFO_PEER, |peer| {
            peer.push(&LinkHeader::default());
            push_name(peer, peer_name);
            if let Some(fd) = peer_netns_fd {
                peer.attribute(IFLA_NET_NS_FD, &fd.to_ne_bytes());
            }
        });
    })
}

/// A link that swallows what is sent to it. Needs the kernel's `dummy` driver.
#[must_use]
pub fn new_dummy(name: &str) -> Vec<u8> {
    new_link(name, "dummy", |_| {})
}

fn new_link(name: &str, kind: &str, data: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(RTM_NEWLINK, CREATE, EDIT_SEQUENCE);
    message.push(&LinkHeader::default());
    push_name(&mut message, name);
    message.nest(IFLA_LINKINFO, |details| {
        details.attribute(IFLA_INFO_KIND, kind.as_bytes());
        details.nest(IFLA_INFO_DATA, data);
    });
    message.finish()
}

/// Sets a link up or down.
#[must_use]
pub fn set_link_up(index: u32, up: bool) -> Vec<u8> {
    let mut message = Message::new(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, EDIT_SEQUENCE);
    message.push(&LinkHeader {
        index,
        flags: if up { IFF_UP } else { 0 },
        change: IFF_UP,
        ..LinkHeader::default()
    });
    message.finish()
}

/// Takes a link away (of a veth pair: both ends).
#[must_use]
pub fn delete_link(index: u32) -> Vec<u8> {
    let mut message = Message::new(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, EDIT_SEQUENCE);
    message.push(&LinkHeader {
        index,
        ..LinkHeader::default()
    });
    message.finish()
}

/// Gives a link an address. `EEXIST` if it has it.
#[must_use]
pub fn add_address(index: u32, address: IpAddr, prefix_length: u8) -> Vec<u8> {
    let mut message = Message::new(RTM_NEWADDR, CREATE, EDIT_SEQUENCE);
    message.push(&AddressHeader {
        family: family_of(address),
        prefix: prefix_length,
        flags: if address.is_ipv6() { IFA_F_NODAD } else { 0 },
        scope: if address.is_loopback() {
            RT_SCOPE_HOST
        } else {
            RT_SCOPE_UNIVERSE
        },
        index,
    });
    push_address(&mut message, IFA_LOCAL, address);
    push_address(&mut message, IFA_ADDRESS, address);
    message.finish()
}

/// Adds a route to the main table. The bits of `destination` behind the prefix must be 0
/// (`EINVAL`). A gateway of the other family is allowed where the kernel knows `RTA_VIA` (5.2).
#[must_use]
pub fn add_route(destination: IpAddr, prefix: u8, oif: u32, gateway: Option<IpAddr>) -> Vec<u8> {
    let direct = gateway.is_none() && destination.is_ipv4();
    let mut message = new_route(
        destination,
        RouteHeader {
            destination_length: prefix,
            table: RT_TABLE_MAIN,
            scope: if direct {
                RT_SCOPE_LINK
            } else {
                RT_SCOPE_UNIVERSE
            },
            kind: RTN_UNICAST,
            ..RouteHeader::default()
        },
        oif,
    );
    match gateway {
        Some(gateway) if gateway.is_ipv4() == destination.is_ipv4() => {
            push_address(&mut message, RTA_GATEWAY, gateway);
        }
        Some(gateway) => push_via(&mut message, gateway),
        None => {}
    }
    message.finish()
}

/// Makes every address of a prefix local (`ip route add local`), so that sockets may use them
/// all without one address each.
#[must_use]
pub fn add_local_route(destination: IpAddr, prefix: u8, oif: u32) -> Vec<u8> {
    new_route(
        destination,
        RouteHeader {
            destination_length: prefix,
            table: RT_TABLE_LOCAL,
            scope: RT_SCOPE_HOST,
            kind: RTN_LOCAL,
            ..RouteHeader::default()
        },
        oif,
    )
    .finish()
}

fn new_route(destination: IpAddr, header: RouteHeader, oif: u32) -> Message {
    let mut message = Message::new(RTM_NEWROUTE, CREATE, EDIT_SEQUENCE);
    let family = family_of(destination);
    message.push(&RouteHeader {
        family,
        protocol: RTPROT_BOOT,
        ..header
    });
    push_address(&mut message, RTA_DST, destination);
    message.attribute(RTA_OIF, &oif.to_ne_bytes());
    message
}

/// `struct rtvia`: the family in 2 bytes, then the address.
fn push_via(message: &mut Message, gateway: IpAddr) {
    let mut via = Vec::from(u16::from(family_of(gateway)).to_ne_bytes());
    match gateway {
        IpAddr::V4(address) => via.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => via.extend_from_slice(&address.octets()),
    }
    message.attribute(RTA_VIA, &via);
}

/// Names are sent with their NUL; the kernel refuses more than 15 bytes (`IFNAMSIZ`).
fn push_name(message: &mut Message, name: &str) {
    let mut bytes = Vec::from(name.as_bytes());
    bytes.push(0);
    message.attribute(IFLA_IFNAME, &bytes);
}
