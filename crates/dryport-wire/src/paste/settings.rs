//! Settings, versions and counters: sysctl in its usual shapes, the registry, `ver`, `sockstat`,
//! `ss -s`, `nstat`.

use alloc::string::String;

use dryport_model::explain::{Clue, Findings, FoundRange, Number};
use dryport_model::{Platform, PortRange};

use super::Format;
use super::words::{Words, hex, holds, holds_ignoring_case, number, split_once, trimmed};
use crate::sysctl;

/// What is known of a sysctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `net.ipv4.ip_local_port_range`.
    Range,
    /// `net.ipv4.ip_local_reserved_ports`.
    Reserved,
    /// One that is a number.
    Number(Number),
    /// Any other of `net.`.
    Other,
}

/// The sysctl with this name, dots or slashes between its parts.
pub(super) fn key(name: &[u8]) -> Option<(Key, Option<Platform>)> {
    const NUMBERS: [(&[u8], Number); 11] = [
        (b"ipv4.tcp_tw_reuse", Number::TcpTwReuse),
        (b"ipv4.tcp_tw_recycle", Number::TcpTwRecycle),
        (b"ipv4.tcp_fin_timeout", Number::TcpFinTimeout),
        (b"ipv4.tcp_timestamps", Number::TcpTimestamps),
        (b"ipv4.tcp_max_tw_buckets", Number::TcpMaxTwBuckets),
        (b"netfilter.nf_conntrack_count", Number::ConntrackCount),
        (b"netfilter.nf_conntrack_max", Number::ConntrackMax),
        (
            b"netfilter.nf_conntrack_tcp_timeout_time_wait",
            Number::ConntrackTimeWait,
        ),
        (b"inet.ip.portrange.first", Number::PortRangeFirst),
        (b"inet.ip.portrange.last", Number::PortRangeLast),
        (b"inet.tcp.msl", Number::Msl),
    ];
    let rest = name.strip_prefix(b"net")?;
    let rest = rest
        .strip_prefix(b".")
        .or_else(|| rest.strip_prefix(b"/"))?;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-".contains(byte);
    if !rest.iter().all(word) {
        return None;
    }
    let same = |known: &[u8]| {
        known.len() == rest.len()
            && known
                .iter()
                .zip(rest)
                .all(|(one, other)| one == other || (*one == b'.' && *other == b'/'))
    };
    let platform = match rest {
        [b'i', b'p', b'v', b'4' | b'6', ..] | [b'n', b'e', b't', b'f', ..] | [b'c', b'o', ..] => {
            Some(Platform::Linux)
        }
        _ => None,
    };
    let platform = match rest {
        b"inet.ip.portrange.randomized"
        | b"inet.ip.portrange.reservedlow"
        | b"inet.ip.portrange.reservedhigh" => Some(Platform::FreeBsd),
        _ => platform,
    };
    if same(b"ipv4.ip_local_port_range") {
        return Some((Key::Range, platform));
    }
    if same(b"ipv4.ip_local_reserved_ports") {
        return Some((Key::Reserved, platform));
    }
    let known = NUMBERS.iter().find(|(known, _)| same(known));
    Some((
        known.map_or(Key::Other, |(_, number)| Key::Number(*number)),
        platform,
    ))
}

/// Splits `key = value`, `key: value` and `/proc/sys/key:value`.
pub(super) fn key_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = trimmed(line);
    let line = line.strip_prefix(b"/proc/sys/").unwrap_or(line);
    if !line.starts_with(b"net") {
        return None;
    }
    let at = line.iter().position(|byte| matches!(byte, b'=' | b':'))?;
    let (name, value) = line.split_at_checked(at)?;
    Some((trimmed(name), trimmed(value.get(1..)?)))
}

