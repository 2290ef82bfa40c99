//! The survey for one request.

use dryport_model::{
    Claim, Coverage, Fact, HeadroomCount, Limits, PortClasses, PortRange, ProbeKind, Protocol,
    Request, State,
};

use super::{Means, NOT_ASKED, bound_idle_unseen, no_probe, silent, timestamps_coverage};
use crate::error::Result;
use crate::linux::limits::LimitsRead;
use crate::linux::probe::Probe;
use crate::linux::sockets::SocketReader;
use crate::linux::table::retrying;

/// The answer for one request.
#[derive(Clone, Debug)]
pub struct HeadroomSurvey {
    /// The class of every port.
    pub classes: PortClasses,
    /// Milliseconds until the first and the last port in TIME_WAIT comes back.
    pub time_wait_left_ms: Option<(u32, u32)>,
    /// Ports that are taken from the request, and the inode of each socket that takes them.
    pub holders: Vec<(u16, u32)>,
    /// What was seen and what was not.
    pub coverage: Vec<Coverage>,
}

/// Counts the headroom of one request.
///
/// # Errors
/// The table of sockets cannot be read.
pub fn headroom(request: &Request, read: &LimitsRead, means: Means<'_>) -> Result<HeadroomSurvey> {
    let limits = &read.limits;
    let (mut count, tally) = retrying(|| {
        let mut count = HeadroomCount::new(*request, limits);
        let tally = means
            .table
            .read(request.protocol, limits.range, &mut |seen| {
                count.observe(&seen.socket);
                if let Some(state) = seen.bucket {
                    count.see_bucket(seen.socket.local.port(), state);
                }
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
    let mut coverage = vec![tally.coverage(means.name(false)), read.coverage()];
    coverage.extend(asked.coverage(&count, limits));
    if untold_timestamps {
        coverage.push(timestamps_coverage(!count.needs_timestamps()));
    }
    let classes = count.classes();
    let time_wait_left_ms = count.time_wait_left_ms(&classes);
    let holders = count.holders(&classes);
    Ok(HeadroomSurvey {
        classes,
        time_wait_left_ms,
        holders,
        coverage,
    })
}

/// How the doubtful ports of a request were asked about.
pub(super) struct Asked {
    by_probe: bool,
    how: &'static str,
    why_not: Option<String>,
    left: usize,
}

/// Asks about every doubtful port.
pub(super) fn settle(count: &mut HeadroomCount<'_>, means: Means<'_>, range: PortRange) -> Asked {
    let ports = count.ports_to_probe();
    if ports.is_empty() {
        return Asked {
            by_probe: false,
            how: means.name(false),
            why_not: None,
            left: 0,
        };
    }
    let why_not = match (
        means.probes,
        count.may_probe(),
        Probe::new(count.probe_kind()),
    ) {
        (true, true, Ok(probe)) => {
            for port in &ports {
                count.prove(*port, probe.ask(*port).granted());
            }
            None
        }
        (false, ..) => Some(NOT_ASKED.to_owned()),
        (_, false, _) => Some(
            "on this kernel, asking would leave a shared port locked (needs 6.17.8)".to_owned(),
        ),
        (.., Err(error)) => Some(no_probe(&error)),
    };
    if why_not.is_some() && count.probe_kind() == ProbeKind::Connect {
        prove_fixed_ports(count, range);
    }
    Asked {
        by_probe: why_not.is_none(),
        how: means.name(why_not.is_none()),
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
    pub(super) fn coverage(&self, count: &HeadroomCount<'_>, limits: &Limits) -> Vec<Coverage> {
        let how = self.how;
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
        match &self.why_not {
            Some(reason) => format!("{left} ports could not be told apart: {reason}"),
            None => silent(left),
        }
    }
}
