//! What a NAT has left, from a table of connections.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::SocketAddr;

use super::ports::ledger;
use super::{CapturedRequest, Findings, Scope};
use crate::{Class, Headroom, MOST_REQUESTS, PortRange, Thresholds};

/// What a NAT has left for each destination.
pub(super) fn nat_requests(findings: &Findings, thresholds: &Thresholds) -> Vec<CapturedRequest> {
    let range = PortRange::NAT_DEFAULT;
    let flows = findings.tables.nat().iter();
    let mut requests: Vec<CapturedRequest> = flows
        .map(|((protocol, outside, destination, port), bag)| {
            let used = bag.to_set();
            let ledger = ledger(range, |port| match used.contains(port) {
                true => Class::InUse,
                false => Class::Free,
            });
            let headroom = Headroom {
                at_least: ledger.free,
                at_most: ledger.free,
            };
            CapturedRequest {
                protocol: *protocol,
                family: None,
                scope: Scope::Nat {
                    outside: outside.to_string(),
                    destination: SocketAddr::new(*destination, *port).to_string(),
                },
                ledger,
                headroom,
                level: thresholds.at_best(&ledger, headroom),
                uncertain_waits: 0,
                unsure: None,
                holders: Vec::new(),
            }
        })
        .collect();
    requests.sort_by_key(|request| Reverse(request.ledger.in_use));
    requests.truncate(MOST_REQUESTS);
    requests
}