/// Takes a value; `Err` says what is wrong with it.
pub(super) fn take(
    findings: &mut Findings,
    (key, platform): (Key, Option<Platform>),
    value: &[u8],
) -> Result<(), String> {
    if let Some(platform) = platform {
        findings.clue(Clue::Setting, platform);
    }
    let text = core::str::from_utf8(value).map_err(|_| String::from("not a number"))?;
    let text = text.split('#').next().unwrap_or_default();
    match key {
        Key::Range => {
            let range = sysctl::parse_range(text).map_err(|error| alloc::format!("{error}"))?;
            findings.range(FoundRange {
                protocol: None,
                family: None,
                range,
                of_windows: false,
            });
        }
        Key::Reserved => {
            let ports = sysctl::parse_port_list(text).map_err(|error| alloc::format!("{error}"))?;
            findings.reserved = Some(ports);
        }
        Key::Number(name) => {
            let value = sysctl::parse_u32(text).map_err(|error| alloc::format!("{error}"))?;
            findings.set(name, value.into());
        }
        Key::Other => {}
    }
    Ok(())
}

/// A value of the registry: `MaxUserPort    REG_DWORD    0xfffe`, `"MaxUserPort"=dword:0000fffe`, or
/// PowerShell's `MaxUserPort : 65534`. `None`: no such line.
pub(super) fn registry(line: &[u8]) -> Option<(Number, Option<u64>)> {
    let line = trimmed(line);
    let bare = line.strip_prefix(b"\"").unwrap_or(line);
    let (name, found) = [
        (&b"MaxUserPort"[..], Number::MaxUserPort),
        (b"TcpTimedWaitDelay", Number::TcpTimedWaitDelay),
    ]
    .into_iter()
    .find(|(name, _)| {
        bare.get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name))
    })?;
    let rest = trimmed(bare.get(name.len()..)?);
    let value = if let Some(value) = rest.strip_prefix(b"\"=dword:") {
        hex(trimmed(value))
    } else if let Some(value) = rest.strip_prefix(b"REG_DWORD") {
        let value = trimmed(value);
        match value.strip_prefix(b"0x") {
            Some(digits) => hex(digits),
            None => number(value),
        }
    } else if let Some(value) = rest.strip_prefix(b":") {
        number(trimmed(value))
    } else {
        return None;
    };
    Some((found, value))
}

/// A key of the registry; whether it is the one in force, and not an older set.
pub(super) fn registry_key(line: &[u8]) -> Option<bool> {
    let line = trimmed(line);
    let line = line.strip_prefix(b"[").unwrap_or(line);
    if !line.starts_with(b"HKEY_") && !line.starts_with(b"HKLM") {
        return None;
    }
    Some(!holds_ignoring_case(line, b"\\ControlSet0"))
}

/// `Microsoft Windows [Version 5.2.3790]`, in any language.
pub(super) fn windows_version(line: &[u8]) -> Option<Platform> {
    let line = trimmed(line);
    if !line.starts_with(b"Microsoft Windows") && !line.starts_with(b"OS Version:") {
        return None;
    }
    let word = Words::of(line)
        .all()
        .iter()
        .map(|word| {
            let word = word.strip_prefix(b"[").unwrap_or(word);
            word.strip_suffix(b"]").unwrap_or(word)
        })
        .find_map(|word| {
            let (major, minor) = split_once(word, b'.')?;
            let minor = minor.split(|byte| *byte == b'.').next()?;
            Some((number::<u32>(major)?, number::<u32>(minor)?))
        })?;
    Some(match word {
        (5, 1) => Platform::WindowsXp,
        (0..=5, _) => Platform::Windows2003,
        _ => Platform::Windows,
    })
}

/// `sockstat`, `ss -s`, `nstat`: counts that say something by themselves.
pub(super) fn counters(words: &Words<'_>, line: &[u8], findings: &mut Findings) -> Option<Format> {
    let first = words.at(0)?;
    let after = |key: &[u8]| {
        let at = words.all().iter().position(|word| *word == key)?;
        let word = words.at(at + 1)?;
        let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        number::<u64>(word.get(..digits)?)
    };
    match first {
        b"TCP:" if words.at(1) == Some(b"inuse") => {
            for (key, number) in [
                (&b"tw"[..], Number::TimeWaitCount),
                (b"alloc", Number::TcpSockets),
            ] {
                if let Some(value) = after(key) {
                    findings.set(number, value);
                }
            }
            Some(Format::Sockstat)
        }
        b"UDP:" | b"TCP6:" | b"UDP6:" | b"RAW:" | b"UDPLITE:" if words.at(1) == Some(b"inuse") => {
            Some(Format::Sockstat)
        }
        b"sockets:" if words.at(1) == Some(b"used") => Some(Format::Sockstat),
        b"TCP:" if holds(line, b"timewait ") => {
            if let Some(value) = after(b"timewait") {
                findings.set(Number::TimeWaitCount, value);
            }
            if let Some(value) = words.at(1).and_then(number) {
                findings.set(Number::TcpSockets, value);
            }
            Some(Format::SsSummary)
        }
        b"TcpExtTCPTimeWaitOverflow" | b"TCPTimeWaitOverflow:" => {
            findings.set(Number::TimeWaitOverflow, words.at(1).and_then(number)?);
            Some(Format::Nstat)
        }
        _ if first.starts_with(b"TcpExt") || first.starts_with(b"Tcp") && words.len() == 3 => {
            let counted = words.at(1).and_then(number::<u64>).is_some();
            (counted && words.len() == 3).then_some(Format::Nstat)
        }
        _ => None,
    }
}

