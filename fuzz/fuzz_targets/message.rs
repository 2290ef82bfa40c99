//! One line as a message: nothing that can move a cursor comes out, and every message has a cause.
#![no_main]

use dryport_wire::message::{Finder, read_following, read_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let shown = |text: Option<&str>| !text.unwrap_or_default().chars().any(char::is_control);
    if let Some(message) = read_line(bytes) {
        assert!(shown(message.destination.as_deref()));
        assert!(message.destination_address.is_none() || message.destination.is_some());
        let _ = message.cause(None);
    }
    if let Some(follow) = read_following(bytes) {
        assert!(shown(follow.destination.as_deref()));
    }
    let mut last = 0;
    Finder::new().each_hit(bytes, |at| {
        assert!(last <= at && at < bytes.len());
        last = at;
    });
});
