//! The server that rehearsed connections go to.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

use crate::socket::open;
use crate::{Ask, LabError, Namespace, options};

const DEADLINE: Duration = Duration::from_secs(5);

/// Sends the FIN. Closing does not do it where a program that is being started has a copy of the
/// descriptor, and then the wrong side would close first.
pub(super) fn finish(end: &OwnedFd) -> Result<(), Errno> {
    match shutdown(end, Shutdown::Write) {
        // Reset by the other side.
        Err(Errno::NOTCONN) => Ok(()),
        result => result,
    }
}

#[derive(Debug)]
pub(super) struct Peer {
    listener: OwnedFd,
    address: SocketAddr,
}

impl Peer {
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self, LabError> {
        let held = namespace
            .run(|| open(&Ask::listen(address)))?
            .map_err(LabError::system("listen", address.to_string()))?;
        let listener = held.fd.ok_or(Errno::BADF);
        Ok(Self {
            listener: listener.map_err(LabError::system("listen", address.to_string()))?,
            address,
        })
    }

    /// Closes its ends of the connections that have come in, and tells how many.
    pub fn close_waiting(&self) -> Result<u32, LabError> {
        self.each_waiting(finish)
    }

    /// Drops its ends without a word: the client's stay connected, to nobody. A connection held
    /// open then costs one descriptor and half the memory.
    pub fn forget_waiting(&self) -> Result<u32, LabError> {
        self.each_waiting(options::set_repair)
    }

    /// Closes its ends of `count` connections that are on their way.
    pub fn close(&self, count: u32) -> Result<(), LabError> {
        let started = Instant::now();
        let mut closed = self.close_waiting()?;
        while closed < count {
            let left = DEADLINE.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(LabError::Deadline {
                    condition: format!("{count} connections to reach {}", self.address),
                    waited: started.elapsed(),
                });
            }
            self.wait(left)?;
            closed += self.close_waiting()?;
        }
        Ok(())
    }

    fn each_waiting(
        &self,
        mut parting: impl FnMut(&OwnedFd) -> Result<(), Errno>,
    ) -> Result<u32, LabError> {
        let mut count = 0;
        loop {
            match accept_with(&self.listener, SocketFlags::CLOEXEC) {
                Ok(end) => {
                    parting(&end)
                        .map_err(LabError::system("parting from", self.address.to_string()))?;
                    count += 1;
                }
                Err(Errno::AGAIN) => return Ok(count),
                // The connection was aborted before it was accepted.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(errno) => {
                    return Err(LabError::system("accept", self.address.to_string())(errno));
                }
            }
        }
    }

    fn wait(&self, most: Duration) -> Result<(), LabError> {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let most = Timespec {
            tv_sec: most.as_secs().cast_signed(),
            tv_nsec: most.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&most)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(LabError::system("poll", self.address.to_string())(errno)),
        }
    }
}
