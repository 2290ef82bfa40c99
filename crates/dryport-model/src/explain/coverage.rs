//! What a paste showed and what it did not.

use alloc::format;
use alloc::vec::Vec;

use super::{Findings, Number};
use crate::capture::Table;
use crate::{Coverage, Fact, Family, Platform, Protocol};

/// `by_connect`: the ports of the busiest pairs tell that `connect()` chose them.
pub(super) fn coverage(
    findings: &Findings,
    table: &Table,
    platform: Option<Platform>,
    by_connect: bool,
) -> Vec<Coverage> {
    let rows = findings.tables.rows() > 0;
    let mut coverage = Vec::new();
    let flows = !findings.tables.nat().is_empty();
    if let Some(count) = findings.number(Number::ConntrackCount)
        && flows
        && count > findings.tables.rows() * 2
    {
        coverage.push(Coverage::partial(
            Fact::Sockets,
            "capture",
            format!(
                "the table of connections has {} entries, of which {} are in the input",
                crate::grouped(count),
                crate::grouped(findings.tables.rows())
            ),
        ));
    }
    if table.is_empty() && flows {
        return coverage;
    }
    if !rows {
        coverage.push(Coverage::none(
            Fact::Sockets,
            "capture",
            "the input holds no table of sockets".into(),
        ));
        return coverage;
    }
    if table.pairs_are_incomplete() {
        coverage.push(Coverage::partial(
            Fact::Sockets,
            "capture",
            "more destinations than are kept apart; the rarest may be missing".into(),
        ));
    } else {
        coverage.push(Coverage::full(Fact::Sockets, "capture"));
    }
    if platform == Some(Platform::Linux) && by_connect {
        coverage.push(Coverage::partial(
            Fact::BindBuckets,
            "parity",
            "the parity of the busiest pairs' ports is that of connect(), so these are shared \
             between destinations; for others a capture does not tell"
                .into(),
        ));
    } else if platform == Some(Platform::Linux) {
        coverage.push(Coverage::none(
            Fact::BindBuckets,
            "capture",
            "a capture does not tell whether a client's port was bound before connect() and is \
             locked for everybody; `dryport check` on the machine does"
                .into(),
        ));
    }
    let sees_bound = [Family::V4, Family::V6]
        .into_iter()
        .any(|family| !table.pool(Protocol::Tcp, family).bound.is_empty());
    if !sees_bound {
        let how = match platform {
            Some(platform) if platform.is_old_windows() => {
                "no bound, idle socket is in it: nothing on that Windows shows them"
            }
            Some(platform) if platform.is_windows() => {
                "no bound, idle socket is in it: `netstat -anoq` or `Get-NetTCPConnection -State \
                 Bound` would show them"
            }
            Some(Platform::Linux) => {
                "no bound, idle socket is in it: `dryport see` shows them, netstat does not"
            }
            _ => "no bound, idle socket is in it: netstat does not show them",
        };
        coverage.push(Coverage::none(Fact::BoundIdle, "capture", how.into()));
    }
    coverage
}
