//! The system calls of an [`Ask`]: opens one socket as it says.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use dryport_model::Family;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, bind, connect, connect_unspec,
    getpeername, getsockname, ipproto, listen, netdevice, sendto, socket_with, sockopt,
};

use crate::ask::{Ask, Local, Then, Transport};
use crate::options;
use crate::tables::Tuple;

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A TCP connection, as the kernel's table knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// Index of the interface the socket is bound to, 0 for none.
    pub device: u32,
}

impl Connection {
    pub const fn tuple(&self) -> Tuple {
        (self.local, self.remote)
    }
}

/// One socket of a scenario. Its ends stay known after it was closed.
#[derive(Debug)]
pub(crate) struct Held {
    /// `None` once closed.
    pub fd: Option<OwnedFd>,
    /// Local end when it was made; v4-mapped addresses as IPv4.
    pub local: SocketAddr,
    /// The TCP connection that it was.
    pub connection: Option<Connection>,
    pub listening: bool,
    /// Whether the peer's accepted socket is to be waited for.
    pub peer_follows: bool,
}

/// Makes one socket in the calling thread's namespace.
pub(crate) fn open(ask: &Ask) -> Result<Held, Errno> {
    open_after(ask, |_| Ok(()))
}

/// The same in `TCP_REPAIR`: the kernel chooses the port by the same search, and the connection is
/// established without a packet and without a peer. When it is closed it leaves nothing behind.
pub(crate) fn open_quietly(ask: &Ask) -> Result<Held, Errno> {
    open_after(ask, options::set_repair)
}

fn open_after(
    ask: &Ask,
    prepare: impl FnOnce(&OwnedFd) -> Result<(), Errno>,
) -> Result<Held, Errno> {
    let fd = new_socket(ask)?;
    options::apply(&fd, ask)?;
    prepare(&fd)?;
    match ask.local {
        Local::Route => {}
        Local::From(source) => bind(&fd, &as_family(ask.family, SocketAddr::new(source, 0)))?,
        Local::Bind(local) => bind(&fd, &as_family(ask.family, local))?,
    }
    match ask.then {
        Then::Stay => {}
        Then::Listen => listen(&fd, BACKLOG)?,
        Then::SendTo(to) => {
            sendto(&fd, b"?", SendFlags::empty(), &as_family(ask.family, to))?;
        }
        Then::Connect(to) => match connect(&fd, &as_family(ask.family, to)) {
            Err(Errno::INPROGRESS) if ask.options.no_wait => {}
            result => result?,
        },
    }
    let tcp = ask.transport != Transport::Udp;
    let local = local_end(&fd)?;
    let connection = match ask.then {
        Then::Connect(to) if tcp => Some(Connection {
            local,
            remote: canonical(to),
            device: device_index(&fd, ask)?,
        }),
        _ => None,
    };
    Ok(Held {
        local,
        fd: Some(fd),
        connection,
        listening: tcp && ask.then == Then::Listen,
        peer_follows: connection.is_some() && !ask.options.no_wait && !ask.options.fastopen,
    })
}

pub(crate) fn new_socket(ask: &Ask) -> Result<OwnedFd, Errno> {
    let family = match ask.family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let (kind, protocol): (_, Option<Protocol>) = match ask.transport {
        Transport::Tcp => (SocketType::STREAM, None),
        Transport::Mptcp => (SocketType::STREAM, Some(ipproto::MPTCP)),
        Transport::Udp => (SocketType::DGRAM, None),
    };
    let mut flags = SocketFlags::CLOEXEC;
    // Listeners are emptied whenever it suits, so accept() must not wait.
    if ask.options.no_wait || ask.then == Then::Listen {
        flags |= SocketFlags::NONBLOCK;
    }
    socket_with(family, kind, flags, protocol)
}

fn device_index(fd: &OwnedFd, ask: &Ask) -> Result<u32, Errno> {
    ask.options
        .device
        .as_ref()
        .map_or(Ok(0), |device| netdevice::name_to_index(fd, device))
}

/// Aborts on close: RST instead of FIN.
pub(crate) fn abort(fd: OwnedFd) -> Result<(), Errno> {
    sockopt::set_socket_linger(&fd, Some(Duration::ZERO))
}

/// Gives the port back at once, by `connect(AF_UNSPEC)`: RST where there is a peer. Unlike
/// [`abort`] it does not depend on the descriptor being the last one: a program that is being
/// started has copies of all for a moment.
pub(crate) fn release(fd: &OwnedFd) -> Result<(), Errno> {
    connect_unspec(fd)
}

/// The local end; v4-mapped addresses as IPv4.
pub(crate) fn local_end(fd: &OwnedFd) -> Result<SocketAddr, Errno> {
    SocketAddr::try_from(getsockname(fd)?).map(canonical)
}

/// The remote end; v4-mapped addresses as IPv4.
pub(crate) fn remote_end(fd: &OwnedFd) -> Result<SocketAddr, Errno> {
    let peer = getpeername(fd)?.ok_or(Errno::NOTCONN)?;
    SocketAddr::try_from(peer).map(canonical)
}

pub(crate) fn canonical(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

/// An IPv6 socket takes IPv4 addresses as v4-mapped ones; `0.0.0.0` becomes `::ffff:0.0.0.0`.
fn as_family(family: Family, end: SocketAddr) -> SocketAddr {
    match (family, end.ip()) {
        (Family::V6, IpAddr::V4(address)) => {
            let mapped: Ipv6Addr = address.to_ipv6_mapped();
            SocketAddr::new(IpAddr::V6(mapped), end.port())
        }
        _ => end,
    }
}
