//! Surveys: facts from the system, counted by the model, the doubtful ports asked of the kernel.
//!
//! Everything here is about the network namespace of the calling thread.

use dryport_model::{
    Census, Claim, Coverage, Fact, Family, HeadroomCount, Limits, MOST_REQUESTS, PortClasses,
    PortRange, ProbeKind, Protocol, Request, Seen, State, Thresholds,
};

use super::limits::LimitsRead;
use super::probe::Probe;
use super::sockets::{SocketReader, Tally};
use crate::error::{Error, Result};

/// What a survey may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// Ask the kernel about doubtful ports.
    pub probes: bool,
}

impl Means {
    /// Everything that needs no privilege.
    pub const ALL: Self = Self { probes: true };
    /// The table of sockets alone: the answers are bounds.
    pub const SOCK_DIAG_ALONE: Self = Self { probes: false };
}

/// The answer for one request.
#[derive(Clone, Debug)]
pub struct HeadroomSurvey {
    /// The class of every port.
    pub classes: PortClasses,
    /// Milliseconds until the first and the last port in TIME_WAIT comes back.
    pub time_wait_left_ms: Option<(u32, u32)>,
    /// What was seen and what was not.
    pub coverage: Vec<Coverage>,
}

/// Counts the headroom of one request.
///
/// # Errors
/// The table of sockets cannot be read.
pub fn headroom(request: &Request, read: &LimitsRead, means: Means) -> Result<HeadroomSurvey> {
    let limits = &read.limits;
    let (mut count, tally) = SocketReader::retrying(|reader| {
        let mut count = HeadroomCount::new(*request, limits);
        let tally = read_protocol(reader, request.protocol, limits.range, |socket| {
            count.observe(socket);
        })?;
        Ok((count, tally))
    })?;
    let asked = settle(&mut count, means, limits.range);
    let untold_timestamps = count.needs_timestamps();
    if untold_timestamps && let Some(destination) = request.destination {
        let peer = destination.ip();
        let told = SocketReader::retrying(|reader| reader.peer_timestamps(peer))?;
        told.into_iter()
            .for_each(|timestamps| count.set_timestamps(timestamps));
    }
    let mut coverage = vec![tally.coverage(), read.coverage()];
    coverage.extend(asked.coverage(&count, limits));
    if untold_timestamps {
        coverage.push(timestamps_coverage(!count.needs_timestamps()));
    }
    let classes = count.classes();
    let time_wait_left_ms = count.time_wait_left_ms(&classes);
    Ok(HeadroomSurvey {
        classes,
        time_wait_left_ms,
        coverage,
    })
}

