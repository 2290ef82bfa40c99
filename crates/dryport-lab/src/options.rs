//! Socket options that `rustix` does not have, and the order in which an [`AskOptions`] is set.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use dryport_model::{Family, SocketPortRange};
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::AskOptions;
use crate::ask::{Ask, Local, Then, Transport};
use crate::link::last_errno;

/// `linux/in.h`, since 4.2 and 6.3; not in every libc.
const IP_BIND_ADDRESS_NO_PORT: i32 = 24;
const IP_LOCAL_PORT_RANGE: i32 = 51;
/// `linux/tcp.h`.
const TCP_LINGER2: i32 = 8;
const TCP_FASTOPEN_CONNECT: i32 = 30;
const TCP_MD5SIG_EXT: i32 = 32;
const TCP_MD5SIG_FLAG_PREFIX: u8 = 1;
const MD5_KEY: &[u8] = b"dryport-lab";

/// How long a blocking `connect()` waits for its peer.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// `struct tcp_md5sig`.
#[derive(Clone, Copy)]
#[repr(C)]
struct TcpMd5Sig {
    address: [u8; 128],
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    ifindex: i32,
    key: [u8; 80],
}

/// Sets what must be set before `bind()` or `connect()`.
pub(crate) fn apply(fd: &OwnedFd, ask: &Ask) -> Result<(), Errno> {
    let options = &ask.options;
    if options.reuseaddr {
        sockopt::set_socket_reuseaddr(fd, true)?;
    }
    if options.reuseport {
        sockopt::set_socket_reuseport(fd, true)?;
    }
    if ask.family == Family::V6 {
        // Said either way, whatever `net.ipv6.bindv6only` starts a socket with.
        sockopt::set_ipv6_v6only(fd, options.v6only)?;
    }
    if let Some(device) = &options.device {
        set_bytes(
            fd,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_bytes(),
        )?;
    }
    if let Some(range) = options.range {
        set(
            fd,
            libc::IPPROTO_IP,
            IP_LOCAL_PORT_RANGE,
            &port_range_word(range),
        )?;
    }
    if matches!(ask.local, Local::From(_)) {
        set(fd, libc::IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &1_i32)?;
    }
    if ask.transport != Transport::Udp {
        apply_tcp(fd, ask.family, options)?;
    }
    if matches!(ask.then, Then::Connect(_)) && !options.no_wait {
        sockopt::set_socket_timeout(fd, sockopt::Timeout::Send, Some(CONNECT_DEADLINE))?;
    }
    Ok(())
}

fn apply_tcp(fd: &OwnedFd, family: Family, options: &AskOptions) -> Result<(), Errno> {
    if options.fastopen {
        set(fd, libc::IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &1_i32)?;
    }
    if let Some(seconds) = options.linger2 {
        set(fd, libc::IPPROTO_TCP, TCP_LINGER2, &seconds)?;
    }
    if options.md5 {
        set(
            fd,
            libc::IPPROTO_TCP,
            TCP_MD5SIG_EXT,
            &md5_for_every_peer(family),
        )?;
    }
    Ok(())
}

/// Whether the kernel takes the options of an [`Ask`].
pub(crate) fn probe(ask: &Ask) -> Result<(), Errno> {
    apply(&crate::socket::new_socket(ask)?, ask)
}

/// `TCP_REPAIR`: the socket connects and closes without a packet. Needs `CAP_NET_ADMIN` over the
/// namespace.
pub(crate) fn set_repair(fd: &OwnedFd) -> Result<(), Errno> {
    const TCP_REPAIR: i32 = 19;
    set(fd, libc::IPPROTO_TCP, TCP_REPAIR, &1_i32)
}

/// The high end stands in the upper half (`IP_LOCAL_PORT_RANGE`, ip(7)).
fn port_range_word(range: SocketPortRange) -> u32 {
    u32::from(range.high) << 16 | u32::from(range.low)
}

/// A prefix of length 0 matches every peer.
fn md5_for_every_peer(family: Family) -> TcpMd5Sig {
    let mut address = [0; 128];
    let number = if family == Family::V4 {
        libc::AF_INET
    } else {
        libc::AF_INET6
    } as u16;
    for (to, from) in address.iter_mut().zip(number.to_ne_bytes()) {
        *to = from;
    }
    let mut key = [0; 80];
    for (to, from) in key.iter_mut().zip(MD5_KEY) {
        *to = *from;
    }
    TcpMd5Sig {
        address,
        flags: TCP_MD5SIG_FLAG_PREFIX,
        prefix_length: 0,
        key_length: MD5_KEY.len() as u16,
        ifindex: 0,
        key,
    }
}

/// Sets an option that is a plain C value.
fn set<T: Copy>(fd: &OwnedFd, level: i32, option: i32, value: &T) -> Result<(), Errno> {
    let value: *const T = value;
    set_raw(fd, level, option, value.cast(), size_of::<T>())
}

fn set_bytes(fd: &OwnedFd, level: i32, option: i32, value: &[u8]) -> Result<(), Errno> {
    set_raw(fd, level, option, value.as_ptr(), value.len())
}

fn set_raw(
    fd: &OwnedFd,
    level: i32,
    option: i32,
    value: *const u8,
    length: usize,
) -> Result<(), Errno> {
    // SAFETY: both callers pass a pointer to a live value and its own size; the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            value.cast(),
            length as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}
