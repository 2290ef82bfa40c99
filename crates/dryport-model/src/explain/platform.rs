//! Which platform a paste comes from.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Clue, Findings, Given, Number, Source};
use crate::{Family, Platform, PortRange, Protocol};

/// Client sockets that make the old range of Windows likely.
const ENOUGH_CLIENTS: usize = 20;

/// The platform, what was assumed, and what contradicts itself.
pub(super) fn resolve(
    findings: &Findings,
    given: &Given,
    assumptions: &mut Vec<String>,
    contradictions: &mut Vec<String>,
) -> Option<(Platform, Source)> {
    if let Some(platform) = given.platform {
        return Some((platform, Source::Given));
    }
    for clue in [Clue::Version, Clue::Capture, Clue::Setting, Clue::Message] {
        let told = told_by(findings, clue);
        match *told {
            [] => {}
            [platform] => return Some(refine(findings, clue, platform, assumptions)),
            // Messages of several systems meet in one log.
            [first, ..] if clue == Clue::Message => {
                let unlike = told.iter().any(|p| p.is_windows() != first.is_windows());
                return (!unlike).then_some((first, Source::Found));
            }
            [first, second, ..] => {
                contradictions.push(format!(
                    "the input holds captures of two systems, {} and {}: explain them one by one, \
                     or say --platform",
                    first.title(),
                    second.title()
                ));
                return None;
            }
        }
    }
    if findings.tables.rows() > 0 {
        assumptions.push("nothing tells the platform: Linux is assumed".into());
        return Some((Platform::Linux, Source::Assumed));
    }
    None
}

/// Distinct platforms of one kind of clue. A layout says "BSD" by macOS, which settings refine.
fn told_by(findings: &Findings, clue: Clue) -> Vec<Platform> {
    let clues = findings.clues.iter();
    let mut told: Vec<Platform> = clues
        .filter(|(kind, _)| *kind == clue)
        .map(|(_, platform)| *platform)
        .collect();
    told.sort_unstable();
    told
}

fn refine(
    findings: &Findings,
    clue: Clue,
    platform: Platform,
    assumptions: &mut Vec<String>,
) -> (Platform, Source) {
    if platform == Platform::MacOs
        && findings
            .clues
            .iter()
            .any(|(_, other)| *other == Platform::FreeBsd)
    {
        return (Platform::FreeBsd, Source::Found);
    }
    if platform == Platform::MacOs && clue == Clue::Capture {
        assumptions.push(
            "macOS and the BSDs write the same layout: macOS is assumed (--platform freebsd tells \
             otherwise)"
                .into(),
        );
        return (platform, Source::Assumed);
    }
    if platform != Platform::Windows || clue == Clue::Version {
        return (platform, Source::Found);
    }
    let has_range = findings.ranges.iter().any(|range| range.of_windows);
    // `MaxUserPort` alone may stand on any Windows; clients below its old end tell.
    let highest = findings
        .number(Number::MaxUserPort)
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(PortRange::WINDOWS_2003_DEFAULT.high());
    if let Some(old) = PortRange::new(1025, highest).filter(|_| !has_range)
        && looks_like_2003(findings, old)
    {
        assumptions.push(format!(
            "every client socket has a port between 1025 and {highest}: Windows Server 2003 is \
             assumed (--platform tells otherwise)"
        ));
        return (Platform::Windows2003, Source::Assumed);
    }
    (platform, Source::Found)
}

fn looks_like_2003(findings: &Findings, old: PortRange) -> bool {
    let table = findings.tables.fullest();
    let held = table.client_ports();
    let below = PortRange::new(old.low(), PortRange::IANA_DYNAMIC.low() - 1);
    let telling = below.map_or(0, |below| held.count_in(below));
    let above = held.iter().any(|port| port > old.high());
    let bound = &table.pool(Protocol::Tcp, Family::V4).bound;
    !above && bound.iter().all(|port| port <= old.high()) && telling as usize >= ENOUGH_CLIENTS
}
