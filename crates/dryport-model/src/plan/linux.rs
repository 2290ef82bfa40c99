//! The plan for a live Linux namespace: candidates in order of safety, of which the first that
//! suffices is taken.

use alloc::vec::Vec;

use super::{Measure, Plan, PortViews, Service, Target, known_service_ports, node_ports_in};
use crate::{
    CauseId, Claim, Ledger, Limits, PortRange, Protocol, Request, Thresholds, TimeWaitReuse,
};

mod pace;
mod tell;
#[cfg(test)]
mod tests;

/// Down to here a range swallows few services; below it only where nothing else suffices.
const COMFORTABLE_LOW: u16 = 10240;
/// The range grows downwards in steps of so many ports.
const STEP: u16 = 1024;
/// A request that the plan has to satisfy.
#[derive(Clone, Copy, Debug)]
pub struct PlannedRequest<'a> {
    /// The request.
    pub request: &'a Request,
    /// What every port would be for it.
    pub views: &'a PortViews,
}

/// What a plan for a Linux namespace is made from.
#[derive(Clone, Copy, Debug)]
pub struct LinuxFacts<'a> {
    /// The settings in force.
    pub limits: &'a Limits,
    /// `net.ipv4.ip_unprivileged_port_start`: the range cannot begin lower.
    pub unprivileged_start: u16,
    /// What has to be satisfied: the one that the numbers are told of first.
    pub requests: &'a [PlannedRequest<'a>],
    /// What programs serve.
    pub services: &'a [Service],
    /// The machine is a node of Kubernetes, and this is its own namespace.
    pub is_kubernetes_node: bool,
    /// From which use on a level is given.
    pub thresholds: Thresholds,
}

/// The smallest change that suffices, in order of safety; where none does, the one that comes
/// nearest, with [`Plan::reaches`] false and a refusal.
#[must_use]
pub fn plan_for_linux(facts: &LinuxFacts<'_>, target: &Target) -> Plan {
    let planner = Planner { facts, target };
    let candidates = planner.candidates();
    let sufficient = candidates.iter().find(|limits| planner.suffices(limits));
    let reaches = sufficient.is_some();
    let chosen = sufficient
        .cloned()
        .unwrap_or_else(|| planner.nearest(&candidates));
    Plan {
        considered: planner.considered(&candidates, &chosen),
        ..planner.plan(&chosen, reaches)
    }
}

/// What certain settings would give. Ports that a program serves are reserved besides, before the
/// range covers them.
#[must_use]
pub fn plan_with_limits(facts: &LinuxFacts<'_>, target: &Target, after: Limits) -> Plan {
    let planner = Planner { facts, target };
    let limits = planner.limits(after.range, &after);
    let takes_away = |planned: &PlannedRequest<'_>| {
        planner.capacity(planned, &limits) < planner.capacity(planned, facts.limits)
    };
    let reaches = !facts.requests.first().is_some_and(takes_away);
    planner.plan(&limits, reaches)
}

/// What the application can do about a request that is short of ports, the safest first.
#[must_use]
pub fn measures_for(request: &Request, ledger: &Ledger, causes: &[CauseId]) -> Vec<Measure> {
    let mut measures = Vec::new();
    let has = |id| causes.contains(&id);
    if has(CauseId::LeakCloseWait) || has(CauseId::LeakBound) {
        measures.push(Measure::CloseSockets);
    }
    if has(CauseId::ConnectRangeLocked) || has(CauseId::BindRangeDry) {
        measures.push(Measure::NoPortOption);
    }
    match request.claim() {
        Claim::Address { .. } if request.protocol == Protocol::Udp => {
            measures.push(Measure::ReuseUdpSockets);
        }
        Claim::Tuple {
            source,
            destination,
            ..
        } => {
            measures.push(Measure::ReuseConnections);
            if source == destination.ip().to_canonical() || destination.ip().is_loopback() {
                measures.push(Measure::UnixSocket);
            }
            if ledger.time_wait + ledger.time_wait_reusable > ledger.in_use {
                measures.push(Measure::CloseOnTheOtherSide);
            }
            measures.push(Measure::Spread);
        }
        _ => measures.push(Measure::ReuseConnections),
    }
    measures
}

struct Planner<'a> {
    facts: &'a LinuxFacts<'a>,
    target: &'a Target,
}

