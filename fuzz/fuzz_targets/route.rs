//! Routes, links and addresses: any payload is read or refused, and what was asked or added is
//! read back.
#![no_main]

use std::net::IpAddr;

use dryport_wire::netlink::messages;
use dryport_wire::route::{
    add_address, add_local_route, add_route, decode_address, decode_link, decode_route, new_veth,
    route_request,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(route) = decode_route(bytes) {
        assert!(!route.source.is_some_and(|source| source.is_unspecified()));
    }
    if let Ok(link) = decode_link(bytes) {
        assert!(!link.name.contains('\0') && !link.kind.unwrap_or_default().contains('\0'));
    }
    let _ = decode_address(bytes);
    let Some((address, rest)) = address(bytes) else {
        return;
    };
    let Some((&[prefix, low, high], rest)) = rest.split_first_chunk() else {
        return;
    };
    let index = u32::from(u16::from_be_bytes([low, high]));
    let gateway = self::address(rest).map(|(gateway, _)| gateway);
    check_address(address, prefix, index);
    check_routes(address, prefix, index, gateway);
    if let Ok(name) = std::str::from_utf8(rest) {
        check_veth(name);
    }
});

/// An address from the front of the input.
fn address(bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (family, rest) = bytes.split_first()?;
    if family & 1 == 0 {
        let (octets, rest) = rest.split_first_chunk::<4>()?;
        return Some((IpAddr::from(*octets), rest));
    }
    let (octets, rest) = rest.split_first_chunk::<16>()?;
    Some((IpAddr::from(*octets), rest))
}

fn payload(message: &[u8]) -> Vec<u8> {
    let mut found = messages(message);
    let frame = found
        .next()
        .and_then(Result::ok)
        .expect("a written message reads");
    assert!(found.next().is_none());
    frame.payload.to_vec()
}

fn check_address(address: IpAddr, prefix: u8, index: u32) {
    let read = decode_address(&payload(&add_address(index, address, prefix)));
    let read = read.expect("a written address reads");
    assert_eq!(
        (read.index, read.address, read.prefix),
        (index, address, prefix)
    );
}

fn check_routes(address: IpAddr, prefix: u8, oif: u32, gateway: Option<IpAddr>) {
    let route = decode_route(&payload(&add_route(address, prefix, oif, gateway)));
    let route = route.expect("a written route reads");
    assert_eq!(
        (route.oif, route.gateway, route.source),
        (Some(oif), gateway, None)
    );
    let local = decode_route(&payload(&add_local_route(address, prefix, oif)));
    assert_eq!(local.expect("a written route reads").oif, Some(oif));
    let asked = decode_route(&payload(&route_request(
        1,
        address,
        gateway,
        Some(oif),
        None,
    )));
    let source = asked.expect("a question has a route's shape").source;
    assert!(source.is_none() || source == gateway.map(|gateway| gateway.to_canonical()));
}

fn check_veth(name: &str) {
    let link = decode_link(&payload(&new_veth(name, "peer", Some(3))));
    let link = link.expect("a written link reads");
    if name.len() < 60_000 {
        assert_eq!(link.name, name.split('\0').next().unwrap_or_default());
        assert_eq!(link.kind.as_deref(), Some("veth"));
    }
}
