//! One end of a socket as programs write it: address and port in one word.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dryport_model::Family;
use dryport_model::capture::{End, Host, Names, PortShown};

use super::words::{number, split_last};

/// An end with a colon before the port: `192.0.2.1:443`, `[2001:db8::1%3]:443`, `:::22`, `*:*`,
/// `127.0.0.53%lo:53`, `name:https`.
pub(super) fn with_colon(word: &[u8], names: &mut Names) -> Option<(End, Option<Family>)> {
    let (host, port) = split_last(word, b':')?;
    let port = port_of(port, names)?;
    let (host, family) = host_of(host, names)?;
    Some((End { host, port }, family))
}

/// An end with a dot before the port, as the BSDs write it: `192.0.2.1.443`, `*.*`, `::1.631`.
pub(super) fn with_dot(word: &[u8], names: &mut Names) -> Option<(End, Option<Family>)> {
    let (host, port) = split_last(word, b'.')?;
    let port = port_of(port, names)?;
    let (host, family) = host_of(host, names)?;
    Some((End { host, port }, family))
}

/// A number, `*`, or the name of a service. 0 is none.
pub(super) fn port_of(word: &[u8], names: &mut Names) -> Option<PortShown> {
    match word {
        b"*" | b"0" => Some(PortShown::Any),
        _ => match number::<u16>(word) {
            Some(port) => Some(PortShown::Number(port)),
            None => {
                let starts = word.first()?.is_ascii_alphabetic();
                let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+".contains(byte);
                (starts && word.iter().all(plain) && word.len() <= 32)
                    .then(|| PortShown::Name(names.id(ascii(word))))
            }
        },
    }
}