impl Planner<'_> {
    /// What may be tried, the safest first. Every candidate has an even number of ports, reserves
    /// what it swallows and drops nothing that is reserved.
    fn candidates(&self) -> Vec<Limits> {
        let mut candidates = Vec::new();
        if self.target.rate_per_second.is_some() {
            // It may be enough as it is.
            candidates.push(self.limits(self.facts.limits.range, self.facts.limits));
        }
        candidates.extend(self.ranges(COMFORTABLE_LOW, self.facts.limits));
        let deep = self.ranges(0, self.facts.limits);
        if let Some(reuse) = self.with_reuse() {
            if self.target.rate_per_second.is_some() {
                candidates.push(self.limits(reuse.range, &reuse));
            }
            candidates.extend(self.ranges(COMFORTABLE_LOW, &reuse));
            candidates.extend(deep);
            candidates.extend(self.ranges(0, &reuse));
            candidates.extend(self.with_shorter_delay(&reuse));
        } else {
            candidates.extend(deep);
            if self.facts.limits.tw_reuse == TimeWaitReuse::On {
                candidates.extend(self.with_shorter_delay(self.facts.limits));
            }
        }
        candidates
    }

    /// Ever wider ranges, not below `floor`, on top of `base`.
    fn ranges(&self, floor: u16, base: &Limits) -> Vec<Limits> {
        let start = self.smallest_range();
        let floor = floor.max(self.lowest());
        let mut lows = Vec::from([if even(start.low()) >= self.lowest() {
            even(start.low())
        } else {
            even_above(start.low())
        }]);
        // Round numbers are easier to remember and to compare.
        let mut low = start.low() / STEP * STEP;
        while low >= floor && low > 0 {
            lows.push(low);
            low -= STEP.min(low);
        }
        lows.push(even_above(floor));
        let mut ranges = Vec::from([start]);
        for low in lows {
            let widest = ranges.last().map_or(0, |range| range.size());
            ranges.extend(PortRange::new(low, u16::MAX).filter(|r| r.size() > widest));
        }
        ranges.dedup();
        ranges
            .into_iter()
            .map(|range| self.limits(range, base))
            .collect()
    }

    /// Where the range may begin.
    fn lowest(&self) -> u16 {
        // A range that somebody let begin lower may stay so.
        let low = self.facts.limits.range.low();
        self.facts.unprivileged_start.max(1024).min(low)
    }

    /// The range in force with an even size, or the default where that is larger. The two together
    /// where they overlap, so that no port is taken away that a firewall may know.
    fn smallest_range(&self) -> PortRange {
        let range = self.facts.limits.range;
        if range.size() < PortRange::LINUX_DEFAULT.size() {
            let default = PortRange::LINUX_DEFAULT;
            // Only where somebody has forbidden users the default's ports.
            let low = default.low().max(even_above(self.facts.unprivileged_start));
            let overlaps = range.high() >= low && range.low() <= default.high();
            let both = if overlaps {
                PortRange::new(low.min(range.low()), default.high().max(range.high()))
            } else {
                PortRange::new(low, default.high())
            };
            return both
                .filter(|both| both.size() > range.size())
                .map_or_else(|| self.evened(range), |both| self.evened(both));
        }
        self.evened(range)
    }

    /// One port more, or one less where there is no more.
    fn evened(&self, range: PortRange) -> PortRange {
        if range.size().is_multiple_of(2) {
            return range;
        }
        let (low, high) = (range.low(), range.high());
        let above = high
            .checked_add(1)
            .and_then(|high| PortRange::new(low, high));
        let below = || {
            low.checked_sub(1)
                .filter(|low| *low >= self.lowest())
                .and_then(|low| PortRange::new(low, high))
        };
        above
            .or_else(below)
            .or_else(|| PortRange::new(low + 1, high))
            .unwrap_or(range)
    }

    /// Settings with this range and what it has to leave alone.
    fn limits(&self, range: PortRange, base: &Limits) -> Limits {
        let mut reserved = base.reserved.clone();
        self.swallowed(range).for_each(|service| {
            reserved.insert(service.port);
        });
        self.known(range).for_each(|(port, _)| {
            reserved.insert(*port);
        });
        if let Some(ports) = self.node_ports(range) {
            reserved.insert_range(ports);
        }
        Limits {
            range,
            reserved,
            ..base.clone()
        }
    }

    /// Services in a range that are not reserved.
    fn swallowed(&self, range: PortRange) -> impl Iterator<Item = &Service> {
        let reserved = &self.facts.limits.reserved;
        let services = self.facts.services.iter();
        services.filter(move |s| range.contains(s.port) && !reserved.contains(s.port))
    }

    /// Ports of well-known services that this range would take and the range in force does not.
    fn known(&self, range: PortRange) -> impl Iterator<Item = &'static (u16, &'static str)> {
        let limits = self.facts.limits;
        known_service_ports().iter().filter(move |(port, _)| {
            range.contains(*port)
                && !limits.range.contains(*port)
                && !limits.reserved.contains(*port)
        })
    }

    fn node_ports(&self, range: PortRange) -> Option<PortRange> {
        let inside = node_ports_in(range)?;
        let reserved = self.facts.limits.reserved.count_in(inside);
        (self.facts.is_kubernetes_node && reserved < inside.size()).then_some(inside)
    }

    /// `tcp_tw_reuse` = 1, where that may give anything.
    fn with_reuse(&self) -> Option<Limits> {
        let limits = self.facts.limits;
        let has_rate = self.target.rate_per_second.is_some();
        let helps = |planned: &PlannedRequest<'_>| {
            let may = match planned.request.claim() {
                Claim::Tuple { .. } => true,
                // Whoever connects there will leave TIME_WAITs like any other.
                Claim::Bucket => has_rate,
                Claim::Address { .. } => false,
            };
            may && !self.is_never_reused(planned)
        };
        (limits.tw_reuse != TimeWaitReuse::On
            && limits.tcp_timestamps
            && self.facts.requests.iter().any(helps))
        .then(|| Limits {
            tw_reuse: TimeWaitReuse::On,
            ..limits.clone()
        })
    }

    /// What is there now shows that `tcp_tw_reuse` gives nothing: TIME_WAITs stay though it is on,
    /// because the peer has no timestamps, or most ports are locked, because the program binds them
    /// first (their TIME_WAITs are never taken over).
    fn is_never_reused(&self, planned: &PlannedRequest<'_>) -> bool {
        let on = Limits {
            tw_reuse: TimeWaitReuse::On,
            ..self.facts.limits.clone()
        };
        let ledger = planned.views.settled_under(planned.request, &on).ledger();
        let held = ledger.taken() + ledger.time_wait_reusable;
        let stays = ledger.time_wait > 0 && ledger.time_wait_reusable == 0;
        // A few listeners say nothing about the clients.
        let many = ledger.locked * 20 > ledger.capacity();
        stays || (many && ledger.locked * 2 > held)
    }

    /// The delay that a target rate takes, on top of the widest range with reuse.
    fn with_shorter_delay(&self, reuse: &Limits) -> Option<Limits> {
        if reuse.features.millisecond_time_wait != Some(true) {
            return None;
        }
        let rate = self.target.rate_per_second?;
        let widest = self.ranges(0, reuse).pop()?;
        let planned = self.facts.requests.first()?;
        let hold = self.pace(planned, &widest).hold.unwrap_or(0.0);
        let ports = f64::from(self.capacity(planned, &widest));
        // Half a millisecond is lost to rounding; below 10 ms a lost FIN could not be sent again.
        let delay = ((ports / rate - hold) * 1000.0) as u32;
        (10..reuse.tw_reuse_delay_ms)
            .contains(&delay)
            .then_some(Limits {
                tw_reuse_delay_ms: delay,
                ..widest
            })
    }

    /// Whether every request is satisfied.
    fn suffices(&self, limits: &Limits) -> bool {
        let requests = self.facts.requests.iter().enumerate();
        requests.into_iter().all(|(index, planned)| {
            let rate = self.target.rate_per_second.filter(|_| index == 0);
            let enough = match rate {
                Some(rate) => {
                    self.needed_for(planned, limits, rate) <= self.capacity(planned, limits)
                }
                None => true,
            };
            enough && self.has_room(planned, limits, rate.is_some())
        })
    }

    /// Without a target rate: as many ports are left as are taken now, so that twice the peak fits.
    /// With one: at least it is not short of ports.
    fn has_room(&self, planned: &PlannedRequest<'_>, limits: &Limits, has_rate: bool) -> bool {
        let taken = self.taken_now(planned);
        let after = planned.views.settled_under(planned.request, limits);
        let room = after.headroom().at_least;
        let (ledger, headroom) = (after.ledger(), after.headroom());
        if has_rate {
            // Whether old TIME_WAITs can be taken over is soon of no account.
            return self.facts.thresholds.at_best(&ledger, headroom) == crate::Level::Ok;
        }
        self.facts.thresholds.at_worst(&ledger, headroom) == crate::Level::Ok && room >= taken
    }

    /// Ports that are taken from a request under the settings in force, young TIME_WAITs that will
    /// soon be reusable left out.
    fn taken_now(&self, planned: &PlannedRequest<'_>) -> u32 {
        let ledger = self.ledger_now(planned);
        ledger.taken()
    }

    fn ledger_now(&self, planned: &PlannedRequest<'_>) -> Ledger {
        let limits = self.facts.limits;
        planned
            .views
            .settled_under(planned.request, limits)
            .ledger()
    }

    /// Of those that do not suffice, the one with the most room for the first request; the first
    /// among equals, and nothing where nothing helps.
    fn nearest(&self, candidates: &[Limits]) -> Limits {
        let Some(planned) = self.facts.requests.first() else {
            return self.facts.limits.clone();
        };
        let room = |limits: &Limits| -> u64 {
            let classes = planned.views.settled_under(planned.request, limits);
            // By the rate, where one is asked for, then by the ports.
            let asked = self.target.rate_per_second;
            let rate = asked.and(self.sustainable(planned, limits)).unwrap_or(0.0);
            (rate as u64) << 17 | u64::from(classes.headroom().at_least)
        };
        let mut best = self.facts.limits;
        for candidate in candidates {
            if room(candidate) > room(best) {
                best = candidate;
            }
        }
        best.clone()
    }
}

const fn even(port: u16) -> u16 {
    port & !1
}

const fn even_above(port: u16) -> u16 {
    port.saturating_add(port & 1)
}
