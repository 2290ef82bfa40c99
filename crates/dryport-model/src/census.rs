//! Counting every request of a namespace in one pass over its sockets.
//!
//! The pass keeps 20 bytes for each client socket in the range and one key for each 4-tuple space;
//! sockets outside the range leave nothing. Ledgers are made from that afterwards.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use crate::tuple::hold;
use crate::{
    BucketState, Buckets, Family, Headroom, HeadroomCount, Ledger, Limits, PortSet, Protocol,
    Request, Socket, SocketPortRange, State, TupleHold,
};

mod requests;
#[cfg(test)]
mod tests;

/// The 4-tuple space of a client socket: everything but its local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketKey {
    /// Local address.
    pub source: IpAddr,
    /// Remote endpoint.
    pub destination: SocketAddr,
    /// Interface index of `SO_BINDTODEVICE`, 0 for none.
    pub device: u32,
    /// `IP_LOCAL_PORT_RANGE` of the sockets; `None`: unset, or not told.
    pub port_range: Option<SocketPortRange>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyV4(Ipv4Addr, Ipv4Addr, u16, u32, Option<SocketPortRange>);
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyV6(Ipv6Addr, Ipv6Addr, u16, u32, Option<SocketPortRange>);

/// One client socket in the range.
#[derive(Clone, Copy, Debug)]
struct Entry {
    request: u32,
    inode: u32,
    remaining_ms: u32,
    port: u16,
    hold: Hold,
    state: State,
    /// `IPV6_V6ONLY`, which decides whether it is in the way of an IPv4 `bind()`.
    v6only: Option<bool>,
}

/// [`TupleHold`] without its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    Reusable,
    UntoldTimestamps,
    UntoldRule,
    Waiting,
    InUse,
}

/// A bound or listening TCP socket in the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundSocket {
    /// The socket.
    pub socket: Socket,
    /// Bound to a port of the program's choice (`bind(addr, 8080)`), not to one the kernel chose.
    /// `None`: not told.
    pub fixed_port: Option<bool>,
}

/// What is in use of one request.
#[derive(Clone, Debug)]
pub struct RequestUse {
    /// The request.
    pub request: Request,
    /// Its ledger.
    pub ledger: Ledger,
    /// Its headroom.
    pub headroom: Headroom,
    /// Milliseconds until the first and the last port in TIME_WAIT comes back.
    pub time_wait_left_ms: Option<(u32, u32)>,
    /// Ports that are held against it, and the inode of each socket on them; 0 (a stub) left out.
    pub holders: Vec<(u16, u32)>,
}

/// Source addresses that `bind()` requests are made for.
const MOST_SOURCES: usize = 16;

/// All requests of one namespace.
pub struct Census<'a> {
    limits: &'a Limits,
    buckets: Buckets,
    keys_v4: HashMap<KeyV4, u32, FixedState>,
    keys_v6: HashMap<KeyV6, u32, FixedState>,
    requests: Vec<(SocketKey, u32)>,
    entries: Vec<Entry>,
    bound: Vec<BoundSocket>,
    /// Local ends whose program chose the port itself.
    fixed: HashSet<(IpAddr, u16), FixedState>,
    /// Accepted sockets whose listener is gone: no request of ours, but in the way of a `bind()`.
    children: Vec<Entry>,
    udp: [UdpUse<'a>; 2],
    /// Made by [`Census::count_bind_requests`].
    binds: Vec<BindUse<'a>>,
    sockets: u64,
    listeners: Listeners,
    /// Some sockets choose from a port range of their own.
    has_ranges: bool,
}

struct BindUse<'a> {
    count: HeadroomCount<'a>,
    holders: Vec<(u16, u32)>,
}

struct UdpUse<'a> {
    count: HeadroomCount<'a>,
    sockets: Vec<(u16, u32)>,
}