fn read_protocol(
    reader: &mut SocketReader,
    protocol: Protocol,
    ports: PortRange,
    mut observe: impl FnMut(&dryport_model::Socket),
) -> Result<Tally> {
    match protocol {
        Protocol::Tcp => reader.tcp(Some(ports), observe),
        Protocol::Udp => {
            let v4 = reader.udp(Family::V4, Some(ports), &mut observe)?;
            let v6 = reader.udp(Family::V6, Some(ports), &mut observe)?;
            Ok(v4 + v6)
        }
    }
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

impl Tally {
    fn coverage(self) -> Coverage {
        match self.unreadable {
            0 => Coverage::full(Fact::Sockets, "sock_diag"),
            n => Coverage::partial(
                Fact::Sockets,
                "sock_diag",
                format!("{n} rows of the kernel's answer were not understood"),
            ),
        }
    }
}

/// How the doubtful ports of a request were asked about.
struct Asked {
    by_probe: bool,
    why_not: Option<&'static str>,
    left: usize,
}

/// Asks about every doubtful port.
fn settle(count: &mut HeadroomCount<'_>, means: Means, range: PortRange) -> Asked {
    let ports = count.ports_to_probe();
    if ports.is_empty() {
        return Asked {
            by_probe: false,
            why_not: None,
            left: 0,
        };
    }
    let why_not = match (
        means.probes,
        count.may_probe(),
        Probe::new(count.probe_kind()),
    ) {
        (true, true, Some(probe)) => {
            for port in &ports {
                count.prove(*port, probe.ask(*port).granted());
            }
            None
        }
        (false, ..) => Some("the kernel was not asked"),
        (_, false, _) => {
            Some("on this kernel, asking would leave a shared port locked (needs 6.17.8)")
        }
        (.., None) => Some("the kernel has no IP_LOCAL_PORT_RANGE to ask with (needs Linux 6.3)"),
    };
    if why_not.is_some() && count.probe_kind() == ProbeKind::Connect {
        prove_fixed_ports(count, range);
    }
    Asked {
        by_probe: why_not.is_none(),
        why_not,
        left: count.ports_to_probe().len(),
    }
}

/// Without probes, at least the ports that programs chose themselves are known to be locked.
fn prove_fixed_ports(count: &mut HeadroomCount<'_>, ports: PortRange) {
    // A failure only leaves ports untold that could have been told.
    let _ = SocketReader::retrying(|reader| {
        reader.tcp_fixed_ports(ports, false, |socket| {
            if socket.state != State::SynRecv {
                count.prove(socket.local.port(), Some(false));
            }
        })
    });
}

impl Asked {
    fn coverage(&self, count: &HeadroomCount<'_>, limits: &Limits) -> Vec<Coverage> {
        let how = if self.by_probe {
            "sock_diag+probe"
        } else {
            "sock_diag"
        };
        let fact = match count.request().claim() {
            Claim::Address { .. } => Fact::V6Only,
            Claim::Tuple { .. } | Claim::Bucket => Fact::BindBuckets,
        };
        let told = |fact| match self.left {
            0 => Coverage::full(fact, how),
            left => Coverage::partial(fact, how, self.reason(left)),
        };
        let mut coverage = vec![told(fact)];
        if count.request().protocol == Protocol::Tcp {
            coverage.push(match limits.features.shows_bound_idle {
                Some(true) => Coverage::full(Fact::BoundIdle, "sock_diag"),
                _ if self.by_probe && self.left == 0 => Coverage::full(Fact::BoundIdle, how),
                _ => bound_idle_unseen(how),
            });
        }
        coverage
    }

    fn reason(&self, left: usize) -> String {
        match self.why_not {
            Some(reason) => format!("{left} ports could not be told apart: {reason}"),
            None => silent(left),
        }
    }
}

/// Why ports are left that the kernel was asked about.
fn silent(left: usize) -> String {
    format!("{left} ports could not be told apart: the kernel's answer told nothing (is lo up?)")
}

fn bound_idle_unseen(how: &'static str) -> Coverage {
    let why = "this kernel does not show bound sockets that are idle (needs Linux 6.8)";
    Coverage::none(Fact::BoundIdle, how, why.into())
}

fn timestamps_coverage(told: bool) -> Coverage {
    if told {
        Coverage::full(
            Fact::TimeWaitTimestamps,
            "live connections to the same peer",
        )
    } else {
        Coverage::partial(
            Fact::TimeWaitTimestamps,
            "sock_diag",
            "no live connection to the peer tells whether it uses TCP timestamps, which decides \
             whether its TIME_WAITs can be taken over"
                .into(),
        )
    }
}

/// The count of a whole namespace.
pub struct CensusSurvey<'a> {
    /// The counts.
    pub census: Census<'a>,
    /// What was seen and what was not.
    pub coverage: Vec<Coverage>,
    /// Ports that the kernel was asked about.
    pub asked: usize,
}

/// Ports that are asked about in any case: tens of milliseconds. More are asked about only as far as the
/// verdict depends on them.
const ASKED_ANYWAY: usize = 2048;

/// Ports asked about between two looks at whether the verdict still depends on the rest.
const BATCH: usize = 1024;

/// Counts every request of the namespace.
///
/// # Errors
/// The table of sockets cannot be read.
pub fn census<'a>(
    read: &'a LimitsRead,
    thresholds: &Thresholds,
    means: Means,
) -> Result<CensusSurvey<'a>> {
    let limits = &read.limits;
    let (mut census, sockets) = SocketReader::retrying(|reader| {
        let mut census = Census::new(limits);
        let tcp = read_protocol(reader, Protocol::Tcp, limits.range, |socket| {
            census.observe(socket);
        })?;
        let udp = read_protocol(reader, Protocol::Udp, limits.range, |socket| {
            census.observe(socket);
        });
        let sockets = match udp {
            Ok(udp) => (tcp + udp).coverage(),
            Err(broken @ Error::BrokenDump { .. }) => return Err(broken),
            // TCP can be judged all the same (the module udp_diag may be missing).
            Err(other) => Coverage::partial(Fact::Sockets, "sock_diag", format!("no UDP: {other}")),
        };
        Ok((census, sockets))
    })?;
    census.forget_accepted();
    tell_fixed_ports(&mut census)?;
    let timestamps = tell_timestamps(&mut census)?;
    let asked = settle_census(&mut census, thresholds, means);
    forget_orphaned_children(&mut census)?;
    let mut coverage = vec![sockets, read.coverage()];
    coverage.extend(asked.coverage);
    coverage.extend(timestamps);
    Ok(CensusSurvey {
        census,
        coverage,
        asked: asked.ports,
    })
}

/// Connections whose listener has closed are no client's: tcp_info tells them apart. Each port is
/// a walk over the table, so only the first few.
fn forget_orphaned_children(census: &mut Census<'_>) -> Result<()> {
    const MOST_PORTS: usize = 4;
    for port in census.ports_of_gone_listeners(MOST_PORTS) {
        let accepted = SocketReader::retrying(|reader| reader.accepted_on(port))?;
        census.forget(|local, remote| accepted.contains(&(local, remote)));
    }
    Ok(())
}

