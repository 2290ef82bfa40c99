//! What a capture says of the request that is short of ports, and what other settings would make
//! of it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::facts::{Held, dry_protocol, range_in_force, reserved, services, unseen};
use super::{Candidate, ceil};
use crate::explain::{CapturedRequest, Explanation, Findings, Number, Scope, Source};
use crate::plan::{Expected, Target};
use crate::{
    CauseId, Class, Family, Headroom, Ledger, Platform, PortRange, PortSet, Protocol, Sharing,
    grouped,
};

/// Below so many TIME_WAITs nothing is estimated from them.
const FEWEST_WAITS: u32 = 60;
/// Seconds after which Linux takes a TIME_WAIT over (`tcp_tw_reuse_delay`).
const REUSE_SECONDS: f64 = 1.0;

/// The worst request of a capture.
pub(super) struct Scene<'a> {
    pub(super) findings: &'a Findings,
    pub(super) explanation: &'a Explanation,
    pub(super) platform: Platform,
    pub(super) target: &'a Target,
    /// `None`: the input holds no table.
    pub(super) request: Option<&'a CapturedRequest>,
    pub(super) protocol: Protocol,
    /// `None`: both.
    pub(super) family: Option<Family>,
    /// The range in force.
    pub(super) range: PortRange,
    /// Whether the input gives it.
    pub(super) range_is_known: bool,
    /// Ports that nobody gets now.
    pub(super) reserved: PortSet,
    /// The ledger of the request; without a table, one that the messages or the target suggest.
    ledger: Ledger,
    /// No table, but a message that says that every port is taken.
    is_dry_by_message: bool,
    held: Held,
    /// Ports that services hold.
    pub(super) services: PortSet,
}

/// What settings would give.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) expected: Expected,
    /// Ports that the target takes at once.
    pub(super) needed: u32,
}

impl Outcome {
    pub(super) const fn suffices(&self) -> bool {
        self.needed <= self.expected.capacity
    }

