//! What can go on for ever: sockets opened and closed as fast as the kernel allows, in namespaces
//! of their own, because the TIME_WAITs that this leaves would spoil the count.
//!
//! The walk over a large range takes too long to run it dry, and ports come back each for itself.
//! So a part of the range is enough, with the load that stands in it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use dryport_model::{PortRange, PortSet};

use super::bench::{Bench, Means};
use super::peer::finish;
use super::settings::{self, Rules};
use super::stand_in::StandIn;
use super::{Rehearsal, Stand, Sustained};
use crate::socket::{Held, open};
use crate::{Ask, LabError, errno_name};

const RANGE: &str = "net.ipv4.ip_local_port_range";
/// The size of the part. Even, so that it has no blind spot.
const PART: u16 = 512;
/// Between two attempts while nothing is to be had.
const PROBE_INTERVAL: Duration = Duration::from_millis(1);
/// Ports that come back quickly are watched for more than one round.
const AT_LEAST: Duration = Duration::from_millis(250);
/// So many rounds of all ports without a refusal, and ports do not limit it.
const ROUNDS: usize = 4;

/// Measures with the first settings, or with the change made on top.
pub(super) fn measure(
    rehearsal: &Rehearsal,
    rules: &Rules,
    changed: bool,
    means: Means,
) -> Result<Sustained, LabError> {
    let whole = rules.ports(&rehearsal.request);
    let part = least_loaded(whole, rules, &rehearsal.load);
    let bench = Bench::build(rehearsal, means)?;
    let stand_in = StandIn::build(&bench, &rehearsal.load, &[part])?;
    if changed {
        settings::write(bench.client(), &rehearsal.after)?;
    }
    if part != whole {
        let text = format!("{} {}", part.low(), part.high());
        bench.client().set(RANGE, &text)?;
    }
    stand_in.wait_until_old(rules);
    let ask = rehearsal.request.use_ask(means.server_port);
    let run = bench
        .client()
        .run(|| Run::new(&bench, &ask, part).until(rehearsal.window))??;
    Ok(run.verdict(rehearsal.window))
}

/// The part with the fewest ports that are held or reserved; the whole where it is small.
fn least_loaded(whole: PortRange, rules: &Rules, load: &[(u16, Stand)]) -> PortRange {
    if whole.size() <= PART.into() {
        return whole;
    }
    let taken = |part: PortRange| {
        let held = load.iter().filter(|(port, _)| part.contains(*port)).count();
        held + rules.reserved.count_in(part) as usize
    };
    let starts = (whole.low()..=whole.high() - (PART - 1)).step_by(PART.into());
    starts
        .filter_map(|low| PortRange::new(low, low + (PART - 1)))
        .min_by_key(|part| taken(*part))
        .unwrap_or(whole)
}

/// Sockets opened and closed one after the other.
struct Run<'a> {
    bench: &'a Bench,
    ask: &'a Ask,
    size: u32,
    began: Instant,
    /// When each was granted, after `began`.
    grants: Vec<Duration>,
    /// The ports that were granted.
    ports: PortSet,
    /// When one was refused for the first time.
    dry: Option<Duration>,
}

impl<'a> Run<'a> {
    fn new(bench: &'a Bench, ask: &'a Ask, part: PortRange) -> Self {
        Self {
            bench,
            ask,
            size: part.size(),
            began: Instant::now(),
            grants: Vec::new(),
            ports: PortSet::new(),
            dry: None,
        }
    }

    fn until(mut self, window: Duration) -> Result<Self, LabError> {
        while !self.is_over(window) {
            match open(self.ask) {
                Ok(held) => self.use_up(&held)?,
                // A socket that was bound is refused its port by bind(), another by connect().
                Err(errno) if errno_name(errno) == self.bench.request.error_when_dry() => {
                    self.dry.get_or_insert(self.began.elapsed());
                    sleep(PROBE_INTERVAL);
                }
                Err(errno) => return Err(LabError::system("ask", self.ask.to_string())(errno)),
            }
            self.bench.peer.close_waiting()?;
        }
        Ok(self)
    }

    /// The client closes first, and at once.
    fn use_up(&mut self, held: &Held) -> Result<(), LabError> {
        self.grants.push(self.began.elapsed());
        self.ports.insert(held.local.port());
        match (&held.connection, &held.fd) {
            (Some(_), Some(fd)) => {
                finish(fd).map_err(LabError::system("shutdown", self.ask.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn is_over(&self, window: Duration) -> bool {
        let now = self.began.elapsed();
        match self.dry {
            // Also on a slow machine not before every port could be used once.
            None => {
                let rounds = if now < window { ROUNDS } else { 1 };
                self.grants.len() > self.size as usize * rounds
            }
            Some(since) => {
                let all_came_back = !self.ports.is_empty() && self.again() >= self.round();
                now - since >= window || (all_came_back && now - since >= AT_LEAST)
            }
        }
    }

    /// How many grants make a round of all ports.
    fn round(&self) -> usize {
        self.ports.len() as usize
    }

    /// How many grants were of a port that had been granted before.
    fn again(&self) -> usize {
        self.grants.len() - self.round()
    }

    fn verdict(&self, window: Duration) -> Sustained {
        let ports = self.ports.len();
        let Some(since) = self.dry else {
            let took = self.grants.last().copied().unwrap_or(window);
            return Sustained::NotLimited {
                per_second: rate(self.grants.len(), took),
            };
        };
        if self.again() == 0 {
            return Sustained::NothingCameBack { ports, window };
        }
        Sustained::Limited {
            per_second: self.rate_of_whole_rounds(since),
            ports,
        }
    }

    /// From the first grant to the last that ends a round: a window that ends within a round would
    /// count too much or too little.
    fn rate_of_whole_rounds(&self, since: Duration) -> f64 {
        let whole = (self.grants.len() - 1) / self.round() * self.round();
        match (self.grants.first(), self.grants.get(whole)) {
            (Some(first), Some(last)) if last > first => rate(whole, *last - *first),
            _ => rate(self.again(), self.began.elapsed() - since),
        }
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(low: u16, high: u16, reserved: &[u16], load: &[u16]) -> (u16, u16) {
        let whole = PortRange::new(low, high).unwrap();
        let rules = Rules {
            range: whole,
            reserved: reserved.iter().copied().collect(),
            reuse: None,
        };
        let load: Vec<_> = load.iter().map(|port| (*port, Stand::InUse)).collect();
        let part = least_loaded(whole, &rules, &load);
        (part.low(), part.high())
    }

    #[test]
    fn a_small_range_is_run_as_it_is() {
        assert_eq!(part(20000, 20008, &[], &[20001]), (20000, 20008));
        assert_eq!(part(20000, 20511, &[], &[20001]), (20000, 20511));
    }

    #[test]
    fn the_part_with_the_least_load_is_run() {
        assert_eq!(part(20000, 29999, &[], &[]), (20000, 20511));
        assert_eq!(part(20000, 29999, &[20000], &[20512]), (21024, 21535));
        assert_eq!(part(65000, 65535, &[], &[65000]), (65000, 65511));
        assert_eq!(part(1, 65535, &[], &[1]), (513, 1024));
    }
}