/// `label : digits`, as `netsh` writes in every language; with or without blanks at the colon. Full
/// width colons come from Chinese and Japanese keyboards. Unless a title or a command announced it,
/// the label must be words alone.
pub(super) fn label_and_number(line: &[u8], announced: bool) -> Option<u64> {
    let line = trimmed(line);
    let digits = line.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (head, value) = line.split_at_checked(line.len() - digits)?;
    let head = trimmed(head);
    let label = head
        .strip_suffix(b":")
        .or_else(|| head.strip_suffix("：".as_bytes()))?;
    let label = trimmed(label);
    let words = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b' ' || !byte.is_ascii();
    let plain = !label.is_empty() && label.len() <= 80 && label.iter().all(words);
    (plain || announced && !label.is_empty()).then(|| number(value))?
}

/// Start and number of ports, as `netsh … show dynamicport` gives them.
pub(super) fn start_and_count(start: u64, count: u64) -> Option<PortRange> {
    let last = start.checked_add(count)?.checked_sub(1)?;
    if start == 0 || count == 0 {
        return None;
    }
    PortRange::new(start.try_into().ok()?, last.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysctl_is_read_in_its_three_shapes() {
        for line in [
            "net.ipv4.ip_local_port_range = 40000\t40009",
            "net.ipv4.ip_local_port_range=40000 40009",
            "/proc/sys/net/ipv4/ip_local_port_range:40000\t40009",
        ] {
            let mut findings = Findings::default();
            let (name, value) = key_and_value(line.as_bytes()).unwrap();
            take(&mut findings, key(name).unwrap(), value).unwrap();
            assert_eq!(
                findings.ranges[0].range,
                PortRange::new(40000, 40009).unwrap()
            );
        }
    }

    #[test]
    fn the_registry_is_read_in_its_shapes() {
        for line in [
            "    MaxUserPort    REG_DWORD    0xfffe",
            "\"MaxUserPort\"=dword:0000fffe",
            "MaxUserPort : 65534",
        ] {
            let found = registry(line.as_bytes());
            assert_eq!(found, Some((Number::MaxUserPort, Some(65534))), "{line}");
        }
        assert_eq!(registry(b"MaxUserPortX"), None);
        assert_eq!(
            registry_key(b"[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\X]"),
            Some(false)
        );
    }

    #[test]
    fn a_version_tells_which_windows() {
        for (line, platform) in [
            (
                "Microsoft Windows [Version 5.2.3790]",
                Platform::Windows2003,
            ),
            (
                "Microsoft Windows XP [Version 5.1.2600]",
                Platform::WindowsXp,
            ),
            ("Microsoft Windows [版本 10.0.19045.1]", Platform::Windows),
        ] {
            assert_eq!(windows_version(line.as_bytes()), Some(platform));
        }
    }

    #[test]
    fn netsh_gives_start_and_count() {
        assert_eq!(
            label_and_number("启动端口        : 49152".as_bytes(), false),
            Some(49152)
        );
        assert_eq!(
            label_and_number("端口数：16384".as_bytes(), false),
            Some(16384)
        );
        assert_eq!(label_and_number(b"10:24", false), None);
        assert_eq!(label_and_number(b"[::1]:40006", false), None);
        assert_eq!(start_and_count(49152, 16384), PortRange::new(49152, 65535));
        assert_eq!(start_and_count(49152, 16385), None);
    }
}
