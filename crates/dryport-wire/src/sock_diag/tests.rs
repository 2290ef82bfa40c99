//! Tests of questions and rows: captured rows, another reader as oracle, hostile bytes.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs, println};

use dryport_model::{Family, Origin, PortRange, State, TimeWait};
use netlink_packet_core::Parseable as _;
use netlink_packet_sock_diag::inet::InetResponse;
use netlink_packet_sock_diag::inet::nlas::Nla;
use proptest::prelude::*;

use super::*;
use crate::WireError;
use crate::netlink::{attributes, messages};

const ROW: usize = 72;

/// A row without attributes.
fn bare_row(family: u8, state: u8) -> Vec<u8> {
    let mut bytes = Vec::from([0; ROW]);
    bytes[0] = family;
    bytes[1] = state;
    bytes
}

fn with_attribute(mut row: Vec<u8>, kind: u16, value: &[u8]) -> Vec<u8> {
    row.extend((4 + value.len() as u16).to_ne_bytes());
    row.extend(kind.to_ne_bytes());
    row.extend(value);
    row.resize(row.len().next_multiple_of(4), 0);
    row
}

mod questions {
    use super::*;

    fn payload(query: &Query) -> (u16, Vec<u8>) {
        let bytes = query.encode(7);
        let frame = messages(&bytes).next().unwrap().unwrap();
        assert_eq!(
            (frame.flags, frame.sequence),
            (NLM_F_REQUEST | NLM_F_DUMP, 7)
        );
        (frame.kind, Vec::from(frame.payload))
    }

    #[test]
    fn one_family_is_asked_in_the_second_form() {
        let mut query = Query::all(Families::V6, Protocol::Udp);
        query.extensions = EXTENSION_INFO;
        let (kind, payload) = payload(&query);
        assert_eq!((kind, payload.len()), (20, 56));
        assert_eq!(payload[..4], [10, 17, 2, 0]);
        assert_eq!(payload[4..8], 0x3ffe_u32.to_ne_bytes());
    }

    #[test]
    fn both_families_are_asked_in_the_first_form() {
        let mut query = Query::all(Families::Both, Protocol::Tcp);
        query.states = STATE_LISTEN | STATE_BOUND_INACTIVE;
        query.extensions = EXTENSION_INFO;
        let (kind, payload) = payload(&query);
        assert_eq!((kind, payload.len()), (18, 60));
        assert_eq!(payload[3], 2);
        assert_eq!(payload[52..56], 0x2400_u32.to_ne_bytes());
    }

    #[test]
    fn both_families_of_udp_are_a_question_the_kernel_refuses() {
        let (kind, payload) = payload(&Query::all(Families::Both, Protocol::Udp));
        assert_eq!((kind, payload[0]), (20, 0));
    }

    #[test]
    fn the_filter_is_the_first_attribute() {
        let range = PortRange::new(20000, 20007).unwrap();
        let filter = Bytecode::local_port(range).and(&Bytecode::not_automatic());
        for (families, size) in [(Families::V4, 56), (Families::Both, 60)] {
            let mut query = Query::all(families, Protocol::Tcp);
            query.filter = Some(filter.clone());
            let (_, payload) = payload(&query);
            let attribute = attributes(&payload[size..]).next().unwrap().unwrap();
            assert_eq!((attribute.kind, attribute.value), (1, &filter.encode()[..]));
        }
    }
}

mod rules {
    use super::*;

    #[test]
    fn a_truncated_row_is_an_error_not_a_panic() {
        let error = WireError::Truncated {
            what: "sock_diag row",
            offset: 0,
            need: 72,
            have: 71,
        };
        let row = bare_row(2, 1);
        assert_eq!(decode_socket(&row[..71], Protocol::Tcp), Err(error));
        assert_eq!(decode_row(&row[..71], Protocol::Tcp), Err(error));
        assert!(decode_socket(&row, Protocol::Tcp).is_ok());
    }

    #[test]
    fn an_unknown_family_or_state_is_named() {
        let unix = decode_socket(&bare_row(1, 1), Protocol::Tcp);
        assert_eq!(
            unix,
            Err(WireError::UnknownFamily {
                what: "sock_diag row",
                family: 1
            })
        );
        let strange = decode_socket(&bare_row(2, 14), Protocol::Tcp);
        assert_eq!(strange, Err(WireError::UnknownState { state: 14 }));
    }

    #[test]
    fn state_7_is_bound_over_tcp_and_close_over_udp() {
        let state = |protocol| decode_socket(&bare_row(2, 7), protocol).unwrap().state;
        assert_eq!(state(Protocol::Tcp), State::BoundInactive);
        assert_eq!(state(Protocol::Udp), State::Close);
        assert_eq!(
            decode_socket(&bare_row(2, 13), Protocol::Tcp)
                .unwrap()
                .state,
            State::BoundInactive
        );
        assert_eq!(
            decode_socket(&bare_row(2, 12), Protocol::Tcp)
                .unwrap()
                .state,
            State::SynRecv
        );
    }

