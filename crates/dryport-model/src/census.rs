//! Counting every request of a namespace in one pass over its sockets.
//!
//! The pass keeps 16 bytes for each client socket in the range and one key for each 4-tuple space;
//! sockets outside the range leave nothing. Ledgers are made from that afterwards.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::headroom::walks_by_parity;
use crate::tuple::hold;
use crate::{
    BucketState, Buckets, Class, Family, Headroom, HeadroomCount, Ledger, Limits, Origin,
    PortClasses, PortSet, Protocol, Request, Socket, State, Thresholds, TupleHold,
};

/// The 4-tuple space of a client socket: everything but its local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketKey {
    /// Local address.
    pub source: IpAddr,
    /// Remote endpoint.
    pub destination: SocketAddr,
    /// Interface index of `SO_BINDTODEVICE`, 0 for none.
    pub device: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyV4(Ipv4Addr, Ipv4Addr, u16, u32);
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyV6(Ipv6Addr, Ipv6Addr, u16, u32);

/// One client socket in the range.
#[derive(Clone, Copy, Debug)]
struct Entry {
    request: u32,
    inode: u32,
    remaining_ms: u32,
    port: u16,
    hold: Hold,
    state: State,
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
    /// Inodes of the sockets that hold ports against it; 0 (a stub) left out.
    pub inodes: Vec<u32>,
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
    udp: [UdpUse<'a>; 2],
    sockets: u64,
    listeners: Listeners,
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
            udp: [
                UdpUse::new(Family::V4, limits),
                UdpUse::new(Family::V6, limits),
            ],
            sockets: 0,
            listeners: HashMap::default(),
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
        self.sockets += 1;
        if self.limits.range.contains(socket.local.port()) {
            match socket.protocol {
                Protocol::Tcp => self.observe_tcp(socket),
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

    fn observe_tcp(&mut self, socket: &Socket) {
        self.buckets.observe(socket);
        match socket.state {
            State::Listen | State::BoundInactive => {
                if socket.state == State::Listen {
                    self.listeners
                        .entry(socket.local.port())
                        .or_default()
                        .push(socket.local.ip());
                }
                self.bound.push(BoundSocket {
                    socket: *socket,
                    fixed_port: None,
                });
            }
            // A request socket is a connection that somebody makes to a listener of ours.
            State::SynRecv => {}
            // Listeners come first in a dump, so most accepted sockets are known at once; the
            // rest are left out when the ledgers are made.
            _ if self.is_accepted(socket.local) => {}
            _ => self.observe_client(socket),
        }
    }

    fn observe_client(&mut self, socket: &Socket) {
        let (hold, remaining_ms) = match hold(self.limits, socket) {
            TupleHold::InUse => (Hold::InUse, 0),
            TupleHold::Reusable => (Hold::Reusable, 0),
            TupleHold::Waiting { remaining_ms } => (Hold::Waiting, remaining_ms),
            TupleHold::UntoldTimestamps { remaining_ms } => (Hold::UntoldTimestamps, remaining_ms),
            TupleHold::UntoldRule { remaining_ms } => (Hold::UntoldRule, remaining_ms),
        };
        let request = self.request_of(socket);
        self.entries.push(Entry {
            request,
            inode: socket.inode,
            remaining_ms,
            port: socket.local.port(),
            hold,
            state: socket.state,
        });
    }

    fn request_of(&mut self, socket: &Socket) -> u32 {
        let fresh = self.requests.len() as u32;
        let (local, remote) = (socket.local.ip(), socket.remote);
        let index = match (local, remote.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => *self
                .keys_v4
                .entry(KeyV4(source, destination, remote.port(), socket.device))
                .or_insert(fresh),
            _ => *self
                .keys_v6
                .entry(KeyV6(
                    as_v6(local),
                    as_v6(remote.ip()),
                    remote.port(),
                    socket.device,
                ))
                .or_insert(fresh),
        };
        if index == fresh {
            let key = SocketKey {
                source: local,
                destination: remote,
                device: socket.device,
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

    /// Records which of the bound sockets chose their port themselves (the rows that
    /// `INET_DIAG_BC_AUTO` does not match); all others did not.
    pub fn set_fixed_ports(&mut self, is_fixed: impl Fn(&Socket) -> bool) {
        for bound in &mut self.bound {
            bound.fixed_port = Some(is_fixed(&bound.socket));
        }
    }

    /// Client sockets in CLOSE_WAIT and their inodes.
    pub fn close_wait(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries
            .iter()
            .filter(|entry| entry.state == State::CloseWait)
            .map(|entry| entry.inode)
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

    /// Ports that look like those of a closed listener whose connections live on: locked, and held
    /// by several connections of one local address. At most `most`.
    #[must_use]
    pub fn ports_of_gone_listeners(&self, most: usize) -> Vec<u16> {
        let mut users: HashMap<(IpAddr, u16), u32, FixedState> = HashMap::default();
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.hold == Hold::InUse)
        {
            if self.buckets.state(entry.port) == BucketState::Locked
                && let Some((key, _)) = self.requests.get(entry.request as usize)
            {
                *users.entry((key.source, entry.port)).or_default() += 1;
            }
        }
        let mut ports: Vec<u16> = users
            .into_iter()
            .filter(|(_, n)| *n > 1)
            .map(|((_, port), _)| port)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(most);
        ports
    }

    /// Leaves out client sockets that turned out to be accepted ones, by local and remote end.
    pub fn forget(&mut self, is_accepted: impl Fn(SocketAddr, SocketAddr) -> bool) {
        let requests = &mut self.requests;
        self.entries.retain(|entry| {
            let Some((key, sockets)) = requests.get_mut(entry.request as usize) else {
                return true;
            };
            let accepted = is_accepted(SocketAddr::new(key.source, entry.port), key.destination);
            *sockets -= u32::from(accepted);
            !accepted
        });
    }

    /// Number of 4-tuple spaces that client sockets use.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.requests
            .iter()
            .filter(|(_, sockets)| *sockets > 0)
            .count()
    }

    /// The ledger of a TCP `connect()` to a destination nobody is connected to: only bind buckets
    /// and reserved ports count.
    #[must_use]
    pub fn any_new_destination(&self) -> RequestUse {
        let request = Request::any_new_destination();
        let classes = self.bucket_classes(&request);
        let locked = |port| classes.class(port) == Some(Class::Locked);
        let bound = self
            .bound
            .iter()
            .map(|b| (b.socket.local.port(), b.socket.inode));
        let clients = self.entries.iter().map(|entry| (entry.port, entry.inode));
        let inodes = bound
            .chain(clients)
            .filter(|(port, inode)| *inode != 0 && locked(*port))
            .map(|(_, inode)| inode)
            .collect();
        RequestUse {
            request,
            ledger: classes.ledger(),
            headroom: classes.headroom(),
            time_wait_left_ms: None,
            inodes,
        }
    }

    fn bucket_classes(&self, request: &Request) -> PortClasses {
        PortClasses::new(
            self.limits.range,
            &self.limits.reserved,
            walks_by_parity(request, self.limits),
            |port| bucket_class(self.buckets.state(port)),
        )
    }

    /// The most used TCP requests, at most `most` of them, the busiest first.
    #[must_use]
    pub fn tcp_requests(&self, most: usize) -> Vec<RequestUse> {
        let mut busiest: Vec<u32> = (0..self.requests.len() as u32).collect();
        let used = |index: &u32| self.requests.get(*index as usize).map_or(0, |(_, n)| *n);
        busiest.retain(|index| used(index) > 0);
        busiest.sort_by_key(|index| (core::cmp::Reverse(used(index)), *index));
        busiest.truncate(most);
        let base = self.bucket_classes(&Request::any_new_destination());
        let mut rank = alloc::vec![u32::MAX; self.requests.len()];
        for (position, index) in busiest.iter().enumerate() {
            if let Some(slot) = rank.get_mut(*index as usize) {
                *slot = position as u32;
            }
        }
        let mut groups: Vec<Vec<Entry>> = alloc::vec![Vec::new(); busiest.len()];
        for entry in &self.entries {
            let position = rank
                .get(entry.request as usize)
                .copied()
                .unwrap_or(u32::MAX);
            if let Some(group) = groups.get_mut(position as usize) {
                group.push(*entry);
            }
        }
        busiest
            .iter()
            .zip(groups)
            .filter_map(|(index, mut group)| {
                let (key, _) = self.requests.get(*index as usize)?;
                group.extend(self.twins_without_device(key));
                Some(self.tcp_request(key, group, &base))
            })
            .collect()
    }

    /// For a request bound to a device: the sockets that hold the same tuple without one, which
    /// stand in its way too.
    fn twins_without_device(&self, key: &SocketKey) -> Vec<Entry> {
        if key.device == 0 {
            return Vec::new();
        }
        let bare = SocketKey { device: 0, ..*key };
        let is_bare = |request: u32| {
            self.requests
                .get(request as usize)
                .is_some_and(|(other, _)| *other == bare)
        };
        self.entries
            .iter()
            .filter(|entry| is_bare(entry.request))
            .copied()
            .collect()
    }

    /// The ledger of one request: that of an unused destination, with the ports of its own sockets
    /// moved to their class.
    fn tcp_request(
        &self,
        key: &SocketKey,
        mut group: Vec<Entry>,
        base: &PortClasses,
    ) -> RequestUse {
        let request = Request {
            device: key.device,
            ..Request::tcp_connect(key.source, key.destination)
        };
        // The same tuple can stand on a port twice (with and without a device): the worse counts.
        group.sort_by_key(|entry| (entry.port, core::cmp::Reverse(entry.hold)));
        let inodes = group
            .iter()
            .map(|entry| entry.inode)
            .filter(|inode| *inode != 0)
            .collect();
        group.dedup_by_key(|entry| entry.port);
        let mut own: Vec<(u16, Class)> = Vec::with_capacity(group.len());
        let mut left: Option<(u32, u32)> = None;
        for entry in &group {
            let class = held_class(self.buckets.state(entry.port), entry.hold);
            let class = match base.class(entry.port) {
                Some(Class::Reserved) => Class::Reserved,
                _ => class,
            };
            if class == Class::TimeWait {
                let ms = entry.remaining_ms;
                left = Some(left.map_or((ms, ms), |(first, last)| (ms.min(first), ms.max(last))));
            }
            own.push((entry.port, class));
        }
        let classes = base.with(&own);
        RequestUse {
            request,
            ledger: classes.ledger(),
            headroom: classes.headroom(),
            time_wait_left_ms: left,
            inodes,
        }
    }

    /// Whether some source address holds so many ports that a `bind()` to it would be short of
    /// them, while it is untold whether its sockets were bound that way.
    #[must_use]
    pub fn may_hide_bind_requests(&self, thresholds: &Thresholds) -> bool {
        let capacity = self.limits.range.size() - self.limits.reserved.count_in(self.limits.range);
        let is_short =
            |n: u32| f64::from(n) * 100.0 >= f64::from(capacity) * thresholds.warning_percent;
        let source_of = |entry: &Entry| {
            self.requests
                .get(entry.request as usize)
                .map(|(key, _)| key.source)
        };
        let mut sockets: HashMap<IpAddr, u32, FixedState> = HashMap::default();
        for (key, count) in &self.requests {
            *sockets.entry(key.source).or_default() += count;
        }
        let busy = sockets
            .into_iter()
            .filter(|(_, n)| is_short(*n))
            .take(MOST_SOURCES);
        busy.into_iter().any(|(source, _)| {
            let own = || {
                self.entries
                    .iter()
                    .filter(|entry| source_of(entry) == Some(source))
            };
            let untold = |entry: &Entry| self.buckets.state(entry.port) == BucketState::Unknown;
            own().any(untold) && is_short(own().map(|entry| entry.port).collect::<PortSet>().len())
        })
    }

    /// `bind(source, 0)` for every source address that programs bind to without choosing the port.
    #[must_use]
    pub fn bind_requests(&self) -> Vec<RequestUse> {
        let idle = self
            .bound
            .iter()
            .filter(|b| b.socket.state == State::BoundInactive && b.fixed_port == Some(false))
            .map(|b| (b.socket.local.ip(), b.socket.family));
        let connected = self
            .entries
            .iter()
            .filter(|entry| self.buckets.state(entry.port) == BucketState::Locked)
            .filter_map(|entry| self.requests.get(entry.request as usize))
            .map(|(key, _)| (key.source, Family::of(key.source)));
        let mut users: HashMap<(IpAddr, Family), u32, FixedState> = HashMap::default();
        for source in idle.chain(connected) {
            *users.entry(source).or_default() += 1;
        }
        // A few such sockets are no fleet that could run dry.
        let least = (self.limits.range.size() / 100).max(4);
        let mut sources: Vec<_> = users.into_iter().filter(|(_, n)| *n >= least).collect();
        sources.sort_unstable_by_key(|(source, n)| (core::cmp::Reverse(*n), *source));
        sources.truncate(MOST_SOURCES);
        sources
            .into_iter()
            .map(|((source, family), _)| self.bind_request(source, family))
            .collect()
    }

    fn bind_request(&self, source: IpAddr, family: Family) -> RequestUse {
        let request = Request {
            family,
            ..Request::tcp_bind(source)
        };
        let mut count = HeadroomCount::new(request, self.limits);
        let mut inodes = Vec::new();
        for bound in &self.bound {
            count.observe(&bound.socket);
            if bound.socket.local.ip() == source && bound.socket.inode != 0 {
                inodes.push(bound.socket.inode);
            }
        }
        for entry in &self.entries {
            let Some((key, _)) = self.requests.get(entry.request as usize) else {
                continue;
            };
            count.observe(&as_socket(key, entry));
            if key.source == source && entry.inode != 0 {
                inodes.push(entry.inode);
            }
        }
        use_of(&count, inodes)
    }

    /// UDP automatic ports, for each family that holds any in the range.
    #[must_use]
    pub fn udp_requests(&self) -> Vec<RequestUse> {
        self.udp
            .iter()
            .filter(|udp| !udp.sockets.is_empty())
            .map(|udp| {
                use_of(
                    &udp.count,
                    udp.sockets.iter().map(|(_, inode)| *inode).collect(),
                )
            })
            .collect()
    }

    /// The UDP counts, so that their untold ports can be asked of the kernel.
    pub fn udp_counts(&mut self) -> impl Iterator<Item = &mut HeadroomCount<'a>> {
        self.udp
            .iter_mut()
            .filter(|udp| !udp.sockets.is_empty())
            .map(|udp| &mut udp.count)
    }
}

fn use_of(count: &HeadroomCount<'_>, inodes: Vec<u32>) -> RequestUse {
    let classes = count.classes();
    RequestUse {
        request: *count.request(),
        ledger: classes.ledger(),
        headroom: classes.headroom(),
        time_wait_left_ms: count.time_wait_left_ms(&classes),
        inodes,
    }
}

type Listeners = HashMap<u16, Vec<IpAddr>, FixedState>;

fn listens(listeners: &Listeners, local: SocketAddr) -> bool {
    listeners.get(&local.port()).is_some_and(|addresses| {
        addresses
            .iter()
            .any(|own| own.is_unspecified() || *own == local.ip())
    })
}

/// The class of a port that no socket holds against the request.
const fn bucket_class(state: BucketState) -> Class {
    match state {
        BucketState::Locked => Class::Locked,
        BucketState::Unknown => Class::Uncertain,
        BucketState::Absent | BucketState::Shareable => Class::Free,
    }
}

/// The class of a port whose 4-tuple is held.
const fn held_class(state: BucketState, hold: Hold) -> Class {
    match (state, hold) {
        (BucketState::Locked, _) => Class::Locked,
        (_, Hold::InUse) => Class::InUse,
        (_, Hold::Waiting) => Class::TimeWait,
        (BucketState::Unknown, _) | (_, Hold::UntoldRule | Hold::UntoldTimestamps) => {
            Class::Uncertain
        }
        (_, Hold::Reusable) => Class::TimeWaitReusable,
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// A client socket again, as far as address conflicts need it.
fn as_socket(key: &SocketKey, entry: &Entry) -> Socket {
    let time_wait = (entry.hold != Hold::InUse).then_some(crate::TimeWait {
        remaining_ms: entry.remaining_ms,
        age_ms: 0,
        timestamps: None,
    });
    Socket {
        protocol: Protocol::Tcp,
        state: entry.state,
        family: Family::of(key.source),
        local: SocketAddr::new(key.source, entry.port),
        remote: key.destination,
        device: key.device,
        v6only: key.source.is_ipv4().then_some(false),
        origin: Origin::Unknown,
        time_wait,
        inode: entry.inode,
        uid: 0,
    }
}
