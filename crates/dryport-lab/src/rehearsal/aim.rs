//! How a socket is made to ask for one certain port without naming it: a port that is named is
//! bound, and follows other rules.

use std::fs;

use dryport_model::SocketPortRange;
use rustix::io::Errno;

use crate::socket::{Held, open, open_quietly};
use crate::{Ask, LabError, options};

pub(super) const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The means to confine a socket to one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// `IP_LOCAL_PORT_RANGE` on the socket (6.3).
    Socket,
    /// The range of the whole namespace. The kernel then says once in its log that the ends should
    /// differ in parity.
    Namespace,
}

impl Aim {
    /// The better one that this kernel has.
    #[must_use]
    pub fn of_this_kernel() -> Self {
        let mut ask = Ask::connect(([127, 0, 0, 1], 9).into());
        ask.options.range = Some(SocketPortRange { low: 1, high: 1 });
        match options::probe(&ask) {
            Err(Errno::NOPROTOOPT) => Self::Namespace,
            _ => Self::Socket,
        }
    }

    /// Asks for one port, in the calling thread's namespace. `quietly`: see `open_quietly`.
    pub(super) fn open(
        self,
        ask: &mut Ask,
        port: u16,
        quietly: bool,
    ) -> Result<Result<Held, Errno>, LabError> {
        match self {
            Self::Socket => {
                ask.options.range = Some(SocketPortRange {
                    low: port,
                    high: port,
                });
            }
            Self::Namespace => {
                ask.options.range = None;
                fs::write(RANGE_FILE, format!("{port} {port}"))
                    .map_err(LabError::file("write", RANGE_FILE))?;
            }
        }
        Ok(if quietly {
            open_quietly(ask)
        } else {
            open(ask)
        })
    }
}
