//! Phrases that complain of ports only in some company: what stands around them decides.

use dryport_model::Complaint::{
    AddressInUse, AddressNotAvailable, NoFreePorts, Refused, TimedOut, TooManyFiles,
};
use dryport_model::Platform;

use super::complaint::{Place, Told};
use super::phrase::{after, before, holds_any, leading_number, stands_alone};

/// glibc says "Cannot", the BSDs say "Can't".
pub(super) fn not_assigned(place: Place<'_>) -> Option<Told> {
    let platform = match before(place.line, place.at, 6) {
        [.., b'a', b'n', b'n', b'o', b't', b' '] => Some(Platform::Linux),
        [.., b'a', b'n', b'\'', b't', b' '] => Some(Platform::MacOs),
        _ => None,
    };
    Some(Told {
        complaint: AddressNotAvailable,
        platform,
    })
}

/// An errno's name stands alone, but for Windows' `WSA` before it.
pub(super) fn error_name(place: Place<'_>) -> Option<Told> {
    let wsa = before(place.line, place.at, 3) == b"WSA";
    let at = if wsa { place.at - 3 } else { place.at };
    if !stands_alone(place.line, at, place.end) {
        return None;
    }
    let complaint = match place.line.get(place.at..place.end)? {
        b"EADDRNOTAVAIL" => AddressNotAvailable,
        b"EADDRINUSE" => AddressInUse,
        b"ECONNREFUSED" => Refused,
        b"ETIMEDOUT" => TimedOut,
        _ => TooManyFiles,
    };
    Some(Told {
        complaint,
        platform: wsa.then_some(Platform::Windows),
    })
}

/// An address of a socket, not of a letter or of a network card; or a port.
pub(super) fn already_in_use(place: Place<'_>) -> Option<Told> {
    let lead = before(place.line, place.at, 24).trim_ascii_end();
    let lead = lead
        .strip_suffix(b" is")
        .or(lead.strip_suffix(b" was"))
        .unwrap_or(lead);
    let of_a_socket = match lead.strip_suffix(b"ddress") {
        Some(what) => is_of_a_socket(what),
        None => ends_with_port(lead),
    };
    of_a_socket.then_some(Told::anywhere(AddressInUse))
}

/// "Email address", "IP address" (of two machines) and "MAC address" are other stories.
fn is_of_a_socket(lead: &[u8]) -> bool {
    let lead = lead.trim_ascii_end();
    let lead = lead.get(..lead.len().saturating_sub(1)).unwrap_or(lead);
    let lead = lead.trim_ascii_end();
    !["mail", "IP", "MAC", "ailing", "ipping", "ardware", "allet"]
        .iter()
        .any(|other| lead.ends_with(other.as_bytes()))
}

/// `Port 8080`, `port`.
fn ends_with_port(lead: &[u8]) -> bool {
    let digits = lead
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b' ')
        .count();
    lead.get(..lead.len() - digits)
        .is_some_and(|lead| lead.ends_with(b"ort"))
}

/// musl's `strerror()`: Alpine's images speak so.
pub(super) fn short_in_use(place: Place<'_>) -> Option<Told> {
    is_quoted_error(place, place.at).then_some(Told::on(Platform::Linux, AddressInUse))
}

/// musl's "Address not available", Node's in small letters; also Java's addition to "Cannot assign
/// requested address".
pub(super) fn short_not_available(place: Place<'_>) -> Option<Told> {
    let first = place.at.checked_sub(1)?;
    if !is_quoted_error(place, first) {
        return None;
    }
    match before(place.line, place.at, 1) {
        b"A" => Some(Told::on(Platform::Linux, AddressNotAvailable)),
        b"a" => Some(Told::anywhere(AddressNotAvailable)),
        _ => None,
    }
}

/// An error's text follows `: `, `(`, `[Errno 99] ` or opens the line.
fn is_quoted_error(place: Place<'_>, at: usize) -> bool {
    matches!(
        before(place.line, at, 2),
        [] | [.., b'(' | b'"' | b'\''] | [b':' | b']' | b'-' | b')', b' ']
    )
}

/// A server that gives up on a silent client says the same.
pub(super) fn timed_out(place: Place<'_>) -> Option<Told> {
    let client = holds_any(before(place.line, place.at, 64), &["client timed out"])
        || holds_any(
            after(place.line, place.end, 64),
            &[
                "while waiting for request",
                "while sending to client",
                "while reading client",
                "while SSL handshaking",
                "while keepalive",
            ],
        );
    (!client).then_some(Told::anywhere(TimedOut))
}

/// Go's "dial tcp 10.0.0.5:80: i/o timeout"; a read that times out has no "dial".
pub(super) fn dial_timeout(place: Place<'_>) -> Option<Told> {
    holds_any(before(place.line, place.at, 128), &["dial "]).then_some(Told::anywhere(TimedOut))
}

/// HAProxy's, of a connect; a pool of ports for something else says it as well.
pub(super) fn no_free_ports(place: Place<'_>) -> Option<Told> {
    let rest = after(place.line, place.end, 24);
    let of_a_range = leading_number(rest.trim_ascii()).is_some() || holds_any(rest, &["range"]);
    (!of_a_range && holds_any(before(place.line, place.at, 256), &["onnect"]))
        .then_some(Told::anywhere(NoFreePorts))
}
