//! `ss`, and `netstat` of net-tools and of the BSDs.

use dryport_model::capture::{Names, PortShown, Row};
use dryport_model::{Family, Platform, Protocol, State};

use super::{Found, Read};
use crate::paste::words::{Words, holds, number, split_once};
use crate::paste::{Format, end, state};

/// The transport and family of a first word such as `tcp6` or `udp`.
fn protocol(word: &[u8]) -> Option<(Protocol, Option<Family>, bool)> {
    Some(match word {
        b"tcp" => (Protocol::Tcp, None, false),
        b"tcp6" => (Protocol::Tcp, Some(Family::V6), false),
        b"udp" | b"udplite" => (Protocol::Udp, None, false),
        b"udp6" => (Protocol::Udp, Some(Family::V6), false),
        b"tcp4" => (Protocol::Tcp, Some(Family::V4), true),
        b"tcp46" => (Protocol::Tcp, Some(Family::V6), true),
        b"udp4" => (Protocol::Udp, Some(Family::V4), true),
        b"udp46" => (Protocol::Udp, Some(Family::V6), true),
        _ => return None,
    })
}

/// A line whose first word is a transport: net-tools, a BSD, or `ss` with its Netid column.
pub(in crate::paste) fn by_protocol<'a>(words: &Words<'a>, names: &mut Names) -> Read<'a> {
    let Some((protocol, family, bsd)) = words.at(0).and_then(protocol) else {
        return Read::No;
    };
    if words.at(1).and_then(state::ss).is_some() {
        return ss(words, 1, Some(protocol), names);
    }
    let queues = [words.at(1), words.at(2)].map(|word| word.and_then(number::<u64>));
    let [Some(_), queue] = queues else {
        return if words.len() == 1 {
            Read::Half
        } else {
            Read::No
        };
    };
    if queue.is_none() && words.len() > 2 {
        return Read::No;
    }
    let (Some(local), Some(remote)) = (words.at(3), words.at(4)) else {
        return Read::Half;
    };
    let colon = |word, names: &mut Names| end::with_colon(word, names).filter(|_| !bsd);
    let ends = [local, remote].map(|word| {
        let colon = colon(word, names).map(|end| (end, false));
        colon.or_else(|| end::with_dot(word, names).map(|end| (end, true)))
    });
    let [Some(((local, one), dots)), Some(((remote, other), _))] = ends else {
        return Read::No;
    };
    let format = match dots {
        true => Format::BsdNetstat,
        false => Format::Netstat,
    };
    let known = words.at(5).and_then(state::windows);
    if protocol == Protocol::Tcp && words.len() < 6 {
        return Read::Half;
    }
    let (pid, name) = program(words.from(5), format);
    let row = Row {
        protocol,
        family: family.or(one).or(other).unwrap_or(Family::V4),
        state: known.or((protocol == Protocol::Udp).then_some(State::Close)),
        local,
        remote,
        wait_left_ms: words.from(6).iter().find_map(|word| net_tools_timer(word)),
    };
    Read::Row(Found {
        row,
        pid,
        name,
        format,
    })
}

/// `1234/nginx:` of net-tools; the name may hold blanks, its first word is taken.
fn program<'a>(words: &[&'a [u8]], format: Format) -> (Option<u32>, Option<&'a [u8]>) {
    if format != Format::Netstat {
        return (None, None);
    }
    let found = words.iter().find_map(|word| {
        let (pid, name) = split_once(word, b'/')?;
        Some((number::<u32>(pid)?, name))
    });
    match found {
        Some((pid, name)) => (Some(pid), Some(name.strip_suffix(b":").unwrap_or(name))),
        None => (None, None),
    }
}

/// `(45.32/0/0)` behind the word `timewait`.
fn net_tools_timer(word: &[u8]) -> Option<u32> {
    let inner = word.strip_prefix(b"(")?.strip_suffix(b"/0/0)")?;
    let (seconds, hundredths) = split_once(inner, b'.')?;
    Some(number::<u32>(seconds)? * 1000 + number::<u32>(hundredths)? * 10)
}

/// A row of `ss` whose state stands at `at`.
pub(in crate::paste) fn ss<'a>(
    words: &Words<'a>,
    at: usize,
    protocol: Option<Protocol>,
    names: &mut Names,
) -> Read<'a> {
    let Some(known) = words.at(at).and_then(state::ss) else {
        return Read::No;
    };
    let queues = [words.at(at + 1), words.at(at + 2)];
    if queues.iter().flatten().any(|w| number::<u64>(w).is_none()) {
        return Read::No;
    }
    ss_ends(words, at + 3, Some(known), protocol, names)
}

