//! The servers' ends: listeners, and the connections accepted from them.
//!
//! Nobody waits in `accept()`: a connection is complete once the listener's queue holds it, so the
//! queues are emptied whenever the lab needs a server's end, and after every few connections.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, accept_with, recv};

use super::Group;
use crate::socket::{Held, local_end, open, remote_end};
use crate::tables::Tuple;
use crate::topology::SERVER_PORTS;
use crate::{Ask, LabError};

const ACCEPT_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Servers {
    listeners: Vec<Held>,
    /// By the client's view: its own end, then the server's.
    accepted: HashMap<Tuple, OwnedFd>,
}

impl Servers {
    /// Listens on the lab's ports in the calling thread's namespace.
    pub fn start() -> Result<Self, LabError> {
        let listeners = SERVER_PORTS
            .map(|port| {
                let local = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
                open(&Ask::listen(local)).map_err(LabError::system("listen", local.to_string()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            listeners,
            accepted: HashMap::new(),
        })
    }

    /// Accepts whatever is waiting, at the lab's listeners and at the scenario's.
    pub fn accept_waiting(&mut self, groups: &[Group]) -> Result<(), LabError> {
        let own = self.listeners.iter();
        for listener in own.chain(listeners_of(groups)) {
            let Some(fd) = &listener.fd else { continue };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            loop {
                match accept_with(fd, flags) {
                    Ok(end) => remember(&mut self.accepted, end),
                    Err(Errno::AGAIN) => break,
                    // The connection was aborted before it was accepted.
                    Err(Errno::CONNABORTED) => {}
                    Err(errno) => {
                        return Err(LabError::system("accept", listener.local.to_string())(
                            errno,
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until the peer of a connection is accepted, if a listener of the lab is its peer.
    pub fn wait_for_peer(&mut self, held: &Held, groups: &[Group]) -> Result<(), LabError> {
        let Some(tuple) = expected_peer(held) else {
            return Ok(());
        };
        let started = Instant::now();
        loop {
            self.accept_waiting(groups)?;
            if self.accepted.contains_key(&tuple) || !self.listens_on(tuple.1.port(), groups) {
                return Ok(());
            }
            if started.elapsed() > ACCEPT_DEADLINE {
                let condition = format!("the server to accept {} -> {}", tuple.0, tuple.1);
                return Err(LabError::Deadline {
                    condition,
                    waited: started.elapsed(),
                });
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// The server's end of a connection, if it is still open. Unread data is read first, because
    /// closing over it would send a RST.
    pub fn take_peer(&mut self, tuple: &Tuple) -> Option<OwnedFd> {
        let end = self.accepted.remove(tuple)?;
        let mut buffer = [0; 4096];
        while recv(&end, &mut buffer[..], RecvFlags::empty()).is_ok_and(|(length, _)| length > 0) {}
        Some(end)
    }

    fn listens_on(&self, port: u16, groups: &[Group]) -> bool {
        self.listeners
            .iter()
            .chain(listeners_of(groups))
            .any(|held| held.local.port() == port)
    }
}

fn listeners_of(groups: &[Group]) -> impl Iterator<Item = &Held> {
    groups
        .iter()
        .flat_map(|group| &group.sockets)
        .filter(|held| held.listening && held.fd.is_some())
}

/// The connection whose other end a listener will give; `None` where none is to be waited for.
fn expected_peer(held: &Held) -> Option<Tuple> {
    held.connection
        .filter(|_| held.peer_follows)
        .map(|connection| connection.tuple())
}

/// A connection that was reset in the queue has no ends any more; it is dropped.
fn remember(accepted: &mut HashMap<Tuple, OwnedFd>, end: OwnedFd) {
    if let (Ok(client), Ok(server)) = (remote_end(&end), local_end(&end)) {
        accepted.insert((client, server), end);
    }
}
