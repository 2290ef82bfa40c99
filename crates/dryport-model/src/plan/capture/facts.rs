//! What a capture holds: the range in force, the ports that nobody gets, and who holds which.

use alloc::vec::Vec;

use crate::explain::{Explanation, Findings, RangeInForce, Source};
use crate::{CauseId, Family, Ledger, Level, Platform, PortRange, PortSet, Protocol};

/// Ports that the tables show to be held, of the request's protocol and family.
#[derive(Default)]
pub(super) struct Held {
    /// By TCP listeners.
    pub(super) served: PortSet,
    /// By connected sockets, and by any of UDP.
    pub(super) live: PortSet,
    /// In TIME_WAIT.
    pub(super) waiting: PortSet,
    /// By idle bound sockets.
    pub(super) bound: PortSet,
}

impl Held {
    /// `family`: `None` for both.
    pub(super) fn of(findings: &Findings, protocol: Protocol, family: Option<Family>) -> Self {
        let mut held = Self::default();
        for table in findings.tables.candidates() {
            for each in [Family::V4, Family::V6] {
                if family.is_some_and(|family| family != each) {
                    continue;
                }
                let pool = table.pool(protocol, each);
                held.served.insert_all(&pool.listening);
                held.live.insert_all(&pool.live);
                held.waiting.insert_all(&pool.waiting);
                held.bound.insert_all(&pool.bound);
            }
        }
        held
    }
}

/// Ports that services hold and a wider range might give away: of TCP listeners, and of UDP sockets
/// outside the range in force, where nobody gets a port by chance. Of the protocol and family that
/// the range governs: Windows has one for each since Vista, others one for all.
pub(super) fn services(
    findings: &Findings,
    platform: Platform,
    protocol: Protocol,
    family: Option<Family>,
    range: PortRange,
) -> PortSet {
    let split = platform == Platform::Windows;
    let family = family.filter(|_| split);
    let mut services = PortSet::new();
    if !split || protocol == Protocol::Tcp {
        services.insert_all(&Held::of(findings, Protocol::Tcp, family).served);
    }
    if !split || protocol == Protocol::Udp {
        let held = Held::of(findings, Protocol::Udp, family).live;
        let outside: Vec<u16> = held.iter().filter(|port| !range.contains(*port)).collect();
        if outside.len() <= MOST_UDP_SERVICES {
            outside.into_iter().for_each(|port| {
                services.insert(port);
            });
        }
    }
    services
}

/// More UDP ports than this are a resolver's, which asks from random ones.
const MOST_UDP_SERVICES: usize = 256;

/// Which protocol a cause says to be short of ports.
pub(super) fn dry_protocol(id: CauseId, level: Level) -> Option<Protocol> {
    if level < Level::Warning {
        return None;
    }
    match id {
        CauseId::UdpRangeDry => Some(Protocol::Udp),
        CauseId::ConnectTupleDry
        | CauseId::ConnectRangeLocked
        | CauseId::ConnectRangeDry
        | CauseId::ConnectTimeWait
        | CauseId::BindRangeDry
        | CauseId::RangeNarrow
        | CauseId::WindowsRangeDry
        | CauseId::WindowsTupleTimeWait => Some(Protocol::Tcp),
        _ => None,
    }
}

/// The range in force, and whether the input gives it.
pub(super) fn range_in_force(
    findings: &Findings,
    explanation: &Explanation,
    platform: Platform,
    protocol: Protocol,
    family: Option<Family>,
) -> (PortRange, bool) {
    let fits = |range: &&RangeInForce| {
        range.protocol == protocol
            && (range.family.is_none() || family.is_none() || range.family == family)
    };
    let ranges = &explanation.ranges;
    let found = ranges.iter().find(fits).or_else(|| {
        // Elsewhere both protocols share one.
        ranges.first().filter(|_| !platform.is_windows())
    });
    if let Some(found) = found {
        return (found.range, found.source != Source::Assumed);
    }
    let told = findings.ranges.iter().find(|found| {
        found.of_windows == platform.is_windows()
            && found.protocol.is_none_or(|p| p == protocol)
            && (family.is_none() || found.family.is_none() || found.family == family)
    });
    match told.filter(|_| !platform.is_old_windows()) {
        Some(told) => (told.range, true),
        None => (platform.default_range(), false),
    }
}

/// Ports that nobody gets.
pub(super) fn reserved(
    findings: &Findings,
    platform: Platform,
    protocol: Protocol,
    family: Option<Family>,
) -> PortSet {
    let mut reserved = PortSet::new();
    if !platform.is_windows() {
        return findings.reserved.clone().unwrap_or(reserved);
    }
    let of_request = findings.excluded.iter().filter(|excluded| {
        excluded.protocol.is_none_or(|p| p == protocol)
            && (family.is_none() || excluded.family.is_none() || excluded.family == family)
    });
    of_request.for_each(|excluded| reserved.insert_range(excluded.range));
    reserved
}

/// A ledger without a table: all taken, or all free.
pub(super) fn unseen(range: PortRange, reserved: &PortSet, is_dry: bool) -> Ledger {
    let reserved = reserved.count_in(range);
    let rest = range.size() - reserved;
    Ledger {
        in_use: if is_dry { rest } else { 0 },
        free: if is_dry { 0 } else { rest },
        reserved,
        ..Ledger::default()
    }
}
