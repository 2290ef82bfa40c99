//! What a line complains of: the table of phrases and names, and which of several wins.
//!
//! Phrases that need a look around are judged in `look`, numbers in `number`, other languages in
//! `translated`, Windows' events in `event`, kernel and NAT lines in `nat`; all of them give rows
//! of the one kind that is defined here.

use dryport_model::Complaint::{
    self, AccessForbidden, AddressInUse, AddressNotAvailable, CannotConnect, ClosedOnSend,
    NoBufferSpace, Refused, TimedOut, TooManyFiles,
};
use dryport_model::Platform;

use super::phrase::{Hit, Phrases, stands_alone};
use super::{event, look, nat, number, translated};

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
    (
        "assign requested address",
        Reading::Look(look::not_assigned),
    ),
    (
        "ddress not available",
        Reading::Look(look::short_not_available),
    ),
    ("EADDRNOTAVAIL", Reading::Look(look::error_name)),
    ("AddrNotAvailable", word(AddressNotAvailable)),
    ("AddressNotAvailable", word(AddressNotAvailable)),
    (
        "equested address is not valid in its context",
        windows(AddressNotAvailable),
    ),
    (" already in use", Reading::Look(look::already_in_use)),
    ("Address in use", Reading::Look(look::short_in_use)),
    ("ort is already allocated", is(AddressInUse)),
    ("EADDRINUSE", Reading::Look(look::error_name)),
    ("AddrInUse", word(AddressInUse)),
    ("AddressInUse", word(AddressInUse)),
    ("AddressAlreadyInUse", word(AddressInUse)),
    (
        "ne usage of each socket address (protocol/network address/port) is normally permitted",
        windows(AddressInUse),
    ),
    ("ne usage of each socket address", windows(AddressInUse)),
    (
        "ufficient buffer space or because a queue was full",
        windows(NoBufferSpace),
    ),
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
    ("EMFILE", Reading::Look(look::error_name)),
    ("ENFILE", Reading::Look(look::error_name)),
    ("onnection refused", is(Refused)),
    ("ctively refused it", windows(Refused)),
    ("ECONNREFUSED", Reading::Look(look::error_name)),
    ("ConnectionRefused", word(Refused)),
    ("onnection timed out", Reading::Look(look::timed_out)),
    ("onnect timed out", is(TimedOut)),
    ("connect: operation timed out", is(TimedOut)),
    ("i/o timeout", Reading::Look(look::dial_timeout)),
    ("properly respond after", windows(TimedOut)),
    ("ETIMEDOUT", Reading::Look(look::error_name)),
    ("o free ports", Reading::Look(look::no_free_ports)),
    ("error occurred on a send", windows(ClosedOnSend)),
    (
        "nable to connect to the remote server",
        windows(CannotConnect),
    ),
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
    ("QL server on '", Reading::Look(number::mysql)),
    ("to server on '", Reading::Look(number::mysql)),
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
    (
        "time wait bucket table overflow",
        Reading::Is(nat::OVERFLOW),
    ),
    ("table full, drop", Reading::Look(nat::table_full)),
    ("NAT masquerade", Reading::Look(nat::masquerade)),
    ("SNAT", Reading::Look(nat::snat)),
    (
        "ErrorPortAllocation",
        Reading::Look(nat::error_port_allocation),
    ),
    (
        "error_port_allocation",
        Reading::Look(nat::error_port_allocation),
    ),
    ("DROPPED\"", Reading::Look(nat::dropped)),
    ("OUT_OF_RESOURCES", Reading::Look(nat::out_of_resources)),
    ("exhaust", Reading::Look(nat::exhausted)),
]);

/// The complaint of a line. Of several the weightiest counts, of equal ones the first: an outer
/// message ("Unable to connect to the remote server") is explained by the inner one.
pub(super) fn find(line: &[u8]) -> Option<Found> {
    // Other languages' words only where English ones and numbers say little. A line of plain ASCII
    // is not spared: German and Italian have sentences without a single other letter.
    match weightiest(line, &PHRASES) {
        Some(found) if weight(&found) > 0 => Some(found),
        little => weightiest(line, &translated::PHRASES).or(little),
    }
}

fn weightiest(line: &[u8], phrases: &'static Phrases<Reading>) -> Option<Found> {
    let read = |Hit { at, end, tells }: Hit<Reading>| {
        let told = tells.read(Place { line, at, end })?;
        Some(Found { told, at, end })
    };
    let mut best: Option<Found> = None;
    for found in phrases.hits(line).filter_map(read) {
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

fn same_message(known: &Found, found: &Found) -> bool {
    known.told.complaint == found.told.complaint && found.at <= known.end + SPREAD
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
            Self::Word(told) => stands_alone(place.line, place.at, place.end).then_some(told),
            Self::Look(look) => look(place),
        }
    }
}

/// The phrases, for the test that every one holds an anchor.
#[cfg(test)]
pub(super) fn phrases() -> impl Iterator<Item = &'static str> {
    PHRASES.texts()
}
