//! Tests of the envelope.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn dump_of(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (sequence, payload) in payloads.iter().enumerate() {
        let mut message = Message::new(20, NLM_F_MULTI, sequence as u32);
        message.push_bytes(payload);
        bytes.extend(message.finish());
    }
    bytes
}

fn control_message(kind: u16, errno: i32) -> Vec<u8> {
    let mut message = Message::new(kind, NLM_F_MULTI, 7);
    message.push(&errno);
    message.finish()
}

fn only(bytes: &[u8]) -> Frame<'_> {
    messages(bytes).next().unwrap().unwrap()
}

#[test]
fn a_message_knows_its_length() {
    let mut message = Message::new(18, NLM_F_REQUEST, 9);
    message.push_bytes(&[1, 2, 3]).attribute(5, b"abcde");
    let bytes = message.finish();
    assert_eq!(bytes.len(), 16 + 4 + 12);
    assert_eq!(bytes.get(..4), Some(&32_u32.to_ne_bytes()[..]));
    let frame = only(&bytes);
    assert_eq!(
        (frame.kind, frame.flags, frame.sequence),
        (18, NLM_F_REQUEST, 9)
    );
    let inner: Vec<_> = attributes(&frame.payload[4..]).collect();
    assert_eq!(
        inner,
        [Ok(Attribute {
            kind: 5,
            value: b"abcde"
        })]
    );
}

#[test]
fn a_nest_holds_what_was_put_in() {
    let mut message = Message::new(18, 0, 0);
    message.nest(18, |outer| {
        outer.attribute(1, b"veth\0");
        outer.nest(2, |inner| {
            inner.attribute(3, &[9]);
        });
    });
    message.attribute(4, &7_u32.to_ne_bytes());
    let bytes = message.finish();
    let frame = only(&bytes);
    let outer: Vec<_> = attributes(frame.payload).map(Result::unwrap).collect();
    assert_eq!(outer.iter().map(|a| a.kind).collect::<Vec<_>>(), [18, 4]);
    assert_eq!(outer[1].u32(), Some(7));
    let inner: Vec<_> = outer[0].nested().map(Result::unwrap).collect();
    assert_eq!(inner[0].text(), b"veth");
    assert_eq!(inner[1].nested().next().unwrap().unwrap().u8(), Some(9));
}

#[test]
fn the_end_of_a_dump_tells_its_error() {
    let done = control_message(3, 0);
    assert_eq!(only(&done).control(), Some(Control::Done { errno: 0 }));
    let failed = control_message(3, -12);
    assert_eq!(only(&failed).control(), Some(Control::Done { errno: 12 }));
    let bare = Message::new(3, 0, 0).finish();
    assert_eq!(only(&bare).control(), Some(Control::Done { errno: 0 }));
}

#[test]
fn an_error_without_a_number_is_no_acknowledgement() {
    let ack = control_message(2, 0);
    assert_eq!(only(&ack).control(), Some(Control::Error { errno: 0 }));
    let refused = control_message(2, -22);
    assert_eq!(only(&refused).control(), Some(Control::Error { errno: 22 }));
    let bare = Message::new(2, 0, 0).finish();
    assert_eq!(
        only(&bare).control(),
        Some(Control::Error { errno: i32::MAX })
    );
    let lowest = control_message(2, i32::MIN);
    assert_eq!(
        only(&lowest).control(),
        Some(Control::Error { errno: i32::MAX })
    );
}

#[test]
fn the_kernels_words_are_found_behind_a_capped_request() {
    let mut message = Message::new(2, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1);
    message
        .push(&-22_i32)
        .push_bytes(&Message::new(20, 0, 1).finish());
    message.attribute(NLMSGERR_ATTR_MSG, b"Invalid prefix\0");
    let bytes = message.finish();
    assert_eq!(only(&bytes).error_text(), Some("Invalid prefix"));
}

#[test]
fn an_interrupted_dump_says_so() {
    let bytes = Message::new(20, NLM_F_MULTI | NLM_F_DUMP_INTR, 1).finish();
    assert!(only(&bytes).is_dump_interrupted());
    let bytes = Message::new(20, NLM_F_MULTI, 1).finish();
    assert!(!only(&bytes).is_dump_interrupted());
}

#[test]
fn a_length_below_the_header_ends_the_walk() {
    let mut bytes = Message::new(20, 0, 1).finish();
    bytes[0] = 15;
    let found: Vec<_> = messages(&bytes).collect();
    let what = "netlink message";
    assert_eq!(
        found,
        [Err(WireError::BadLength {
            what,
            offset: 0,
            length: 15
        })]
    );
}

#[test]
fn a_cut_buffer_keeps_the_whole_messages() {
    let bytes = dump_of(&[vec![1; 8], vec![2; 8]]);
    let found: Vec<_> = messages(&bytes[..bytes.len() - 1]).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].unwrap().payload, [1; 8]);
    let what = "netlink message";
    assert_eq!(
        found[1],
        Err(WireError::Truncated {
            what,
            offset: 24,
            need: 24,
            have: 23
        })
    );
}

#[test]
fn a_malformed_attribute_ends_the_walk() {
    let mut bytes = Vec::new();
    for half in [5_u16, 1, 9, 0, 3, 2] {
        bytes.extend(half.to_ne_bytes());
    }
    let found: Vec<_> = attributes(&bytes).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].unwrap().kind, 1);
    let what = "netlink attribute";
    assert_eq!(
        found[1],
        Err(WireError::BadLength {
            what,
            offset: 8,
            length: 3
        })
    );
}

#[test]
fn an_oversized_value_is_cut_and_an_oversized_nest_refused() {
    let mut message = Message::new(1, 0, 0);
    message.attribute(1, &vec![7; 70_000]);
    let bytes = message.finish();
    let first = attributes(only(&bytes).payload).next().unwrap().unwrap();
    assert_eq!(first.value.len(), 65_531);
    let mut message = Message::new(1, 0, 0);
    message.nest(1, |inner| {
        inner.push_bytes(&vec![7; 70_000]);
    });
    let bytes = message.finish();
    assert!(attributes(only(&bytes).payload).next().unwrap().is_err());
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let bytes = dump_of(&payloads);
        let found: Vec<_> = messages(&bytes).map(Result::unwrap).collect();
        prop_assert_eq!(found.len(), payloads.len());
        for (frame, payload) in found.iter().zip(&payloads) {
            prop_assert_eq!(&frame.payload[..payload.len()], &payload[..]);
            prop_assert_eq!(frame.payload.len(), align(payload.len()));
        }
    }

    #[test]
    fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for frame in messages(&bytes).flatten() {
            let _ = (frame.control(), frame.error_text());
            let inside: usize = attributes(frame.payload).flatten().map(|a| a.value.len() + 4).sum();
            prop_assert!(inside <= frame.payload.len());
        }
        prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
    }
}
