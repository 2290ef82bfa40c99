//! Windows: the dynamic range (before Vista its upper end), then the time in TIME_WAIT.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::candidates::{first, lower_starts};
use super::scene::Scene;
use super::{Candidate, told};
use crate::explain::{Number, Source};
use crate::plan::{Change, Conflict, ConflictKind, Scope, Setting};
use crate::{Family, Platform, PortRange, grouped};

/// Down to here a range swallows few services.
const COMFORTABLE_LOW: u16 = 10000;
/// `netsh` takes none below.
const LOWEST: u16 = 1025;
/// The shortest wait that Windows keeps, in seconds.
const SHORTEST_WAIT: u32 = 30;
/// Waits to choose between.
const WAITS: [u32; 3] = [120, 60, SHORTEST_WAIT];
/// Upper ends to choose between, before Vista.
const HIGH_ENDS: [u16; 8] = [10000, 15000, 20000, 30000, 40000, 50000, 60000, 65534];

/// The range down to the comfortable start, then to the lowest, then with a shorter wait.
pub(super) fn candidates(scene: &Scene<'_>) -> Vec<Candidate> {
    let comfortable = ranges(scene, COMFORTABLE_LOW);
    let deep = ranges(scene, LOWEST);
    with_waits(scene, &[comfortable, deep])
}

fn ranges(scene: &Scene<'_>, floor: u16) -> Vec<PortRange> {
    let start = first(scene.range, PortRange::IANA_DYNAMIC);
    let start = PortRange::new(start.low().max(LOWEST), start.high()).unwrap_or(start);
    let mut ranges = Vec::from([if start.size() < scene.range.size() {
        scene.range
    } else {
        start
    }]);
    let starts = [start.low()]
        .into_iter()
        .chain(lower_starts(start.low(), floor));
    ranges.extend(
        starts
            .filter_map(|low| PortRange::new(low, u16::MAX))
            .filter(|range| range.size() > scene.range.size() && range.size() > start.size()),
    );
    ranges
}

/// Before Vista the range begins at 1025.
pub(super) fn candidates_before_vista(scene: &Scene<'_>) -> Vec<Candidate> {
    let higher = HIGH_ENDS
        .into_iter()
        .filter(|high| *high > scene.range.high());
    let mut ranges = Vec::from([scene.range]);
    ranges.extend(higher.filter_map(|high| PortRange::new(scene.range.low(), high)));
    with_waits(scene, &[ranges])
}

/// Every range with the wait in force, then with shorter ones where TIME_WAITs hold the ports.
fn with_waits(scene: &Scene<'_>, stages: &[Vec<PortRange>]) -> Vec<Candidate> {
    let now = scene.wait_seconds();
    let waits = WAITS
        .into_iter()
        .filter(|wait| *wait < now && scene.waits_matter());
    let mut candidates = Vec::new();
    for wait_seconds in [now].into_iter().chain(waits) {
        for range in stages.iter().flatten() {
            candidates.push(Candidate {
                range: *range,
                reserved: scene.reserved.clone(),
                wait_seconds,
                reuse: false,
            });
        }
    }
    candidates
}

pub(super) fn changes(scene: &Scene<'_>, chosen: &Candidate) -> Vec<Change> {
    let mut changes = Vec::new();
    if chosen.range != scene.range {
        match scene.platform {
            Platform::Windows => changes.extend(dynamic_ports(scene, chosen.range)),
            _ => changes.push(max_user_port(scene, chosen.range)),
        }
    }
    if chosen.wait_seconds < scene.wait_seconds() {
        changes.push(timed_wait_delay(scene, chosen.wait_seconds));
    }
    changes
}

/// One for each family that is short, or may be.
fn dynamic_ports(scene: &Scene<'_>, range: PortRange) -> Vec<Change> {
    let families = [Family::V4, Family::V6].into_iter();
    let short = families.filter(|family| scene.family.is_none_or(|short| short == *family));
    let mut changes = Vec::new();
    for family in short {
        let (now, known) = range_of(scene, family);
        if range.size() <= now.size() {
            continue;
        }
        let text = |range: PortRange| format!("start={} num={}", range.low(), range.size());
        changes.push(Change {
            setting: Setting::DynamicPorts(family, scene.protocol),
            from: known.then(|| text(now)),
            to: text(range),
            why: why_range(scene, now, range),
            scope: Scope::Machine,
            persists: true,
            restart_needed: false,
        });
    }
    changes
}

