//! `netstat` of Windows: `TCP local foreign state [pid] [offload]`, `UDP local *:* [pid]`, in every
//! language.

use dryport_model::capture::{End, Names, Row};
use dryport_model::{Family, Protocol, State};

use super::{Found, Read};
use crate::paste::words::{Words, number};
use crate::paste::{Format, end, state};

/// Reads a row from the words at `from` on, and tells how many words it has. Several rows can stand
/// in one line, where line ends were lost.
pub(in crate::paste) fn read<'a>(
    words: &Words<'a>,
    from: usize,
    names: &mut Names,
) -> (Read<'a>, usize) {
    let rest = words.from(from);
    let protocol = match rest.first() {
        Some(&b"TCP") => Protocol::Tcp,
        Some(&b"UDP") => Protocol::Udp,
        _ => return (Read::No, 1),
    };
    let Some(local) = rest.get(1) else {
        return (Read::Half, 1);
    };
    let Some((local, family)) = end::with_colon(local, names) else {
        return (Read::No, 1);
    };
    let remote = rest.get(2).and_then(|word| end::with_colon(word, names));
    let Some((remote, remote_family)) = remote else {
        // A word that is no end, in the place of one: prose.
        return (
            if rest.len() == 2 {
                Read::Half
            } else {
                Read::No
            },
            1,
        );
    };
    let family = family.or(remote_family).unwrap_or(Family::V4);
    let made = |state: Option<State>, pid: Option<u32>, count: usize| {
        let row = Row {
            protocol,
            family,
            state,
            local,
            remote,
            wait_left_ms: None,
        };
        let found = Found {
            row,
            pid,
            name: None,
            format: Format::WindowsNetstat,
        };
        (Read::Row(found), count)
    };
    if protocol == Protocol::Udp {
        let pid = rest.get(3).and_then(|word| number::<u32>(word));
        return made(Some(State::Close), pid, 3 + usize::from(pid.is_some()));
    }
    tcp_tail(rest, remote, made)
}

/// State, process id and offload word. A state of two words is joined.
fn tcp_tail<'a>(
    rest: &[&'a [u8]],
    remote: End,
    made: impl Fn(Option<State>, Option<u32>, usize) -> (Read<'a>, usize),
) -> (Read<'a>, usize) {
    let Some(word) = rest.get(3).filter(|word| number::<u32>(word).is_none()) else {
        return (Read::Half, 1);
    };
    let known = state::windows(word);
    let mut at = 4;
    if known.is_none() && starts_row(word) {
        return (Read::Half, 1);
    }
    let mut pid = rest.get(at).and_then(|word| number::<u32>(word));
    if known.is_none()
        && pid.is_none()
        && let Some(later) = rest.get(at + 1).and_then(|word| number::<u32>(word))
    {
        (pid, at) = (Some(later), at + 1);
    }
    at += usize::from(pid.is_some());
    at += usize::from(rest.get(at) == Some(&&b"InHost"[..]));
    let peer = remote.number().is_some();
    let state = known.or_else(|| structural(peer, pid));
    made(state, pid, at)
}

/// In an unknown language only a TIME_WAIT has a peer and the process id 0.
const fn structural(peer: bool, pid: Option<u32>) -> Option<State> {
    match (peer, pid) {
        (true, Some(0)) => Some(State::TimeWait),
        _ => None,
    }
}

const fn starts_row(word: &[u8]) -> bool {
    matches!(word, b"TCP" | b"UDP")
}
