//! The causes of a live Linux namespace, each from its own evidence.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{NamespaceFacts, RequestVerdict};
use crate::cause::grouped;
use crate::{
    BoundSocket, Cause, CauseId, Claim, Evidence, Level, Method, PortHolders, PortRange, Protocol,
    Remedy, State, TimeWaitReuse,
};

/// A share of the range from which on a leak or a lock is worth a note, in percent.
const WORTH_A_NOTE_PERCENT: u32 = 5;
/// A namespace with fewer usable ports than this is called narrow.
const NARROW: u32 = 8192;

/// All causes that the facts show.
pub(super) fn find(facts: &NamespaceFacts<'_>, requests: &[RequestVerdict]) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(range_locked(requests));
    causes.extend(tuple_dry(requests));
    causes.extend(time_wait(facts, requests));
    causes.extend(bind_dry(requests));
    causes.extend(udp_dry(requests));
    causes.extend(slow(requests));
    causes.extend(close_wait(facts, requests));
    causes.extend(bound_leak(facts, requests));
    causes.extend(narrow(facts, requests));
    causes.extend(odd_size(facts));
    causes.extend(overlaps_listener(facts));
    causes
}

/// A request as a sentence names it: `10.0.0.1 to 10.0.0.2:443`.
fn name(request: &crate::Request) -> String {
    match (
        request.source,
        request.destination,
        request.protocol,
        request.method,
    ) {
        (_, _, Protocol::Udp, Method::Connect) => String::from("UDP sockets"),
        (Some(source), _, _, Method::Bind) => format!("bind({source}, 0)"),
        (Some(source), Some(destination), _, _) => match request.port_range {
            None => format!("{source} to {destination}"),
            Some(own) => format!(
                "{source} to {destination} with the program's own ports {}-{}",
                own.low, own.high
            ),
        },
        _ => String::from("any new destination"),
    }
}

fn nearly(level: Level) -> &'static str {
    if level == Level::Critical {
        ""
    } else {
        "nearly "
    }
}

/// How many ports are taken, in words: the certain ones, and those that may be.
fn taken(request: &RequestVerdict) -> String {
    let (least, most) = (request.ledger.taken(), request.ledger.taken_at_most());
    let capacity = grouped(request.ledger.capacity());
    if least == most {
        format!("{} of {capacity}", grouped(least))
    } else {
        format!("{} to {} of {capacity}", grouped(least), grouped(most))
    }
}

fn left(request: &RequestVerdict) -> String {
    let headroom = request.headroom;
    if headroom.is_exact() {
        grouped(headroom.at_least)
    } else {
        format!(
            "{} to {}",
            grouped(headroom.at_least),
            grouped(headroom.at_most)
        )
    }
}

fn evidence(name: &'static str, value: u32, what: &str) -> Evidence {
    Evidence {
        name,
        value: u64::from(value),
        text: format!("{} {what}", grouped(value)),
    }
}

fn remedy(id: &'static str, summary: &str, command: Option<&str>, restart_needed: bool) -> Remedy {
    Remedy {
        id,
        summary: summary.into(),
        command: command.map(String::from),
        restart_needed,
    }
}

fn ledger_evidence(request: &RequestVerdict) -> Vec<Evidence> {
    let ledger = &request.ledger;
    [
        ("in_use", ledger.in_use, "in use by live sockets"),
        (
            "time_wait",
            ledger.time_wait,
            "in TIME_WAIT that cannot be taken over now",
        ),
        ("locked", ledger.locked, "locked by bound sockets"),
        ("reserved", ledger.reserved, "reserved"),
        ("uncertain", ledger.uncertain, "could not be seen"),
        ("headroom", request.headroom.at_least, "left for certain"),
    ]
    .into_iter()
    .filter(|(name, value, _)| *value > 0 || *name == "headroom")
    .map(|(name, value, what)| evidence(name, value, what))
    .collect()
}

fn reuse_connections() -> Remedy {
    remedy(
        "reuse-connections",
        "Keep connections open and reuse them (keep-alive, a pool): each request then costs no port.",
        Some("dryport see --by process"),
        true,
    )
}

fn no_port_option() -> Remedy {
    remedy(
        "bind-address-no-port",
        "Let the program set IP_BIND_ADDRESS_NO_PORT before it binds its source address (nginx \
         proxy_bind and HAProxy source do so themselves): its ports are then shared again.",
        None,
        true,
    )
}

fn widen_range() -> Remedy {
    remedy(
        "widen-range",
        "Widen net.ipv4.ip_local_port_range, and reserve the service ports that it would swallow.",
        Some("dryport fix"),
        false,
    )
}

