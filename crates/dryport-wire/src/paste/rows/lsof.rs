//! `lsof -nP -i`: `COMMAND PID [TID] USER FD TYPE DEVICE SIZE/OFF NODE NAME`.

use dryport_model::capture::{End, Names, Row};
use dryport_model::{Family, Protocol, State};

use super::{Found, Read};
use crate::paste::words::{Words, holds, number, split_once};
use crate::paste::{Format, end, state};

/// Reads a row: the word `0t0` stands before the transport, whatever the columns before it.
pub(in crate::paste) fn read<'a>(words: &Words<'a>, names: &mut Names) -> Read<'a> {
    let all = words.all();
    let Some(at) = all.iter().position(|word| *word == b"0t0") else {
        return Read::No;
    };
    let protocol = match words.at(at + 1) {
        Some(b"TCP") => Protocol::Tcp,
        Some(b"UDP") => Protocol::Udp,
        _ => return Read::No,
    };
    let typed = all.iter().take(at).rev().find_map(|word| match *word {
        b"IPv4" => Some(Family::V4),
        b"IPv6" => Some(Family::V6),
        _ => None,
    });
    let (Some(family), Some(name)) = (typed, words.at(at + 2)) else {
        return Read::Half;
    };
    let Some((local, remote)) = ends(name, names) else {
        return Read::No;
    };
    let known = words
        .at(at + 3)
        .and_then(|word| word.strip_prefix(b"("))
        .and_then(|word| word.strip_suffix(b")"))
        .and_then(|word| match word {
            b"CLOSED" => Some(State::BoundInactive),
            word => state::own(word),
        });
    let row = Row {
        protocol,
        family,
        state: known.or((protocol == Protocol::Udp).then_some(State::Close)),
        local,
        remote,
        wait_left_ms: None,
    };
    let pid = all.iter().take(at).skip(1).find_map(|word| number(word));
    Read::Row(Found {
        row,
        pid,
        name: words.at(0),
        format: Format::Lsof,
    })
}

/// `local->remote`, or `local` alone.
fn ends(name: &[u8], names: &mut Names) -> Option<(End, End)> {
    let Some((local, remote)) = split_once(name, b'>').filter(|_| holds(name, b"->")) else {
        return Some((end::with_colon(name, names)?.0, End::NONE));
    };
    let local = local.strip_suffix(b"-")?;
    Some((
        end::with_colon(local, names)?.0,
        end::with_colon(remote, names)?.0,
    ))
}
