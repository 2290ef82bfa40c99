//! What a line complains of: the table of phrases and names, and which of several wins.
//!
//! Numbers are in `number`, other languages in `translated`, Windows' events in `event`, kernel and
//! NAT lines in `nat`; all of them give rows of the one kind that is defined here.

use dryport_model::Complaint::{
    self, AccessForbidden, AddressInUse, AddressNotAvailable, CannotConnect, ClosedOnSend,
    NoBufferSpace, NoFreePorts, Refused, TimedOut, TooManyFiles,
};
use dryport_model::Platform;

use super::phrase::{Phrases, after, before, holds_any, leading_number, stands_alone};
use super::{event, nat, number, translated};

/// How a phrase of the table is to be taken.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// The phrase is enough.
    Is(Told),
    /// It is, unless it is a part of a longer word.
    Word(Told),
    /// What stands around it decides.
    Look(fn(Place<'_>) -> Option<Told>),
}

/// Where a phrase stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) line: &'a [u8],
    pub(super) at: usize,
    pub(super) end: usize,
}

/// A complaint, and the platform that words it so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) complaint: Complaint,
    pub(super) platform: Option<Platform>,
}

impl Told {
    pub(super) const fn anywhere(complaint: Complaint) -> Self {
        Self {
            complaint,
            platform: None,
        }
    }

    pub(super) const fn on(platform: Platform, complaint: Complaint) -> Self {
        Self {
            complaint,
            platform: Some(platform),
        }
    }
}

/// The complaint of a line, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) told: Told,
    pub(super) at: usize,
    pub(super) end: usize,
}

const fn is(complaint: Complaint) -> Reading {
    Reading::Is(Told::anywhere(complaint))
}

const fn word(complaint: Complaint) -> Reading {
    Reading::Word(Told::anywhere(complaint))
}

const fn windows(complaint: Complaint) -> Reading {
    Reading::Is(Told::on(Platform::Windows, complaint))
}

/// Phrases begin after their first letter where programs write it large or small. A longer phrase
/// that begins like a shorter one stands before it.
static PHRASES: Phrases<Reading> = Phrases::new(&[
    ("assign requested address", Reading::Look(not_assigned)),
    ("ddress not available", Reading::Look(short_not_available)),
    ("EADDRNOTAVAIL", Reading::Look(error_name)),
    ("AddrNotAvailable", word(AddressNotAvailable)),
    ("AddressNotAvailable", word(AddressNotAvailable)),
    (
        "equested address is not valid in its context",
        windows(AddressNotAvailable),
    ),
    (" already in use", Reading::Look(already_in_use)),
    ("Address in use", Reading::Look(short_in_use)),
    ("ort is already allocated", is(AddressInUse)),
    ("EADDRINUSE", Reading::Look(error_name)),
    ("AddrInUse", word(AddressInUse)),
    ("AddressInUse", word(AddressInUse)),
    ("AddressAlreadyInUse", word(AddressInUse)),
    (
        "ne usage of each socket address (protocol/network address/port) is normally permitted",
        windows(AddressInUse),
    ),
    ("ne usage of each socket address", windows(AddressInUse)),
    ("ufficient buffer space", windows(NoBufferSpace)),
    (
        "o buffer space available (maximum connections reached?)",
        windows(NoBufferSpace),
    ),
    ("WSAENOBUFS", windows(NoBufferSpace)),
    ("NoBufferSpaceAvailable", word(NoBufferSpace)),
    (
        "forbidden by its access permissions",
        windows(AccessForbidden),
    ),
    ("WSAEACCES", windows(AccessForbidden)),
    ("oo many open files", is(TooManyFiles)),
    // musl's words.
    ("o file descriptors available", is(TooManyFiles)),
    ("EMFILE", Reading::Look(error_name)),
    ("ENFILE", Reading::Look(error_name)),
    ("onnection refused", is(Refused)),
    ("ctively refused it", windows(Refused)),
    ("ECONNREFUSED", Reading::Look(error_name)),
    ("ConnectionRefused", word(Refused)),
    ("onnection timed out", Reading::Look(timed_out)),
    ("onnect timed out", is(TimedOut)),
    ("connect: operation timed out", is(TimedOut)),
    ("i/o timeout", Reading::Look(dial_timeout)),
    ("properly respond after", windows(TimedOut)),
    ("ETIMEDOUT", Reading::Look(error_name)),
    ("o free ports", Reading::Look(no_free_ports)),
    ("error occurred on a send", windows(ClosedOnSend)),
    ("nable to connect to the remote server", windows(CannotConnect)),
    ("10013", Reading::Look(number::windows)),
    ("10024", Reading::Look(number::windows)),
    ("10048", Reading::Look(number::windows)),
    ("10049", Reading::Look(number::windows)),
    ("10055", Reading::Look(number::windows)),
    ("10060", Reading::Look(number::windows)),
    ("10061", Reading::Look(number::windows)),
    ("0x800727", Reading::Look(number::hresult)),
    ("rrno", Reading::Look(number::errno)),
    ("ror 98", Reading::Look(number::error_98_99)),
    ("ror 99", Reading::Look(number::error_98_99)),
    (" server on ", Reading::Look(number::mysql)),
    ("4227", Reading::Look(event::number)),
    ("4231", Reading::Look(event::number)),
    ("4266", Reading::Look(event::number)),
    ("2147487875", Reading::Look(event::instance)),
    ("2147487879", Reading::Look(event::instance)),
    ("2147487914", Reading::Look(event::instance)),
    (
        "local endpoint was recently used",
        Reading::Is(event::SENTENCE_4227),
    ),
    ("ephemeral port number", Reading::Look(event::sentence)),
    ("time wait bucket table overflow", Reading::Is(nat::OVERFLOW)),
    ("table full, drop", Reading::Look(nat::table_full)),
    ("NAT masquerade", Reading::Look(nat::masquerade)),
    ("SNAT", Reading::Look(nat::snat)),
    ("ErrorPortAllocation", Reading::Look(nat::error_port_allocation)),
    ("error_port_allocation", Reading::Look(nat::error_port_allocation)),
    ("DROPPED\"", Reading::Look(nat::dropped)),
    ("OUT_OF_RESOURCES", Reading::Look(nat::out_of_resources)),
    ("exhaust", Reading::Look(nat::exhausted)),
]);