impl<'a> UdpUse<'a> {
    fn new(family: Family, limits: &'a Limits) -> Self {
        let request = Request {
            v6only: family == Family::V6 && limits.bindv6only,
            ..Request::udp_any(family)
        };
        Self {
            count: HeadroomCount::new(request, limits),
            sockets: Vec::new(),
        }
    }
}

impl<'a> Census<'a> {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            buckets: Buckets::new(limits.features),
            keys_v4: HashMap::default(),
            keys_v6: HashMap::default(),
            requests: Vec::new(),
            entries: Vec::new(),
            bound: Vec::new(),
            fixed: HashSet::default(),
            children: Vec::new(),
            binds: Vec::new(),
            udp: [
                UdpUse::new(Family::V4, limits),
                UdpUse::new(Family::V6, limits),
            ],
            sockets: 0,
            listeners: HashMap::default(),
            has_ranges: false,
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Sockets that hold a port of the range, in any state.
    #[must_use]
    pub const fn sockets(&self) -> u64 {
        self.sockets
    }

    /// Takes note of one socket.
    #[inline]
    pub fn observe(&mut self, socket: &Socket) {
        self.observe_with(socket, None);
    }

    /// Takes note of one socket whose own port range is told.
    #[inline]
    pub fn observe_with(&mut self, socket: &Socket, port_range: Option<SocketPortRange>) {
        self.sockets += 1;
        if self.limits.range.contains(socket.local.port()) {
            match socket.protocol {
                Protocol::Tcp => self.observe_tcp(socket, port_range),
                Protocol::Udp => self.observe_udp(socket),
            }
        }
    }

    fn observe_udp(&mut self, socket: &Socket) {
        for udp in &mut self.udp {
            udp.count.observe(socket);
            if udp.count.request().family == socket.family {
                udp.sockets.push((socket.local.port(), socket.inode));
            }
        }
    }

    fn observe_tcp(&mut self, socket: &Socket, port_range: Option<SocketPortRange>) {
        self.buckets.observe(socket);
        match socket.state {
            State::Listen | State::BoundInactive => {
                if socket.state == State::Listen {
                    let own = (socket.local.ip(), socket.v6only == Some(true));
                    self.listeners
                        .entry(socket.local.port())
                        .or_default()
                        .push(own);
                }
                self.bound.push(BoundSocket {
                    socket: *socket,
                    fixed_port: None,
                });
            }
            // A request socket is a connection that somebody makes to a listener of ours. A full
            // socket is in this state after a simultaneous open, and has an inode.
            State::SynRecv if socket.inode == 0 => {}
            // Listeners come first in a dump, so most accepted sockets are known at once; the
            // rest are left out when the ledgers are made.
            _ if self.is_accepted(socket.local) => {}
            _ => self.observe_client(socket, port_range),
        }
    }

    fn observe_client(&mut self, socket: &Socket, port_range: Option<SocketPortRange>) {
        let (hold, remaining_ms) = match hold(self.limits, socket) {
            TupleHold::InUse => (Hold::InUse, 0),
            TupleHold::Reusable => (Hold::Reusable, 0),
            TupleHold::Waiting { remaining_ms } => (Hold::Waiting, remaining_ms),
            TupleHold::UntoldTimestamps { remaining_ms } => (Hold::UntoldTimestamps, remaining_ms),
            TupleHold::UntoldRule { remaining_ms } => (Hold::UntoldRule, remaining_ms),
        };
        let request = self.request_of(socket, port_range);
        self.entries.push(Entry {
            request,
            inode: socket.inode,
            remaining_ms,
            port: socket.local.port(),
            hold,
            state: socket.state,
            v6only: socket.v6only,
        });
    }

