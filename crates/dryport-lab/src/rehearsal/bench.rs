//! What one measurement is made with: its namespaces, its server, and the request.

use super::aim::Aim;
use super::peer::Peer;
use super::{Rehearsal, RehearsedRequest, settings};
use crate::{Ask, Lab, LabError, Namespace};

/// On a loaded machine an old segment can reach a TIME_WAIT, such as a delayed ACK that a timer sends
/// from another CPU. The TIME_WAIT answers it, the server knows the connection no more and resets it,
/// and the RST ends the TIME_WAIT unless this is set (`tcp_timewait_state_process`; without it one or
/// two of 20,000 were gone in 2 of 11 runs).
const KEEP_TIME_WAITS: (&str, &str) = ("net.ipv4.tcp_rfc1337", "1");

/// What all measurements of a rehearsal have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    pub aim: Aim,
    pub server_port: u16,
}

/// Namespaces with the settings of now, and a server in them.
#[derive(Debug)]
pub(super) struct Bench {
    // The listener goes before the namespace it lives in.
    pub peer: Peer,
    lab: Lab,
    pub request: RehearsedRequest,
    pub means: Means,
}

impl Bench {
    pub fn build(rehearsal: &Rehearsal, means: Means) -> Result<Self, LabError> {
        let request = rehearsal.request;
        let lab = if request.is_loopback() {
            Lab::loopback()?
        } else {
            Lab::veth()?
        };
        let peer = Peer::start(lab.server(), request.server(means.server_port))?;
        lab.client().set(KEEP_TIME_WAITS.0, KEEP_TIME_WAITS.1)?;
        settings::write(lab.client(), &rehearsal.before)?;
        Ok(Self {
            peer,
            lab,
            request,
            means,
        })
    }

    pub const fn client(&self) -> &Namespace {
        self.lab.client()
    }

    pub fn ask(&self) -> Ask {
        self.request.ask(self.means.server_port)
    }
}
