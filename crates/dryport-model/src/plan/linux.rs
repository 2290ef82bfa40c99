//! The plan for a live Linux namespace: candidates in order of safety, of which the first that
//! suffices is taken.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    Change, Conflict, ConflictKind, Expected, Measure, Plan, PortViews, Refusal, Scope, Service, Setting,
    Target, known_service_ports,
};
use crate::cause::grouped;
use crate::{
    CauseId, Claim, Class, Ledger, Limits, PortRange, Protocol, Request,
    Thresholds, TimeWaitReuse,
};

/// Seconds in TIME_WAIT, fixed at compile time (`TCP_TIMEWAIT_LEN`).
const TIME_WAIT_SECONDS: f64 = 60.0;
/// Down to here a range swallows few services; below it only where nothing else suffices.
const COMFORTABLE_LOW: u16 = 10240;
/// The range grows downwards in steps of so many ports.
const STEP: u16 = 1024;
/// Ports that Kubernetes gives to services on every node.
const NODE_PORTS: (u16, u16) = (30000, 32767);
/// Services and known ports told one by one.
const MOST_TOLD: usize = 12;
/// Below so many TIME_WAITs nothing is estimated from them.
const FEWEST_WAITS: u32 = 60;

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
    let chosen = sufficient.cloned().unwrap_or_else(|| planner.nearest(&candidates));
    planner.plan(&chosen, reaches)
}

/// What certain settings would give. Ports that a program serves are reserved besides, before the
/// range covers them.
#[must_use]
pub fn plan_with_limits(facts: &LinuxFacts<'_>, target: &Target, after: Limits) -> Plan {
    let planner = Planner { facts, target };
    let limits = planner.limits(after.range, &after);
    planner.plan(&limits, true)
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

/// How long a port is taken by one connection.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pace {
    /// Seconds that a connection lives. `None`: not known.
    hold: Option<f64>,
    /// Seconds that its port is kept afterwards. `None`: not known who closes first.
    wait: Option<f64>,
}

