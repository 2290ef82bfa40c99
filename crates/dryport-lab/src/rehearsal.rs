//! Settings tried on the running kernel, before they are written where it matters.
//!
//! A [`Rehearsal`] is a request, two lists of settings and the ports that stand in the request's way
//! now. [`rehearse`] makes a stand-in for them in scratch namespaces, counts what the kernel grants
//! with the first settings, changes them as `sysctl` would, and counts again. The count leaves the
//! load as it was, so both are counts of the same state.
//!
//! Beside it, in namespaces of their own, connections are opened and closed as fast as the kernel
//! allows with either list: what can be granted at once says little about what can go on for ever.
//!
//! Owns the order of events. `rehearsal::request` knows the addresses, `rehearsal::settings` the
//! sysctls, `rehearsal::stand_in` makes the load, `rehearsal::count` and `rehearsal::sustained`
//! measure.

use std::thread;
use std::time::{Duration, Instant};

use crate::LabError;
use bench::{Bench, Means};
use settings::Rules;
use stand_in::StandIn;

mod aim;
mod bench;
mod count;
mod keeper;
mod peer;
mod request;
mod settings;
mod stand_in;
mod sustained;

pub use aim::Aim;
pub use request::RehearsedRequest;

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// What the program asks for.
    pub request: RehearsedRequest,
    /// Settings in force now, as key (`net.ipv4.tcp_tw_reuse`) and value, in the order in which
    /// they are written. What is not named has the kernel's default.
    pub before: Vec<(String, String)>,
    /// Settings written on top of those, in this order. An empty value empties a list.
    pub after: Vec<(String, String)>,
    /// Ports that stand in the request's way now, and how.
    pub load: Vec<(u16, Stand)>,
    /// Most time for the sustained rate, counted from the first refusal of each side. Both sides run
    /// at once. Ports that are taken over come back after `tcp_tw_reuse_delay` (1 s), so less than
    /// that shows nothing; see [`Rehearsal::WINDOW`].
    pub window: Duration,
}

impl Rehearsal {
    /// A window in which every port is seen to come back with the default `tcp_tw_reuse_delay`.
    pub const WINDOW: Duration = Duration::from_millis(1500);
}

/// How a port stands in the way of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stand {
    /// A program bound the port: it is lost to every `connect()`. For a request that claims an
    /// address (`bind`, UDP) the same as [`Stand::InUse`].
    Locked,
    /// A connection of the same source and destination; for an address claim a socket bound to
    /// that address.
    InUse,
    /// Such a connection in TIME_WAIT. It is made old enough to be taken over, where the settings
    /// allow that. UDP has none: there it is [`Stand::InUse`].
    TimeWait,
    /// The same without TCP timestamps: it is never taken over.
    TimeWaitWithoutTimestamps,
}

/// What the kernel did.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsed {
    /// With the settings of now.
    pub before: Measured,
    /// With the change.
    pub after: Measured,
    /// What stood in the request's way both times.
    pub stand_in: StandInTold,
}

/// What was measured with one list of settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// How many the kernel granted.
    pub granted: u32,
    /// The error of the first refusal (`EADDRNOTAVAIL`); `None` if nothing was refused.
    pub refused_with: Option<&'static str>,
    /// What can go on once the first ports are used up.
    pub sustained: Sustained,
    /// How `granted` was counted.
    pub how: How,
}

/// How ports were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Sockets were opened and kept until the kernel refused one: what a program meets. In a range
    /// of odd size the kernel's walk may miss one free port.
    Walk,
    /// Each port of the range was asked for by itself, by a socket confined to it. The kernel's walk
    /// needs milliseconds for each socket once half of a large range is taken.
    PortByPort {
        /// So many sockets were then opened as a program does, and each got one of these ports.
        walked: u32,
    },
}

