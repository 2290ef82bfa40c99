//! What one measurement is made with: its namespaces, its server, and the request.

use super::aim::Aim;
use super::peer::Peer;
use super::{Rehearsal, RehearsedRequest, settings};
use crate::{Ask, Lab, LabError, Namespace};

/// Namespaces with the settings of now, and a server in them.
#[derive(Debug)]
pub(super) struct Bench {
    // The listener goes before the namespace it lives in.
    pub peer: Peer,
    lab: Lab,
    pub request: RehearsedRequest,
    pub server_port: u16,
    pub aim: Aim,
}

impl Bench {
    pub fn build(rehearsal: &Rehearsal, server_port: u16) -> Result<Self, LabError> {
        let request = rehearsal.request;
        let lab = if request.is_loopback() {
            Lab::loopback()?
        } else {
            Lab::veth()?
        };
        let peer = Peer::start(lab.server(), request.server(server_port))?;
        settings::write(lab.client(), &rehearsal.before)?;
        Ok(Self {
            peer,
            lab,
            request,
            server_port,
            aim: Aim::of_this_kernel(),
        })
    }

    pub const fn client(&self) -> &Namespace {
        self.lab.client()
    }

    pub fn ask(&self) -> Ask {
        self.request.ask(self.server_port)
    }
}