    #[test]
    fn v6only_is_unknown_where_the_kernel_does_not_tell_it() {
        let v6only = |row: &[u8]| decode_socket(row, Protocol::Tcp).unwrap().v6only;
        let listener = bare_row(10, 10);
        assert_eq!(v6only(&listener), None);
        assert_eq!(
            v6only(&with_attribute(listener.clone(), 11, &[1])),
            Some(true)
        );
        assert_eq!(v6only(&with_attribute(listener, 11, &[0])), Some(false));
        assert_eq!(v6only(&with_attribute(bare_row(10, 1), 11, &[1])), None);
        assert_eq!(v6only(&bare_row(2, 1)), Some(false));
    }

    #[test]
    fn a_time_wait_older_than_its_timer_has_age_0_left_over() {
        let mut row = bare_row(2, 6);
        row[2] = 3;
        row[52..56].copy_from_slice(&61_000_u32.to_ne_bytes());
        let socket = decode_socket(&row, Protocol::Tcp).unwrap();
        let stub = TimeWait {
            remaining_ms: 61_000,
            age_ms: 0,
            timestamps: None,
        };
        assert_eq!(socket.time_wait, Some(stub));
        assert_eq!(decode_socket(&row, Protocol::Udp).unwrap().time_wait, None);
    }

    #[test]
    fn attributes_behind_a_malformed_one_are_lost_and_told() {
        let mut row = with_attribute(bare_row(2, 1), 8, &[3]);
        row.extend([2, 0, 0, 0]);
        let row = decode_row(&row, Protocol::Tcp).unwrap();
        assert_eq!(row.shutdown, Some(3));
        assert!(matches!(row.malformed, Some(WireError::BadLength { .. })));
    }

    #[test]
    fn a_short_tcp_info_is_not_half_read() {
        let info = |length: usize| {
            let row = with_attribute(bare_row(2, 1), 2, &std::vec![1; length]);
            decode_row(&row, Protocol::Tcp).unwrap().tcp_info
        };
        assert_eq!(info(143), None);
        assert_eq!(info(215).unwrap().bytes_sent, None);
        assert!(info(216).unwrap().bytes_retransmitted.is_some());
        assert!(info(0).is_none());
    }
}

/// Rows captured on a little-endian machine.
#[cfg(target_endian = "little")]
mod captured {
    use super::*;

    fn fixtures() -> Vec<(String, Vec<u8>, toml::Table)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/linux/sock_diag-6.18");
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let about = fs::read_to_string(&path).unwrap().parse().unwrap();
                let bytes = fs::read(path.with_extension("bin")).unwrap();
                found.push((
                    path.file_stem().unwrap().to_string_lossy().into(),
                    bytes,
                    about,
                ));
            }
        }
        assert!(found.len() >= 18, "fixtures are missing");
        found
    }

    /// What a fixture may expect, by name.
    fn seen(row: &Row, key: &str) -> toml::Value {
        let socket = &row.socket;
        let info = || row.tcp_info.unwrap();
        match key {
            "family" if socket.family == Family::V4 => "v4".into(),
            "family" => "v6".into(),
            "state" => socket.state.name().into(),
            "local" => socket.local.to_string().into(),
            "remote" => socket.remote.to_string().into(),
            "origin" if socket.origin == Origin::Bound => "bound".into(),
            "origin" => "unknown".into(),
            "v6only" => socket.v6only.unwrap().into(),
            "device" => i64::from(socket.device).into(),
            "has_inode" => (socket.inode != 0).into(),
            "send_queue" => i64::from(row.send_queue).into(),
            "no_port" => (row.sockopt.unwrap() & SOCKOPT_BIND_ADDRESS_NO_PORT != 0).into(),
            "bytes_acked" => (info().bytes_acked as i64).into(),
            "bytes_received" => (info().bytes_received as i64).into(),
            "timestamps" => info().has_timestamps().into(),
            "time_wait_remaining_ms" => i64::from(socket.time_wait.unwrap().remaining_ms).into(),
            other => panic!("no fixture may expect {other}"),
        }
    }

    #[test]
    fn captured_rows_say_what_was_set_up() {
        for (name, bytes, about) in fixtures() {
            let udp = about["protocol"].as_str() == Some("udp");
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let row = decode_row(&bytes, protocol).unwrap();
            println!("{name}: {row:?}");
            assert_eq!(row.malformed, None, "{name}");
            assert_eq!(decode_socket(&bytes, protocol), Ok(row.socket), "{name}");
            let expected = about["expect"].as_table().unwrap();
            for (key, value) in expected {
                assert_eq!(&seen(&row, key), value, "{name}: {key}");
            }
            assert_eq!(
                expected.contains_key("v6only"),
                row.socket.v6only.is_some(),
                "{name}"
            );
            let stub = expected.contains_key("time_wait_remaining_ms");
            assert_eq!(stub, row.socket.time_wait.is_some(), "{name}");
        }
    }

    #[test]
    fn captured_rows_agree_with_another_reader() {
        for (_, bytes, about) in fixtures() {
            let udp = about["protocol"].as_str() == Some("udp");
            agree(&bytes, if udp { Protocol::Udp } else { Protocol::Tcp });
        }
    }

    #[test]
    fn a_captured_row_cut_anywhere_never_panics() {
        for (name, bytes, _) in fixtures() {
            for end in 0..bytes.len() {
                let cut = decode_row(&bytes[..end], Protocol::Tcp);
                assert_eq!(cut.is_ok(), end >= ROW, "{name} cut at {end}");
            }
        }
    }
}