/// Which bound sockets chose their port themselves. Spares the walk over the connections.
fn tell_fixed_ports(census: &mut Census<'_>) -> Result<()> {
    if census.bound_sockets().is_empty() {
        return Ok(());
    }
    let range = census.limits().range;
    let fixed = SocketReader::retrying(|reader| {
        let mut fixed = std::collections::HashSet::new();
        reader.tcp_fixed_ports(range, true, |socket| {
            fixed.insert((socket.local, socket.inode));
        })?;
        Ok(fixed)
    })?;
    census.set_fixed_ports(|socket| fixed.contains(&(socket.local, socket.inode)));
    Ok(())
}

/// Peers are asked about one by one, each a walk over the table: only the first few. Nothing is
/// told where no answer was needed.
fn tell_timestamps(census: &mut Census<'_>) -> Result<Option<Coverage>> {
    const MOST_PEERS: usize = 8;
    let peers = census.peers_without_timestamps();
    if peers.is_empty() {
        return Ok(None);
    }
    let mut told = Vec::new();
    for peer in peers.into_iter().take(MOST_PEERS) {
        told.push((
            peer,
            SocketReader::retrying(|reader| reader.peer_timestamps(peer))?,
        ));
    }
    census.set_timestamps(|peer| told.iter().find(|(of, _)| *of == peer)?.1);
    Ok(Some(timestamps_coverage(
        census.peers_without_timestamps().is_empty(),
    )))
}

struct AskedCensus {
    ports: usize,
    coverage: Vec<Coverage>,
}

/// Asks about doubtful ports until every level is settled.
fn settle_census(census: &mut Census<'_>, thresholds: &Thresholds, means: Means) -> AskedCensus {
    let range = census.limits().range;
    let doubtful = census.ports_to_probe();
    let probe = if means.probes {
        Probe::new(ProbeKind::Connect)
    } else {
        None
    };
    let mut asked = 0;
    match &probe {
        Some(probe) => {
            let are_few = doubtful.len() <= ASKED_ANYWAY;
            for ports in doubtful.chunks(BATCH) {
                if !are_few && levels_are_settled(census, thresholds) {
                    break;
                }
                for port in ports {
                    census.prove(*port, probe.ask(*port).granted());
                }
                asked += ports.len();
            }
        }
        None if !doubtful.is_empty() => {
            // A failure only leaves ports untold that could have been told.
            let _ = SocketReader::retrying(|reader| {
                reader.tcp_fixed_ports(range, false, |socket| {
                    if socket.state != State::SynRecv {
                        census.prove(socket.local.port(), Some(false));
                    }
                })
            });
        }
        None => {}
    }
    let mut coverage = census_coverage(census, probe.is_some(), means, asked, doubtful.len());
    for count in census.udp_counts() {
        let limits = count.limits();
        let udp = settle(count, means, range).coverage(count, limits);
        coverage.extend(
            udp.into_iter()
                .filter(|coverage| coverage.seen != Seen::Full),
        );
    }
    AskedCensus {
        ports: asked,
        coverage,
    }
}

/// Whether no level depends on what is untold of bind buckets.
fn levels_are_settled(census: &Census<'_>, thresholds: &Thresholds) -> bool {
    let settled = |used: &dryport_model::RequestUse| {
        thresholds.at_best(&used.ledger, used.headroom)
            == thresholds.at_worst(&used.ledger, used.headroom)
    };
    settled(&census.any_new_destination())
        && census.tcp_requests(MOST_REQUESTS).iter().all(settled)
        && !census.may_hide_bind_requests(thresholds)
}

fn census_coverage(
    census: &Census<'_>,
    has_probe: bool,
    means: Means,
    asked: usize,
    doubtful: usize,
) -> Vec<Coverage> {
    let how = if asked > 0 {
        "sock_diag+probe"
    } else {
        "sock_diag"
    };
    let left = census.ports_to_probe().len();
    let buckets = match (left, has_probe) {
        (0, _) => Coverage::full(Fact::BindBuckets, how),
        (left, true) if asked < doubtful => Coverage::partial(
            Fact::BindBuckets,
            how,
            format!("{left} ports were not asked about: the verdict does not depend on them"),
        ),
        (left, true) => Coverage::partial(Fact::BindBuckets, how, silent(left)),
        (left, false) => {
            let reason = if means.probes {
                "the kernel has no IP_LOCAL_PORT_RANGE to ask with (needs Linux 6.3)"
            } else {
                "the kernel was not asked"
            };
            Coverage::partial(
                Fact::BindBuckets,
                how,
                format!("{left} ports may be locked or shareable: {reason}"),
            )
        }
    };
    let bound_idle = match census.limits().features.shows_bound_idle {
        Some(true) => Coverage::full(Fact::BoundIdle, "sock_diag"),
        _ if left == 0 => Coverage::full(Fact::BoundIdle, how),
        _ => bound_idle_unseen(how),
    };
    vec![buckets, bound_idle]
}
