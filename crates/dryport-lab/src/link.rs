//! Interfaces, addresses and routes of a namespace, through rtnetlink. The free functions act in
//! the calling thread's namespace.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dryport_wire::netlink::{Control, Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, messages};
use dryport_wire::route;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, send,
    socket_with,
};

use crate::{LabError, Namespace};

/// Multicast groups of the calling thread's namespace.
const GROUPS: &str = "/proc/thread-self/net/igmp6";
/// How long the kernel may take to bring a link or an address into use.
const DEADLINE: Duration = Duration::from_secs(5);

impl Namespace {
    /// Makes a veth pair, one end here and one in `peer`. Both are down.
    ///
    /// # Errors
    /// A name is taken, or the kernel has no veth.
    pub fn add_veth(&self, name: &str, peer: &Self, peer_name: &str) -> Result<(), LabError> {
        let fd = peer.as_fd().as_raw_fd();
        self.run(|| {
            exchange(
                &route::new_veth(name, peer_name, Some(fd)),
                &format!("veth {name}"),
            )
        })?
    }

    /// Makes a dummy interface and sets it up: it takes every packet and delivers none.
    ///
    /// # Errors
    /// The name is taken, or the kernel has no dummy driver (`EOPNOTSUPP`).
    pub fn add_dummy(&self, name: &str) -> Result<(), LabError> {
        self.run(|| {
            exchange(&route::new_dummy(name), &format!("dummy {name}"))?;
            set_up(name, true)
        })?
    }

    /// Gives an interface an address, usable at once (no duplicate address detection).
    ///
    /// # Errors
    /// No such interface, or it has the address already.
    pub fn add_address(
        &self,
        device: &str,
        address: IpAddr,
        prefix_length: u8,
    ) -> Result<(), LabError> {
        self.run(|| {
            let index = index(device)?;
            let object = format!("address {address}/{prefix_length} on {device}");
            exchange(&route::add_address(index, address, prefix_length), &object)
        })?
    }

    /// Sets an interface up or down.
    ///
    /// # Errors
    /// No such interface.
    pub fn set_link(&self, device: &str, up: bool) -> Result<(), LabError> {
        self.run(|| set_up(device, up))?
    }

    /// Makes `source` the address from which `destination` is reached through `device`.
    ///
    /// # Errors
    /// No such interface, or `source` is not an address of this namespace.
    pub fn add_route_source(
        &self,
        device: &str,
        destination: IpAddr,
        source: IpAddr,
    ) -> Result<(), LabError> {
        self.run(|| {
            let message = host_route(index(device)?, destination, source);
            exchange(&message, &format!("route {destination} from {source}"))
        })?
    }

    /// The number of an interface.
    ///
    /// # Errors
    /// No such interface.
    pub fn interface_index(&self, device: &str) -> Result<u32, LabError> {
        self.run(|| index(device))?
    }

    /// Waits until the interface is in use; until then the first packets would be dropped.
    ///
    /// The kernel's link watch takes up to a second to notice a carrier; asking for the link makes
    /// it look at once (`rtnl_getlink`, `linkwatch_sync_dev`).
    ///
    /// # Errors
    /// No such interface, or it has no carrier after 5 s.
    pub fn wait_until_running(&self, device: &str) -> Result<(), LabError> {
        self.run(|| {
            let request = link_request(index(device)?);
            poll(
                || format!("{device} to get a carrier"),
                || {
                    exchange(&request, &format!("link {device}"))?;
                    is_running(device)
                },
            )
        })?
    }

    /// Waits until neighbours can find an IPv6 address: the kernel joins its multicast group in
    /// the background (`addrconf_dad_work`), and a solicitation before that is lost for a second.
    ///
    /// # Errors
    /// Nobody has this address after 5 s.
    pub fn wait_until_solicitable(&self, address: Ipv6Addr) -> Result<(), LabError> {
        let [.., a, b, c] = address.octets();
        let group = format!("ff0200000000000000000001ff{a:02x}{b:02x}{c:02x}");
        self.run(|| {
            poll(
                || format!("{address} to be solicitable"),
                || {
                    let joined = fs::read_to_string(GROUPS).map_err(LabError::file("read", GROUPS));
                    Ok(joined?.contains(&group))
                },
            )
        })?
    }
}

