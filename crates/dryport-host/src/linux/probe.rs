//! Asking the kernel about one port, without privilege and without a trace.
//!
//! A socket confined to one port by `IP_LOCAL_PORT_RANGE` (6.3) either gets it or not. TCP
//! `connect` probes go to an address on lo where nobody listens, never to the real destination, so
//! that no TIME_WAIT of a real 4-tuple is taken over. The probe itself is an automatic connection
//! and so shares the port with others of its kind for the microseconds that it lasts.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use crate::error::Error;
use dryport_model::{Family, ProbeKind, Protocol};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// Where `connect` probes go. The watch leaves connections to it out of its counts.
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);

/// The kernel's answer about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// The port would be granted.
    Granted,
    /// It would not.
    Refused,
    /// The answer tells nothing (lo is down, a firewall, no memory).
    Silent,
}

impl ProbeAnswer {
    /// `None` where the answer tells nothing.
    #[must_use]
    pub const fn granted(self) -> Option<bool> {
        match self {
            Self::Granted => Some(true),
            Self::Refused => Some(false),
            Self::Silent => None,
        }
    }
}

/// A way of asking, for one kind of request, in the namespace of the calling thread.
#[derive(Clone, Debug)]
pub struct Probe {
    kind: ProbeKind,
    device: Option<String>,
}

impl Probe {
    /// A probe of this kind.
    ///
    /// # Errors
    /// `ENOPROTOOPT` where the kernel has no `IP_LOCAL_PORT_RANGE` (before 6.3); or no socket can
    /// be made, or its interface is gone.
    pub fn new(kind: ProbeKind) -> io::Result<Self> {
        let device = match kind {
            ProbeKind::Bind { device, .. } if device != 0 => {
                Some(super::route::device_name(device).ok_or(io::ErrorKind::NotFound)?)
            }
            _ => None,
        };
        let probe = Self { kind, device };
        confine(&probe.socket()?, 1)?;
        Ok(probe)
    }

    /// Asks about one port.
    #[must_use]
    pub fn ask(&self, port: u16) -> ProbeAnswer {
        match self.kind {
            ProbeKind::Connect => self.ask_connect(port),
            ProbeKind::Bind {
                local,
                v6only,
                family,
                ..
            } => self
                .ask_bind(port, local, v6only, family)
                .unwrap_or(ProbeAnswer::Silent),
        }
    }

    /// A refusal is asked for on other 4-tuples too: a real connection may stand on the first, or
    /// another prober at this very moment. The last one nobody can foresee.
    fn ask_connect(&self, port: u16) -> ProbeAnswer {
        let mut last = ProbeAnswer::Silent;
        for attempt in 0..3 {
            let destination = match attempt {
                0 => SocketAddr::from((NOBODY, 1)),
                1 => SocketAddr::from((NOBODY, 2)),
                _ => unforeseen(),
            };
            last = self
                .connect_once(port, destination)
                .unwrap_or(ProbeAnswer::Silent);
            if last != ProbeAnswer::Refused {
                return last;
            }
        }
        last
    }

    fn connect_once(&self, port: u16, destination: SocketAddr) -> io::Result<ProbeAnswer> {
        let socket = self.socket()?;
        confine(&socket, port)?;
        // Should somebody listen there after all, the connection must end without TIME_WAIT.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        let answer = net::connect(&socket, &destination);
        Ok(match answer {
            Ok(()) | Err(Errno::INPROGRESS | Errno::CONNREFUSED) => ProbeAnswer::Granted,
            Err(Errno::ADDRNOTAVAIL) => ProbeAnswer::Refused,
            Err(_) => ProbeAnswer::Silent,
        })
    }

    fn ask_bind(
        &self,
        port: u16,
        local: IpAddr,
        v6only: bool,
        family: Family,
    ) -> io::Result<ProbeAnswer> {
        let socket = self.socket()?;
        confine(&socket, port)?;
        if family == Family::V6 {
            sockopt::set_ipv6_v6only(&socket, v6only)?;
        }
        if let Some(device) = &self.device {
            bind_to_device(&socket, device)?;
        }
        Ok(
            match net::bind(&socket, &SocketAddr::new(in_family(local, family), 0)) {
                Ok(()) => ProbeAnswer::Granted,
                Err(Errno::ADDRINUSE) => ProbeAnswer::Refused,
                Err(_) => ProbeAnswer::Silent,
            },
        )
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        let (protocol, family) = match self.kind {
            ProbeKind::Connect => (Protocol::Tcp, Family::V4),
            ProbeKind::Bind {
                protocol, family, ..
            } => (protocol, family),
        };
        let (kind, number) = match protocol {
            Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
            Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        };
        let family = match family {
            Family::V4 => AddressFamily::INET,
            Family::V6 => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(net::socket_with(family, kind, flags, Some(number))?)
    }
}

/// Whether a program may bind this source address. `IP_BIND_ADDRESS_NO_PORT` takes no port.
///
/// # Errors
/// [`Error::NotLocal`] where the address is nobody's here: `connect()` would fail with
/// EADDRNOTAVAIL, though not for want of a port.
pub fn must_be_local(address: IpAddr) -> Result<(), Error> {
    const IP_BIND_ADDRESS_NO_PORT: libc::c_int = 24;
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let bound = || -> io::Result<()> {
        let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let on = 1_i32.to_ne_bytes();
        set_option(&socket, libc::IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on)?;
        Ok(net::bind(&socket, &SocketAddr::new(address, 0))?)
    };
    match bound() {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {
            Err(Error::NotLocal { address })
        }
        // Any other failure says nothing about the address.
        _ => Ok(()),
    }
}

/// An endpoint of 127/8 that is different each time.
fn unforeseen() -> SocketAddr {
    let [a, b, c, d, e, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    let address = Ipv4Addr::new(127, a | 128, b, c.clamp(1, 254));
    SocketAddr::from((address, 1 + u16::from_ne_bytes([d, e]) % 1023))
}

/// The address as a socket of this family writes it: IPv4 in an IPv6 socket is v4-mapped.
fn in_family(address: IpAddr, family: Family) -> IpAddr {
    match (address, family) {
        (IpAddr::V4(address), Family::V6) => IpAddr::V6(address.to_ipv6_mapped()),
        (address, _) => address,
    }
}

/// `IP_LOCAL_PORT_RANGE` = one port. rustix has no name for it.
fn confine(socket: &OwnedFd, port: u16) -> io::Result<()> {
    const IP_LOCAL_PORT_RANGE: libc::c_int = 51;
    let range = u32::from(port) << 16 | u32::from(port);
    set_option(
        socket,
        libc::IPPROTO_IP,
        IP_LOCAL_PORT_RANGE,
        &range.to_ne_bytes(),
    )
}

fn bind_to_device(socket: &OwnedFd, device: &str) -> io::Result<()> {
    set_option(
        socket,
        libc::SOL_SOCKET,
        libc::SO_BINDTODEVICE,
        device.as_bytes(),
    )
}

fn set_option(
    socket: &OwnedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which outlives the call; the kernel
    // only reads it.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
