//! A netlink socket: one request, its answer frame by frame.

use std::io;
use std::os::fd::OwnedFd;

use dryport_wire::netlink::{Control, Frame, messages};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The kernel fills 32 KiB at a time in a dump; larger buffers gain nothing (measured).
const BUFFER_BYTES: usize = 64 * 1024;

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The kernel's own answer: an error number.
    Refused(Errno),
    /// The socket failed.
    Socket(io::Error),
    /// The answer did not arrive whole, or the table changed under it: ask again.
    Broken(String),
}

impl Failure {
    /// The same as an I/O error.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Refused(errno) => errno.into(),
            Self::Socket(error) => error,
            Self::Broken(reason) => io::Error::other(reason),
        }
    }
}

/// An open netlink socket, tied to the network namespace of the thread that opened it.
pub(crate) struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket for one netlink protocol.
    pub(crate) fn open(protocol: Option<net::Protocol>) -> io::Result<Self> {
        let socket = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// For `NETLINK_SOCK_DIAG`.
    pub(crate) fn sock_diag() -> io::Result<Self> {
        Self::open(Some(net::netlink::SOCK_DIAG))
    }

    /// For `NETLINK_ROUTE`.
    pub(crate) fn route() -> io::Result<Self> {
        // NETLINK_ROUTE is 0, the default.
        Self::open(None)
    }

    /// Sends a request and hands over each frame of the answer until it ends: for a dump at
    /// `NLMSG_DONE`, for a single answer after the first frame.
    pub(crate) fn exchange(
        &mut self,
        request: &[u8],
        is_dump: bool,
        mut on_frame: impl FnMut(&Frame<'_>),
    ) -> Result<(), Failure> {
        net::send(&self.socket, request, SendFlags::empty())
            .map_err(|errno| Failure::Socket(errno.into()))?;
        let mut interrupted = false;
        loop {
            let length = self.receive()?;
            let received = self.buffer.get(..length).unwrap_or_default();
            for frame in messages(received) {
                let frame = frame.map_err(|error| Failure::Broken(error.to_string()))?;
                interrupted |= frame.is_dump_interrupted();
                match frame.control() {
                    None => on_frame(&frame),
                    Some(Control::Noop) => continue,
                    Some(Control::Overrun) => {
                        return Err(Failure::Broken("the kernel dropped messages".into()));
                    }
                    Some(Control::Error { errno: 0 } | Control::Done { errno: 0 }) => {
                        return if interrupted {
                            Err(Failure::Broken("the table changed during the walk".into()))
                        } else {
                            Ok(())
                        };
                    }
                    Some(Control::Error { errno } | Control::Done { errno }) => {
                        return Err(Failure::Refused(Errno::from_raw_os_error(errno)));
                    }
                }
                if !is_dump {
                    return Ok(());
                }
            }
        }
    }

    fn receive(&mut self) -> Result<usize, Failure> {
        loop {
            match net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, length)) if length > self.buffer.len() => {
                    self.buffer.resize(length.next_power_of_two(), 0);
                    return Err(Failure::Broken(
                        "a message was longer than the buffer".into(),
                    ));
                }
                Ok((_, 0)) => return Err(Failure::Broken("the answer ended early".into())),
                Ok((_, length)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => {
                    return Err(Failure::Broken("the socket's buffer ran over".into()));
                }
                Err(errno) => return Err(Failure::Socket(errno.into())),
            }
        }
    }
}