/// Asks every millisecond until the answer is yes.
fn poll(
    condition: impl Fn() -> String,
    mut holds: impl FnMut() -> Result<bool, LabError>,
) -> Result<(), LabError> {
    let started = Instant::now();
    while !holds()? {
        if started.elapsed() > DEADLINE {
            let waited = started.elapsed();
            return Err(LabError::Deadline {
                condition: condition(),
                waited,
            });
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Sets an interface up or down.
pub(crate) fn set_up(device: &str, up: bool) -> Result<(), LabError> {
    exchange(
        &route::set_link_up(index(device)?, up),
        &format!("link {device}"),
    )
}

fn index(device: &str) -> Result<u32, LabError> {
    netdevice::name_to_index(&any_socket()?, device)
        .map_err(LabError::system("ioctl(SIOCGIFINDEX)", device))
}

/// `IFF_RUNNING`: up, with a carrier, and activated.
fn is_running(device: &str) -> Result<bool, LabError> {
    let fd = any_socket()?;
    // SAFETY: ifreq is plain old data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request
        .ifr_name
        .iter_mut()
        .zip(device.bytes().take(libc::IFNAMSIZ - 1))
    {
        *to = from.cast_signed();
    }
    // SAFETY: SIOCGIFFLAGS reads the name from the ifreq and writes its flags; both are there.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
    if result != 0 {
        return Err(LabError::system("ioctl(SIOCGIFFLAGS)", device)(last_errno()));
    }
    // SAFETY: the call succeeded, so the kernel has written the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(i32::from(flags) & libc::IFF_RUNNING != 0)
}

/// The calling thread's last error.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Any socket will do to ask for an interface.
fn any_socket() -> Result<OwnedFd, LabError> {
    socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(LabError::system("socket", "AF_INET"))
}

/// A route to one host with a preferred source, in the main table. Replaces one that is there.
fn host_route(oif: u32, destination: IpAddr, source: IpAddr) -> Vec<u8> {
    const RTM_NEWROUTE: u16 = 24;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_PREFSRC: u16 = 7;
    let (family, bits) = if destination.is_ipv4() {
        (2, 32)
    } else {
        (10, 128)
    };
    let scope = if destination.is_ipv4() { 253 } else { 0 };
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    let mut message = Message::new(RTM_NEWROUTE, flags, route::EDIT_SEQUENCE);
    // struct rtmsg: family, lengths, tos, table main, protocol boot, scope, unicast, flags.
    message.push_bytes(&[family, bits, 0, 0, 254, 3, scope, 1, 0, 0, 0, 0]);
    message.attribute(RTA_DST, &octets(destination));
    message.attribute(RTA_OIF, &oif.to_ne_bytes());
    message.attribute(RTA_PREFSRC, &octets(source));
    message.finish()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Asks for one link, not for a dump.
fn link_request(index: u32) -> Vec<u8> {
    const RTM_GETLINK: u16 = 18;
    let mut message = Message::new(RTM_GETLINK, NLM_F_REQUEST, route::EDIT_SEQUENCE);
    // struct ifinfomsg: family, type, index, flags, change mask.
    message
        .push_bytes(&[0; 4])
        .push_bytes(&index.to_ne_bytes())
        .push_bytes(&[0; 8]);
    message.finish()
}

/// Sends one message and waits for its acknowledgement, or for the row that it asks for.
fn exchange(message: &[u8], object: &str) -> Result<(), LabError> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(LabError::system("socket", "NETLINK_ROUTE"))?;
    send(&fd, message, SendFlags::empty()).map_err(LabError::system("send", object))?;
    let mut buffer = vec![0; 16384];
    let (length, _) = recv(&fd, buffer.as_mut_slice(), RecvFlags::empty())
        .map_err(LabError::system("recv", object))?;
    for frame in messages(buffer.get(..length).unwrap_or_default()) {
        let frame = frame.map_err(|source| LabError::Netlink {
            object: object.to_owned(),
            source,
        })?;
        match frame.control() {
            Some(Control::Error { errno: 0 }) => return Ok(()),
            Some(Control::Error { errno }) => {
                return Err(LabError::system("rtnetlink", object)(
                    Errno::from_raw_os_error(errno),
                ));
            }
            Some(_) => {}
            None if frame.kind == route::RTM_NEWLINK => return Ok(()),
            None => {}
        }
    }
    Err(LabError::Unanswered {
        object: object.to_owned(),
    })
}
