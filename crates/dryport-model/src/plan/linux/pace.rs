//! How long a port is taken by one connection, and what follows: how many are needed for a rate, and
//! which rate can go on for ever.

use super::{PlannedRequest, Planner};
use crate::{Claim, Limits, Protocol, TimeWaitReuse};

/// Seconds in TIME_WAIT, fixed at compile time (`TCP_TIMEWAIT_LEN`).
const TIME_WAIT_SECONDS: f64 = 60.0;
/// Below so many TIME_WAITs nothing is estimated from them.
const FEWEST_WAITS: u32 = 60;

/// How long a port is taken by one connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Seconds that a connection lives. `None`: not known.
    pub(super) hold: Option<f64>,
    /// Seconds that its port is kept afterwards. `None`: not known who closes first.
    pub(super) wait: Option<f64>,
}

impl Planner<'_> {
    /// Ports that a request could hold at once: those neither reserved nor locked.
    pub(super) fn capacity(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> u32 {
        let ledger = planned.views.under(planned.request, limits).ledger();
        ledger.capacity() - ledger.locked
    }

    pub(super) fn needed_for(
        &self,
        planned: &PlannedRequest<'_>,
        limits: &Limits,
        rate: f64,
    ) -> u32 {
        let pace = self.pace(planned, limits);
        let seconds = pace.hold.unwrap_or(0.0) + pace.wait.unwrap_or(TIME_WAIT_SECONDS);
        ceil(rate * seconds).max(1)
    }

    pub(super) fn sustainable(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Option<f64> {
        let pace = self.pace(planned, limits);
        let seconds = pace.hold.unwrap_or(0.0) + pace.wait?;
        (seconds > 0.0).then(|| f64::from(self.capacity(planned, limits)) / seconds)
    }

    /// How long a connection takes its port under some settings.
    pub(super) fn pace(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Pace {
        let wait = self.wait(planned, limits);
        Pace {
            hold: self
                .target
                .hold_seconds
                .or_else(|| self.estimated_hold(planned)),
            wait,
        }
    }

    pub(super) fn wait(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Option<f64> {
        let request = planned.request;
        if request.protocol == Protocol::Udp {
            return Some(0.0);
        }
        let reused = match (request.claim(), limits.tw_reuse) {
            _ if !limits.tcp_timestamps || self.is_never_reused(planned) => false,
            (Claim::Tuple { .. } | Claim::Bucket, TimeWaitReuse::On) => true,
            (
                Claim::Tuple {
                    source,
                    destination,
                    ..
                },
                TimeWaitReuse::Loopback,
            ) => source.is_loopback() || destination.ip().to_canonical().is_loopback(),
            _ => false,
        };
        Some(if reused {
            f64::from(limits.tw_reuse_delay_ms) / 1000.0
        } else {
            TIME_WAIT_SECONDS
        })
    }

    /// By Little's law, where a TIME_WAIT lasts its 60 s: `waits / 60` connections a second are
    /// closed, and `live / rate` is how long one lives.
    pub(super) fn estimated_hold(&self, planned: &PlannedRequest<'_>) -> Option<f64> {
        let full_wait = self.wait(planned, self.facts.limits) == Some(TIME_WAIT_SECONDS);
        let ledger = self.ledger_now(planned);
        let waits = ledger.time_wait + ledger.time_wait_reusable;
        (full_wait && waits >= FEWEST_WAITS && ledger.in_use > 0)
            .then(|| f64::from(ledger.in_use) * TIME_WAIT_SECONDS / f64::from(waits))
    }
}

fn ceil(number: f64) -> u32 {
    let floor = number as u32;
    floor.saturating_add(u32::from(number > f64::from(floor)))
}