/// A row of `ss` that was asked for one state, and shows none: two numbers and two ends.
pub(in crate::paste) fn ss_without_state<'a>(
    words: &Words<'a>,
    asked: &Asked,
    names: &mut Names,
) -> Read<'a> {
    let numbers = [words.at(0), words.at(1)];
    let are_numbers = numbers
        .iter()
        .all(|word| word.is_some_and(|word| number::<u64>(word).is_some()));
    if !are_numbers || words.len() < 4 {
        return Read::No;
    }
    match ss_ends(words, 2, asked.state, asked.protocol, names) {
        Read::Half => Read::No,
        read => read,
    }
}

fn ss_ends<'a>(
    words: &Words<'a>,
    at: usize,
    known: Option<State>,
    protocol: Option<Protocol>,
    names: &mut Names,
) -> Read<'a> {
    let (Some(local), Some(remote)) = (words.at(at), words.at(at + 1)) else {
        return Read::Half;
    };
    let ends = [local, remote].map(|word| end::with_colon(word, names));
    let [Some((local, one)), Some((remote, other))] = ends else {
        return Read::No;
    };
    // UNCONN is UDP's, unless the Netid says otherwise.
    let protocol = protocol.unwrap_or(match known {
        Some(State::Close) => Protocol::Udp,
        _ => Protocol::Tcp,
    });
    let state = match (protocol, known) {
        (Protocol::Udp, _) => Some(State::Close),
        // A bound socket that neither listens nor connects.
        (Protocol::Tcp, Some(State::Close)) => Some(State::BoundInactive),
        _ => known,
    };
    let tail = words.from(at + 2);
    let (pid, name) = users(words.behind(at + 2)).unwrap_or((None, None));
    let row = Row {
        protocol,
        family: one.or(other).unwrap_or(Family::V4),
        state,
        local,
        remote,
        wait_left_ms: tail.iter().find_map(|word| ss_timer(word)),
    };
    Read::Row(Found {
        row,
        pid,
        name,
        format: Format::Ss,
    })
}

/// What a call of `ss` asks for. Without its columns the rows do not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::paste) struct Asked {
    /// `state time-wait`, `-B`.
    pub(in crate::paste) state: Option<State>,
    /// `-t` or `-u` alone.
    pub(in crate::paste) protocol: Option<Protocol>,
}

impl Asked {
    /// `ss -tan state time-wait`, behind a prompt; `None`: no call of `ss`.
    pub(in crate::paste) fn of(line: &[u8]) -> Option<Self> {
        let words = Words::of(line);
        let at = words
            .all()
            .iter()
            .position(|w| *w == b"ss" || w.ends_with(b"/ss"))?;
        let options = words.from(at + 1);
        let short = |letter: u8| {
            options
                .iter()
                .any(|w| w.first() == Some(&b'-') && w.get(1) != Some(&b'-') && w.contains(&letter))
        };
        let named = options
            .iter()
            .position(|word| *word == b"state")
            .and_then(|at| options.get(at + 1))
            .and_then(|word| asked_state(word));
        Some(Self {
            state: named.or(short(b'B').then_some(State::BoundInactive)),
            protocol: match (short(b't'), short(b'u')) {
                (true, false) => Some(Protocol::Tcp),
                (false, true) => Some(Protocol::Udp),
                _ => None,
            },
        })
    }
}

fn asked_state(word: &[u8]) -> Option<State> {
    Some(match word {
        b"time-wait" => State::TimeWait,
        b"established" | b"connected" => State::Established,
        b"close-wait" => State::CloseWait,
        b"syn-sent" => State::SynSent,
        b"fin-wait-1" => State::FinWait1,
        b"fin-wait-2" => State::FinWait2,
        b"last-ack" => State::LastAck,
        b"listening" | b"listen" => State::Listen,
        b"bound-inactive" => State::BoundInactive,
        _ => return None,
    })
}

/// The first process of `users:(("nginx",pid=1234,fd=5),…)`, or `users:(("nginx",1234,5))`. Its name
/// may hold blanks.
pub(in crate::paste) fn users(text: &[u8]) -> Option<(Option<u32>, Option<&[u8]>)> {
    const BEGIN: &[u8] = b"users:((\"";
    let at = memchr::memmem::find(text, BEGIN)?;
    let rest = text.get(at + BEGIN.len()..)?;
    let (name, rest) = split_once(rest, b'"')?;
    let rest = rest.strip_prefix(b",")?;
    let rest = rest.strip_prefix(b"pid=").unwrap_or(rest);
    let (pid, _) = split_once(rest, b',')?;
    Some((number(pid), Some(name)))
}

