//! From the counts of a namespace to levels and causes.

use alloc::vec::Vec;

use crate::{
    Cause, Census, Class, Headroom, Ledger, Level, Owners, PortHolders, Request, RequestUse,
    Thresholds,
};

mod causes;

/// How many requests a report tells; the rest are counted.
pub const MOST_REQUESTS: usize = 100;

/// Everything a verdict is made from.
pub struct NamespaceFacts<'a> {
    /// The counts.
    pub census: &'a Census<'a>,
    /// Who holds which socket; `None` where nobody looked.
    pub owners: Option<&'a Owners>,
    /// From which use on a level is given.
    pub thresholds: Thresholds,
}

/// One request and how it stands.
#[derive(Clone, Debug)]
pub struct RequestVerdict {
    /// The request.
    pub request: Request,
    /// Its ledger.
    pub ledger: Ledger,
    /// Its headroom.
    pub headroom: Headroom,
    /// The level, the worse of the two ends.
    pub level: Level,
    /// Only what could not be seen makes the level worse than [`Level::Ok`].
    pub level_is_uncertain: bool,
    /// Milliseconds until the first and the last port in TIME_WAIT comes back.
    pub time_wait_left_ms: Option<(u32, u32)>,
    /// Who holds the ports.
    pub owners: PortHolders,
    /// Ports that are held, and the inode of each socket on them.
    pub holders: Vec<(u16, u32)>,
}

/// The verdict on one namespace.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The worst level of all requests and causes.
    pub level: Level,
    /// The requests judged, the worst and busiest first.
    pub requests: Vec<RequestVerdict>,
    /// Requests in use that are not told.
    pub requests_omitted: usize,
    /// Why, the worst first.
    pub causes: Vec<Cause>,
}

impl Verdict {
    /// Nothing could be judged.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            level: Level::Unknown,
            requests: Vec::new(),
            requests_omitted: 0,
            causes: Vec::new(),
        }
    }
}

/// Judges a namespace.
#[must_use]
pub fn judge(facts: &NamespaceFacts<'_>) -> Verdict {
    let census = facts.census;
    let tcp = census.tcp_requests(MOST_REQUESTS);
    let requests_omitted = census.request_count().saturating_sub(tcp.len());
    let mut uses = alloc::vec![census.any_new_destination()];
    uses.extend(tcp);
    uses.extend(census.bind_requests());
    uses.extend(census.udp_requests());
    let mut requests: Vec<RequestVerdict> = uses
        .into_iter()
        .map(|used| judge_request(used, facts))
        .collect();
    // The worst first, the busiest first among equals. The sort is stable, so "any new
    // destination" leads where all is well.
    requests.sort_by_key(|r| {
        (
            core::cmp::Reverse(r.level),
            core::cmp::Reverse(r.ledger.taken()),
        )
    });
    let mut causes = causes::find(facts, &requests);
    causes.sort_by_key(|cause| core::cmp::Reverse(cause.level));
    let worst_request = requests.iter().map(|request| request.level);
    let worst_cause = causes.iter().map(|cause| cause.level);
    let level = worst_request
        .chain(worst_cause)
        .max()
        .unwrap_or(Level::Unknown);
    Verdict {
        level,
        requests,
        requests_omitted,
        causes,
    }
}

fn judge_request(used: RequestUse, facts: &NamespaceFacts<'_>) -> RequestVerdict {
    let best = facts.thresholds.at_best(&used.ledger, used.headroom);
    let worst = facts.thresholds.at_worst(&used.ledger, used.headroom);
    RequestVerdict {
        request: used.request,
        ledger: used.ledger,
        headroom: used.headroom,
        level: worst,
        level_is_uncertain: best != worst,
        time_wait_left_ms: used.time_wait_left_ms,
        owners: facts
            .owners
            .map(|owners| owners.holders(used.holders.iter().copied()))
            .unwrap_or_default(),
        holders: used.holders,
    }
}

impl RequestVerdict {
    /// The class that takes most of the ports; `None` where none is taken.
    #[must_use]
    pub fn main_class(&self) -> Option<Class> {
        [Class::Locked, Class::InUse, Class::TimeWait]
            .into_iter()
            .filter(|class| self.ledger.count(*class) > 0)
            .max_by_key(|class| self.ledger.count(*class))
    }
}
