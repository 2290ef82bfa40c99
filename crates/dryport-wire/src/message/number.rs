//! Complaints that are told by a number only: `errno`, Windows' socket errors, `HRESULT`s, MySQL's
//! `(99)`. A bare number says nothing: the words around it must.

use dryport_model::Complaint::{
    self, AccessForbidden, AddressInUse, AddressNotAvailable, NoBufferSpace, Refused, TimedOut,
    TooManyFiles,
};
use dryport_model::Platform::{self, Linux, MacOs, Windows};

use super::complaint::{Place, Told};
use super::phrase::{after, before, holds_any, leading_number, stands_alone};

/// What a number complains of, and the platform whose number it is. Linux:
/// `include/uapi/asm-generic/errno.h`; macOS: `sys/errno.h`; Windows: `winsock2.h`; the negative
/// ones of Node on Windows: libuv's `uv/errno.h`. 24 is the same everywhere.
const NUMBERS: [(u32, Complaint, Option<Platform>); 19] = [
    (24, TooManyFiles, None),
    (48, AddressInUse, Some(MacOs)),
    (49, AddressNotAvailable, Some(MacOs)),
    (60, TimedOut, Some(MacOs)),
    (61, Refused, Some(MacOs)),
    (98, AddressInUse, Some(Linux)),
    (99, AddressNotAvailable, Some(Linux)),
    (110, TimedOut, Some(Linux)),
    (111, Refused, Some(Linux)),
    (4090, AddressNotAvailable, Some(Windows)),
    (4091, AddressInUse, Some(Windows)),
    (4078, Refused, Some(Windows)),
    (10_013, AccessForbidden, Some(Windows)),
    (10_024, TooManyFiles, Some(Windows)),
    (10_048, AddressInUse, Some(Windows)),
    (10_049, AddressNotAvailable, Some(Windows)),
    (10_055, NoBufferSpace, Some(Windows)),
    (10_060, TimedOut, Some(Windows)),
    (10_061, Refused, Some(Windows)),
];

fn told(number: u32) -> Option<Told> {
    NUMBERS
        .iter()
        .find(|(known, ..)| *known == number)
        .map(|(_, complaint, platform)| Told {
            complaint: *complaint,
            platform: *platform,
        })
}

/// `10048` and its kin.
pub(super) fn windows(place: Place<'_>) -> Option<Told> {
    let Place { line, at, end } = place;
    let (number, length) = leading_number(line.get(at..)?)?;
    let fraction = matches!(after(line, end, 2), [b'.' | b',', b'0'..=b'9', ..])
        || matches!(before(line, at, 2), [b'0'..=b'9', b'.' | b',']);
    if length != 5 || fraction || !stands_alone(line, at, end) {
        return None;
    }
    names_an_error(place).then(|| told(number)).flatten()
}

/// Whether the words before the number say that it is an error's.
fn names_an_error(place: Place<'_>) -> bool {
    const SURE: [&str; 8] = [
        "errno",
        "winerror",
        "socketexception",
        "wsagetlasterror()",
        "getlasterror",
        "lasterror",
        "socket error",
        "os error",
    ];
    const LIKELY: [&str; 7] = [
        "error",
        "err",
        "error code",
        "errorcode",
        "exception",
        "failed with",
        "failed",
    ];
    let lead = before(place.line, place.at, 40).to_ascii_lowercase();
    let lead = trim_marks(&lead);
    let lead = ["code", "number"]
        .iter()
        .find_map(|word| lead.strip_suffix(word.as_bytes()))
        .map_or(lead, trim_marks);
    let ends = |words: &[&str]| words.iter().any(|word| lead.ends_with(word.as_bytes()));
    let in_brackets =
        before(place.line, place.at, 1) == b"(" && after(place.line, place.end, 1) == b")";
    ends(&SURE) || ((ends(&LIKELY) || in_brackets) && speaks_of_sockets(place))
}

/// `Error code: #10048`, `error_code":10048`: the marks between the words and the number.
fn trim_marks(lead: &[u8]) -> &[u8] {
    let marks = |byte: &u8| byte.is_ascii_whitespace() || b"([:=#\"',_<>\\-".contains(byte);
    let kept = lead
        .iter()
        .rposition(|byte| !marks(byte))
        .map_or(0, |last| last + 1);
    lead.get(..kept).unwrap_or(&[])
}