impl Planner<'_> {
    /// What may be tried, the safest first. Every candidate has an even number of ports, reserves
    /// what it swallows and drops nothing that is reserved.
    fn candidates(&self) -> Vec<Limits> {
        let mut candidates = self.ranges(COMFORTABLE_LOW, self.facts.limits);
        let deep = self.ranges(0, self.facts.limits);
        if let Some(reuse) = self.with_reuse() {
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
        let mut ranges = Vec::from([start]);
        let to_end = PortRange::new(even(start.low()), u16::MAX).unwrap_or(start);
        if to_end.size() > start.size() && to_end.low() >= self.lowest() {
            ranges.push(to_end);
        }
        // Round numbers are easier to remember and to compare.
        let mut low = to_end.low() / STEP * STEP;
        while low >= floor && low > 0 {
            ranges.extend(PortRange::new(low, u16::MAX).filter(|r| r.size() > to_end.size()));
            low -= STEP.min(low);
        }
        let lowest = even_above(floor);
        ranges.extend(PortRange::new(lowest, u16::MAX).filter(|r| r.size() > to_end.size()));
        ranges.dedup();
        ranges
            .into_iter()
            .map(|range| self.limits(range, base))
            .collect()
    }

    /// Where the range may begin.
    fn lowest(&self) -> u16 {
        self.facts.unprivileged_start.max(1024)
    }

    /// The range in force with an even size, or the default where that is larger.
    fn smallest_range(&self) -> PortRange {
        let range = self.facts.limits.range;
        if range.size() < PortRange::LINUX_DEFAULT.size() {
            let default = PortRange::LINUX_DEFAULT;
            // Only where somebody has forbidden users the default's ports.
            return PortRange::new(default.low().max(even_above(self.lowest())), default.high())
                .filter(|default| default.size() > range.size())
                .unwrap_or_else(|| self.evened(range));
        }
        self.evened(range)
    }

    /// One port more, or one less where there is no more.
    fn evened(&self, range: PortRange) -> PortRange {
        if range.size().is_multiple_of(2) {
            return range;
        }
        let (low, high) = (range.low(), range.high());
        let above = high.checked_add(1).and_then(|high| PortRange::new(low, high));
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
        let (low, high) = (range.low().max(NODE_PORTS.0), range.high().min(NODE_PORTS.1));
        let inside = PortRange::new(low, high)?;
        let reserved = self.facts.limits.reserved.count_in(inside);
        (self.facts.is_kubernetes_node && reserved < inside.size()).then_some(inside)
    }

    /// `tcp_tw_reuse` = 1, where that may give anything.
    fn with_reuse(&self) -> Option<Limits> {
        let limits = self.facts.limits;
        let has_rate = self.target.rate_per_second.is_some();
        let helps = |planned: &PlannedRequest<'_>| match planned.request.claim() {
            Claim::Tuple { .. } => true,
            // Whoever connects there will leave TIME_WAITs like any other.
            Claim::Bucket => has_rate,
            Claim::Address { .. } => false,
        };
        (limits.tw_reuse != TimeWaitReuse::On
            && limits.tcp_timestamps
            && self.facts.requests.iter().any(helps))
        .then(|| Limits {
            tw_reuse: TimeWaitReuse::On,
            ..limits.clone()
        })
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
        (10..reuse.tw_reuse_delay_ms).contains(&delay).then_some(Limits {
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
                Some(rate) => self.needed_for(planned, limits, rate) <= self.capacity(planned, limits),
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
        planned.views.settled_under(planned.request, limits).ledger()
    }

    /// Of those that do not suffice, the one with the most room for the first request; the first
    /// among equals, and nothing where nothing helps.
    fn nearest(&self, candidates: &[Limits]) -> Limits {
        let Some(planned) = self.facts.requests.first() else {
            return self.facts.limits.clone();
        };
        let room = |limits: &Limits| -> u64 {
            let classes = planned.views.settled_under(planned.request, limits);
            let rate = self.sustainable(planned, limits).unwrap_or(0.0);
            // By the rate, then by the ports.
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

    /// Ports that a request could hold at once: those neither reserved nor locked.
    fn capacity(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> u32 {
        let ledger = planned.views.under(planned.request, limits).ledger();
        ledger.capacity() - ledger.locked
    }

    fn needed_for(&self, planned: &PlannedRequest<'_>, limits: &Limits, rate: f64) -> u32 {
        let pace = self.pace(planned, limits);
        let seconds = pace.hold.unwrap_or(0.0) + pace.wait.unwrap_or(TIME_WAIT_SECONDS);
        ceil(rate * seconds).max(1)
    }

    fn sustainable(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Option<f64> {
        let pace = self.pace(planned, limits);
        let seconds = pace.hold.unwrap_or(0.0) + pace.wait?;
        (seconds > 0.0).then(|| f64::from(self.capacity(planned, limits)) / seconds)
    }

    /// How long a connection takes its port under some settings.
    fn pace(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Pace {
        let wait = self.wait(planned, limits);
        Pace {
            hold: self.target.hold_seconds.or_else(|| self.estimated_hold(planned)),
            wait,
        }
    }

    fn wait(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Option<f64> {
        let request = planned.request;
        if request.protocol == Protocol::Udp {
            return Some(0.0);
        }
        let reused = match (request.claim(), limits.tw_reuse) {
            _ if !limits.tcp_timestamps => false,
            (Claim::Tuple { .. } | Claim::Bucket, TimeWaitReuse::On) => true,
            (Claim::Tuple { source, destination, .. }, TimeWaitReuse::Loopback) => {
                source.is_loopback() || destination.ip().to_canonical().is_loopback()
            }
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
    fn estimated_hold(&self, planned: &PlannedRequest<'_>) -> Option<f64> {
        let full_wait = self.wait(planned, self.facts.limits) == Some(TIME_WAIT_SECONDS);
        let ledger = self.ledger_now(planned);
        let waits = ledger.time_wait + ledger.time_wait_reusable;
        (full_wait && waits >= FEWEST_WAITS)
            .then(|| f64::from(ledger.in_use) * TIME_WAIT_SECONDS / f64::from(waits))
    }

    fn plan(&self, limits: &Limits, reaches: bool) -> Plan {
        let first = self.facts.requests.first();
        let expected = |limits: &Limits| {
            first.map_or_else(nothing, |planned| self.expected(planned, limits))
        };
        let mut conflicts = self.conflicts(limits);
        let changes = self.changes(limits);
        if changes.iter().any(|change| change.setting == Setting::TcpTwReuse) {
            conflicts.push(reuse_condition());
        }
        Plan {
            advice: Vec::new(),
            refusals: if reaches { Vec::new() } else { self.refusal(limits).into_iter().collect() },
            assumptions: first.map_or_else(Vec::new, |planned| self.assumptions(planned)),
            needed: first.map_or(0, |planned| self.needed(planned, limits)),
            before: expected(self.facts.limits),
            after: expected(limits),
            reaches,
            limits_after: Some(limits.clone()),
            changes,
            conflicts,
        }
    }

    fn expected(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> Expected {
        Expected {
            headroom: planned.views.under(planned.request, limits).headroom(),
            capacity: self.capacity(planned, limits),
            sustainable_per_second: self.sustainable(planned, limits),
        }
    }

    fn needed(&self, planned: &PlannedRequest<'_>, limits: &Limits) -> u32 {
        match self.target.rate_per_second {
            Some(rate) => self.needed_for(planned, limits, rate),
            None => 2 * self.taken_now(planned),
        }
    }

    fn changes(&self, limits: &Limits) -> Vec<Change> {
        let now = self.facts.limits;
        let mut changes = Vec::new();
        if limits.reserved != now.reserved {
            changes.push(change(
                Setting::ReservedPorts,
                now.reserved.to_list(),
                limits.reserved.to_list(),
                "Automatic ports must leave these to their services, also while those are down for a \
                 restart."
                    .into(),
            ));
        }
        if limits.range != now.range {
            let text = |range: PortRange| format!("{}\t{}", range.low(), range.high());
            changes.push(change(
                Setting::LocalPortRange,
                text(now.range),
                text(limits.range),
                why_range(now.range, limits.range),
            ));
        }
        if limits.tw_reuse != now.tw_reuse {
            changes.push(change(
                Setting::TcpTwReuse,
                reuse_text(now.tw_reuse).into(),
                reuse_text(limits.tw_reuse).into(),
                "A TIME_WAIT of this host's own connections is taken over after a second instead of \
                 blocking its port for 60 s."
                    .into(),
            ));
        }
        if limits.tw_reuse_delay_ms != now.tw_reuse_delay_ms {
            changes.push(change(
                Setting::TcpTwReuseDelay,
                now.tw_reuse_delay_ms.to_string(),
                limits.tw_reuse_delay_ms.to_string(),
                "A TIME_WAIT is taken over sooner; the target rate needs it.".into(),
            ));
        }
        changes
    }

    fn conflicts(&self, limits: &Limits) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let services: Vec<String> = self.swallowed(limits.range).map(service_text).collect();
        conflicts.extend(listed(ConflictKind::Service, &services, "served in the range", "port"));
        let known: Vec<String> = self
            .known(limits.range)
            .filter(|(port, _)| !self.facts.services.iter().any(|s| s.port == *port))
            .map(|(port, name)| format!("{port} ({name})"))
            .collect();
        conflicts.extend(listed(
            ConflictKind::KnownPort,
            &known,
            "of well-known services in the new part of the range",
            "port",
        ));
        if let Some(ports) = self.node_ports(limits.range) {
            conflicts.push(Conflict {
                kind: ConflictKind::NodePorts,
                text: format!("Kubernetes gives {ports} to services (NodePort): reserved."),
            });
        }
        if limits.range.low() == even_above(self.lowest()) && self.facts.unprivileged_start > 1024 {
            conflicts.push(Conflict {
                kind: ConflictKind::UnprivilegedStart,
                text: format!(
                    "The range cannot begin below ip_unprivileged_port_start ({}).",
                    self.facts.unprivileged_start
                ),
            });
        }
        conflicts
    }

    fn assumptions(&self, planned: &PlannedRequest<'_>) -> Vec<String> {
        let mut assumptions = Vec::new();
        let is_tcp = planned.request.protocol == Protocol::Tcp;
        let ledger = self.ledger_now(planned);
        let waits = ledger.time_wait + ledger.time_wait_reusable;
        if is_tcp && self.target.hold_seconds.is_none() {
            assumptions.push(match self.estimated_hold(planned) {
                Some(hold) => format!(
                    "Connections live {hold:.1} s, by {} live ones to {} in TIME_WAIT (--hold gives \
                     another time).",
                    grouped(ledger.in_use),
                    grouped(waits)
                ),
                None => "Rates are those of connections that are closed at once (--hold tells how \
                         long yours live)."
                    .into(),
            });
        }
        if is_tcp && waits == 0 {
            assumptions.push(
                "This side closes first, so that each port then waits in TIME_WAIT: none is there to \
                 tell."
                    .into(),
            );
        }
        assumptions
    }

    fn refusal(&self, nearest: &Limits) -> Option<Refusal> {
        let planned = self.facts.requests.first()?;
        let most = self.sustainable(planned, nearest);
        let capacity = self.capacity(planned, nearest);
        let page = page_of(planned, self.ledger_now(planned));
        Some(match (self.target.rate_per_second, most) {
            (Some(rate), Some(most)) if most < rate => Refusal {
                what: format!("{} connections per second", whole(rate)),
                reason: format!(
                    "No setting reaches that: {} ports for one source and destination give {} a \
                     second at the most. Reuse connections, or spread them over more destinations or \
                     source addresses.",
                    grouped(capacity),
                    whole(most)
                ),
                page: CauseId::ConnectTimeWait,
            },
            _ => Refusal {
                what: format!("{} ports at once", grouped(self.needed(planned, nearest))),
                reason: format!(
                    "No setting gives that many: the widest range that leaves services their ports \
                     has {}. The application has to ask for fewer.",
                    grouped(capacity)
                ),
                page,
            },
        })
    }
}

/// The page that explains why a request is short of ports.
fn page_of(planned: &PlannedRequest<'_>, ledger: Ledger) -> CauseId {
    match planned.request.claim() {
        Claim::Bucket => CauseId::ConnectRangeLocked,
        Claim::Address { .. } if planned.request.protocol == Protocol::Udp => CauseId::UdpRangeDry,
        Claim::Address { .. } => CauseId::BindRangeDry,
        Claim::Tuple { .. } if ledger.count(Class::Locked) * 2 > ledger.taken() => {
            CauseId::ConnectRangeLocked
        }
        Claim::Tuple { .. } if ledger.time_wait * 2 >= ledger.taken() => CauseId::ConnectTimeWait,
        Claim::Tuple { .. } => CauseId::ConnectTupleDry,
    }
}

fn nothing() -> Expected {
    Expected {
        headroom: crate::Headroom {
            at_least: 0,
            at_most: 0,
        },
        capacity: 0,
        sustainable_per_second: None,
    }
}

fn change(setting: Setting, from: String, to: String, why: String) -> Change {
    Change {
        setting,
        from: Some(from),
        to,
        why,
        scope: Scope::Namespace,
        persists: false,
        restart_needed: false,
    }
}

fn why_range(now: PortRange, after: PortRange) -> String {
    let more = after.size().saturating_sub(now.size());
    if more <= 1 {
        return "An odd number of ports may cost one of them: the kernel's walk misses an end.".into();
    }
    format!(
        "{} ports instead of {} for each source and destination.",
        grouped(after.size()),
        grouped(now.size())
    )
}

const fn reuse_text(reuse: TimeWaitReuse) -> &'static str {
    match reuse {
        TimeWaitReuse::Off => "0",
        TimeWaitReuse::On => "1",
        TimeWaitReuse::Loopback => "2",
    }
}

fn reuse_condition() -> Conflict {
    Conflict {
        kind: ConflictKind::Condition,
        text: "tcp_tw_reuse=1 needs TCP timestamps at both ends (they are on here; the peer's cannot \
               be seen), and no NAT on the way that gives several hosts one address and lets their \
               timestamps through."
            .into(),
    }
}

fn service_text(service: &Service) -> String {
    let udp = if service.protocol == Protocol::Udp {
        " UDP"
    } else {
        ""
    };
    match &service.program {
        Some(program) => format!("{}{udp} ({program})", service.port),
        None => format!("{}{udp}", service.port),
    }
}

fn listed(kind: ConflictKind, items: &[String], what: &str, noun: &str) -> Option<Conflict> {
    if items.is_empty() {
        return None;
    }
    let mut told = items.iter().take(MOST_TOLD).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = items.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        told.push_str(&format!(" and {more} more"));
    }
    let (s, are) = if items.len() == 1 { ("", "is") } else { ("s", "are") };
    Some(Conflict {
        kind,
        text: format!("{} {noun}{s} {what} {are} reserved: {told}.", items.len()),
    })
}

const fn even(port: u16) -> u16 {
    port & !1
}

const fn even_above(port: u16) -> u16 {
    port.saturating_add(port & 1)
}

fn ceil(number: f64) -> u32 {
    let floor = number as u32;
    floor.saturating_add(u32::from(number > f64::from(floor)))
}

fn whole(number: f64) -> String {
    grouped((number + 0.5) as u64)
}
