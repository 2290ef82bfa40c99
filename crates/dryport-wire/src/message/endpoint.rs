//! Addresses and ports in a line: what one looks like, and how it is printed.
//!
//! Which of them is the destination and which the local one is decided in `ends`.

use alloc::string::String;
use core::net::IpAddr;

use super::phrase::leading_number;
use crate::procfs::printable_up_to;

/// The most characters of a destination that are kept.
const MOST: usize = 128;

/// A host or an address, maybe with a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint<'a> {
    /// As written, without scheme, user and path.
    text: &'a [u8],
    /// Without brackets; empty where only a port stands there.
    host: &'a [u8],
    /// The port.
    pub(super) port: Option<u16>,
}

impl<'a> Endpoint<'a> {
    /// The endpoint that `text` begins with: `10.0.0.5:6379`, `[::1]:80`, `:::3000`, `*:80`,
    /// `:8080`, `http://user@db.example:5432/path`.
    pub(super) fn leading(text: &'a [u8]) -> Option<Self> {
        let text = without_scheme(text);
        let length = text
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b".:-_*%[]".contains(byte))
            .count();
        let token = trim_end(text.get(..length)?);
        if token.first() == Some(&b'[') {
            return Self::bracketed(token);
        }
        let token = trim_end(token.split(|byte| b"[]".contains(byte)).next()?);
        let (host, port) = split_port(token);
        let endpoint = Self {
            text: token,
            host,
            port,
        };
        endpoint.is_plausible().then_some(endpoint)
    }

    fn bracketed(token: &'a [u8]) -> Option<Self> {
        let close = memchr::memchr(b']', token)?;
        let host = token.get(1..close)?;
        if !is_ipv6(host) {
            // HAProxy's `[0.0.0.0:80]`.
            return Self::leading(host);
        }
        let rest = token.get(close + 1..).unwrap_or(&[]);
        let port = rest.strip_prefix(b":").and_then(whole_port);
        let length = port.map_or(close + 1, |_| token.len());
        Some(Self {
            text: token.get(..length)?,
            host,
            port,
        })
    }

    fn is_plausible(&self) -> bool {
        match self.host {
            [] | [b'*'] => self.port.is_some(),
            _ if self.address().is_some() => true,
            host => {
                host.iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte))
                    && host.iter().any(u8::is_ascii_alphabetic)
            }
        }
    }

    /// The host, without brackets.
    pub(super) const fn host(&self) -> &'a [u8] {
        self.host
    }

    /// The host as an address.
    pub(super) fn address(&self) -> Option<IpAddr> {
        address(self.host)
    }

    /// Whether it is an address or this machine's name, and not a word of the sentence.
    pub(super) fn is_certain(&self) -> bool {
        self.address().is_some() || self.host == b"localhost"
    }

    /// Whether a name stands there that only a host has: with a port, or with a dot.
    pub(super) fn is_a_name(&self) -> bool {
        !self.host.is_empty()
            && (self.port.is_some() || self.host.contains(&b'.'))
            && self.host.iter().any(u8::is_ascii_alphabetic)
    }

    /// For people.
    pub(super) fn printed(&self) -> String {
        printable_up_to(self.text, MOST)
    }
}

/// Host and port that stand apart, put together as an endpoint is written.
pub(super) fn joined(host: &[u8], port: Option<u16>) -> String {
    use core::fmt::Write as _;
    let shown = printable_up_to(host, MOST - 8);
    let Some(port) = port else { return shown };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = if is_ipv6(host) {
        write!(text, "[{shown}]:{port}")
    } else {
        write!(text, "{shown}:{port}")
    };
    text
}

/// An address, without a zone.
pub(super) fn address(host: &[u8]) -> Option<IpAddr> {
    let host = host.split(|byte| *byte == b'%').next()?;
    core::str::from_utf8(host).ok()?.parse().ok()
}

/// .NET's destination behind its sentence: `. [::ffff:10.0.0.1]:443`, ` 10.0.0.1:443`,
/// ` (db.example:443)`.
pub(super) fn trailing(rest: &[u8]) -> Option<Endpoint<'_>> {
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    let rest = rest.strip_prefix(b" ")?;
    match rest.strip_prefix(b"(") {
        Some(inner) => {
            Endpoint::leading(inner).filter(|end| end.port.is_some() && !end.host.is_empty())
        }
        None => Endpoint::leading(rest).filter(|end| end.is_certain() && end.port.is_some()),
    }
}

/// The endpoints of `text` that are addresses (or `localhost`) with a port, with their offsets.
pub(super) fn all(text: &[u8]) -> impl DoubleEndedIterator<Item = Endpoint<'_>> {
    let starts = |at: &usize| {
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-_[%/".contains(byte);
        let byte = text.get(*at);
        let opens = byte.is_some_and(|byte| byte.is_ascii_hexdigit() || b"[:l".contains(byte));
        let follows = at
            .checked_sub(1)
            .and_then(|before| text.get(before))
            .is_some_and(|before| inner(before) && *before != b'/');
        opens && !follows
    };
    (0..text.len())
        .filter(starts)
        .filter_map(|at| Endpoint::leading(text.get(at..)?))
        .filter(|end| end.is_certain() && end.port.is_some())
}

fn is_ipv6(host: &[u8]) -> bool {
    matches!(address(host), Some(IpAddr::V6(_)))
}

/// `tcp://user:secret@10.0.0.5:6379`: neither scheme nor user belong to the endpoint, and the
/// secret must not be shown.
fn without_scheme(text: &[u8]) -> &[u8] {
    let scheme = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        .count();
    let Some(rest) = text
        .get(scheme..)
        .and_then(|rest| rest.strip_prefix(b"://"))
    else {
        return text;
    };
    let authority = rest
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || b"/?#\"'<>)".contains(byte))
        .unwrap_or(rest.len());
    match memchr::memrchr(b'@', rest.get(..authority).unwrap_or(&[])) {
        Some(at) => rest.get(at + 1..).unwrap_or(&[]),
        None => rest,
    }
}

fn trim_end(token: &[u8]) -> &[u8] {
    let mut token = token;
    while let [rest @ .., b'.' | b':' | b'-'] = token {
        // `::` is an address.
        if token == b"::" {
            break;
        }
        token = rest;
    }
    token
}

/// Splits at the last colon. `::1:8080` is read as Node writes it: an address and a port.
fn split_port(token: &[u8]) -> (&[u8], Option<u16>) {
    let whole = (token, None);
    let Some(colon) = memchr::memrchr(b':', token) else {
        return whole;
    };
    let (Some(host), Some(port)) = (
        token.get(..colon),
        token.get(colon + 1..).and_then(whole_port),
    ) else {
        return whole;
    };
    let many = host.contains(&b':');
    if many && !is_ipv6(host) {
        return whole;
    }
    // `fe80::1` is no port 1 of `fe80:`; `2001:db8::5:80` may be either, and Node's is likelier.
    (host, Some(port))
}

/// A port that is all of `digits`.
pub(super) fn whole_port(digits: &[u8]) -> Option<u16> {
    let (number, length) = leading_number(digits)?;
    (length == digits.len()).then_some(number)?.try_into().ok()
}