/// What can go on once the first ports are used up. The side that asks closes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sustained {
    /// The ports ran out and came back.
    Limited {
        /// Connections per second on `ports` ports. Each carried one in `ports / per_second`
        /// seconds; twice as many ports carry twice as many connections, as long as the machine is
        /// fast enough.
        per_second: f64,
        /// How many ports there were to use: those of a part of the range, where it is large.
        ports: u32,
    },
    /// The ports ran out and none came back: a TIME_WAIT lasts 60 s.
    NothingCameBack {
        /// How many ports there were to use; 0 where none was to be had at all.
        ports: u32,
        /// How long they were waited for.
        window: Duration,
    },
    /// The ports did not run out: each is free again before the next round.
    NotLimited {
        /// Sockets per second that this machine managed meanwhile: its speed, not a bound.
        per_second: f64,
    },
}

/// What was set up in the request's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandInTold {
    /// Ports held by a bound socket.
    pub locked: u32,
    /// Ports held by a connection, or for an address claim by a bound socket.
    pub in_use: u32,
    /// Ports in TIME_WAIT.
    pub time_wait: u32,
    /// Of the load, ports in neither range, and ports named twice: left out.
    pub left_out: u32,
    /// Age of the youngest TIME_WAIT when the last count began. Real ones may be older.
    pub time_wait_age: Option<Duration>,
}

/// Tries the settings. Call [`crate::Privilege::enter`] once before.
///
/// The load may be as large as the port space: sockets are kept by threads that each have a table
/// of descriptors to themselves, so the limit of open files does not bound it. Each held port costs
/// about 4 kB of kernel memory.
///
/// # Errors
/// The kernel refuses a setting ([`LabError::Setting`] names it), a namespace cannot be made, or the
/// machine runs out of memory or files for the stand-in.
pub fn rehearse(rehearsal: &Rehearsal) -> Result<Rehearsed, LabError> {
    rehearse_with(rehearsal, Aim::of_this_kernel())
}

/// The same by other means than the kernel's best: what kernels before 6.3 have can be tried on
/// any.
///
/// # Errors
/// See [`rehearse`].
pub fn rehearse_with(rehearsal: &Rehearsal, aim: Aim) -> Result<Rehearsed, LabError> {
    let (before, after) = settings::try_out(rehearsal)?;
    let means = Means {
        aim,
        server_port: settings::server_port(&before, &after)?,
    };
    thread::scope(|scope| {
        let sustain = |rules, changed| {
            thread::Builder::new()
                .spawn_scoped(scope, move || {
                    sustained::measure(rehearsal, rules, changed, means)
                })
                .map_err(LabError::Thread)
        };
        let (first, second) = (sustain(&before, false)?, sustain(&after, true)?);
        let counted = count_both(rehearsal, &before, &after, means);
        let (first, second) = (join(first)?, join(second)?);
        let (before, after, stand_in) = counted?;
        Ok(Rehearsed {
            before: before.with(first),
            after: after.with(second),
            stand_in,
        })
    })
}

/// A panic of the thread goes on here.
fn join<T>(handle: thread::ScopedJoinHandle<'_, Result<T, LabError>>) -> Result<T, LabError> {
    handle
        .join()
        .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Counts, changes the settings under the same load, and counts again.
fn count_both(
    rehearsal: &Rehearsal,
    before: &Rules,
    after: &Rules,
    means: Means,
) -> Result<(count::Count, count::Count, StandInTold), LabError> {
    let ranges = [
        before.ports(&rehearsal.request),
        after.ports(&rehearsal.request),
    ];
    let bench = Bench::build(rehearsal, means)?;
    let mut stand_in = StandIn::build(&bench, &rehearsal.load, &ranges)?;
    stand_in.wait_until_old(before);
    let first = count::count(&bench, before)?;
    // Counting took over the TIME_WAITs that it was granted. If the second rule of reuse differs,
    // it must find them again.
    if before.reuse != after.reuse {
        stand_in.renew(&bench, &first.ports)?;
    }
    settings::write(bench.client(), &rehearsal.after)?;
    stand_in.wait_until_old(after);
    let mut told = stand_in.told();
    told.time_wait_age = stand_in.youngest().map(|made: Instant| made.elapsed());
    let second = count::count(&bench, after)?;
    Ok((first, second, told))
}
