//! Performs the steps of a set-up. Runs in a thread inside the client's namespace.

use std::thread::sleep;

use dryport_model::State;
use rustix::net::{SendFlags, Shutdown, connect_unspec, send, shutdown};

use super::servers::Servers;
use super::{Group, check_outcome};
use crate::socket::{Connection, abort, open};
use crate::tables::wait_for;
use crate::{Ask, Ends, Lab, LabError, Namespace, Side, Step, TryOutcome, errno_name};

pub(super) struct Player<'a> {
    pub groups: &'a mut Vec<Group>,
    pub servers: &'a mut Servers,
    pub lab: &'a Lab,
}

impl Player<'_> {
    pub fn play(&mut self, step: &Step) -> Result<(), LabError> {
        match step {
            Step::Hold { count, ask, group } => self.hold(*count, ask, group.as_ref()),
            Step::Try {
                count,
                ask,
                group,
                outcome,
            } => self.attempt(*count, ask, group.as_ref(), *outcome),
            Step::Close { ends, group, wait } => self.close(*ends, group.as_deref(), *wait),
            Step::Reset { side, group } => self.reset(*side, group.as_deref()),
            Step::Shutdown { group } => self.shutdown(group.as_deref()),
            Step::Disconnect { group } => self.disconnect(group.as_deref()),
            Step::Send { group, bytes } => self.send(group, *bytes),
            Step::Link { side, device, up } => self.namespace(*side)?.set_link(device, *up),
            Step::Address {
                device,
                address,
                prefix_length,
            } => self
                .lab
                .client()
                .add_address(device, *address, *prefix_length),
            Step::Route {
                destination,
                device,
                source,
            } => self
                .lab
                .client()
                .add_route_source(device, *destination, *source),
            Step::Sysctl { side, key, value } => self.namespace(*side)?.set(key, value),
            Step::Wait(time) => {
                sleep(*time);
                Ok(())
            }
        }
    }

    fn namespace(&self, side: Side) -> Result<&Namespace, LabError> {
        match side {
            Side::Client => Ok(self.lab.client()),
            Side::Server if self.lab.has_server() => Ok(self.lab.server()),
            Side::Server => Err(LabError::NoServer),
        }
    }

    /// The group stands in the list from its first socket on, so that its listeners are served.
    fn hold(&mut self, count: u32, ask: &Ask, name: Option<&String>) -> Result<(), LabError> {
        let at = self.new_group(name);
        for _ in 0..count {
            let held = open(ask).map_err(LabError::system("ask", ask.to_string()))?;
            self.servers.wait_for_peer(&held, self.groups)?;
            if let Some(group) = self.groups.get_mut(at) {
                group.sockets.push(held);
            }
        }
        Ok(())
    }

    fn attempt(
        &mut self,
        count: u32,
        ask: &Ask,
        name: Option<&String>,
        outcome: TryOutcome,
    ) -> Result<(), LabError> {
        let at = self.new_group(name);
        for _ in 0..count {
            let result = open(ask);
            check_outcome(
                outcome,
                result.as_ref().err().map(|errno| errno_name(*errno)),
            )?;
            let Ok(held) = result else { continue };
            self.servers.wait_for_peer(&held, self.groups)?;
            if let Some(group) = self.groups.get_mut(at) {
                group.sockets.push(held);
            }
        }
        Ok(())
    }

    fn new_group(&mut self, name: Option<&String>) -> usize {
        self.groups.push(Group {
            name: name.cloned(),
            sockets: Vec::new(),
        });
        self.groups.len() - 1
    }

    fn group(&mut self, name: Option<&str>) -> Result<&mut Group, LabError> {
        let found = match name {
            Some(wanted) => self
                .groups
                .iter_mut()
                .rev()
                .find(|group| group.name.as_deref() == Some(wanted)),
            None => self.groups.last_mut(),
        };
        found.ok_or_else(|| LabError::NoSuchGroup(name.unwrap_or("the last ones").to_owned()))
    }

    fn connections(&mut self, name: Option<&str>) -> Result<Vec<Connection>, LabError> {
        Ok(self
            .group(name)?
            .sockets
            .iter()
            .filter_map(|held| held.connection)
            .collect())
    }

    fn close(&mut self, ends: Ends, name: Option<&str>, wait: bool) -> Result<(), LabError> {
        let connections = self.connections(name)?;
        self.servers.accept_waiting(self.groups)?;
        let arrive = |states: &[State], gone| match wait {
            true => wait_for(&connections, states, gone),
            false => Ok(()),
        };
        if ends != Ends::Server {
            self.group(name)?
                .sockets
                .iter_mut()
                .for_each(|held| held.fd = None);
            arrive(&[State::FinWait2, State::TimeWait], true)?;
        }
        if ends == Ends::Client {
            return Ok(());
        }
        connections
            .iter()
            .for_each(|one| drop(self.servers.take_peer(&one.tuple())));
        match ends {
            Ends::Both => arrive(&[State::TimeWait], true),
            // The client's end may have been closed or half-closed before.
            _ => arrive(&[State::CloseWait, State::TimeWait], true),
        }
    }

    fn reset(&mut self, side: Side, name: Option<&str>) -> Result<(), LabError> {
        let connections = self.connections(name)?;
        self.servers.accept_waiting(self.groups)?;
        let ends: Vec<_> = match side {
            Side::Client => self
                .group(name)?
                .sockets
                .iter_mut()
                .filter_map(|held| held.fd.take())
                .collect(),
            Side::Server => connections
                .iter()
                .filter_map(|one| self.servers.take_peer(&one.tuple()))
                .collect(),
        };
        for fd in ends {
            abort(fd).map_err(LabError::system("setsockopt(SO_LINGER)", "a connection"))?;
        }
        wait_for(&connections, &[], true)
    }

    fn shutdown(&mut self, name: Option<&str>) -> Result<(), LabError> {
        let connections = self.connections(name)?;
        for fd in self
            .group(name)?
            .sockets
            .iter()
            .filter_map(|held| held.fd.as_ref())
        {
            shutdown(fd, Shutdown::Write).map_err(LabError::system("shutdown", "a connection"))?;
        }
        wait_for(&connections, &[State::FinWait2, State::TimeWait], true)
    }

    fn disconnect(&mut self, name: Option<&str>) -> Result<(), LabError> {
        for fd in self
            .group(name)?
            .sockets
            .iter()
            .filter_map(|held| held.fd.as_ref())
        {
            connect_unspec(fd).map_err(LabError::system("connect(AF_UNSPEC)", "a socket"))?;
        }
        Ok(())
    }

    fn send(&mut self, name: &str, bytes: usize) -> Result<(), LabError> {
        let data = vec![b'.'; bytes];
        for fd in self
            .group(Some(name))?
            .sockets
            .iter()
            .filter_map(|held| held.fd.as_ref())
        {
            send(fd, &data, SendFlags::NOSIGNAL)
                .map_err(LabError::system("send", "a connection"))?;
        }
        Ok(())
    }
}
