//! Tests of routes, links and addresses; the payloads were captured on Linux 6.18.44 (x86_64).

use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::netlink::{Frame, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, messages};

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn only(bytes: &[u8]) -> Frame<'_> {
    let mut found = messages(bytes);
    let frame = found.next().unwrap().unwrap();
    assert!(found.next().is_none());
    frame
}

fn kinds(bytes: &[u8]) -> Vec<u16> {
    attributes(bytes)
        .map(|attribute| attribute.unwrap().kind)
        .collect()
}

#[cfg(target_endian = "little")]
mod captured {
    use super::*;

    #[test]
    fn a_route_over_a_gateway_of_the_other_family() {
        let route = decode_route(&hex(concat!(
            "02200000fe0000010002000008000f00fe000000080001000a4e0101080004000300",
            "0000080007000a090001160012000a00fd00000900000000000000000000000200000800190000000000"
        )));
        let wanted = Route {
            source: Some("10.9.0.1".parse().unwrap()),
            oif: Some(3),
            kind: RouteKind::Unicast,
            gateway: Some("fd00:9::2".parse().unwrap()),
        };
        assert_eq!(route, Ok(wanted));
    }

    #[test]
    fn an_unspecified_source_that_ipv6_echoes_is_no_source() {
        let route = decode_route(&hex(concat!(
            "0a808000ff0200020000000008000f00ff000000140001000000000000000000000000000000000114000200",
            "00000000000000000000000000000000140007000000000000000000000000000000000108000400",
            "01000000"
        )));
        let wanted = Route {
            source: Some("::1".parse().unwrap()),
            oif: Some(1),
            kind: RouteKind::Local,
            gateway: None,
        };
        assert_eq!(route, Ok(wanted));
    }

    #[test]
    fn a_source_that_was_asked_for_comes_before_a_preferred_one() {
        let route = decode_route(&hex(concat!(
            "0a808000fe0200010000000008000f00fe00000014000100fd00000900000000000000000000007714000200",
            "0000000000000000000000000000000114000700fd000009000000000000000000000001",
            "0800040003000000"
        )));
        assert_eq!(route.unwrap().source, Some("::1".parse().unwrap()));
    }

    #[test]
    fn links_tell_their_kind_and_flags() {
        let lo = decode_link(&hex(
            "00000403010000004900010000000000070003006c6f000008000d00e8030000",
        ));
        let lo = lo.unwrap();
        assert_eq!(
            (lo.index, lo.name.as_str(), lo.up, lo.loopback),
            (1, "lo", true, true)
        );
        assert_eq!((lo.kind, lo.master), (None, None));
        let veth = decode_link(&hex(concat!(
            "0000010002000000431001000000000007000300766200000a000100e2fc2af84a130000",
            "10001200090001007665746800000000080005000300000008000a0007000000"
        )));
        let veth = veth.unwrap();
        assert_eq!(
            (veth.name.as_str(), veth.kind.as_deref()),
            ("vb", Some("veth"))
        );
        assert_eq!(
            (veth.up, veth.loopback, veth.master),
            (true, false, Some(7))
        );
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        for (text, index, address, prefix) in [
            (
                "020880fe01000000080001007f000001080002007f000001070003006c6f0000",
                1,
                "127.0.0.1",
                8,
            ),
            (
                "0a4082000300000014000100fd000009000000000000000000000001",
                3,
                "fd00:9::1",
                64,
            ),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                decode_address(&hex(text)),
                Ok(LinkAddress {
                    index,
                    address,
                    prefix
                })
            );
        }
    }
}

#[test]
fn a_mapped_destination_is_asked_as_ipv4() {
    let mapped = "::ffff:10.0.0.1".parse().unwrap();
    let bytes = route_request(3, mapped, Some("::".parse().unwrap()), Some(7), None);
    let frame = only(&bytes);
    assert_eq!(
        (frame.kind, frame.flags, frame.sequence),
        (26, NLM_F_REQUEST, 3)
    );
    assert_eq!(frame.payload[..3], [2, 32, 0]);
    assert_eq!(kinds(&frame.payload[12..]), [RTA_DST, RTA_OIF]);
}

