//! The stand-in for the machine's load: on every port that stands in the request's way, something
//! that the kernel's rules treat the same.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dryport_model::{PortRange, State};

use super::bench::Bench;
use super::keeper::{Keeper, descriptors};
use super::peer::finish;
use super::settings::{self, Rules, TIMESTAMPS};
use super::{Stand, StandInTold};
use crate::LabError;
use crate::tables::wait_for;

/// Connections under way at once: below every kernel's `somaxconn`.
const BATCH: usize = 64;
/// A TIME_WAIT is made no older than this: with a longer delay it counts as too young.
const MOST_AGE: Duration = Duration::from_secs(5);
/// The kernel compares milliseconds, and wants strictly more.
const MORE: Duration = Duration::from_millis(5);

/// Sockets and TIME_WAITs in a bench's namespace.
#[derive(Debug)]
pub(super) struct StandIn {
    keepers: Vec<Keeper>,
    time_waits: Vec<(u16, Stand)>,
    /// From the lowest port of the load to the highest; `None` without a load.
    ports: Option<PortRange>,
    made: Option<Instant>,
    told: StandInTold,
}

impl StandIn {
    /// Builds the load on the ports of the ranges; what lies outside cannot make a difference.
    pub fn build(
        bench: &Bench,
        load: &[(u16, Stand)],
        ranges: &[PortRange],
    ) -> Result<Self, LabError> {
        let mut by_port = BTreeMap::new();
        for (port, stand) in load {
            if ranges.iter().any(|range| range.contains(*port)) {
                let slot = by_port.entry(*port).or_insert(*stand);
                *slot = (*slot).min(*stand);
            }
        }
        let ends = by_port.first_key_value().zip(by_port.last_key_value());
        let ports = ends.and_then(|((low, _), (high, _))| PortRange::new(*low, *high));
        let (time_waits, held): (Vec<_>, Vec<_>) = by_port
            .into_iter()
            .partition(|(port, stand)| bench.request.standing(*port, *stand, 0).is_none());
        let mut stand_in = Self {
            keepers: Vec::new(),
            told: told(load.len(), &held, &time_waits),
            time_waits: time_waits.clone(),
            ports,
            made: None,
        };
        stand_in.fill(bench, &held, &time_waits)?;
        Ok(stand_in)
    }

    fn fill(
        &mut self,
        bench: &Bench,
        held: &[(u16, Stand)],
        time_waits: &[(u16, Stand)],
    ) -> Result<(), LabError> {
        let Some(ports) = self.ports else {
            return Ok(());
        };
        settings::with_every_port(bench.client(), ports, || {
            for part in held.chunks(descriptors() as usize) {
                self.keepers.push(Keeper::start(bench, part)?);
            }
            self.make_time_waits(bench, time_waits)
        })
    }

    /// Makes those TIME_WAITs anew that were taken over when these ports were granted.
    pub fn renew(&mut self, bench: &Bench, granted: &[u16]) -> Result<(), LabError> {
        let lost: Vec<_> = self
            .time_waits
            .iter()
            .filter(|(port, _)| granted.binary_search(port).is_ok())
            .copied()
            .collect();
        self.fill(bench, &[], &lost)
    }

    fn make_time_waits(
        &mut self,
        bench: &Bench,
        time_waits: &[(u16, Stand)],
    ) -> Result<(), LabError> {
        let ports = |wanted: Stand| -> Vec<u16> {
            let of_kind = time_waits.iter().filter(|(_, stand)| *stand == wanted);
            of_kind.map(|(port, _)| *port).collect()
        };
        let (with, without) = (
            ports(Stand::TimeWait),
            ports(Stand::TimeWaitWithoutTimestamps),
        );
        bench.client().run(|| leave_time_waits(bench, &with))??;
        if !without.is_empty() {
            settings::with(bench.client(), &[(TIMESTAMPS, "0")], || {
                bench.client().run(|| leave_time_waits(bench, &without))?
            })?;
        }
        if !time_waits.is_empty() {
            self.made = Some(Instant::now());
        }
        Ok(())
    }

    /// Waits until the kernel would take over the youngest TIME_WAIT, if the rules let it.
    pub fn wait_until_old(&self, rules: &Rules) {
        if let (Some(made), Some(delay)) = (self.made, rules.reuse) {
            // There is no condition to poll: asking the kernel would take one over.
            sleep((delay.min(MOST_AGE) + MORE).saturating_sub(made.elapsed()));
        }
    }

    /// When the youngest TIME_WAIT was there.
    pub const fn youngest(&self) -> Option<Instant> {
        self.made
    }

    pub const fn told(&self) -> StandInTold {
        self.told
    }
}

fn told(load: usize, held: &[(u16, Stand)], time_waits: &[(u16, Stand)]) -> StandInTold {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let locked = held
        .iter()
        .filter(|(_, stand)| *stand == Stand::Locked)
        .count();
    StandInTold {
        locked: number(locked),
        in_use: number(held.len() - locked),
        time_wait: number(time_waits.len()),
        left_out: number(load.saturating_sub(held.len() + time_waits.len())),
        time_wait_age: None,
    }
}

/// Connections from these ports, closed by the client and then by the server. Runs in the client's
/// namespace.
fn leave_time_waits(bench: &Bench, ports: &[u16]) -> Result<(), LabError> {
    let mut connections = Vec::with_capacity(ports.len());
    for batch in ports.chunks(BATCH) {
        for port in batch {
            let mut ask = bench.request.connection(*port, bench.means.server_port);
            let held = bench
                .means
                .aim
                .open(&mut ask, *port, false)?
                .map_err(LabError::system("ask", ask.to_string()))?;
            held.fd
                .as_ref()
                .map_or(Ok(()), finish)
                .map_err(LabError::system("shutdown", ask.to_string()))?;
            connections.extend(held.connection);
        }
        bench
            .peer
            .close(u32::try_from(batch.len()).unwrap_or(u32::MAX))?;
    }
    wait_for(&connections, &[State::TimeWait], false)
}