/// The same row read by `netlink-packet-sock-diag`.
fn agree(bytes: &[u8], protocol: Protocol) {
    let row = decode_row(bytes, protocol).unwrap();
    let oracle = InetResponse::parse(bytes).unwrap();
    let header = &oracle.header;
    let id = &header.socket_id;
    let socket = &row.socket;
    assert_eq!(socket.local.ip(), id.source_address.to_canonical());
    assert_eq!(socket.local.port(), id.source_port);
    let remote = id.destination_address.to_canonical();
    assert!(socket.remote.ip() == remote || remote.is_unspecified());
    assert_eq!(socket.remote.port(), id.destination_port);
    assert_eq!(socket.device, id.interface_id);
    assert_eq!(row.cookie.to_le_bytes(), id.cookie);
    assert_eq!((socket.uid, socket.inode), (header.uid, header.inode));
    assert_eq!(
        (row.receive_queue, row.send_queue),
        (header.recv_queue, header.send_queue)
    );
    if header.state != 7 {
        assert_eq!(Some(socket.state), State::from_number(header.state));
    }
    for nla in &oracle.nlas {
        match nla {
            Nla::Shutdown(shutdown) => assert_eq!(row.shutdown, Some(*shutdown)),
            Nla::TcpInfo(info) => {
                let own = row.tcp_info.unwrap();
                assert_eq!((own.options, own.unacked), (info.options, info.unacked));
                assert_eq!(own.bytes_acked, info.bytes_acked);
                assert_eq!(own.bytes_received, info.bytes_received);
                assert_eq!(own.last_data_sent_ms, info.last_data_sent);
                assert_eq!(own.last_data_received_ms, info.last_data_recv);
                assert_eq!(own.total_retransmits, info.total_retrans);
                assert_eq!(
                    (own.segments_out, own.segments_in),
                    (info.segs_out, info.segs_in)
                );
                assert_eq!(own.bytes_sent, Some(info.bytes_sent));
                assert_eq!(own.bytes_retransmitted, Some(info.bytes_retrans));
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn any_row_agrees_with_another_reader(
        family in prop::sample::select(&[2_u8, 10]), state in 1_u8..=13, udp: bool,
        rest in prop::collection::vec(any::<u8>(), ROW - 2), mapped: bool,
    ) {
        let mut row = Vec::from([family, state]);
        row.extend(rest);
        if mapped && family == 10 {
            for start in [8, 24] {
                row[start..start + 10].fill(0);
                row[start + 10..start + 12].fill(0xff);
            }
        }
        // The oracle has no name for states above 11.
        if cfg!(target_endian = "little") {
            agree(&row, if udp { Protocol::Udp } else { Protocol::Tcp });
        }
    }

    #[test]
    fn the_fast_reader_says_what_the_whole_one_says(
        front in prop::collection::vec(any::<u8>(), ROW),
        family in prop::sample::select(&[2_u8, 10, 1]), state in 0_u8..=14, timer in 0_u8..5,
        attributes in prop::collection::vec((0_u16..24, prop::collection::vec(any::<u8>(), 0..9)), 0..5),
        garbage in prop::collection::vec(any::<u8>(), 0..7), udp: bool,
    ) {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        let mut row = front;
        row[..3].copy_from_slice(&[family, state, timer]);
        for (kind, value) in &attributes {
            row = with_attribute(row, *kind, value);
        }
        row.extend(garbage);
        let whole = decode_row(&row, protocol).map(|row| row.socket);
        // Of a doubled attribute one reader takes the first, the other the last.
        let doubled = attributes.iter().filter(|(kind, _)| *kind == 11).count() > 1;
        prop_assert!(doubled || whole == decode_socket(&row, protocol), "{}", format!("{row:?}"));
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = decode_row(&bytes, Protocol::Tcp);
        let _ = decode_socket(&bytes, Protocol::Udp);
    }
}