#[test]
fn a_source_of_the_other_family_is_left_out() {
    let destination = "10.0.0.1".parse().unwrap();
    let bytes = route_request(3, destination, Some("::1".parse().unwrap()), None, None);
    assert_eq!(kinds(&only(&bytes).payload[12..]), [RTA_DST]);
    let bytes = route_request(
        3,
        destination,
        Some("10.0.0.2".parse().unwrap()),
        None,
        None,
    );
    assert_eq!(only(&bytes).payload[..3], [2, 32, 32]);
    assert_eq!(kinds(&only(&bytes).payload[12..]), [RTA_DST, RTA_SRC]);
}

#[test]
fn what_is_too_short_or_of_another_family_is_refused() {
    assert!(matches!(
        decode_route(&[2; 11]),
        Err(WireError::Truncated { need: 12, .. })
    ));
    assert!(matches!(
        decode_link(&[0; 15]),
        Err(WireError::Truncated { need: 16, .. })
    ));
    assert!(matches!(
        decode_address(&[2; 8]),
        Err(WireError::Truncated { need: 4, .. })
    ));
    let what = "route";
    assert_eq!(
        decode_route(&[7; 12]),
        Err(WireError::UnknownFamily { what, family: 7 })
    );
}

#[test]
fn a_name_with_strange_bytes_stays_a_string() {
    let mut message = Message::new(RTM_NEWLINK, 0, 0);
    message
        .push(&LinkHeader::default())
        .attribute(IFLA_IFNAME, b"a\xff\x1bb\0junk");
    let bytes = message.finish();
    let link = decode_link(only(&bytes).payload).unwrap();
    assert_eq!(link.name, "a\u{fffd}\x1bb");
}

#[test]
fn edits_ask_for_an_acknowledgement() {
    let address = "10.0.0.1".parse().unwrap();
    let made = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let changed = NLM_F_REQUEST | NLM_F_ACK;
    for (bytes, kind, flags) in [
        (new_veth("a", "b", Some(5)), 16, made),
        (new_dummy("a"), 16, made),
        (set_link_up(3, true), 16, changed),
        (delete_link(3), 17, changed),
        (add_address(3, address, 24), 20, made),
        (add_route(address, 32, 3, None), 24, made),
        (add_local_route(address, 32, 3), 24, made),
    ] {
        let frame = only(&bytes);
        assert_eq!(
            (frame.kind, frame.flags, frame.sequence),
            (kind, flags, EDIT_SEQUENCE)
        );
    }
}

#[test]
fn a_new_link_reads_as_what_it_will_be() {
    let bytes = new_veth("va", "vb", Some(5));
    let link = decode_link(only(&bytes).payload).unwrap();
    assert_eq!(
        (link.name.as_str(), link.kind.as_deref()),
        ("va", Some("veth"))
    );
}

proptest! {
    #[test]
    fn an_address_that_was_added_is_read_back(index: u32, address: IpAddr, prefix in 0_u8..=32) {
        let bytes = add_address(index, address, prefix);
        let read = decode_address(only(&bytes).payload).unwrap();
        prop_assert_eq!(read, LinkAddress { index, address, prefix });
    }

    #[test]
    fn a_route_that_was_added_is_read_back(
        destination: IpAddr, oif: u32, gateway in proptest::option::of(any::<IpAddr>()),
    ) {
        let bytes = add_route(destination, 32, oif, gateway);
        let route = decode_route(only(&bytes).payload).unwrap();
        prop_assert_eq!((route.oif, route.gateway), (Some(oif), gateway));
        prop_assert_eq!(route.kind, RouteKind::Unicast);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_route(&bytes);
        let _ = decode_address(&bytes);
        if let Ok(link) = decode_link(&bytes) {
            prop_assert!(link.name.to_string().len() <= 3 * bytes.len());
        }
    }
}