/// A program that confines itself has to let go itself.
fn wider_range_for(request: &crate::Request) -> Remedy {
    if request.port_range.is_none() {
        return widen_range();
    }
    remedy(
        "widen-own-range",
        "Let the program ask for more ports (IP_LOCAL_PORT_RANGE): it confines itself to its own \
         range, and the system's setting gives it none.",
        None,
        true,
    )
}

fn is_tuple(request: &RequestVerdict) -> bool {
    matches!(request.request.claim(), Claim::Tuple { .. })
}

/// Bound sockets burn the range for every destination.
fn range_locked(requests: &[RequestVerdict]) -> Option<Cause> {
    let any = requests
        .iter()
        .find(|r| r.request.claim() == Claim::Bucket)?;
    let share = any.ledger.locked * 100 / any.ledger.capacity().max(1);
    if any.level < Level::Warning && share < WORTH_A_NOTE_PERCENT {
        return None;
    }
    let certain = if any.level_is_uncertain && any.ledger.locked == 0 {
        format!("Up to {} of", grouped(any.ledger.uncertain))
    } else {
        format!("{} of", grouped(any.ledger.locked))
    };
    let summary = format!(
        "{certain} {} ports are locked by bound sockets: no connect() to any destination can use them.",
        grouped(any.ledger.capacity())
    );
    Some(Cause {
        id: CauseId::ConnectRangeLocked,
        level: if any.level >= Level::Warning {
            any.level
        } else {
            Level::Ok
        },
        summary,
        evidence: ledger_evidence(any),
        owners: any.owners.clone(),
        remedies: [no_port_option(), widen_range()].into(),
        avoid: [
            "tcp_tw_reuse cannot help: a port that was bound stays locked for its whole TIME_WAIT."
                .into(),
        ]
        .into(),
    })
}

/// One source and destination have used up their range.
fn tuple_dry(requests: &[RequestVerdict]) -> Vec<Cause> {
    let dry = requests.iter().filter(|r| {
        is_tuple(r) && r.level >= Level::Warning && r.ledger.locked <= r.ledger.taken() / 2
    });
    dry.take(10)
        .map(|request| Cause {
            id: CauseId::ConnectTupleDry,
            level: request.level,
            summary: format!(
                "{} has {}used up its range: {} ports taken, {} left.",
                name(&request.request),
                nearly(request.level),
                taken(request),
                left(request),
            ),
            evidence: ledger_evidence(request),
            owners: request.owners.clone(),
            remedies: [
                reuse_connections(),
                remedy(
                    "spread",
                    "Spread the connections over more destination addresses or ports, or over more \
                     source addresses: each pair has a range of its own.",
                    None,
                    true,
                ),
                wider_range_for(&request.request),
            ]
            .into(),
            avoid: ["Raising the descriptor limit or tcp_fin_timeout gives no port back.".into()]
                .into(),
        })
        .collect()
}

/// Connections are opened and closed faster than TIME_WAIT lets go.
fn time_wait(facts: &NamespaceFacts<'_>, requests: &[RequestVerdict]) -> Option<Cause> {
    let request = requests.iter().find(|r| {
        is_tuple(r)
            && r.level >= Level::Warning
            && r.ledger.time_wait > 0
            && r.ledger.time_wait * 2 >= r.ledger.taken()
    })?;
    let back = request
        .time_wait_left_ms
        .map_or_else(String::new, |(first, last)| {
            match (first.div_ceil(1000), last.div_ceil(1000)) {
                (first, last) if first == last => format!(" They come back in {last} s."),
                (first, last) => format!(" They come back in {first} to {last} s."),
            }
        });
    Some(Cause {
        id: CauseId::ConnectTimeWait,
        level: request.level,
        summary: format!(
            "{} ports from {} wait in TIME_WAIT: connections are closed here faster than the 60 s \
             wait lets go.{back}",
            grouped(request.ledger.time_wait),
            name(&request.request),
        ),
        evidence: ledger_evidence(request),
        owners: request.owners.clone(),
        remedies: time_wait_remedies(facts),
        avoid: [
            "tcp_fin_timeout does not shorten TIME_WAIT; tcp_tw_recycle is gone since Linux 4.12."
                .into(),
        ]
        .into(),
    })
}

fn time_wait_remedies(facts: &NamespaceFacts<'_>) -> Vec<Remedy> {
    let close_there = remedy(
        "close-on-the-other-side",
        "Let the server close first: TIME_WAIT then stands on its side, where it holds no port of \
         ours.",
        None,
        true,
    );
    let reuse = remedy(
        "tw-reuse",
        "Set net.ipv4.tcp_tw_reuse=1 (needs TCP timestamps on both sides; not behind a NAT that \
         mixes hosts): a TIME_WAIT is then taken over after 1 s.",
        Some("dryport fix --set net.ipv4.tcp_tw_reuse=1"),
        false,
    );
    let mut remedies = Vec::from([reuse_connections(), close_there]);
    if facts.census.limits().tw_reuse != TimeWaitReuse::On {
        remedies.push(reuse);
    }
    remedies.push(widen_range());
    remedies
}

