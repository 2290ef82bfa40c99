//! The chosen settings as a plan: changes, what they meet, what was assumed, what is refused.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{PlannedRequest, Planner, even_above};
use crate::cause::grouped;
use crate::plan::{
    Change, Conflict, ConflictKind, Considered, Expected, Plan, Refusal, Scope, Service, Setting,
};
use crate::{CauseId, Claim, Class, Ledger, Limits, PortRange, Protocol, TimeWaitReuse};

/// Services and known ports told one by one.
const MOST_TOLD: usize = 12;

impl Planner<'_> {
    pub(super) fn plan(&self, limits: &Limits, reaches: bool) -> Plan {
        let first = self.facts.requests.first();
        let expected =
            |limits: &Limits| first.map_or_else(nothing, |planned| self.expected(planned, limits));
        let mut conflicts = self.conflicts(limits);
        let changes = self.changes(limits);
        if changes
            .iter()
            .any(|change| change.setting == Setting::TcpTwReuse)
        {
            let seen = first.is_some_and(|planned| {
                let after = planned.views.settled_under(planned.request, limits);
                after.ledger().time_wait_reusable > 0
            });
            conflicts.push(reuse_condition(seen));
        }
        Plan {
            advice: Vec::new(),
            refusals: if reaches {
                Vec::new()
            } else {
                self.refusal(limits).into_iter().collect()
            },
            assumptions: first.map_or_else(Vec::new, |planned| self.assumptions(planned)),
            needed: first.map_or(0, |planned| self.needed(planned, limits)),
            before: expected(self.facts.limits),
            after: expected(limits),
            reaches,
            limits_after: Some(limits.clone()),
            considered: Vec::new(),
            changes,
            conflicts,
        }
    }

    /// The ways that were weighed, by their milestones: every step in between is tried too.
    pub(super) fn considered(&self, candidates: &[Limits], chosen: &Limits) -> Vec<Considered> {
        let Some(planned) = self.facts.requests.first() else {
            return Vec::new();
        };
        let now = self.facts.limits;
        let is_milestone = |index: usize, limits: &Limits| {
            let next = candidates.get(index + 1);
            let is_last_of_its_kind = next.is_none_or(|next| {
                next.range.size() < limits.range.size() || next.tw_reuse != limits.tw_reuse
            });
            let first_to_end = limits.range.high() == u16::MAX
                && index
                    .checked_sub(1)
                    .and_then(|before| candidates.get(before))
                    .is_none_or(|before| before.range.high() != u16::MAX);
            index == 0 || is_last_of_its_kind || first_to_end
        };
        let mut weighed = Vec::from([now]);
        let all = candidates.iter().enumerate();
        weighed.extend(
            all.filter(|(index, limits)| is_milestone(*index, limits) || *limits == chosen)
                .map(|(_, limits)| limits),
        );
        let mut seen: Vec<&Limits> = Vec::new();
        weighed.retain(|limits| {
            let is_new = !seen.contains(limits);
            seen.push(limits);
            is_new
        });
        weighed
            .into_iter()
            .map(|limits| Considered {
                what: words(now, limits),
                expected: self.expected(planned, limits),
                // What is no candidate is not enough by rule: narrower than the default, or odd.
                suffices: candidates.contains(limits) && self.suffices(limits),
                is_chosen: limits == chosen,
            })
            .collect()
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
        conflicts.extend(listed(
            ConflictKind::Service,
            &services,
            "served in the range",
            "port",
        ));
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
        let now = self.facts.limits.range;
        if limits.range.low() > now.low() || limits.range.high() < now.high() {
            conflicts.push(Conflict {
                kind: ConflictKind::Condition,
                text: format!(
                    "Ports of {now} leave the range: a firewall that lets only those through has to \
                     know {} as well.",
                    limits.range
                ),
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
        if is_tcp && waits == 0 && ledger.locked == 0 {
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
        let now = self.capacity(planned, self.facts.limits);
        if capacity < now {
            return Some(Refusal {
                what: format!("{} ports instead of {}", grouped(capacity), grouped(now)),
                reason: "That takes ports away; connections fail sooner.".into(),
                page: CauseId::RangeNarrow,
            });
        }
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

/// A candidate in a few words.
fn words(now: &Limits, limits: &Limits) -> String {
    let mut words = Vec::new();
    if limits.range != now.range {
        words.push(limits.range.to_string());
    }
    if limits.tw_reuse != now.tw_reuse {
        words.push(format!("tcp_tw_reuse={}", reuse_text(limits.tw_reuse)));
    }
    if limits.tw_reuse_delay_ms != now.tw_reuse_delay_ms {
        words.push(format!("after {} ms", limits.tw_reuse_delay_ms));
    }
    match words.is_empty() {
        true if limits.reserved == now.reserved => "as it is".into(),
        true => "more ports reserved".into(),
        false => words.join(", "),
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
    Change::of_sysctl(setting, (Some(from), to), why, Scope::Namespace)
}

fn why_range(now: PortRange, after: PortRange) -> String {
    if after.size() < now.size() {
        return format!(
            "Takes ports away: {} instead of {}.",
            grouped(after.size()),
            grouped(now.size())
        );
    }
    if after.size() == now.size() + 1 && now.size() % 2 == 1 {
        return "An odd number of ports may cost one of them: the kernel's walk misses an end."
            .into();
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

fn reuse_condition(peer_has_them: bool) -> Conflict {
    let peer = if peer_has_them {
        "the peer's connections show them too"
    } else {
        "the peer's could not be seen"
    };
    Conflict {
        kind: ConflictKind::Condition,
        text: format!(
            "tcp_tw_reuse=1 needs TCP timestamps at both ends (they are on here; {peer}), programs \
             that do not bind their port before they connect, and no NAT on the way that gives \
             several hosts one address and lets their timestamps through."
        ),
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
    let mut told = items
        .iter()
        .take(MOST_TOLD)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = items.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        told.push_str(&format!(" and {more} more"));
    }
    let (s, are) = if items.len() == 1 {
        ("", "is")
    } else {
        ("s", "are")
    };
    Some(Conflict {
        kind,
        text: format!("{} {noun}{s} {what} {are} reserved: {told}.", items.len()),
    })
}

fn whole(number: f64) -> String {
    grouped((number + 0.5) as u64)
}