/// An address, `*` or a name; with the family where it tells.
pub(super) fn host_of(word: &[u8], names: &mut Names) -> Option<(Host, Option<Family>)> {
    if let Some(address) = ipv4(word) {
        let host = match address.is_unspecified() {
            true => Host::Any,
            false => Host::Ip(address.into()),
        };
        return Some((host, Some(Family::V4)));
    }
    if word == b"*" || word.is_empty() {
        return Some((Host::Any, None));
    }
    // The scope stands inside of the brackets or behind them.
    let (bare, scope) = match memchr::memchr(b'%', word) {
        Some(at) => (word.get(..at)?, true),
        None => (word, false),
    };
    let bare = bare.strip_prefix(b"[").unwrap_or(bare);
    let bare = bare.strip_suffix(b"]").unwrap_or(bare);
    if memchr::memchr(b':', bare).is_some() {
        return match ipv6(bare) {
            Some(address) => Some(of_ipv6(address)),
            // Cut off by the width of a column.
            None => bare
                .iter()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
                .then(|| (Host::Cut(names.id(ascii(bare))), Some(Family::V6))),
        };
    }
    if let Some(address) = ipv4(bare).filter(|_| scope) {
        let host = match address.is_unspecified() {
            true => Host::Any,
            false => Host::Ip(address.into()),
        };
        return Some((host, Some(Family::V4)));
    }
    if bare == b"*" {
        return Some((Host::Any, None));
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let name = bare.iter().all(plain) && bare.len() <= 253 && !looks_like_a_bad_address(bare);
    name.then(|| (Host::Name(names.id(ascii(bare))), None))
}

/// `300.1.1.1` and `1.2.3` are no names.
fn looks_like_a_bad_address(word: &[u8]) -> bool {
    word.iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// IPv4 addresses in IPv6 clothes are IPv4 ones, of an IPv6 socket.
fn of_ipv6(address: Ipv6Addr) -> (Host, Option<Family>) {
    let host = match IpAddr::V6(address).to_canonical() {
        address if address.is_unspecified() => Host::Any,
        address => Host::Ip(address),
    };
    (host, Some(Family::V6))
}

/// Four numbers; quicker than the library's, which counts where rows come by the million.
pub(super) fn ipv4(word: &[u8]) -> Option<Ipv4Addr> {
    if word.len() > 15 || !word.first()?.is_ascii_digit() {
        return None;
    }
    let (mut octets, mut part, mut digits, mut value) = ([0_u8; 4], 0_usize, 0_u8, 0_u16);
    for byte in word {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && part < 3 => {
                *octets.get_mut(part)? = u8::try_from(value).ok()?;
                (part, digits, value) = (part + 1, 0, 0);
            }
            _ => return None,
        }
    }
    if part != 3 || digits == 0 {
        return None;
    }
    *octets.get_mut(part)? = u8::try_from(value).ok()?;
    Some(octets.into())
}

pub(super) fn ipv6(word: &[u8]) -> Option<Ipv6Addr> {
    core::str::from_utf8(word).ok()?.parse().ok()
}

/// Bytes that were found to be ASCII.
fn ascii(word: &[u8]) -> &str {
    core::str::from_utf8(word).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn colon(word: &str) -> Option<(End, Option<Family>)> {
        with_colon(word.as_bytes(), &mut Names::default())
    }

    fn ip(text: &str) -> Host {
        Host::Ip(text.parse().unwrap())
    }

    #[test]
    fn every_way_of_writing_an_end_is_read() {
        let port = |port| PortShown::Number(port);
        for (word, host, shown, family) in [
            (
                "192.0.2.1:443",
                ip("192.0.2.1"),
                port(443),
                Some(Family::V4),
            ),
            (
                "[2001:db8::1]:443",
                ip("2001:db8::1"),
                port(443),
                Some(Family::V6),
            ),
            (
                "[fe80::1]%eth0:80",
                ip("fe80::1"),
                port(80),
                Some(Family::V6),
            ),
            ("[fe80::1%12]:80", ip("fe80::1"), port(80), Some(Family::V6)),
            (
                "[::ffff:192.0.2.1]:1",
                ip("192.0.2.1"),
                port(1),
                Some(Family::V6),
            ),
            (":::22", Host::Any, port(22), Some(Family::V6)),
            ("::1:631", ip("::1"), port(631), Some(Family::V6)),
            ("*:*", Host::Any, PortShown::Any, None),
            ("0.0.0.0:0", Host::Any, PortShown::Any, Some(Family::V4)),
            (
                "127.0.0.53%lo:53",
                ip("127.0.0.53"),
                port(53),
                Some(Family::V4),
            ),
            (
                "2001:db8:aaaa:b:1",
                Host::Cut(dryport_model::capture::NameId(0)),
                port(1),
                Some(Family::V6),
            ),
        ] {
            assert_eq!(
                colon(word),
                Some((End { host, port: shown }, family)),
                "{word}"
            );
        }
        for word in [
            "",
            "443",
            "192.0.2.300:1",
            "1.2.3:4",
            "a b:1",
            "x:70000",
            "x:-1",
            "a/b:1",
        ] {
            assert_eq!(colon(word), None, "{word}");
        }
        assert!(matches!(
            colon("srv-9.example.net:https").unwrap().0,
            End {
                host: Host::Name(_),
                port: PortShown::Name(_)
            }
        ));
    }

    #[test]
    fn the_bsds_put_a_dot_before_the_port() {
        let mut names = Names::default();
        let (end, _) = with_dot(b"192.168.1.10.52345", &mut names).unwrap();
        assert_eq!(end.host, ip("192.168.1.10"));
        assert_eq!(end.number(), Some(52345));
        assert_eq!(with_dot(b"*.*", &mut names).unwrap().0, End::NONE);
        let (end, family) = with_dot(b"fe80::1%lo0.8021", &mut names).unwrap();
        assert_eq!((end.host, family), (ip("fe80::1"), Some(Family::V6)));
    }

    #[test]
    fn the_quick_reader_of_addresses_agrees_with_the_library() {
        for word in [
            "1.2.3.4",
            "255.255.255.255",
            "0.0.0.0",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1..2.3",
            ".1.2.3",
        ] {
            assert_eq!(
                ipv4(word.as_bytes()),
                word.parse::<Ipv4Addr>().ok(),
                "{word}"
            );
        }
    }
}
