//! The requests of a namespace: their ledgers, made from what the pass over its sockets kept.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{BindUse, Census, Entry, Hold, MOST_SOURCES, RequestUse, SocketKey};
use crate::headroom::walks_by_parity;
use crate::{
    BucketState, Class, Family, HeadroomCount, Origin, PortClasses, PortSet, Protocol, Request,
    Socket, State, Thresholds,
};

impl Census<'_> {
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
        let holders = bound
            .chain(clients)
            .filter(|(port, inode)| *inode != 0 && locked(*port))
            .collect();
        RequestUse {
            request,
            ledger: classes.ledger(),
            headroom: classes.headroom(),
            time_wait_left_ms: None,
            holders,
        }
    }

    fn bucket_classes(&self, request: &Request) -> PortClasses {
        PortClasses::new(
            request.range(self.limits),
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
                group.extend(self.twins(key));
                Some(self.tcp_request(key, group, &base))
            })
            .collect()
    }

    /// Sockets of other requests that hold the same tuple: for one bound to a device those without,
    /// and those that choose from another range of ports.
    fn twins(&self, key: &SocketKey) -> Vec<Entry> {
        let is_twin = |other: &SocketKey| {
            other != key
                && (other.source, other.destination) == (key.source, key.destination)
                && (other.device == key.device || other.device == 0)
        };
        let any = |(other, _): &(SocketKey, u32)| is_twin(other);
        if key.device == 0 && !self.has_ranges || !self.requests.iter().any(any) {
            return Vec::new();
        }
        let holds = |entry: &&Entry| {
            let of = self.requests.get(entry.request as usize);
            of.is_some_and(|(other, _)| is_twin(other))
        };
        self.entries.iter().filter(holds).copied().collect()
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
            port_range: key.port_range,
            ..Request::tcp_connect(key.source, key.destination)
        };
        let within = key.port_range.map(|_| self.bucket_classes(&request));
        let base = within.as_ref().unwrap_or(base);
        group.retain(|entry| base.class(entry.port).is_some());
        // The same tuple can stand on a port twice (with and without a device): the worse counts.
        group.sort_by_key(|entry| (entry.port, core::cmp::Reverse(entry.hold)));
        let holders = group
            .iter()
            .filter(|entry| entry.inode != 0)
            .map(|entry| (entry.port, entry.inode))
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
            holders,
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

    /// `bind(source, 0)` for every source address that programs bind to without choosing the port,
    /// as counted by [`Census::count_bind_requests`].
    #[must_use]
    pub fn bind_requests(&self) -> Vec<RequestUse> {
        self.binds
            .iter()
            .map(|bind| use_of(&bind.count, bind.holders.clone()))
            .collect()
    }

    /// UDP automatic ports, for each family that holds any in the range.
    #[must_use]
    pub fn udp_requests(&self) -> Vec<RequestUse> {
        self.udp
            .iter()
            .filter(|udp| !udp.sockets.is_empty())
            .map(|udp| use_of(&udp.count, udp.sockets.clone()))
            .collect()
    }
}

/// A local address that programs bind to.
type BindSource = (IpAddr, Family, bool);

impl<'a> Census<'a> {
    /// Finds out which source addresses programs bind to without choosing the port, and counts
    /// what is left for one more. Call it once it is known which ports are locked.
    pub fn count_bind_requests(&mut self) {
        self.binds = self
            .bind_sources()
            .into_iter()
            .map(|from| self.count_binds(from))
            .collect();
    }

    fn bind_sources(&self) -> Vec<BindSource> {
        let idle = self
            .bound
            .iter()
            .map(|bound| (bound.fixed_port, bound.socket))
            .filter(|(fixed, socket)| socket.state == State::BoundInactive && *fixed == Some(false))
            .map(|(_, socket)| {
                (
                    socket.local.ip(),
                    socket.family,
                    socket.v6only.unwrap_or(false),
                )
            });
        let connected = self
            .bound_clients()
            .map(|(source, _)| (source, Family::of(source), false));
        let mut users: HashMap<BindSource, u32, FixedState> = HashMap::default();
        for source in idle.chain(connected) {
            *users.entry(source).or_default() += 1;
        }
        let mut sources: Vec<_> = users.into_iter().collect();
        sources.sort_unstable_by_key(|(source, n)| (core::cmp::Reverse(*n), *source));
        sources.truncate(MOST_SOURCES);
        sources.into_iter().map(|(source, _)| source).collect()
    }

    /// Clients whose port is locked, as far as they can have come by `bind(addr, 0)`: such a port
    /// has one socket on that address. Several are the children of a listener that is gone, or
    /// share a port that they chose themselves.
    fn bound_clients(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        let mut locked: Vec<(IpAddr, u16)> = self
            .entries
            .iter()
            .filter(|entry| self.buckets.state(entry.port) == BucketState::Locked)
            .filter_map(|entry| {
                let (key, _) = self.requests.get(entry.request as usize)?;
                let chosen = self.fixed.contains(&(key.source, entry.port));
                (!chosen).then_some((key.source, entry.port))
            })
            .collect();
        locked.sort_unstable();
        let alone: Vec<_> = locked
            .chunk_by(|one, other| one == other)
            .filter(|sockets| sockets.len() == 1)
            .filter_map(|sockets| sockets.first().copied())
            .collect();
        alone.into_iter()
    }

    fn count_binds(&self, (source, family, v6only): BindSource) -> BindUse<'a> {
        let request = Request {
            family,
            v6only,
            ..Request::tcp_bind(source)
        };
        let mut count = HeadroomCount::new(request, self.limits);
        let mut holders = Vec::new();
        for bound in &self.bound {
            count.observe(&bound.socket);
            if bound.socket.local.ip() == source && bound.socket.inode != 0 {
                holders.push((bound.socket.local.port(), bound.socket.inode));
            }
        }
        for entry in self.entries.iter().chain(&self.children) {
            let Some((key, _)) = self.requests.get(entry.request as usize) else {
                continue;
            };
            count.observe(&as_socket(key, entry));
            if key.source == source && entry.inode != 0 {
                holders.push((entry.port, entry.inode));
            }
        }
        BindUse { count, holders }
    }
}

fn use_of(count: &HeadroomCount<'_>, holders: Vec<(u16, u32)>) -> RequestUse {
    let classes = count.classes();
    RequestUse {
        request: *count.request(),
        ledger: classes.ledger(),
        headroom: classes.headroom(),
        time_wait_left_ms: count.time_wait_left_ms(&classes),
        holders,
    }
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
        v6only: entry.v6only,
        origin: Origin::Unknown,
        time_wait,
        inode: entry.inode,
        uid: 0,
    }
}