    fn request_of(&mut self, socket: &Socket, port_range: Option<SocketPortRange>) -> u32 {
        let fresh = self.requests.len() as u32;
        self.has_ranges |= port_range.is_some();
        let (local, remote) = (socket.local.ip(), socket.remote);
        let index = match (local, remote.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => *self
                .keys_v4
                .entry(KeyV4(
                    source,
                    destination,
                    remote.port(),
                    socket.device,
                    port_range,
                ))
                .or_insert(fresh),
            _ => *self
                .keys_v6
                .entry(KeyV6(
                    as_v6(local),
                    as_v6(remote.ip()),
                    remote.port(),
                    socket.device,
                    port_range,
                ))
                .or_insert(fresh),
        };
        if index == fresh {
            let key = SocketKey {
                source: local,
                destination: remote,
                device: socket.device,
                port_range,
            };
            self.requests.push((key, 0));
        }
        if let Some((_, sockets)) = self.requests.get_mut(index as usize) {
            *sockets += 1;
        }
        index
    }

    /// Whether a socket with this local endpoint was accepted by a listener seen so far.
    fn is_accepted(&self, local: SocketAddr) -> bool {
        self.buckets.has_listener(local.port()) && listens(&self.listeners, local)
    }

    /// Listening and bound-but-idle sockets in the range.
    #[must_use]
    pub fn bound_sockets(&self) -> &[BoundSocket] {
        &self.bound
    }

    /// Records that a connected socket chose its port itself: it is no user of `bind(addr, 0)`.
    pub fn set_fixed(&mut self, local: SocketAddr) {
        self.fixed.insert((local.ip(), local.port()));
    }

    /// Whether client sockets stand on locked ports, so that it matters how they came by them.
    #[must_use]
    pub fn has_locked_clients(&self) -> bool {
        let locked = |entry: &Entry| self.buckets.state(entry.port) == BucketState::Locked;
        self.entries.iter().any(locked)
    }

    /// Records which of the bound sockets chose their port themselves (the rows that
    /// `INET_DIAG_BC_AUTO` does not match); all others did not.
    pub fn set_fixed_ports(&mut self, is_fixed: impl Fn(&Socket) -> bool) {
        for bound in &mut self.bound {
            bound.fixed_port = Some(is_fixed(&bound.socket));
        }
    }

    /// Client sockets in CLOSE_WAIT: port and inode.
    pub fn close_wait(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.entries
            .iter()
            .filter(|entry| entry.state == State::CloseWait)
            .map(|entry| (entry.port, entry.inode))
    }

