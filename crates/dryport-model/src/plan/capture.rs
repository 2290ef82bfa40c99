//! The plan for a captured machine: of what may be changed, in order of safety, the first that
//! suffices.
//!
//! A capture gives counts, not every socket, so that the ledger under other settings is the one
//! that was judged, with the ports that come and go added and taken away ([`Scene::under`]).
//! Nothing is left out of the new part of a range that the tables show to be held.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Expected, Plan, Refusal, Target};
use crate::explain::{Explanation, Findings, Scope};
use crate::{Platform, PortRange, PortSet, grouped};

mod bsd;
mod candidates;
mod facts;
mod linux;
mod nat;
mod scene;
#[cfg(test)]
mod tests;
mod windows;

use scene::{Outcome, Scene};

/// Settings that may be chosen between.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    range: PortRange,
    /// Ports that nobody gets: Linux' list, Windows' excluded ranges.
    reserved: PortSet,
    /// Seconds in TIME_WAIT.
    wait_seconds: u32,
    /// `tcp_tw_reuse` is 1.
    reuse: bool,
}

/// The smallest change that suffices for the worst request of an explanation, and then for those
/// like it; where none does, the one that comes nearest, with [`Plan::reaches`] false and a refusal.
/// [`Plan::advice`] is left empty. `None`: the platform is not known, the input contradicts itself,
/// or it holds nothing to plan from.
#[must_use]
pub fn plan_for_capture(
    findings: &Findings,
    explanation: &Explanation,
    target: &Target,
) -> Option<Plan> {
    let (platform, _) = explanation.platform?;
    if !explanation.contradictions.is_empty() {
        return None;
    }
    let worst = explanation.requests.first();
    if let Some(request) = worst.filter(|request| matches!(request.scope, Scope::Nat { .. })) {
        return Some(nat::plan(request, target));
    }
    let scene = Scene::new(findings, explanation, platform, target)?;
    let candidates = match platform {
        Platform::Linux => linux::candidates(&scene),
        Platform::Windows => windows::candidates(&scene),
        Platform::Windows2003 | Platform::WindowsXp => windows::candidates_before_vista(&scene),
        Platform::MacOs | Platform::FreeBsd => bsd::candidates(&scene),
    };
    let (chosen, outcome) = choose(&scene, candidates);
    Some(plan(&scene, &chosen, &outcome))
}

/// The first that suffices; of those that do not, the first of those that lack least.
fn choose(scene: &Scene<'_>, candidates: Vec<Candidate>) -> (Candidate, Outcome) {
    let mut nearest = (scene.present(), scene.under(&scene.present()));
    for candidate in candidates {
        let outcome = scene.under(&candidate);
        if outcome.suffices() {
            return (candidate, outcome);
        }
        if outcome.lacks() < nearest.1.lacks() {
            nearest = (candidate, outcome);
        }
    }
    nearest
}

fn plan(scene: &Scene<'_>, chosen: &Candidate, outcome: &Outcome) -> Plan {
    let (changes, conflicts, limits_after) = match scene.platform {
        Platform::Linux => (
            linux::changes(scene, chosen),
            linux::conflicts(scene, chosen),
            Some(linux::limits(scene, chosen)),
        ),
        platform if platform.is_windows() => (
            windows::changes(scene, chosen),
            windows::conflicts(scene, chosen),
            None,
        ),
        _ => (
            bsd::changes(scene, chosen),
            bsd::conflicts(scene, chosen),
            None,
        ),
    };
    let present = scene.under(&scene.present()).expected;
    let before = Expected {
        headroom: scene.headroom_now().unwrap_or(present.headroom),
        ..present
    };
    let reaches = outcome.suffices();
    let refusal = (!reaches).then(|| refusal(scene, outcome));
    Plan {
        advice: Vec::new(),
        changes,
        conflicts,
        refusals: refusal.into_iter().collect(),
        assumptions: scene.assumptions(chosen),
        needed: outcome.needed,
        before,
        after: outcome.expected,
        reaches,
        limits_after,
        considered: Vec::new(),
    }
}

/// What no setting gives, with the numbers.
fn refusal(scene: &Scene<'_>, outcome: &Outcome) -> Refusal {
    let capacity = grouped(outcome.expected.capacity);
    let (what, reason) = match (
        scene.target.rate_per_second,
        outcome.expected.sustainable_per_second,
    ) {
        (Some(rate), Some(most)) => (
            format!("{} connections per second", whole(rate)),
            format!(
                "No setting reaches that: {capacity} ports give {} a second at the most. {}",
                whole(most),
                scene.way_out()
            ),
        ),
        _ => (
            format!("{} ports at once", grouped(outcome.needed)),
            format!(
                "No setting gives that many: {capacity} is the most that leaves services their ports. \
                 {}",
                scene.way_out()
            ),
        ),
    };
    Refusal {
        what,
        reason,
        page: scene.page(),
    }
}

/// Services and known ports told one by one.
const MOST_TOLD: usize = 12;

/// The first few, and how many more.
fn told(items: &[String]) -> String {
    let first: Vec<&str> = items.iter().take(MOST_TOLD).map(String::as_str).collect();
    match items.len().saturating_sub(MOST_TOLD) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn whole(number: f64) -> String {
    grouped((number + 0.5) as u64)
}

fn ceil(number: f64) -> u32 {
    let floor = number as u32;
    floor.saturating_add(u32::from(number > f64::from(floor)))
}
