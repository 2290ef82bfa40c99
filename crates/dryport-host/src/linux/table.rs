//! Where the rows of a survey come from.

use dryport_model::{BucketState, Family, PortRange, Protocol, Socket, SocketPortRange};

use super::sockets::{SocketReader, Tally};
use crate::error::{Error, Result};

/// A socket, and what its table tells of it beyond the socket itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The socket.
    pub socket: Socket,
    /// The state of its TCP bind bucket at that moment; `None` where the table does not tell.
    pub bucket: Option<BucketState>,
    /// Its `IP_LOCAL_PORT_RANGE`; `None` where it has none, or the table does not tell.
    pub port_range: Option<SocketPortRange>,
}

impl Sighting {
    /// A socket of which nothing more is told.
    #[must_use]
    pub const fn of(socket: Socket) -> Self {
        Self {
            socket,
            bucket: None,
            port_range: None,
        }
    }
}

/// A way to read the sockets of the calling thread's network namespace.
pub trait SocketTable {
    /// What coverage calls it: `sock_diag`, `bpf`.
    fn name(&self) -> &'static str;

    /// Whether it tells [`Sighting::port_range`].
    fn tells_port_ranges(&self) -> bool;

    /// Hands over every socket of a protocol on these local ports, of both families, bound-but-idle
    /// ones included where the kernel shows them.
    ///
    /// # Errors
    /// The kernel refuses, or the answer breaks off; what was handed over is then to be thrown away.
    fn read(
        &self,
        protocol: Protocol,
        ports: PortRange,
        observe: &mut dyn FnMut(&Sighting),
    ) -> Result<Tally>;
}

/// The table that needs no privilege.
#[derive(Clone, Copy, Debug)]
pub struct SockDiag;

impl SocketTable for SockDiag {
    fn name(&self) -> &'static str {
        "sock_diag"
    }

    fn tells_port_ranges(&self) -> bool {
        false
    }

    fn read(
        &self,
        protocol: Protocol,
        ports: PortRange,
        observe: &mut dyn FnMut(&Sighting),
    ) -> Result<Tally> {
        let mut reader = SocketReader::open()?;
        let mut observe = |socket: &Socket| {
            observe(&Sighting::of(*socket));
        };
        match protocol {
            Protocol::Tcp => reader.tcp(Some(ports), observe),
            Protocol::Udp => {
                let v4 = reader.udp(Family::V4, Some(ports), &mut observe)?;
                let v6 = reader.udp(Family::V6, Some(ports), &mut observe)?;
                Ok(v4 + v6)
            }
        }
    }
}

/// Runs a reading, and runs it anew where a dump broke off: at most three times. What the broken
/// one counted must be thrown away, so `read` starts from nothing.
///
/// # Errors
/// What `read` fails with, [`Error::BrokenDump`] the third time only.
pub fn retrying<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    const TRIES: u32 = 3;
    let mut tries = 1;
    loop {
        match read() {
            Err(Error::BrokenDump { .. }) if tries < TRIES => tries += 1,
            done => return done,
        }
    }
}
