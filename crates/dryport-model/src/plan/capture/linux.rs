//! Linux: the range, what it must leave alone, and the reuse of TIME_WAITs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::candidates::{first, lower_starts};
use super::scene::Scene;
use super::{Candidate, told};
use crate::explain::{Number, Scope as RequestScope};
use crate::plan::{
    Change, Conflict, ConflictKind, KUBELET_PORT, Scope, Setting, known_service_ports,
    node_ports_in,
};
use crate::{Features, Limits, PortRange, PortSet, Protocol, TimeWaitReuse, grouped};

/// Down to here a range swallows few services.
const COMFORTABLE_LOW: u16 = 10240;
/// Below it are the ports of services that start as root.
const LOWEST: u16 = 1024;

pub(super) fn candidates(scene: &Scene<'_>) -> Vec<Candidate> {
    let reuse_now = scene.present().reuse;
    let comfortable = ranges(scene, COMFORTABLE_LOW);
    let deep = ranges(scene, LOWEST);
    let with = |ranges: &[PortRange], reuse: bool| -> Vec<Candidate> {
        let candidate = |range: &PortRange| Candidate {
            range: *range,
            reserved: reserved(scene, *range),
            wait_seconds: scene.wait_seconds(),
            reuse,
        };
        ranges.iter().map(candidate).collect()
    };
    let mut candidates = with(&comfortable, reuse_now);
    if !reuse_now && may_reuse(scene) {
        candidates.extend(with(&comfortable, true));
        candidates.extend(with(&deep, reuse_now));
        candidates.extend(with(&deep, true));
    } else {
        candidates.extend(with(&deep, reuse_now));
    }
    candidates
}

/// `tcp_tw_reuse` is for connections of one pair, with timestamps.
fn may_reuse(scene: &Scene<'_>) -> bool {
    let scope = scene.request.map(|request| &request.scope);
    scene.protocol == Protocol::Tcp
        && !matches!(scope, Some(RequestScope::Any))
        && scene.number(Number::TcpTimestamps) != Some(0)
        && scene.waits_matter()
}

/// Ever wider ranges of even size, both ends of opposite parity.
fn ranges(scene: &Scene<'_>, floor: u16) -> Vec<PortRange> {
    let start = evened(first(scene.range, PortRange::LINUX_DEFAULT));
    let mut ranges = Vec::from([start]);
    let low = start.low();
    let starts = [low].into_iter().chain(lower_starts(low, floor));
    ranges.extend(
        starts
            .filter_map(|low| PortRange::new(low, u16::MAX))
            .filter(|range| range.size() > start.size()),
    );
    ranges
}

/// An even low end and an odd high one, outwards where there is room.
fn evened(range: PortRange) -> PortRange {
    let low = (range.low() & !1).max(2);
    PortRange::new(low, range.high() | 1).unwrap_or(range)
}

/// What is reserved now, and what the new part of a range would swallow.
fn reserved(scene: &Scene<'_>, range: PortRange) -> PortSet {
    let mut reserved = scene.reserved.clone();
    for port in scene.swallowed(range) {
        reserved.insert(port);
    }
    for (port, _) in known(scene, range) {
        reserved.insert(*port);
    }
    if let Some(ports) = node_ports(scene, range) {
        reserved.insert_range(ports);
    }
    reserved
}

/// Ports of well-known services that a range would take and the one in force does not.
fn known<'a>(
    scene: &'a Scene<'_>,
    range: PortRange,
) -> impl Iterator<Item = &'static (u16, &'static str)> + use<'a> {
    let (old, reserved) = (scene.range, &scene.reserved);
    known_service_ports().iter().filter(move |(port, _)| {
        range.contains(*port) && !old.contains(*port) && !reserved.contains(*port)
    })
}

/// What Kubernetes gives to services, where a kubelet listens.
fn node_ports(scene: &Scene<'_>, range: PortRange) -> Option<PortRange> {
    let inside = node_ports_in(range)?;
    let is_node = scene.services.contains(KUBELET_PORT);
    let new = !scene.range.contains(inside.low()) || !scene.range.contains(inside.high());
    let left = scene.reserved.count_in(inside) < inside.size();
    (is_node && new && left).then_some(inside)
}