/// What is left of `timer:(timewait,45sec,0)`, also `1min`, `1min3sec`, `450ms`, `5.123sec` (the
/// whole seconds will do).
pub(in crate::paste) fn ss_timer(word: &[u8]) -> Option<u32> {
    let (mut rest, _) = split_once(word.strip_prefix(b"timer:(timewait,")?, b',')?;
    let mut left = 0_u32;
    while !rest.is_empty() {
        let digits = run(rest, u8::is_ascii_digit);
        let value: u32 = number(rest.get(..digits)?)?;
        rest = rest.get(digits..)?;
        let whole = rest.strip_prefix(b".");
        if let Some(fraction) = whole {
            rest = fraction.get(run(fraction, u8::is_ascii_digit)..)?;
        }
        let letters = run(rest, u8::is_ascii_alphabetic);
        let unit = match (unit(rest.get(..letters)?)?, whole) {
            // `ss` writes 6.784ms for 6 s and 784 ms.
            (1, Some(_)) => 1000,
            (unit, _) => unit,
        };
        left = left.checked_add(value.checked_mul(unit)?)?;
        rest = rest.get(letters..)?;
    }
    Some(left)
}

/// How many bytes at the start are of a kind.
fn run(text: &[u8], kind: impl Fn(&u8) -> bool) -> usize {
    text.iter().take_while(|byte| kind(byte)).count()
}

fn unit(word: &[u8]) -> Option<u32> {
    Some(match word {
        b"ms" => 1,
        b"sec" => 1000,
        b"min" => 60_000,
        _ => return None,
    })
}

/// A second line of `ss` belongs to the row above: it is indented and holds no ends.
pub(in crate::paste) fn continues_ss(line: &[u8]) -> bool {
    line.first().is_some_and(u8::is_ascii_whitespace)
        && (holds(line, b"users:((")
            || holds(line, b"timer:(")
            || holds(line, b"ino:")
            || holds(line, b"rto:")
            || holds(line, b"skmem:"))
}

/// The platform that a layout belongs to.
pub(in crate::paste) const fn platform(format: Format) -> Option<Platform> {
    match format {
        Format::WindowsNetstat
        | Format::NetshDynamicPort
        | Format::NetshExcludedPortRange
        | Format::PowershellTable
        | Format::PowershellList
        | Format::PowershellCsv
        | Format::PowershellJson
        | Format::Registry
        | Format::WindowsEvent => Some(Platform::Windows),
        Format::Ss
        | Format::SsSummary
        | Format::Netstat
        | Format::ProcNet
        | Format::Sockstat
        | Format::Conntrack
        | Format::Nstat
        | Format::DryportJson => Some(Platform::Linux),
        Format::BsdNetstat => Some(Platform::MacOs),
        Format::Sysctl | Format::Lsof | Format::Message => None,
    }
}

/// Whether a row has neither local port nor name: nothing to count.
pub(in crate::paste) const fn holds_a_port(row: &Row) -> bool {
    !matches!(row.local.port, PortShown::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_read_in_every_unit() {
        for (word, left) in [
            ("timer:(timewait,45sec,0)", Some(45_000)),
            ("timer:(timewait,1min,0)", Some(60_000)),
            ("timer:(timewait,1min3sec,0)", Some(63_000)),
            ("timer:(timewait,450ms,0)", Some(450)),
            ("timer:(timewait,5.123sec,0)", Some(5000)),
            ("timer:(timewait,6.784ms,0)", Some(6000)),
            ("timer:(keepalive,45sec,0)", None),
            ("timer:(timewait,sec,0)", None),
            ("timer:(timewait,99999999999sec,0)", None),
        ] {
            assert_eq!(ss_timer(word.as_bytes()), left, "{word}");
        }
        assert_eq!(net_tools_timer(b"(45.32/0/0)"), Some(45_320));
    }

    #[test]
    fn a_process_is_read_from_old_and_new_ss() {
        let new = users(b"users:((\"nginx\",pid=1234,fd=5),(\"x\",pid=9,fd=1))");
        assert_eq!(new, Some((Some(1234), Some(&b"nginx"[..]))));
        let blank = users(b"x users:((\"tmux: server\",pid=5,fd=5))");
        assert_eq!(blank, Some((Some(5), Some(&b"tmux: server"[..]))));
        let old = users(b"users:((\"nginx\",1234,5))");
        assert_eq!(old, new);
    }
}
