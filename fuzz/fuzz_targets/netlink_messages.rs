//! The netlink envelope: any receive buffer is walked to an end, and what was read can be written
//! again.
#![no_main]

use dryport_wire::netlink::{Attribute, Frame, Message, attributes, messages};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|buffer: &[u8]| {
    let mut inside = 0;
    let mut walk = messages(buffer);
    for frame in walk.by_ref() {
        let Ok(frame) = frame else { break };
        inside += 16 + frame.payload.len();
        let _ = (
            frame.control(),
            frame.error_text(),
            frame.is_dump_interrupted(),
        );
        check_frame(&frame);
        check_attributes(frame.payload);
    }
    assert!(inside <= buffer.len());
    assert!(
        walk.next().is_none(),
        "the walk goes on behind an error or the end"
    );
    check_attributes(buffer);
});

fn check_frame(frame: &Frame<'_>) {
    let mut message = Message::new(frame.kind, frame.flags, frame.sequence);
    message.push_bytes(frame.payload);
    let bytes = message.finish();
    let again = messages(&bytes)
        .next()
        .and_then(Result::ok)
        .expect("a written message reads");
    assert_eq!(&again.payload[..frame.payload.len()], frame.payload);
    assert!(again.payload.len() - frame.payload.len() < 4);
    assert_eq!(
        (again.kind, again.flags, again.sequence),
        (frame.kind, frame.flags, frame.sequence)
    );
}

fn check_attributes(payload: &[u8]) {
    let found: Vec<Attribute<'_>> = attributes(payload).map_while(Result::ok).collect();
    let mut message = Message::new(1, 0, 0);
    for attribute in &found {
        message.attribute(attribute.kind, attribute.value);
    }
    let bytes = message.finish();
    let frame = messages(&bytes)
        .next()
        .and_then(Result::ok)
        .expect("a written message reads");
    let again: Vec<Attribute<'_>> = attributes(frame.payload).map_while(Result::ok).collect();
    assert_eq!(found, again);
}