/// `bind(addr, 0)` finds no port.
fn bind_dry(requests: &[RequestVerdict]) -> Vec<Cause> {
    requests
        .iter()
        .filter(|r| {
            r.request.protocol == Protocol::Tcp
                && r.request.method == Method::Bind
                && r.level >= Level::Warning
        })
        .map(|request| Cause {
            id: CauseId::BindRangeDry,
            level: request.level,
            summary: format!(
                "{} has {}run out: {} of {} ports hold a socket on that address, whatever its \
                 destination; {} left. It fails with EADDRINUSE.",
                name(&request.request),
                nearly(request.level),
                grouped(request.ledger.taken()),
                grouped(request.ledger.capacity()),
                grouped(request.headroom.at_least),
            ),
            evidence: ledger_evidence(request),
            owners: request.owners.clone(),
            remedies: [no_port_option(), widen_range()].into(),
            avoid: ["SO_REUSEADDR and SO_REUSEPORT do not help a bind to port 0.".into()].into(),
        })
        .collect()
}

/// UDP sockets hold the whole range.
fn udp_dry(requests: &[RequestVerdict]) -> Option<Cause> {
    let request = requests
        .iter()
        .find(|r| r.request.protocol == Protocol::Udp && r.level >= Level::Warning)?;
    Some(Cause {
        id: CauseId::UdpRangeDry,
        level: request.level,
        summary: format!(
            "UDP has {}used up its range: one port a socket, {} of {} taken, {} left. connect() and \
             sendto() fail with EAGAIN.",
            nearly(request.level),
            grouped(request.ledger.taken()),
            grouped(request.ledger.capacity()),
            grouped(request.headroom.at_least),
        ),
        evidence: ledger_evidence(request),
        owners: request.owners.clone(),
        remedies: [
            remedy(
                "reuse-sockets",
                "Send to many destinations from one UDP socket instead of opening one for each.",
                Some("dryport see --by process"),
                true,
            ),
            widen_range(),
        ]
        .into(),
        avoid: ["SO_REUSEADDR hands out ports that others hold: datagrams then go astray.".into()]
            .into(),
    })
}

/// Past half the range, `connect()` searches the other half of the ports each time.
fn slow(requests: &[RequestVerdict]) -> Option<Cause> {
    let past_half = |r: &&RequestVerdict| {
        is_tuple(r) && r.ledger.capacity() >= 1024 && r.ledger.taken() * 2 > r.ledger.capacity()
    };
    let request = requests.iter().find(past_half)?;
    Some(Cause {
        id: CauseId::ConnectSlow,
        level: Level::Ok,
        summary: format!(
            "{} is past half its range: connect() first walks the ports of one parity in vain, and \
             gets 10 to 100 times slower.",
            name(&request.request)
        ),
        evidence: ledger_evidence(request),
        owners: request.owners.clone(),
        remedies: [reuse_connections(), widen_range()].into(),
        avoid: Vec::new(),
    })
}

fn worth_a_note(count: u32, capacity: u32) -> bool {
    count >= 100.max(capacity * WORTH_A_NOTE_PERCENT / 100)
}

/// A program does not close what its peers have closed.
fn close_wait(facts: &NamespaceFacts<'_>, requests: &[RequestVerdict]) -> Option<Cause> {
    let count = facts.census.close_wait().count() as u32;
    worth_a_note(count, capacity(requests)).then(|| Cause {
        id: CauseId::LeakCloseWait,
        level: Level::Ok,
        summary: format!(
            "{} connections are in CLOSE_WAIT: the peer closed, the program did not. Each keeps its \
             port until it does.",
            grouped(count)
        ),
        evidence: [evidence("close_wait", count, "client sockets in CLOSE_WAIT")].into(),
        owners: holders(facts, facts.census.close_wait()),
        remedies: [remedy(
            "close-sockets",
            "Mend the program so that it closes a connection when a read returns 0; a restart frees \
             the ports.",
            Some("dryport see --by state"),
            true,
        )]
        .into(),
        avoid: ["No kernel setting ends CLOSE_WAIT.".into()].into(),
    })
}

/// A program binds sockets and neither connects nor closes them.
fn bound_leak(facts: &NamespaceFacts<'_>, requests: &[RequestVerdict]) -> Option<Cause> {
    let idle = || {
        let bound = facts.census.bound_sockets().iter();
        bound
            .filter(|b| b.socket.state == State::BoundInactive)
            .map(port_and_inode)
    };
    let count = idle().count() as u32;
    worth_a_note(count, capacity(requests)).then(|| Cause {
        id: CauseId::LeakBound,
        level: Level::Ok,
        summary: format!(
            "{} sockets are bound to ports of the range and neither listen nor connect: each locks \
             its port for everybody.",
            grouped(count)
        ),
        evidence: [evidence("bound_idle", count, "bound sockets, idle")].into(),
        owners: holders(facts, idle()),
        remedies: [
            remedy(
                "close-sockets",
                "Find why the program keeps them; a restart frees the ports.",
                Some("dryport see --by process"),
                true,
            ),
            no_port_option(),
        ]
        .into(),
        avoid: ["netstat and /proc/net/tcp do not show these sockets.".into()].into(),
    })
}