/// The range of a family, and whether the input gives it.
fn range_of(scene: &Scene<'_>, family: Family) -> (PortRange, bool) {
    if scene.family == Some(family) {
        return (scene.range, scene.range_is_known);
    }
    let told = scene.findings.ranges.iter().find(|found| {
        found.of_windows
            && found
                .protocol
                .is_none_or(|protocol| protocol == scene.protocol)
            && found.family.is_none_or(|of| of == family)
    });
    let given = scene
        .explanation
        .ranges
        .iter()
        .find(|range| range.source == Source::Given);
    match (given, told) {
        (Some(given), _) => (given.range, true),
        (None, Some(told)) => (told.range, true),
        (None, None) => (scene.platform.default_range(), false),
    }
}

fn why_range(scene: &Scene<'_>, now: PortRange, range: PortRange) -> String {
    format!(
        "{} ports instead of {} {}.",
        grouped(range.size()),
        grouped(now.size()),
        scene.whom()
    )
}

fn max_user_port(scene: &Scene<'_>, range: PortRange) -> Change {
    let now = scene.number(Number::MaxUserPort);
    Change {
        setting: Setting::MaxUserPort,
        from: now.map(|port| port.to_string()),
        to: range.high().to_string(),
        why: why_range(scene, scene.range, range),
        scope: Scope::Machine,
        persists: true,
        restart_needed: true,
    }
}

fn timed_wait_delay(scene: &Scene<'_>, seconds: u32) -> Change {
    let now = scene.number(Number::TcpTimedWaitDelay);
    Change {
        setting: Setting::TcpTimedWaitDelay,
        from: now.map(|seconds| seconds.to_string()),
        to: seconds.to_string(),
        why: format!(
            "A closed connection keeps its port for {seconds} s instead of {} s.",
            scene.wait_seconds()
        ),
        scope: Scope::Machine,
        persists: true,
        restart_needed: true,
    }
}

pub(super) fn conflicts(scene: &Scene<'_>, chosen: &Candidate) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    conflicts.extend(services(scene, &scene.swallowed(chosen.range)));
    if chosen.range != scene.range {
        conflicts.push(firewall_condition());
    }
    if chosen.wait_seconds < scene.wait_seconds() {
        conflicts.push(wait_condition(scene));
    }
    conflicts
}

/// Services in the new part, and how to keep their ports from others.
fn services(scene: &Scene<'_>, ports: &[u16]) -> Option<Conflict> {
    let first = ports.first()?;
    let (s, are) = if ports.len() == 1 {
        ("", "is")
    } else {
        ("s", "are")
    };
    let named = told(&scene.with_programs(ports));
    let how = match scene.platform {
        Platform::Windows => {
            let family = match scene.family {
                Some(Family::V6) => "ipv6",
                _ => "ipv4",
            };
            format!(
                "Exclude each while its service is stopped: netsh int {family} add \
                 excludedportrange protocol={} startport={first} numberofports=1",
                scene.protocol.name()
            )
        }
        _ => format!(
            "Reserve each in the registry, value ReservedPorts (REG_MULTI_SZ) beside MaxUserPort: \
             {first}-{first}"
        ),
    };
    Some(Conflict {
        kind: ConflictKind::Service,
        text: format!(
            "{} port{s} in the new part of the range {are} served, and may be given away while a \
             service is down: {named}. {how}",
            ports.len()
        ),
    })
}

/// RPC listens on dynamic ports (KB 929851).
fn firewall_condition() -> Conflict {
    Conflict {
        kind: ConflictKind::Condition,
        text: "RPC services listen on ports of the range: a firewall that lets only the old range \
               through has to let the new one through as well."
            .into(),
    }
}

fn wait_condition(scene: &Scene<'_>) -> Conflict {
    let text = match scene.platform {
        Platform::Windows => {
            "TcpTimedWaitDelay counts for the whole machine. The vendor's pages differ on what Vista \
             and later start with and keep: see after the restart how long TIME_WAITs last. A server \
             behind a NAT or far away may still send segments of the old connection after 30 s."
        }
        _ => {
            "TcpTimedWaitDelay counts for the whole machine (30 to 300 s; the classic guidance gives \
             30 to 240). A peer far away may still send segments of the old connection after 30 s."
        }
    };
    Conflict {
        kind: ConflictKind::Condition,
        text: text.into(),
    }
}
