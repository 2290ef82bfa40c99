//! The survey of a whole namespace.

use dryport_model::{
    Census, Coverage, Fact, MOST_REQUESTS, ProbeKind, Protocol, RequestUse, Seen, State, Thresholds,
};

use super::headroom::settle;
use super::{Means, NOT_ASKED, bound_idle_unseen, no_probe, silent, timestamps_coverage};
use crate::error::{Error, Result};
use crate::linux::limits::LimitsRead;
use crate::linux::probe::Probe;
use crate::linux::sockets::SocketReader;
use crate::linux::table::retrying;

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
    means: Means<'_>,
) -> Result<CensusSurvey<'a>> {
    let limits = &read.limits;
    let (table, how) = (means.table, means.name(false));
    let (mut census, sockets) = retrying(|| {
        let mut census = Census::new(limits);
        let tcp = table.read(Protocol::Tcp, limits.range, &mut |seen| {
            census.observe_with(&seen.socket, seen.port_range);
            if let Some(state) = seen.bucket {
                census.see_bucket(seen.socket.local.port(), state);
            }
        })?;
        let udp = table.read(Protocol::Udp, limits.range, &mut |seen| {
            census.observe(&seen.socket);
        });
        let sockets = match udp {
            Ok(udp) => (tcp + udp).coverage(how),
            Err(broken @ Error::BrokenDump { .. }) => return Err(broken),
            // TCP can be judged all the same (the module udp_diag may be missing).
            Err(other) => Coverage::partial(Fact::Sockets, how, format!("no UDP: {other}")),
        };
        Ok((census, sockets))
    })?;
    census.forget_accepted();
    tell_fixed_ports(&mut census)?;
    let timestamps = tell_timestamps(&mut census)?;
    let asked = settle_census(&mut census, thresholds, means);
    tell_locked_clients(&mut census)?;
    census.count_bind_requests();
    let mut coverage = vec![sockets, read.coverage()];
    coverage.extend(asked.coverage);
    coverage.extend(timestamps);
    coverage.extend(port_ranges(&census, means));
    settle_addresses(&mut census, means, &mut coverage);
    Ok(CensusSurvey {
        census,
        coverage,
        asked: asked.ports,
    })
}

/// A client that confines itself to fewer ports may be dry where others are not. Nothing is said of it
/// where there is no client.
fn port_ranges(census: &Census<'_>, means: Means<'_>) -> Option<Coverage> {
    if census.request_count() == 0 {
        return None;
    }
    let how = means.name(false);
    Some(if means.table.tells_port_ranges() {
        Coverage::full(Fact::PortRanges, how)
    } else {
        let why = "a client that sets IP_LOCAL_PORT_RANGE has fewer ports than is told here; the \
                   machine's root sees it";
        Coverage::none(Fact::PortRanges, how, why.into())
    })
}

/// How clients came by locked ports: connections whose listener has closed are no client's
/// (tcp_info tells them), and some chose their port themselves.
fn tell_locked_clients(census: &mut Census<'_>) -> Result<()> {
    if !census.has_locked_clients() {
        return Ok(());
    }
    let range = census.limits().range;
    let accepted = SocketReader::retrying(|reader| reader.accepted_on(range))?;
    census.forget(|local, remote| accepted.contains(&(local, remote)));
    let fixed = SocketReader::retrying(|reader| {
        let mut fixed = Vec::new();
        reader.tcp_fixed_ports(range, false, |socket| fixed.push(socket.local))?;
        Ok(fixed)
    })?;
    fixed.into_iter().for_each(|local| census.set_fixed(local));
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
fn settle_census(
    census: &mut Census<'_>,
    thresholds: &Thresholds,
    means: Means<'_>,
) -> AskedCensus {
    let range = census.limits().range;
    let doubtful = census.ports_to_probe_by_worth();
    let (probe, why_not) = match Probe::new(ProbeKind::Connect) {
        _ if !means.probes => (None, NOT_ASKED.to_owned()),
        Ok(probe) => (Some(probe), String::new()),
        Err(error) => (None, no_probe(&error)),
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
    AskedCensus {
        ports: asked,
        coverage: census_coverage(
            census,
            means,
            probe.is_some(),
            &why_not,
            [asked, doubtful.len()],
        ),
    }
}

/// Asks about the doubtful ports of UDP and of `bind()`, and tells what is left in doubt.
fn settle_addresses(census: &mut Census<'_>, means: Means<'_>, coverage: &mut Vec<Coverage>) {
    let range = census.limits().range;
    for count in census.address_counts() {
        let limits = count.limits();
        let left = settle(count, means, range).coverage(count, limits);
        for gap in left.into_iter().filter(|left| left.seen != Seen::Full) {
            if !coverage.iter().any(|told| told.fact == gap.fact) {
                coverage.push(gap);
            }
        }
    }
}

/// Whether no level depends on what is untold of bind buckets.
fn levels_are_settled(census: &Census<'_>, thresholds: &Thresholds) -> bool {
    let settled = |used: &RequestUse| {
        thresholds.at_best(&used.ledger, used.headroom)
            == thresholds.at_worst(&used.ledger, used.headroom)
    };
    settled(&census.any_new_destination())
        && census.tcp_requests(MOST_REQUESTS).iter().all(settled)
        && !census.may_hide_bind_requests(thresholds)
}

fn census_coverage(
    census: &Census<'_>,
    means: Means<'_>,
    has_probe: bool,
    why_not: &str,
    [asked, doubtful]: [usize; 2],
) -> Vec<Coverage> {
    let how = means.name(asked > 0);
    let left = census.ports_to_probe().len();
    let buckets = match (left, has_probe) {
        (0, _) => Coverage::full(Fact::BindBuckets, how),
        (left, true) if asked < doubtful => Coverage::partial(
            Fact::BindBuckets,
            how,
            format!("{left} ports were not asked about: the verdict does not depend on them"),
        ),
        (left, true) => Coverage::partial(Fact::BindBuckets, how, silent(left)),
        (left, false) => Coverage::partial(
            Fact::BindBuckets,
            how,
            format!("{left} ports may be locked or shareable: {why_not}"),
        ),
    };
    let bound_idle = match census.limits().features.shows_bound_idle {
        Some(true) => Coverage::full(Fact::BoundIdle, "sock_diag"),
        _ if left == 0 => Coverage::full(Fact::BoundIdle, how),
        _ => bound_idle_unseen(how),
    };
    vec![buckets, bound_idle]
}
