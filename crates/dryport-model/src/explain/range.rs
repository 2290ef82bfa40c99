//! The range in force for a protocol and family: given, found, or the platform's default.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Findings, Given, Number, RangeInForce, Source};
use crate::{Family, Platform, PortRange, PortSet, Protocol};

/// `MaxUserPort` may be set to these; the system uses the nearest.
pub(super) const MAX_USER_PORT: core::ops::RangeInclusive<u64> = 5000..=65534;

/// Where the rest of the rules needs to know the range.
pub(super) struct Ranges<'a> {
    findings: &'a Findings,
    given: &'a Given,
    platform: Platform,
}

impl<'a> Ranges<'a> {
    pub(super) const fn new(findings: &'a Findings, given: &'a Given, platform: Platform) -> Self {
        Self {
            findings,
            given,
            platform,
        }
    }

    /// The range for a protocol and family, and the ports of it that nobody gets.
    pub(super) fn of(&self, protocol: Protocol, family: Family) -> (RangeInForce, PortSet) {
        let (range, source) = self.range(protocol, family);
        let mut set = PortSet::new();
        if self.platform.is_windows() {
            for excluded in self.findings.excluded.iter().filter(|excluded| {
                excluded.protocol.is_none_or(|p| p == protocol)
                    && excluded.family.is_none_or(|f| f == family)
            }) {
                set.insert_range(excluded.range);
            }
        } else if let Some(reserved) = &self.findings.reserved {
            set.insert_all(reserved);
        }
        let in_force = RangeInForce {
            protocol,
            family: self.platform.is_windows().then_some(family),
            range,
            excluded: set.count_in(range),
            source,
        };
        (in_force, set)
    }

    fn range(&self, protocol: Protocol, family: Family) -> (PortRange, Source) {
        if let Some(range) = self.given.range {
            return (range, Source::Given);
        }
        let found = matching(self.findings, protocol, family)
            .find(|found| found.of_windows == self.platform.is_windows());
        if let Some(range) = found
            .map(|found| found.range)
            .filter(|_| !self.platform.is_old_windows())
        {
            return (range, Source::Found);
        }
        if let Some(range) = self.assembled() {
            return (range, Source::Found);
        }
        (self.platform.default_range(), Source::Assumed)
    }

    /// From settings that give one end each.
    fn assembled(&self) -> Option<PortRange> {
        let number = |number| self.findings.number(number);
        match self.platform {
            Platform::Windows2003 | Platform::WindowsXp => {
                let highest = number(Number::MaxUserPort)?;
                let highest = highest.clamp(*MAX_USER_PORT.start(), *MAX_USER_PORT.end());
                PortRange::new(1025, u16::try_from(highest).ok()?)
            }
            Platform::MacOs | Platform::FreeBsd => {
                let default = self.platform.default_range();
                let (first, last) = (
                    number(Number::PortRangeFirst),
                    number(Number::PortRangeLast),
                );
                if first.is_none() && last.is_none() {
                    return None;
                }
                let end =
                    |end: Option<u64>, or: u16| end.map_or(Some(or), |end| end.try_into().ok());
                PortRange::new(end(first, default.low())?, end(last, default.high())?)
            }
            Platform::Linux | Platform::Windows => None,
        }
    }

    /// Whether the range goes with the platform's age.
    pub(super) const fn is_old_windows(&self) -> bool {
        self.platform.is_old_windows()
    }

    /// Seconds in TIME_WAIT.
    pub(super) fn time_wait_seconds(&self) -> (u32, Source) {
        let number = |number| self.findings.number(number);
        let found = match self.platform {
            Platform::MacOs | Platform::FreeBsd => number(Number::Msl).map(|msl| 2 * msl / 1000),
            _ if self.platform.is_windows() => {
                number(Number::TcpTimedWaitDelay).map(|delay| delay.clamp(30, 300))
            }
            _ => return (self.platform.default_time_wait_seconds(), Source::Found),
        };
        match found.and_then(|seconds| u32::try_from(seconds).ok()) {
            Some(seconds) => (seconds, Source::Found),
            None => (self.platform.default_time_wait_seconds(), Source::Assumed),
        }
    }
}

fn matching(
    findings: &Findings,
    protocol: Protocol,
    family: Family,
) -> impl Iterator<Item = &super::FoundRange> {
    findings.ranges.iter().filter(move |found| {
        found.protocol.is_none_or(|p| p == protocol) && found.family.is_none_or(|f| f == family)
    })
}

/// Two different ranges for the same sockets.
pub(super) fn contradictions(findings: &Findings, given: &Given) -> Vec<String> {
    if given.range.is_some() {
        return Vec::new();
    }
    let all = [
        (Protocol::Tcp, Family::V4, "TCP over IPv4"),
        (Protocol::Tcp, Family::V6, "TCP over IPv6"),
        (Protocol::Udp, Family::V4, "UDP over IPv4"),
        (Protocol::Udp, Family::V6, "UDP over IPv6"),
    ];
    let mut told: Vec<(PortRange, PortRange)> = Vec::new();
    let mut sentences = Vec::new();
    for (protocol, family, name) in all {
        let mut found = matching(findings, protocol, family);
        let Some(first) = found.next() else { continue };
        let unlike = |other: &&super::FoundRange| {
            other.range != first.range && other.of_windows == first.of_windows
        };
        let Some(other) = found.find(unlike) else {
            continue;
        };
        let (first, other) = (first.range, other.range);
        if !told.contains(&(first, other)) {
            sentences.push(format!(
                "the input gives two ranges for {name}, {first} and {other}: leave one out, or say \
                 --range LOW-HIGH"
            ));
            told.push((first, other));
        }
    }
    sentences
}

/// Client ports outside of an assumed range that show that it is not the one in force.
const REFUTING: u32 = 32;

/// Whether the sockets of the input refute an assumed range: a fifth of the client ports, and enough
/// of them, lie outside.
pub(super) fn refuted(range: &RangeInForce, clients: &PortSet) -> Option<String> {
    let all = clients.len();
    let outside = all - clients.count_in(range.range);
    let refutes = range.source == Source::Assumed && outside >= REFUTING && outside * 5 >= all;
    refutes.then(|| {
        format!(
            "{} of {} client ports lie outside of {}, the default range: another one is in force; \
             add it to the input, or say --range LOW-HIGH",
            crate::grouped(outside),
            crate::grouped(all),
            range.range
        )
    })
}

/// What was assumed of a range, in words.
pub(super) fn assumption(range: &RangeInForce, platform: Platform) -> String {
    let protocol = match range.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    let family = match range.family {
        Some(Family::V4) => " over IPv4",
        Some(Family::V6) => " over IPv6",
        None => "",
    };
    format!(
        "the dynamic range for {protocol}{family} is not in the input: {}, with which {} starts, is \
         assumed",
        range.range,
        platform.title()
    )
}
