//! macOS and FreeBSD: the first port of the range, then the maximum segment lifetime.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::candidates::{first, lower_starts};
use super::scene::Scene;
use super::{Candidate, told};
use crate::explain::Number;
use crate::plan::{Change, Conflict, ConflictKind, Scope, Setting};
use crate::{Platform, PortRange, grouped};

/// Down to here a range swallows few services.
const COMFORTABLE_LOW: u16 = 10240;
const LOWEST: u16 = 1024;
/// Waits to choose between, in seconds: twice the maximum segment lifetime.
const WAITS: [u32; 3] = [30, 20, 10];

pub(super) fn candidates(scene: &Scene<'_>) -> Vec<Candidate> {
    let now = scene.wait_seconds();
    let waits = WAITS
        .into_iter()
        .filter(|wait| *wait < now && scene.waits_matter());
    let mut candidates = Vec::new();
    for wait_seconds in [now].into_iter().chain(waits) {
        for range in ranges(scene) {
            candidates.push(Candidate {
                range,
                reserved: scene.reserved.clone(),
                wait_seconds,
                reuse: false,
            });
        }
    }
    candidates
}

/// Only the first port moves.
fn ranges(scene: &Scene<'_>) -> Vec<PortRange> {
    let high = scene.range.high();
    let default = scene.platform.default_range();
    let start = first(scene.range, default).low().min(scene.range.low());
    let mut starts = Vec::from([start]);
    starts.extend(lower_starts(start, COMFORTABLE_LOW));
    let comfortable = starts.last().copied().unwrap_or(start);
    starts.extend(lower_starts(comfortable, LOWEST));
    let ranges = starts
        .into_iter()
        .filter_map(|low| PortRange::new(low, high));
    ranges.collect()
}

pub(super) fn changes(scene: &Scene<'_>, chosen: &Candidate) -> Vec<Change> {
    let mut changes = Vec::new();
    if chosen.range.low() != scene.range.low() {
        let now = scene.number(Number::PortRangeFirst);
        changes.push(change(
            Setting::PortRangeFirst,
            now.map(|port| port.to_string()),
            chosen.range.low().to_string(),
            format!(
                "{} ports instead of {} {}.",
                grouped(chosen.range.size()),
                grouped(scene.range.size()),
                scene.whom()
            ),
        ));
        if scene.platform == Platform::MacOs {
            changes.push(change(
                Setting::PortRangeHiFirst,
                None,
                chosen.range.low().to_string(),
                "Programs that ask for the high range get the same ports.".into(),
            ));
        }
    }
    if chosen.wait_seconds < scene.wait_seconds() {
        let now = scene.number(Number::Msl);
        changes.push(change(
            Setting::Msl,
            now.map(|msl| msl.to_string()),
            (chosen.wait_seconds * 500).to_string(),
            format!(
                "A closed connection keeps its port for {} s instead of {} s.",
                chosen.wait_seconds,
                scene.wait_seconds()
            ),
        ));
    }
    changes
}

fn change(setting: Setting, from: Option<String>, to: String, why: String) -> Change {
    Change::of_sysctl(setting, (from, to), why, Scope::Machine)
}

pub(super) fn conflicts(scene: &Scene<'_>, chosen: &Candidate) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let swallowed = scene.swallowed(chosen.range);
    if !swallowed.is_empty() {
        let named = told(&scene.with_programs(&swallowed));
        conflicts.push(Conflict {
            kind: ConflictKind::Service,
            text: format!(
                "Served in the new part of the range, and may be given away while a service is down: \
                 {named}. This system reserves no single ports."
            ),
        });
    }
    if chosen.wait_seconds < scene.wait_seconds() {
        conflicts.push(Conflict {
            kind: ConflictKind::Condition,
            text: "net.inet.tcp.msl counts for every connection of the machine. Below some seconds, a \
                   peer far away may still send segments of the old connection."
                .into(),
        });
    }
    conflicts
}
