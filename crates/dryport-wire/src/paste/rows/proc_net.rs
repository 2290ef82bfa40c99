//! `/proc/net/tcp`, `tcp6`, `udp`, `udp6`: hexadecimal rows.
//!
//! Addresses are words of the machine's own byte order; only little-endian ones are read, as
//! almost all machines write them. Which protocol it is stands in no row: UDP's state is 07
//! (unconnected) or 01, and only a TCP row knows others.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dryport_model::capture::{End, Host, PortShown, Row};
use dryport_model::{Family, Protocol, State};

use super::{Found, Read};
use crate::paste::Format;
use crate::paste::words::{Words, hex, split_once};

/// Reads a row. `udp`: the rows above were of UDP.
pub(in crate::paste) fn read<'a>(words: &Words<'a>, udp: bool) -> Read<'a> {
    let number = words.at(0).and_then(|word| word.strip_suffix(b":"));
    let is_number = number.is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit));
    let Some(local) = words.at(1).filter(|_| is_number) else {
        return Read::No;
    };
    let Some((local, family)) = end(local) else {
        return Read::No;
    };
    let Some((remote, _)) = words.at(2).and_then(end) else {
        return Read::Half;
    };
    let (Some(number), true) = (words.at(3).and_then(hex), words.len() >= 10) else {
        return Read::Half;
    };
    let state = u8::try_from(number).ok().and_then(State::from_number);
    let protocol = match (state, udp) {
        (Some(State::Close), _) | (Some(State::Established), true) => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let row = Row {
        protocol,
        family,
        state,
        local,
        remote,
        wait_left_ms: state
            .filter(|state| *state == State::TimeWait)
            .and(words.at(5))
            .and_then(timer),
    };
    Read::Row(Found {
        row,
        pid: None,
        name: None,
        format: Format::ProcNet,
    })
}

/// `03:00001234`: kind of timer and hundredths of a second.
fn timer(word: &[u8]) -> Option<u32> {
    let (kind, left) = split_once(word, b':')?;
    if kind != b"03" {
        return None;
    }
    u32::try_from(hex(left)?).ok()?.checked_mul(10)
}

fn end(word: &[u8]) -> Option<(End, Family)> {
    let (address, port) = split_once(word, b':')?;
    if port.len() != 4 {
        return None;
    }
    let port = match u16::try_from(hex(port)?).ok()? {
        0 => PortShown::Any,
        port => PortShown::Number(port),
    };
    let (address, family) = match address.len() {
        8 => {
            let address = Ipv4Addr::from(u32::try_from(hex(address)?).ok()?.swap_bytes());
            (IpAddr::V4(address), Family::V4)
        }
        32 => {
            let mut bytes = [0_u8; 16];
            for (part, slot) in address.chunks(8).zip(bytes.chunks_mut(4)) {
                slot.copy_from_slice(&u32::try_from(hex(part)?).ok()?.to_le_bytes());
            }
            (IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(), Family::V6)
        }
        _ => return None,
    };
    let host = match address.is_unspecified() {
        true => Host::Any,
        false => Host::Ip(address),
    };
    Some((End { host, port }, family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_rows_are_read() {
        let line = b"   1: 0100007F:1F90 0100007F:9C40 06 00000000:00000000 03:00000FA0 00000000     0        0 0 3 0";
        let Read::Row(found) = read(&Words::of(line), false) else {
            panic!("no row");
        };
        assert_eq!(found.row.local.number(), Some(8080));
        assert_eq!(found.row.remote.number(), Some(40000));
        assert_eq!(found.row.state, Some(State::TimeWait));
        assert_eq!(found.row.wait_left_ms, Some(40_000));
        let six = b"  0: 0000000000000000FFFF00000100007F:0016 00000000000000000000000000000000:0000 0A 0 0 0 0 0 1";
        let Read::Row(found) = read(&Words::of(six), false) else {
            panic!("no row");
        };
        assert_eq!(found.row.local.host, Host::Ip("127.0.0.1".parse().unwrap()));
        assert_eq!(found.row.family, Family::V6);
    }
}
