//! A NAT that is short of ports: no setting of the machines behind it helps.

use alloc::format;
use alloc::vec::Vec;

use super::ceil;
use crate::explain::{CapturedRequest, Scope};
use crate::plan::{Expected, Plan, Refusal, Target};
use crate::{CauseId, grouped};

/// Seconds for which connection tracking keeps a closed connection
/// (`nf_conntrack_tcp_timeout_time_wait`).
const WAIT_SECONDS: f64 = 120.0;

pub(super) fn plan(request: &CapturedRequest, target: &Target) -> Plan {
    let ledger = &request.ledger;
    let capacity = ledger.capacity();
    let seconds = target.hold_seconds.unwrap_or(0.0) + WAIT_SECONDS;
    let needed = match target.rate_per_second {
        Some(rate) => ceil(rate * seconds),
        None => 2 * ledger.taken_at_most(),
    };
    let needed = needed.max(1);
    let expected = Expected {
        headroom: request.headroom,
        capacity,
        sustainable_per_second: Some(f64::from(capacity) / seconds),
    };
    let reaches = needed <= capacity;
    let refusal = (!reaches).then(|| refusal(request, needed));
    Plan {
        advice: Vec::new(),
        changes: Vec::new(),
        conflicts: Vec::new(),
        refusals: refusal.into_iter().collect(),
        assumptions: Vec::from(["A NAT keeps the port of a closed connection for 120 s.".into()]),
        needed,
        before: expected,
        after: expected,
        reaches,
        limits_after: None,
        considered: Vec::new(),
    }
}

fn refusal(request: &CapturedRequest, needed: u32) -> Refusal {
    let (outside, destination) = match &request.scope {
        Scope::Nat {
            outside,
            destination,
        } => (outside.as_str(), destination.as_str()),
        _ => ("the NAT", "its destination"),
    };
    Refusal {
        what: format!("{} ports of the NAT at once", grouped(needed)),
        reason: format!(
            "{outside} has {} ports for {destination}, and no range of the machines behind it changes \
             that: give the NAT more outside addresses, or go around it.",
            grouped(request.ledger.capacity())
        ),
        page: CauseId::NatTupleDry,
    }
}