/// The complaint of a line. Of several the weightiest counts, of equal ones the first: an outer
/// message ("Unable to connect to the remote server") is explained by the inner one.
pub(super) fn find(line: &[u8]) -> Option<Found> {
    let mut best: Option<Found> = None;
    for found in all(line) {
        match &mut best {
            Some(known) if same_message(known, &found) => {
                known.end = found.end;
                known.told.platform = known.told.platform.or(found.told.platform);
            }
            Some(known) if weight(known) >= weight(&found) => {
                // Nothing weighs more, and what follows no longer belongs to it.
                if weight(known) == MOST && found.at > known.end + SPREAD {
                    break;
                }
            }
            _ => best = Some(found),
        }
    }
    best
}

/// How far apart a number and its sentence may stand.
const SPREAD: usize = 160;
const MOST: u8 = 2;

fn all(line: &[u8]) -> impl Iterator<Item = Found> + '_ {
    let english = PHRASES.hits(line);
    // Most lines are plain ASCII and need not be searched for other languages' words; German and
    // Italian have sentences without a single other letter, so those are sought in any line.
    let foreign = translated::PHRASES.hits(line);
    let read = |hit: super::phrase::Hit<Reading>| {
        let place = Place {
            line,
            at: hit.at,
            end: hit.end,
        };
        Some(Found {
            told: hit.tells.read(place)?,
            at: hit.at,
            end: hit.end,
        })
    };
    english.chain(foreign).filter_map(read)
}

fn same_message(known: &Found, found: &Found) -> bool {
    known.told.complaint == found.told.complaint
        && found.at >= known.at
        && found.at <= known.end + SPREAD
}

const fn weight(found: &Found) -> u8 {
    match found.told.complaint {
        ClosedOnSend | CannotConnect => 0,
        Refused | TimedOut | TooManyFiles => 1,
        _ => MOST,
    }
}

impl Reading {
    fn read(self, place: Place<'_>) -> Option<Told> {
        match self {
            Self::Is(told) => Some(told),
            Self::Word(told) => {
                stands_alone(place.line, place.at, place.end).then_some(told)
            }
            Self::Look(look) => look(place),
        }
    }
}

/// glibc says "Cannot", the BSDs say "Can't".
fn not_assigned(place: Place<'_>) -> Option<Told> {
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
fn error_name(place: Place<'_>) -> Option<Told> {
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
fn already_in_use(place: Place<'_>) -> Option<Told> {
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
fn short_in_use(place: Place<'_>) -> Option<Told> {
    is_quoted_error(place, place.at).then_some(Told::on(Platform::Linux, AddressInUse))
}

/// musl's "Address not available"; also Java's addition to "Cannot assign requested address".
fn short_not_available(place: Place<'_>) -> Option<Told> {
    let capital = place.at.checked_sub(1)?;
    let starts = before(place.line, place.at, 1) == b"A";
    (starts && is_quoted_error(place, capital))
        .then_some(Told::on(Platform::Linux, AddressNotAvailable))
}

/// An error's text follows `: `, `(`, `[Errno 99] ` or opens the line.
fn is_quoted_error(place: Place<'_>, at: usize) -> bool {
    matches!(
        before(place.line, at, 2),
        [] | [.., b'(' | b'"' | b'\''] | [b':' | b']' | b'-' | b')', b' ']
    )
}

/// A server that gives up on a silent client says the same.
fn timed_out(place: Place<'_>) -> Option<Told> {
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
fn dial_timeout(place: Place<'_>) -> Option<Told> {
    holds_any(before(place.line, place.at, 128), &["dial "]).then_some(Told::anywhere(TimedOut))
}

/// HAProxy's, of a connect; a pool of ports for something else says it as well.
fn no_free_ports(place: Place<'_>) -> Option<Told> {
    let rest = after(place.line, place.end, 24);
    let of_a_range = leading_number(rest.trim_ascii()).is_some() || holds_any(rest, &["range"]);
    (!of_a_range && holds_any(before(place.line, place.at, 256), &["onnect"]))
        .then_some(Told::anywhere(NoFreePorts))
}

/// The phrases, for the test that every one holds an anchor.
#[cfg(test)]
pub(super) fn phrases() -> impl Iterator<Item = &'static str> {
    PHRASES.texts()
}
