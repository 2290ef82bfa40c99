//! The value of a setting, read by its grammar.

use alloc::format;
use alloc::string::{String, ToString};

use crate::plan::Setting;
use crate::{PortRange, PortSet};

/// A value as numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Lowest and highest port.
    Range(PortRange),
    /// Ports of a list, which may be empty.
    Ports(PortSet),
    /// The range of Windows: first port and how many.
    Dynamic(PortRange),
    /// One number.
    Number(u32),
}

/// The lowest first port that `netsh` takes.
const LOWEST_DYNAMIC: u16 = 1025;
/// The fewest ports that `netsh` takes.
const FEWEST_DYNAMIC: u32 = 255;

impl Value {
    /// Reads a value as its system writes it; `None` where it is anything else.
    pub(super) fn read(setting: Setting, text: &str) -> Option<Self> {
        match setting {
            Setting::ReservedPorts => list(text).map(Self::Ports),
            Setting::LocalPortRange => pair(text)
                .and_then(|(low, high)| PortRange::new(low, high))
                .map(Self::Range),
            Setting::DynamicPorts(..) => dynamic(text).map(Self::Dynamic),
            _ => number(text.trim()).map(Self::Number),
        }
    }

    /// Whether the system takes it. What was there before is put back whatever it is.
    pub(super) fn may_be_set(&self, setting: Setting) -> bool {
        match (setting, self) {
            (Setting::LocalPortRange, Self::Range(range)) => range.low() > 0,
            (Setting::ReservedPorts, Self::Ports(_)) => true,
            (Setting::DynamicPorts(..), Self::Dynamic(range)) => {
                range.low() >= LOWEST_DYNAMIC && range.size() >= FEWEST_DYNAMIC
            }
            (_, Self::Number(number)) => allowed(setting).contains(number),
            _ => false,
        }
    }

    /// As the tools of its system take it, without quotes.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Range(range) => format!("{} {}", range.low(), range.high()),
            Self::Ports(ports) => ports.to_list(),
            Self::Dynamic(range) => format!("start={} num={}", range.low(), range.size()),
            Self::Number(number) => number.to_string(),
        }
    }

    /// The nearest that `netsh` takes: machines are seen that begin at 1024.
    pub(super) fn nearest_dynamic(&self) -> Self {
        match self {
            Self::Dynamic(range) => {
                let low = range.low().max(LOWEST_DYNAMIC);
                Self::Dynamic(PortRange::new(low, range.high()).unwrap_or(*range))
            }
            other => other.clone(),
        }
    }

    /// Whether it is a list without ports.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self, Self::Ports(ports) if ports.is_empty())
    }
}

fn allowed(setting: Setting) -> core::ops::RangeInclusive<u32> {
    match setting {
        Setting::TcpTwReuse => 0..=2,
        Setting::MaxUserPort => 5000..=65534,
        Setting::TcpTimedWaitDelay => 30..=300,
        Setting::PortRangeFirst | Setting::PortRangeHiFirst => 1024..=65535,
        _ => 1..=600_000,
    }
}

/// Digits alone: no sign, no blank.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !text.is_empty()).then(|| text.parse().ok())?
}

fn pair(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_ascii_whitespace();
    let pair = (number(words.next()?)?, number(words.next()?)?);
    words.next().is_none().then_some(pair)
}

fn dynamic(text: &str) -> Option<PortRange> {
    let mut words = text.split_ascii_whitespace();
    let start: u16 = number(words.next()?.strip_prefix("start=")?)?;
    let count: u32 = number(words.next()?.strip_prefix("num=")?)?;
    if words.next().is_some() {
        return None;
    }
    let last = u32::from(start).checked_add(count.checked_sub(1)?)?;
    PortRange::new(start, u16::try_from(last).ok()?)
}

fn list(text: &str) -> Option<PortSet> {
    let mut ports = PortSet::new();
    let text = text.trim();
    if text.is_empty() {
        return Some(ports);
    }
    for item in text.split(',') {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        ports.insert_range(PortRange::new(number(low)?, number(high)?)?);
    }
    Some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Protocol};

    const DYNAMIC: Setting = Setting::DynamicPorts(Family::V4, Protocol::Tcp);

    fn read(setting: Setting, text: &str) -> Option<String> {
        Value::read(setting, text).map(|value| value.text())
    }

    #[test]
    fn a_value_is_written_anew_from_its_numbers() {
        for (setting, text, written) in [
            (Setting::LocalPortRange, "32768\t60999", "32768 60999"),
            (Setting::ReservedPorts, "9000-9010,8080", "8080,9000-9010"),
            (Setting::ReservedPorts, "", ""),
            (DYNAMIC, "start=49152 num=16384", "start=49152 num=16384"),
            (Setting::TcpTwReuse, "1", "1"),
            (Setting::MaxUserPort, "65534", "65534"),
        ] {
            assert_eq!(read(setting, text).as_deref(), Some(written));
        }
    }

    #[test]
    fn whatever_is_not_of_the_grammar_is_no_value() {
        for (setting, text) in [
            (Setting::LocalPortRange, "32768 60999; reboot"),
            (Setting::LocalPortRange, "60999 32768"),
            (Setting::LocalPortRange, "32768"),
            (Setting::LocalPortRange, "+1 2"),
            (Setting::ReservedPorts, "8080,$(reboot)"),
            (Setting::ReservedPorts, "8080,,9090"),
            (Setting::ReservedPorts, "70000"),
            (Setting::ReservedPorts, "9-8"),
            (DYNAMIC, "start=49152 num=16385"),
            (DYNAMIC, "start=49152 num=0"),
            (DYNAMIC, "start=49152 num=16384 & del"),
            (Setting::TcpTwReuse, "1\n2"),
            (Setting::MaxUserPort, "-1"),
            (Setting::TcpTimedWaitDelay, ""),
        ] {
            assert_eq!(read(setting, text), None, "{text}");
        }
    }

    #[test]
    fn what_the_system_would_refuse_is_not_set() {
        let may = |setting, text: &str| {
            Value::read(setting, text).is_some_and(|value| value.may_be_set(setting))
        };
        assert!(may(DYNAMIC, "start=1025 num=255") && may(DYNAMIC, "start=1025 num=64511"));
        assert!(!may(DYNAMIC, "start=1024 num=64511") && !may(DYNAMIC, "start=1025 num=254"));
        assert!(may(Setting::TcpTimedWaitDelay, "30") && !may(Setting::TcpTimedWaitDelay, "29"));
        assert!(may(Setting::MaxUserPort, "5000") && !may(Setting::MaxUserPort, "65535"));
        assert!(!may(Setting::TcpTwReuse, "3") && !may(Setting::LocalPortRange, "0 1"));
    }
}
