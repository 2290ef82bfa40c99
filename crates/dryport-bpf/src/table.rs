//! The table of sockets as the TCP and UDP iterators show it.

use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::thread;

use dryport_host::{Sighting, SockDiag, SocketReader, SocketTable, Tally, read_socket_counts};
use dryport_model::{PortRange, Protocol, Socket};
use rustix::time::{ClockId, clock_getres};
use zerocopy::IntoBytes;

use crate::program::{Iterator, Variables, read_records};
use crate::record::Filter;
use crate::row::decode_sockets;
use crate::{Kernel, Result};

/// Sockets with the state of their bind buckets, and what a TIME_WAIT remembers. Reads the network
/// namespace of the thread that calls.
///
/// **Consistency.** A connection stands in one chain of the kernel's table, found by its 4-tuple;
/// the iterator notes a chain under its lock and tells of it right afterwards, so a connection is
/// told once, as what it is then (`bpf_iter_tcp_batch`; where a chain is told in two readings, since
/// 6.17). One that becomes a TIME_WAIT between the note and the telling is passed over
/// (`sk_unhashed`): microseconds. Bound sockets that are idle come from sock_diag, read before: one
/// that connects meanwhile is told twice, which counts once, since ports are counted and not rows.
/// Where there are more than 50,000 sockets both are read at once, and one that connects in that half
/// a second may be told by neither.
///
/// For one thread: the kernel's programs are told what to look for before each reading, in a place
/// that all readings by this value share.
pub struct BpfTable {
    tcp: Iterator,
    /// The kernel may lack the iterator: then sock_diag tells.
    udp: Option<Iterator>,
    variables: Variables,
    jiffies_per_second: u32,
    inodes: bool,
    /// Two threads at a time would be told each other's ports.
    not_shared: PhantomData<Cell<()>>,
}

impl BpfTable {
    /// Loads the programs. Takes 2 ms. Without `inodes` sockets are told without theirs, where
    /// nobody will ask who holds them.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(kernel: &Kernel, inodes: bool) -> Result<Self> {
        let ([tcp, udp], variables) = kernel.sockets()?.load(kernel, ["tcp", "udp"])?;
        let variables = variables.ok_or_else(|| crate::Error::Unfit {
            program: "sockets",
            reason: "it has no variables".into(),
        })?;
        Ok(Self {
            tcp: tcp?,
            udp: udp.ok(),
            variables,
            jiffies_per_second: jiffies_per_second(),
            inodes,
            not_shared: PhantomData,
        })
    }

    fn ask_for(&self, ports: PortRange) -> Result<()> {
        let filter = Filter {
            low: ports.low(),
            high: ports.high(),
            inodes: u32::from(self.inodes),
        };
        self.variables.write(filter.as_bytes())
    }

    /// Reads what [`SocketTable::read`] reads and throws it away, and tells how many bytes that were:
    /// the floor under every census, for benchmarks.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn discard(&self, protocol: Protocol, ports: PortRange) -> dryport_host::Result<u64> {
        let iterator = match protocol {
            Protocol::Tcp => Some(&self.tcp),
            Protocol::Udp => self.udp.as_ref(),
        };
        let Some(iterator) = iterator else {
            return Ok(0);
        };
        let throw_away = || {
            self.ask_for(ports)?;
            let mut thrown_away = 0;
            read_records(iterator.open()?, |bytes| {
                thrown_away += bytes.len() as u64;
                Some(bytes.len())
            })
            .map_err(failed)?;
            Ok(thrown_away)
        };
        match protocol {
            Protocol::Tcp => Ok(beside(ports, throw_away)?.1),
            Protocol::Udp => throw_away(),
        }
    }

    fn rows(
        &self,
        iterator: &Iterator,
        ports: PortRange,
        observe: &mut dyn FnMut(&Sighting),
    ) -> dryport_host::Result<Tally> {
        self.ask_for(ports)?;
        let file = iterator.open()?;
        read_rows(file, self.jiffies_per_second, observe)
    }
}

impl SocketTable for BpfTable {
    fn name(&self) -> &'static str {
        "bpf"
    }

    fn tells_port_ranges(&self) -> bool {
        true
    }

    fn read(
        &self,
        protocol: Protocol,
        ports: PortRange,
        observe: &mut dyn FnMut(&Sighting),
    ) -> dryport_host::Result<Tally> {
        match (protocol, &self.udp) {
            (Protocol::Udp, None) => SockDiag.read(protocol, ports, observe),
            (Protocol::Udp, Some(udp)) => self.rows(udp, ports, observe),
            (Protocol::Tcp, _) => {
                let (idle, told) = beside(ports, || self.rows(&self.tcp, ports, observe))?;
                let (sockets, tally) = idle;
                for socket in sockets {
                    observe(&Sighting::of(socket));
                }
                Ok(tally + told)
            }
        }
    }
}

fn read_rows(
    file: File,
    hz: u32,
    observe: &mut dyn FnMut(&Sighting),
) -> dryport_host::Result<Tally> {
    let mut tally = Tally::default();
    let done = read_records(file, |bytes| {
        let decoded = decode_sockets(bytes, hz, |seen| {
            tally.rows += 1;
            observe(seen);
        });
        tally.unreadable += decoded.unreadable;
        (!decoded.is_broken).then_some(decoded.bytes)
    });
    match done {
        Ok(()) => Ok(tally),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(dryport_host::Error::BrokenDump {
                what: "a BPF iterator",
                reason: "its records do not fit this program".into(),
            })
        }
        Err(source) => Err(failed(source)),
    }
}

fn failed(source: std::io::Error) -> dryport_host::Error {
    dryport_host::Error::System {
        call: "read a BPF iterator".into(),
        source,
    }
}

/// Sockets, and how many rows that were.
type Idle = (Vec<Socket>, Tally);

/// Reads the bound sockets that are idle, and then `table`. The kernel looks at every socket for the
/// former, so where there are many both are read at once.
fn beside<T>(
    ports: PortRange,
    table: impl FnOnce() -> dryport_host::Result<T>,
) -> dryport_host::Result<(Idle, T)> {
    if are_few() {
        return Ok((idle(ports)?, table()?));
    }
    thread::scope(|scope| {
        match thread::Builder::new().spawn_scoped(scope, || idle(ports)) {
            Ok(first) => {
                let told = table()?;
                let first = first.join().unwrap_or_else(|_| idle(ports))?;
                Ok((first, told))
            }
            // No thread is to be had.
            Err(_) => Ok((idle(ports)?, table()?)),
        }
    })
}

fn idle(ports: PortRange) -> dryport_host::Result<Idle> {
    let mut sockets = Vec::new();
    let mut reader = SocketReader::open()?;
    let tally = reader.tcp_bound_idle(ports, |socket| sockets.push(*socket))?;
    Ok((sockets, tally))
}

/// Up to here the idle sockets are read before the others.
const FEW_SOCKETS: u64 = 50_000;

fn are_few() -> bool {
    let counts = read_socket_counts();
    counts.is_ok_and(|counts| counts.tcp + counts.tcp_time_wait <= FEW_SOCKETS)
}

/// The kernel's HZ: the coarse clocks tick once a jiffy (`LOW_RES_NSEC`).
fn jiffies_per_second() -> u32 {
    let tick = clock_getres(ClockId::RealtimeCoarse);
    u32::try_from(1_000_000_000 / tick.tv_nsec.max(1)).unwrap_or(250)
}
