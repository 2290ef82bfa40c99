//! Rows of sock_diag: two readers of the same bytes agree, and only length, family and state can
//! make a row unreadable.
#![no_main]

use dryport_model::{Family, Protocol, State};
use dryport_wire::WireError;
use dryport_wire::netlink::attributes;
use dryport_wire::sock_diag::{decode_row, decode_socket};
use libfuzzer_sys::fuzz_target;

const ROW: usize = 72;
const V6ONLY: u16 = 11;

fuzz_target!(|payload: &[u8]| {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        check(payload, protocol);
    }
});

fn check(payload: &[u8], protocol: Protocol) {
    let fast = decode_socket(payload, protocol);
    let row = match decode_row(payload, protocol) {
        Ok(row) => row,
        Err(error) => {
            assert_eq!(fast, Err(error));
            return check_error(payload, error);
        }
    };
    let socket = row.socket;
    let tail = attributes(&payload[ROW..]).map_while(Result::ok);
    if tail.filter(|attribute| attribute.kind == V6ONLY).count() < 2 {
        assert_eq!(fast, Ok(socket));
    }
    assert_eq!(socket.protocol, protocol);
    assert_eq!(
        socket.local.port(),
        u16::from_be_bytes([payload[4], payload[5]])
    );
    assert_eq!(
        socket.remote.port(),
        u16::from_be_bytes([payload[6], payload[7]])
    );
    assert_eq!(socket.local.ip(), socket.local.ip().to_canonical());
    match socket.family {
        Family::V4 => assert!(socket.local.is_ipv4() && socket.remote.is_ipv4()),
        Family::V6 => assert!(payload[0] == 10),
    }
    if socket.local.is_ipv4() {
        assert_eq!(socket.v6only, Some(false));
    }
    assert_eq!(
        socket.time_wait.is_some(),
        payload[2] == 3 && protocol == Protocol::Tcp
    );
}

fn check_error(payload: &[u8], error: WireError) {
    match error {
        WireError::Truncated { .. } => assert!(payload.len() < ROW),
        WireError::UnknownFamily { family, .. } => assert!(![2, 10].contains(&family)),
        WireError::UnknownState { state } => assert_eq!(State::from_number(state), None),
        other => panic!("a row cannot fail with {other}"),
    }
}
