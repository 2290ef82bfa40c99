//! Counts how many sockets the kernel grants, and leaves everything as it was.

use std::fs;
use std::time::{Duration, Instant};

use dryport_model::PortRange;
use rustix::io::Errno;

use super::aim::{Aim, RANGE_FILE};
use super::bench::Bench;
use super::keeper::descriptors;
use super::settings::Rules;
use super::{How, Measured, Stand, Sustained};
use crate::socket::{Held, open, release};
use crate::{LabError, errno_name};

/// Up to this size the range is walked as a program does it.
const WALK_AT_MOST: u32 = 2048;
/// Beyond it so many sockets are opened that way after each port was asked for.
const SAMPLE: u32 = 256;
/// And no longer than this, since each may cost the kernel a walk over the whole range.
const SAMPLE_TIME: Duration = Duration::from_millis(500);
/// The server's queue is emptied after so many connections.
const ACCEPT_EVERY: usize = 64;
/// Descriptors that the process needs for other things.
const OTHER_DESCRIPTORS: u32 = 256;

/// What one side was granted.
#[derive(Debug)]
pub(super) struct Count {
    /// The ports, ascending.
    pub ports: Vec<u16>,
    refused_with: Option<&'static str>,
    how: How,
}

impl Count {
    pub fn with(self, sustained: Sustained) -> Measured {
        Measured {
            granted: u32::try_from(self.ports.len()).unwrap_or(u32::MAX),
            refused_with: self.refused_with,
            sustained,
            how: self.how,
        }
    }
}

/// Counts in the bench's namespace.
pub(super) fn count(bench: &Bench, rules: &Rules) -> Result<Count, LabError> {
    let ports = rules.ports(&bench.request);
    let room = descriptors().saturating_sub(OTHER_DESCRIPTORS);
    let small = ports.size() <= WALK_AT_MOST.min(room);
    bench.client().run(|| {
        if small {
            walk(bench)
        } else if !bench.request.is_tcp() {
            port_by_name(bench, ports, rules, SAMPLE.min(room))
        } else {
            port_by_port(bench, ports, rules.range, SAMPLE.min(room))
        }
    })?
}

fn walk(bench: &Bench) -> Result<Count, LabError> {
    let walked = open_until_refused(bench, u32::MAX, None)?;
    Ok(Count {
        ports: walked.ports,
        refused_with: walked.refused_with,
        how: How::Walk,
    })
}

/// Connections are asked for in `TCP_REPAIR`: the same search for a port, without a packet.
fn port_by_port(
    bench: &Bench,
    ports: PortRange,
    range: PortRange,
    sample: u32,
) -> Result<Count, LabError> {
    let mut ask = bench.ask();
    let (mut granted, mut refused_with) = (Vec::new(), None);
    for port in ports.ports() {
        match bench
            .means
            .aim
            .open(&mut ask, port, bench.request.is_connection())?
        {
            Ok(held) => {
                give_back(held)?;
                granted.push(port);
            }
            Err(errno) => {
                let name = errno_name(errno);
                if name != bench.request.error_when_dry() {
                    return Err(LabError::system("ask", ask.to_string())(errno));
                }
                refused_with = Some(name);
            }
        }
    }
    if bench.means.aim == Aim::Namespace {
        fs::write(RANGE_FILE, format!("{} {}", range.low(), range.high()))
            .map_err(LabError::file("write", RANGE_FILE))?;
    }
    let walked = confirm(bench, ports, &granted, sample)?;
    Ok(Count {
        ports: granted,
        refused_with,
        how: How::PortByPort { walked },
    })
}

/// UDP: each port that is not reserved is bound by its number, to the address that the program would
/// get. A socket confined to one port would cost the kernel a walk over all slots of its table, whether it
/// is granted or not (`udp_lib_get_port`): minutes for a range.
fn port_by_name(
    bench: &Bench,
    ports: PortRange,
    rules: &Rules,
    sample: u32,
) -> Result<Count, LabError> {
    let (mut granted, mut refused_with) = (Vec::new(), None);
    for port in ports.ports().filter(|port| !rules.reserved.contains(*port)) {
        let server_port = bench.means.server_port;
        let Some(ask) = bench.request.standing(port, Stand::InUse, server_port) else {
            continue;
        };
        match open(&ask) {
            Ok(_) => granted.push(port),
            Err(Errno::ADDRINUSE) => refused_with = Some(bench.request.error_when_dry()),
            Err(errno) => return Err(LabError::system("ask", ask.to_string())(errno)),
        }
    }
    let walked = confirm(bench, ports, &granted, sample)?;
    Ok(Count {
        ports: granted,
        refused_with,
        how: How::PortByPort { walked },
    })
}

/// Opens some sockets as a program does. Each must get one of the ports that were granted, and none
/// may be refused while there should be more.
fn confirm(bench: &Bench, ports: PortRange, granted: &[u16], sample: u32) -> Result<u32, LabError> {
    let expected = u32::try_from(granted.len()).unwrap_or(u32::MAX);
    let walked = open_until_refused(bench, sample, Some(Instant::now() + SAMPLE_TIME))?;
    let count = u32::try_from(walked.ports.len()).unwrap_or(u32::MAX);
    let strange = walked
        .ports
        .iter()
        .find(|port| granted.binary_search(port).is_err());
    // The walk over an odd number of ports misses one (`__inet_hash_connect`, `remaining &= ~1U`).
    let missed = ports.size() % 2;
    let short = walked.refused_with.is_some() && count + missed < expected;
    if strange.is_none() && !short {
        return Ok(count);
    }
    Err(LabError::Unexpected {
        expected: format!("{expected} ports as they were granted one by one"),
        got: match strange {
            Some(port) => format!("port {port}, which was refused before"),
            None => format!("a refusal after {count}"),
        },
    })
}

fn give_back(held: Held) -> Result<(), LabError> {
    held.fd
        .as_ref()
        .map_or(Ok(()), release)
        .map_err(LabError::system(
            "connect(AF_UNSPEC)",
            held.local.to_string(),
        ))
}

/// Sockets that were opened one after the other.
struct Walked {
    ports: Vec<u16>,
    refused_with: Option<&'static str>,
}

/// Opens and keeps sockets until the kernel refuses one, then gives all back without a
/// TIME_WAIT.
fn open_until_refused(
    bench: &Bench,
    most: u32,
    deadline: Option<Instant>,
) -> Result<Walked, LabError> {
    let ask = bench.ask();
    let mut kept: Vec<Held> = Vec::new();
    let mut refused_with = None;
    while kept.len() < most as usize && deadline.is_none_or(|end| Instant::now() < end) {
        match open(&ask) {
            Ok(held) => kept.push(held),
            Err(errno) if errno_name(errno) == bench.request.error_when_dry() => {
                refused_with = Some(errno_name(errno));
                break;
            }
            Err(errno) => return Err(LabError::system("ask", ask.to_string())(errno)),
        }
        if kept.len().is_multiple_of(ACCEPT_EVERY) {
            bench.peer.forget_waiting()?;
        }
    }
    bench.peer.forget_waiting()?;
    let mut ports: Vec<u16> = kept.iter().map(|held| held.local.port()).collect();
    ports.sort_unstable();
    kept.into_iter().try_for_each(give_back)?;
    Ok(Walked {
        ports,
        refused_with,
    })
}