fn port_and_inode(bound: &BoundSocket) -> (u16, u32) {
    (bound.socket.local.port(), bound.socket.inode)
}

fn capacity(requests: &[RequestVerdict]) -> u32 {
    requests
        .iter()
        .map(|request| request.ledger.capacity())
        .max()
        .unwrap_or(0)
}

fn holders(facts: &NamespaceFacts<'_>, sockets: impl Iterator<Item = (u16, u32)>) -> PortHolders {
    facts
        .owners
        .map(|owners| owners.holders(sockets))
        .unwrap_or_default()
}

/// The range is small, or much of it is reserved.
fn narrow(facts: &NamespaceFacts<'_>, requests: &[RequestVerdict]) -> Option<Cause> {
    let limits = facts.census.limits();
    let reserved = limits.reserved.count_in(limits.range);
    let usable = limits.range.size() - reserved;
    (usable < NARROW).then(|| {
        let of_range = requests.iter().filter(|r| r.request.port_range.is_none());
        let level = of_range.map(|r| r.level).max().unwrap_or(Level::Ok);
        Cause {
            id: CauseId::RangeNarrow,
            level: if level >= Level::Warning { level } else { Level::Ok },
            summary: format!(
                "Only {} ports may be used: ip_local_port_range is {}{}; Linux starts with {} ({}).",
                grouped(usable),
                limits.range,
                if reserved == 0 {
                    String::new()
                } else {
                    format!(", of which {} are reserved", grouped(reserved))
                },
                PortRange::LINUX_DEFAULT,
                grouped(PortRange::LINUX_DEFAULT.size()),
            ),
            evidence: [
                evidence("range", limits.range.size(), "ports in the range"),
                evidence("reserved", reserved, "of them reserved"),
            ]
            .into(),
            owners: PortHolders::default(),
            remedies: [widen_range()].into(),
            avoid: ["A range of 1024-65535 takes the ports of your own services: reserve those first.".into()].into(),
        }
    })
}

/// The kernel's walk over an odd number of ports misses one.
fn odd_size(facts: &NamespaceFacts<'_>) -> Option<Cause> {
    let range = facts.census.limits().range;
    (range.size() % 2 == 1 && range.size() >= 3).then(|| Cause {
        id: CauseId::RangeOddSize,
        level: Level::Ok,
        summary: format!(
            "The range {range} has an odd number of ports ({}): its {} may never be reached.",
            grouped(range.size()),
            if range.size() == 3 {
                "highest port"
            } else {
                "lowest or highest port"
            },
        ),
        evidence: [evidence("range", range.size(), "ports in the range")].into(),
        owners: PortHolders::default(),
        remedies: [remedy(
            "even-range",
            "Let the range begin and end with opposite parity (one even, one odd).",
            Some("dryport fix"),
            false,
        )]
        .into(),
        avoid: Vec::new(),
    })
}

/// A service's own port lies inside the range.
fn overlaps_listener(facts: &NamespaceFacts<'_>) -> Option<Cause> {
    let limits = facts.census.limits();
    let fixed = || {
        facts.census.bound_sockets().iter().filter(|bound| {
            bound.socket.state == State::Listen
                && bound.fixed_port == Some(true)
                && !limits.reserved.contains(bound.socket.local.port())
        })
    };
    let mut ports: Vec<u16> = fixed().map(|bound| bound.socket.local.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    let shown = ports
        .iter()
        .take(8)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let more = if ports.len() > 8 { ", …" } else { "" };
    (!ports.is_empty()).then(|| Cause {
        id: CauseId::RangeOverlapsListener,
        level: Level::Ok,
        summary: format!(
            "{} service port{} inside the range ({shown}{more}): while the service is down for a \
             restart, a client may take its port.",
            ports.len(),
            if ports.len() == 1 { " lies" } else { "s lie" },
        ),
        evidence: [evidence(
            "listeners",
            ports.len() as u32,
            "service ports in the range",
        )]
        .into(),
        owners: holders(facts, fixed().map(port_and_inode)),
        remedies: [Remedy {
            id: "reserve-ports",
            summary: "Reserve these ports, so that the kernel does not hand them out.".into(),
            command: Some("dryport fix".into()),
            restart_needed: false,
        }]
        .into(),
        avoid: Vec::new(),
    })
}