fn speaks_of_sockets(place: Place<'_>) -> bool {
    const WORDS: [&str; 8] = [
        "ocket", "onnect", "bind", "Bind", "listen", "WSA", "insock", "tcp",
    ];
    holds_any(before(place.line, place.at, 256), &WORDS)
        || holds_any(after(place.line, place.end, 128), &WORDS)
}

/// `0x80072740`: `HRESULT_FROM_WIN32(10048)`.
pub(super) fn hresult(place: Place<'_>) -> Option<Told> {
    let digits = place.line.get(place.at + 6..place.at + 10)?;
    let digits = core::str::from_utf8(digits).ok()?;
    if after(place.line, place.at + 10, 1)
        .iter()
        .any(u8::is_ascii_hexdigit)
    {
        return None;
    }
    told(u32::from_str_radix(digits, 16).ok()?)
}

/// `errno 99`, `[Errno 99]`, `errno: -98`. Five digits are left to [`windows`]. 60 and 61 mean
/// something else on Linux, and 24 has no need of a number: its text always stands beside it.
pub(super) fn errno(place: Place<'_>) -> Option<Told> {
    let lead = after(place.line, place.end, 12);
    let marks = lead
        .iter()
        .take_while(|byte| b" :=\"'#(-".contains(byte))
        .count();
    let (number, length) = leading_number(lead.get(marks..)?)?;
    let end = place.end + marks + length;
    let sure = !matches!(number, 24 | 60 | 61 | 10_000..);
    (sure && marks > 0 && stands_alone(place.line, end - length, end))
        .then(|| told(number))
        .flatten()
}

/// `unexpected error 99`, `(os error 98)`.
pub(super) fn error_98_99(place: Place<'_>) -> Option<Told> {
    let lead = before(place.line, place.at, 2);
    let rest = after(place.line, place.end, 2);
    let is_error = lead.eq_ignore_ascii_case(b"er");
    let is_whole = !matches!(
        rest,
        [b'0'..=b'9' | b'%' | b'_', ..] | [b'.' | b',', b'0'..=b'9']
    );
    let (number, _) = leading_number(line_from(place, 4)?)?;
    let is_sockets =
        before(place.line, place.at, 5).starts_with(b"os ") || speaks_of_sockets(place);
    (is_error && is_whole && is_sockets)
        .then(|| told(number))
        .flatten()
}

fn line_from(place: Place<'_>, skip: usize) -> Option<&[u8]> {
    place.line.get(place.at + skip..)
}

/// `Can't connect to MySQL server on '10.0.0.5' (99)`, also with quotes and text after the number.
pub(super) fn mysql(place: Place<'_>) -> Option<Told> {
    if !holds_any(before(place.line, place.at, 32), &["onnect "]) {
        return None;
    }
    let rest = after(place.line, place.end, 300);
    let open = memchr::memchr(b'(', rest)?;
    let inner = rest.get(open + 1..)?;
    let inner = inner.strip_prefix(b"[Errno ").unwrap_or(inner);
    let (number, length) = leading_number(inner)?;
    matches!(inner.get(length)?, b')' | b' ' | b']')
        .then(|| told(number))
        .flatten()
}

/// The platform whose number stands close to a complaint's words: `(98: Address already in use)`,
/// `[Errno 48]`, `(os error 10048)`, `SocketException (99)`.
pub(super) fn platform_beside(
    line: &[u8],
    at: usize,
    end: usize,
    complaint: Complaint,
) -> Option<Platform> {
    let around = [before(line, at, 20), after(line, end, 20)];
    around.into_iter().find_map(|part| {
        NUMBERS.iter().find_map(|(number, says, platform)| {
            (*says == complaint && holds_number(part, *number)).then_some(*platform)?
        })
    })
}

/// Whether a number stands in brackets, before a colon, or after `errno` and the like.
fn holds_number(part: &[u8], number: u32) -> bool {
    let starts = (0..part.len()).filter(|at| {
        let lead = before(part, *at, 6);
        lead.last().is_some_and(|byte| b"([".contains(byte))
            || [
                b"rrno ".as_slice(),
                b"rror ",
                b"code: ",
                b"rrno: ",
                b"rno: -",
                b"no: -",
            ]
            .iter()
            .any(|word| lead.ends_with(word))
    });
    starts
        .filter_map(|at| leading_number(part.get(at..)?))
        .any(|(found, _)| found == number)
}