pub(super) fn changes(scene: &Scene<'_>, chosen: &Candidate) -> Vec<Change> {
    let mut changes = Vec::new();
    if chosen.reserved != scene.reserved {
        changes.push(change(
            Setting::ReservedPorts,
            scene.findings.reserved.as_ref().map(PortSet::to_list),
            chosen.reserved.to_list(),
            "Automatic ports must leave these to their services, also while those are down for a \
             restart."
                .into(),
        ));
    }
    if chosen.range != scene.range {
        let text = |range: PortRange| format!("{}\t{}", range.low(), range.high());
        changes.push(change(
            Setting::LocalPortRange,
            scene.range_is_known.then(|| text(scene.range)),
            text(chosen.range),
            why_range(scene, chosen.range),
        ));
    }
    if chosen.reuse && !scene.present().reuse {
        let now = scene.number(Number::TcpTwReuse);
        changes.push(change(
            Setting::TcpTwReuse,
            now.map(|value| value.to_string()),
            "1".into(),
            "A TIME_WAIT of this host's own connections is taken over after a second instead of \
             blocking its port for 60 s."
                .into(),
        ));
    }
    changes
}

fn why_range(scene: &Scene<'_>, range: PortRange) -> String {
    if range.size() <= scene.range.size() + 1 {
        return "An odd number of ports may cost one of them: the kernel's walk misses an end."
            .into();
    }
    format!(
        "{} ports instead of {} {}.",
        grouped(range.size()),
        grouped(scene.range.size()),
        scene.whom()
    )
}

fn change(setting: Setting, from: Option<String>, to: String, why: String) -> Change {
    Change::of_sysctl(setting, (from, to), why, Scope::Namespace)
}

pub(super) fn conflicts(scene: &Scene<'_>, chosen: &Candidate) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let swallowed = scene.swallowed(chosen.range);
    conflicts.extend(listed(
        ConflictKind::Service,
        &scene.with_programs(&swallowed),
        "served in the new part of the range",
    ));
    let known: Vec<String> = known(scene, chosen.range)
        .filter(|(port, _)| !swallowed.contains(port))
        .map(|(port, name)| format!("{port} ({name})"))
        .collect();
    conflicts.extend(listed(
        ConflictKind::KnownPort,
        &known,
        "of well-known services in the new part of the range",
    ));
    if let Some(ports) = node_ports(scene, chosen.range) {
        conflicts.push(Conflict {
            kind: ConflictKind::NodePorts,
            text: format!("Kubernetes gives {ports} to services (NodePort): reserved."),
        });
    }
    if chosen.reuse && !scene.present().reuse {
        conflicts.push(reuse_condition(scene));
    }
    conflicts
}

fn reuse_condition(scene: &Scene<'_>) -> Conflict {
    let here = match scene.number(Number::TcpTimestamps) {
        Some(_) => "they are on here; the peer's cannot be seen",
        None => "net.ipv4.tcp_timestamps is not in the input; it is on where nobody changed it",
    };
    Conflict {
        kind: ConflictKind::Condition,
        text: format!(
            "tcp_tw_reuse=1 needs TCP timestamps at both ends ({here}), no NAT on the way that gives \
             several hosts one address and lets their timestamps through, and connections whose port \
             was not bound before connect()."
        ),
    }
}

fn listed(kind: ConflictKind, items: &[String], what: &str) -> Option<Conflict> {
    let (s, are) = match items.len() {
        0 => return None,
        1 => ("", "is"),
        _ => ("s", "are"),
    };
    let told = told(items);
    Some(Conflict {
        kind,
        text: format!("{} port{s} {what} {are} reserved: {told}.", items.len()),
    })
}

/// The settings with the changes. What the kernel can do is not told by a capture.
pub(super) fn limits(scene: &Scene<'_>, chosen: &Candidate) -> Limits {
    let reuse = match scene.number(Number::TcpTwReuse) {
        _ if chosen.reuse => TimeWaitReuse::On,
        Some(0) => TimeWaitReuse::Off,
        _ => TimeWaitReuse::Loopback,
    };
    Limits {
        range: chosen.range,
        reserved: chosen.reserved.clone(),
        tw_reuse: reuse,
        tcp_timestamps: scene.number(Number::TcpTimestamps) != Some(0),
        features: Features {
            bucket_recovery: None,
            shows_bound_idle: None,
            socket_range_full_walk: None,
            millisecond_time_wait: None,
        },
        ..Limits::linux_default()
    }
}