    /// Inodes of every socket in the range that a program holds, listening and UDP ones included.
    pub fn inodes(&self) -> impl Iterator<Item = u32> + '_ {
        let bound = self.bound.iter().map(|bound| bound.socket.inode);
        let clients = self.entries.iter().map(|entry| entry.inode);
        let udp = self
            .udp
            .iter()
            .flat_map(|udp| udp.sockets.iter().map(|(_, inode)| *inode));
        bound.chain(clients).chain(udp).filter(|inode| *inode != 0)
    }

    /// The bind buckets as known now.
    #[must_use]
    pub const fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Records the state that the kernel itself tells of a port's TCP bind bucket.
    #[inline]
    pub fn see_bucket(&mut self, port: u16, state: BucketState) {
        self.buckets.prove(port, state);
    }

    /// Records what asking the kernel showed of a TCP port; see [`Buckets::prove`].
    pub fn prove(&mut self, port: u16, granted: Option<bool>) {
        if let Some(granted) = granted {
            let state = if granted {
                BucketState::Shareable
            } else {
                BucketState::Locked
            };
            self.buckets.prove(port, state);
        }
    }

    /// Ports of the range whose bind bucket is untold.
    #[must_use]
    pub fn ports_to_probe(&self) -> Vec<u16> {
        self.limits
            .range
            .ports()
            .filter(|port| {
                !self.limits.reserved.contains(*port)
                    && self.buckets.state(*port) == BucketState::Unknown
            })
            .collect()
    }

    /// The same with the ports of the busiest request last: whether those are locked changes
    /// nothing for it, so the others settle more.
    #[must_use]
    pub fn ports_to_probe_by_worth(&self) -> Vec<u16> {
        let counts = self.requests.iter().enumerate();
        let busiest = counts
            .max_by_key(|(_, (_, sockets))| *sockets)
            .map(|(index, _)| index);
        let own: PortSet = self
            .entries
            .iter()
            .filter(|entry| Some(entry.request as usize) == busiest)
            .map(|entry| entry.port)
            .collect();
        let (last, first): (Vec<u16>, Vec<u16>) = self
            .ports_to_probe()
            .into_iter()
            .partition(|port| own.contains(*port));
        [first, last].concat()
    }

    /// Destinations of TIME_WAITs of which it is untold whether they had TCP timestamps, the one
    /// with the most first.
    #[must_use]
    pub fn peers_without_timestamps(&self) -> Vec<IpAddr> {
        let mut waiting: HashMap<IpAddr, u32, FixedState> = HashMap::default();
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.hold == Hold::UntoldTimestamps)
        {
            if let Some((key, _)) = self.requests.get(entry.request as usize) {
                *waiting.entry(key.destination.ip()).or_default() += 1;
            }
        }
        let mut peers: Vec<(IpAddr, u32)> = waiting.into_iter().collect();
        peers.sort_unstable_by_key(|(peer, count)| (core::cmp::Reverse(*count), *peer));
        peers.into_iter().map(|(peer, _)| peer).collect()
    }

    /// Records whether connections to a peer have TCP timestamps; `None` leaves it untold.
    pub fn set_timestamps(&mut self, of_peer: impl Fn(IpAddr) -> Option<bool>) {
        for entry in self
            .entries
            .iter_mut()
            .filter(|e| e.hold == Hold::UntoldTimestamps)
        {
            let peer = self
                .requests
                .get(entry.request as usize)
                .map(|(key, _)| key.destination.ip());
            match peer.and_then(&of_peer) {
                Some(true) => entry.hold = Hold::Reusable,
                Some(false) => entry.hold = Hold::Waiting,
                None => {}
            }
        }
    }

    /// Leaves out client sockets whose listener was told only after them. Call it once all sockets
    /// were observed.
    pub fn forget_accepted(&mut self) {
        if self.listeners.is_empty() {
            return;
        }
        let listeners = core::mem::take(&mut self.listeners);
        self.forget(|local, _| listens(&listeners, local));
        self.listeners = listeners;
    }

    /// Leaves out client sockets that turned out to be accepted ones, by local and remote end.
    pub fn forget(&mut self, is_accepted: impl Fn(SocketAddr, SocketAddr) -> bool) {
        let (requests, children) = (&mut self.requests, &mut self.children);
        self.entries.retain(|entry| {
            let Some((key, sockets)) = requests.get_mut(entry.request as usize) else {
                return true;
            };
            let accepted = is_accepted(SocketAddr::new(key.source, entry.port), key.destination);
            if accepted {
                *sockets -= 1;
                children.push(*entry);
            }
            !accepted
        });
    }

    /// The counts whose untold ports can be asked of the kernel one by one: UDP, and `bind()` once
    /// [`Census::count_bind_requests`] was called.
    pub fn address_counts(&mut self) -> impl Iterator<Item = &mut HeadroomCount<'a>> {
        let udp = self.udp.iter_mut().filter(|udp| !udp.sockets.is_empty());
        let binds = self.binds.iter_mut().map(|bind| &mut bind.count);
        udp.map(|udp| &mut udp.count).chain(binds)
    }
}

/// Listeners by port: their address, and whether they take IPv6 alone.
type Listeners = HashMap<u16, Vec<(IpAddr, bool)>, FixedState>;

fn listens(listeners: &Listeners, local: SocketAddr) -> bool {
    let takes = |(own, v6only): &(IpAddr, bool)| {
        let same_family = own.is_ipv4() == local.is_ipv4();
        // The IPv6 wildcard takes IPv4 as well, unless it is v6only.
        *own == local.ip() || (own.is_unspecified() && (same_family || (own.is_ipv6() && !v6only)))
    };
    listeners
        .get(&local.port())
        .is_some_and(|own| own.iter().any(takes))
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