    pub(super) const fn lacks(&self) -> u32 {
        self.needed.saturating_sub(self.expected.capacity)
    }
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        findings: &'a Findings,
        explanation: &'a Explanation,
        platform: Platform,
        target: &'a Target,
    ) -> Option<Self> {
        let mut requests = explanation.requests.iter();
        let request = requests.find(|request| !matches!(request.scope, Scope::Nat { .. }));
        let dry = explanation
            .causes
            .iter()
            .find_map(|cause| dry_protocol(cause.id, cause.level));
        if request.is_none() && dry.is_none() && target.rate_per_second.is_none() {
            return None;
        }
        let protocol = request.map_or(dry.unwrap_or(Protocol::Tcp), |request| request.protocol);
        let family = request.and_then(|request| request.family);
        let (range, range_is_known) =
            range_in_force(findings, explanation, platform, protocol, family);
        let reserved = reserved(findings, platform, protocol, family);
        let is_dry_by_message = request.is_none() && dry.is_some();
        let ledger = match request {
            Some(request) => request.ledger,
            None => unseen(range, &reserved, is_dry_by_message),
        };
        Some(Self {
            findings,
            explanation,
            platform,
            target,
            request,
            protocol,
            family,
            range,
            range_is_known,
            reserved,
            ledger,
            is_dry_by_message,
            held: Held::of(findings, protocol, family),
            services: services(findings, platform, protocol, family, range),
        })
    }

    /// The settings in force.
    pub(super) fn present(&self) -> Candidate {
        Candidate {
            range: self.range,
            reserved: self.reserved.clone(),
            wait_seconds: self.wait_seconds(),
            reuse: self.number(Number::TcpTwReuse) == Some(1),
        }
    }

    pub(super) fn number(&self, number: Number) -> Option<u64> {
        self.findings.number(number)
    }

    /// Seconds in TIME_WAIT now.
    pub(super) fn wait_seconds(&self) -> u32 {
        let told = self.explanation.time_wait_seconds;
        told.map_or(self.platform.default_time_wait_seconds(), |(seconds, _)| {
            seconds
        })
    }

    /// Whether TIME_WAITs hold a good part of what is taken.
    pub(super) fn waits_matter(&self) -> bool {
        let waits = self.waits();
        self.protocol == Protocol::Tcp
            && (self.target.rate_per_second.is_some()
                || self.is_dry_by_message
                || waits * 2 >= self.ledger.taken_at_most() && waits > 0)
    }

    /// TIME_WAITs in the way, those included that may be.
    fn waits(&self) -> u32 {
        self.ledger.time_wait + self.uncertain_waits()
    }

    /// What the capture was judged to have left.
    pub(super) fn headroom_now(&self) -> Option<Headroom> {
        self.request.map(|request| request.headroom)
    }

    fn uncertain_waits(&self) -> u32 {
        let uncertain = self.request.map_or(0, |request| request.uncertain_waits);
        uncertain.min(self.ledger.uncertain)
    }

    /// What settings would give.
    pub(super) fn under(&self, candidate: &Candidate) -> Outcome {
        let mut ledger = self.ledger;
        self.shorten_wait(&mut ledger, candidate);
        let needed = self.needed(&ledger, candidate);
        let (added, served) = self.resize(&mut ledger, candidate);
        ledger = sum(&ledger, &added);
        let capacity = ledger.capacity() - ledger.locked;
        let capacity = capacity.saturating_sub(served);
        Outcome {
            expected: Expected {
                headroom: self.headroom(&ledger),
                capacity,
                sustainable_per_second: self.sustainable(candidate, capacity),
            },
            needed,
        }
    }

    /// TIME_WAITs that are gone sooner, or are taken over.
    fn shorten_wait(&self, ledger: &mut Ledger, candidate: &Candidate) {
        if self.reuses(candidate) {
            let uncertain = self.uncertain_waits();
            ledger.uncertain -= uncertain;
            ledger.time_wait_reusable += ledger.time_wait + uncertain;
            ledger.time_wait = 0;
        }
        let now = self.wait_seconds();
        if candidate.wait_seconds < now {
            let waits = u64::from(ledger.time_wait);
            let kept = (waits * u64::from(candidate.wait_seconds)).div_ceil(u64::from(now));
            let kept = kept.min(waits) as u32;
            ledger.free += ledger.time_wait - kept;
            ledger.time_wait = kept;
        }
    }

    /// Whether the request's TIME_WAITs are taken over by new connections.
    fn reuses(&self, candidate: &Candidate) -> bool {
        let is_pair = self
            .request
            .is_none_or(|request| matches!(request.scope, Scope::Pair { .. }));
        let possible = self.platform == Platform::Linux
            && self.protocol == Protocol::Tcp
            && is_pair
            && self.number(Number::TcpTimestamps) != Some(0);
        let on_loopback = || {
            self.number(Number::TcpTwReuse) == Some(2)
                && self
                    .request
                    .is_some_and(|request| goes_to_loopback(&request.scope))
        };
        possible && (candidate.reuse || on_loopback())
    }

    /// Takes out the ports that leave the range; the classes of those that come, and how many of
    /// these are served and so lost.
    fn resize(&self, ledger: &mut Ledger, candidate: &Candidate) -> (Ledger, u32) {
        let (old, new) = (self.range, candidate.range);
        let low = old.low().max(new.low());
        let kept = PortRange::new(low, old.high().min(new.high()));
        let staying = kept.map_or(0, PortRange::size);
        if kept.is_none() {
            *ledger = Ledger::default();
        }
        take_out(ledger, ledger.total().saturating_sub(staying));
        let mut added = Ledger::default();
        for port in new.ports().filter(|port| !old.contains(*port)) {
            added.add(self.class(port, &candidate.reserved), 1);
        }
        // A service is no client: its port never comes back.
        let served = match self.platform {
            Platform::Linux => 0,
            _ => {
                let mut served = self.held.served.clone();
                served.remove_all(&candidate.reserved);
                served.count_in(new)
            }
        };
        (added, served)
    }

    /// The class of a port that comes into the range.
    fn class(&self, port: u16, reserved: &PortSet) -> Class {
        let by_tuple = self.platform == Platform::Linux && self.protocol == Protocol::Tcp;
        match () {
            () if reserved.contains(port) => Class::Reserved,
            () if by_tuple => match () {
                () if self.held.served.contains(port) || self.held.bound.contains(port) => {
                    Class::Locked
                }
                // Of another pair, or bound to the port: only the latter stands in the way.
                () if self.held.live.contains(port) || self.held.waiting.contains(port) => {
                    Class::Uncertain
                }
                () => Class::Free,
            },
            () if self.held.served.contains(port)
                || self.held.live.contains(port)
                || self.held.bound.contains(port) =>
            {
                Class::InUse
            }
            () if self.held.waiting.contains(port) => Class::TimeWait,
            () => Class::Free,
        }
    }

    /// Ports that the target takes at once, counted like [`Expected::capacity`]. Without a rate,
    /// twice what is taken: as many are then left. Without a table nobody knows how many that is,
    /// and half as many again are asked for.
    fn needed(&self, ledger: &Ledger, candidate: &Candidate) -> u32 {
        let needed = match self.target.rate_per_second {
            Some(rate) => ceil(rate * self.seconds(candidate)),
            None if self.is_dry_by_message => ledger.in_use + ledger.in_use / 2,
            None => {
                let lost = ledger.locked + self.served_now();
                (2 * ledger.taken_at_most()).saturating_sub(lost)
            }
        };
        needed.max(1)
    }

    /// Ports of the range in force that services hold and the ledger tells as in use.
    fn served_now(&self) -> u32 {
        if self.platform == Platform::Linux || self.request.is_none() {
            return 0;
        }
        let mut served = self.held.served.clone();
        served.remove_all(&self.reserved);
        served.count_in(self.range).min(self.ledger.in_use)
    }

    /// How long one connection takes its port.
    fn seconds(&self, candidate: &Candidate) -> f64 {
        let wait = match self.protocol {
            Protocol::Udp => 0.0,
            Protocol::Tcp if self.reuses(candidate) => REUSE_SECONDS,
            Protocol::Tcp => f64::from(candidate.wait_seconds),
        };
        self.hold_seconds().unwrap_or(0.0) + wait
    }

    fn sustainable(&self, candidate: &Candidate, capacity: u32) -> Option<f64> {
        let seconds = self.seconds(candidate);
        (seconds > 0.0).then(|| f64::from(capacity) / seconds)
    }

    fn hold_seconds(&self) -> Option<f64> {
        self.target
            .hold_seconds
            .or_else(|| self.estimated_hold().map(|(hold, ..)| hold))
    }

    /// By Little's law: `waits / wait` connections a second are closed, and `live / rate` is how
    /// long one lives. Only where every TIME_WAIT lasts its whole time.
    fn estimated_hold(&self) -> Option<(f64, u32, u32)> {
        let waits = self.waits();
        let live = self.ledger.in_use.saturating_sub(self.served_now());
        let seen = self.request.is_some() && waits >= FEWEST_WAITS;
        let whole = seen && !self.reuses(&self.present());
        let hold = f64::from(live) * f64::from(self.wait_seconds()) / f64::from(waits.max(1));
        whole.then_some((hold, live, waits))
    }

    fn headroom(&self, ledger: &Ledger) -> Headroom {
        let mut headroom = Headroom {
            at_least: ledger.usable(),
            at_most: ledger.usable() + ledger.uncertain,
        };
        // An odd range of Linux may never reach one of its ports.
        let linux_tcp = self.platform == Platform::Linux && self.protocol == Protocol::Tcp;
        if linux_tcp && ledger.total() % 2 == 1 && ledger.total() > 1 {
            headroom.at_least = headroom.at_least.saturating_sub(1);
        }
        headroom
    }

    /// What was assumed, a sentence each.
    pub(super) fn assumptions(&self, chosen: &Candidate) -> Vec<String> {
        let mut assumptions = self.explanation.assumptions.clone();
        if self.is_dry_by_message {
            assumptions.push(
                "no table of sockets is in the input: every port of the range is taken to be in use, \
                 as the input says, and half as many again to be needed"
                    .into(),
            );
        } else if self.request.is_none() {
            assumptions.push(
                "no table of sockets is in the input: only the target and the range are reckoned with"
                    .into(),
            );
        }
        if self.request.is_none() && !self.range_is_known {
            assumptions.push(format!(
                "the range is not in the input: {}, with which {} starts, is assumed",
                self.range,
                self.platform.title()
            ));
        }
        assumptions.extend(self.hold_assumption());
        assumptions.extend(self.wait_assumption());
        let lists_unknown = self.platform == Platform::Linux && self.findings.reserved.is_none();
        if lists_unknown && chosen.reserved != self.reserved {
            assumptions.push(
                "net.ipv4.ip_local_reserved_ports is not in the input: no port is taken to be \
                 reserved; where some are, the lists must be merged"
                    .into(),
            );
        }
        assumptions
    }

    fn hold_assumption(&self) -> Option<String> {
        if self.protocol == Protocol::Udp || self.target.hold_seconds.is_some() {
            return None;
        }
        Some(match self.estimated_hold() {
            Some((hold, live, waits)) => format!(
                "connections live {hold:.1} s, by {} live ones to {} in TIME_WAIT (--hold gives \
                 another time)",
                grouped(live),
                grouped(waits)
            ),
            None => {
                "rates are those of connections that are closed at once (--hold tells how long \
                     yours live)"
                    .into()
            }
        })
    }

    fn wait_assumption(&self) -> Option<String> {
        let (seconds, source) = self.explanation.time_wait_seconds?;
        let assumed = source == Source::Assumed && self.protocol == Protocol::Tcp;
        assumed.then(|| {
            format!(
                "a TIME_WAIT lasts {seconds} s, with which {} starts",
                self.platform.title()
            )
        })
    }

    /// What helps where settings do not.
    pub(super) fn way_out(&self) -> &'static str {
        match self.platform.sharing() {
            _ if self.protocol == Protocol::Udp => "Use one socket for many destinations.",
            Sharing::ByTuple => {
                "Reuse connections, or spread them over more destinations or source addresses."
            }
            Sharing::Never => "Reuse connections: here every destination counts against one range.",
            _ => "Reuse connections, or use more source addresses.",
        }
    }

    /// The page that explains why the request is short.
    pub(super) fn page(&self) -> CauseId {
        let scope = self.request.map(|request| &request.scope);
        match (self.protocol, self.platform.sharing(), scope) {
            (Protocol::Udp, ..) => CauseId::UdpRangeDry,
            (_, Sharing::Never, _) => CauseId::WindowsRangeDry,
            (_, Sharing::ByTuple, Some(Scope::Any)) => CauseId::ConnectRangeLocked,
            (_, Sharing::ByTuple, _) if self.waits_matter() => CauseId::ConnectTimeWait,
            (_, Sharing::ByTuple, _) => CauseId::ConnectTupleDry,
            _ => CauseId::ConnectRangeDry,
        }
    }

    /// What the request is about, for reasons of changes.
    pub(super) const fn whom(&self) -> &'static str {
        match self.platform.sharing() {
            Sharing::ByTuple if matches!(self.protocol, Protocol::Tcp) => {
                "for each source and destination"
            }
            Sharing::BySource | Sharing::BySourceOrTuple => "for each source address",
            _ => "for all destinations together",
        }
    }

    /// Services in the part of a range that the one in force does not have, ascending.
    pub(super) fn swallowed(&self, range: PortRange) -> Vec<u16> {
        let new = range.ports().filter(|port| !self.range.contains(*port));
        new.filter(|port| self.services.contains(*port) && !self.reserved.contains(*port))
            .collect()
    }

    /// Ports with the programs that hold them, as far as a table tells.
    pub(super) fn with_programs(&self, ports: &[u16]) -> Vec<String> {
        let mut owners: Vec<Option<String>> = alloc::vec![None; ports.len()];
        for table in self.findings.tables.candidates() {
            for (process, held) in table.processes() {
                let Some(name) = self.process_name(process.0) else {
                    continue;
                };
                let mut ports_of = held.all.to_set();
                held.udp.add_to(&mut ports_of);
                for (port, owner) in ports.iter().zip(&mut owners) {
                    if owner.is_none() && ports_of.contains(*port) {
                        *owner = Some(name.clone());
                    }
                }
            }
        }
        let told = ports.iter().zip(owners);
        told.map(|(port, owner)| match owner {
            Some(owner) => format!("{port} ({owner})"),
            None => port.to_string(),
        })
        .collect()
    }

    fn process_name(&self, id: u32) -> Option<String> {
        let process = self.findings.processes.all().get(id as usize)?;
        match (&process.name, process.pid) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(pid)) => Some(format!("PID {pid}")),
            (None, None) => None,
        }
    }
}

fn goes_to_loopback(scope: &Scope) -> bool {
    let Scope::Pair { destination, .. } = scope else {
        return false;
    };
    let end: Result<core::net::SocketAddr, _> = destination.parse();
    end.is_ok_and(|end| end.ip().to_canonical().is_loopback())
}

fn sum(one: &Ledger, other: &Ledger) -> Ledger {
    let mut sum = *one;
    for class in Class::ALL {
        sum.add(class, other.count(class));
    }
    sum
}

/// Takes ports out of a ledger, the free ones first: what is taken stays counted.
fn take_out(ledger: &mut Ledger, ports: u32) {
    let mut left = ports;
    let classes = [
        &mut ledger.free,
        &mut ledger.time_wait_reusable,
        &mut ledger.reserved,
        &mut ledger.uncertain,
        &mut ledger.time_wait,
        &mut ledger.in_use,
        &mut ledger.locked,
    ];
    for count in classes {
        let taken = left.min(*count);
        *count -= taken;
        left -= taken;
    }
}
