//! Counting the headroom of one request from a stream of sockets.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::{
    BucketState, Buckets, Claim, Class, Family, Limits, Method, Overlap, PortClasses, Protocol,
    Request, Socket, TupleHold, claim_conflict, tuple_hold,
};

/// How the kernel is asked about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A TCP `connect()` confined to the port, to a loopback address where nobody is: tells
    /// whether the bind bucket can be shared.
    Connect,
    /// A `bind(local, 0)` confined to the port: tells whether an address claim would be granted.
    Bind {
        /// Transport.
        protocol: Protocol,
        /// Local address.
        local: IpAddr,
        /// Family of the socket.
        family: Family,
        /// `IPV6_V6ONLY`.
        v6only: bool,
        /// Interface index, 0 for none.
        device: u32,
    },
}

// What is known of a port under an address claim, or of the 4-tuple on it.
const LIVE: u8 = 1;
const WAITING: u8 = 1 << 1;
const UNTOLD: u8 = 1 << 2;
const UNTOLD_TIMESTAMPS: u8 = 1 << 3;
const REUSABLE: u8 = 1 << 4;
const PROVED_FREE: u8 = 1 << 6;
const PROVED_TAKEN: u8 = 1 << 7;

/// Counts the headroom of one request. Feed it every socket of the namespace, ask the kernel
/// about [`HeadroomCount::ports_to_probe`], then take the [`HeadroomCount::classes`].
#[derive(Clone)]
pub struct HeadroomCount<'a> {
    request: Request,
    claim: Claim,
    limits: &'a Limits,
    buckets: Buckets,
    holds: Box<[u8; 65536]>,
    waiting: Vec<(u16, u32)>,
    /// Sockets that programs hold on ports of the range.
    holders: Vec<Holder>,
}

#[derive(Clone, Copy)]
struct Holder {
    port: u16,
    /// Stands in the way of this very request, not only of all by its bind bucket.
    direct: bool,
    inode: u32,
}

impl<'a> HeadroomCount<'a> {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(request: Request, limits: &'a Limits) -> Self {
        Self {
            request,
            claim: request.claim(),
            limits,
            buckets: Buckets::new(limits.features),
            holds: Box::new([0; 65536]),
            waiting: Vec::new(),
            holders: Vec::new(),
        }
    }

    /// Takes note of one socket.
    #[inline]
    pub fn observe(&mut self, socket: &Socket) {
        if socket.protocol != self.request.protocol
            || !self.limits.range.contains(socket.local.port())
        {
            return;
        }
        self.buckets.observe(socket);
        let bits = match self.claim {
            Claim::Tuple { .. } => self.tuple_bits(socket),
            Claim::Address { .. } => self.address_bits(socket),
            Claim::Bucket => 0,
        };
        if socket.inode != 0 {
            let (port, inode) = (socket.local.port(), socket.inode);
            self.holders.push(Holder {
                port,
                direct: bits != 0,
                inode,
            });
        }
        if let Some(slot) = self.holds.get_mut(usize::from(socket.local.port())) {
            *slot |= bits;
        }
    }

    /// Ports that are taken from the request, and the inode of each socket on them that takes it:
    /// those in its way, and those on ports that are locked for all.
    #[must_use]
    pub fn holders(&self, classes: &PortClasses) -> Vec<(u16, u32)> {
        let takes = |holder: &&Holder| match classes.class(holder.port) {
            Some(Class::Locked) => true,
            Some(Class::InUse) => holder.direct,
            _ => false,
        };
        let taking = self.holders.iter().filter(takes);
        taking.map(|holder| (holder.port, holder.inode)).collect()
    }

    fn tuple_bits(&mut self, socket: &Socket) -> u8 {
        match tuple_hold(&self.claim, self.limits, socket) {
            None => 0,
            Some(TupleHold::InUse) => LIVE,
            Some(TupleHold::Reusable) => REUSABLE,
            Some(TupleHold::Waiting { remaining_ms }) => {
                self.waiting.push((socket.local.port(), remaining_ms));
                WAITING
            }
            Some(TupleHold::UntoldTimestamps { remaining_ms }) => {
                self.waiting.push((socket.local.port(), remaining_ms));
                UNTOLD_TIMESTAMPS
            }
            Some(TupleHold::UntoldRule { remaining_ms }) => {
                self.waiting.push((socket.local.port(), remaining_ms));
                UNTOLD
            }
        }
    }

    fn address_bits(&mut self, socket: &Socket) -> u8 {
        match (claim_conflict(&self.claim, socket), socket.time_wait) {
            (Overlap::No, _) => 0,
            (Overlap::Yes, None) => LIVE,
            (Overlap::Yes, Some(time_wait)) => {
                self.waiting
                    .push((socket.local.port(), time_wait.remaining_ms));
                WAITING
            }
            (Overlap::Untold, _) => UNTOLD,
        }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// How the kernel is asked about a port.
    #[must_use]
    pub fn probe_kind(&self) -> ProbeKind {
        match self.claim {
            Claim::Tuple { .. } | Claim::Bucket => ProbeKind::Connect,
            Claim::Address {
                local,
                family,
                v6only,
                device,
            } => ProbeKind::Bind {
                protocol: self.request.protocol,
                local,
                family,
                v6only,
                device,
            },
        }
    }

    /// Whether asking leaves no trace. A TCP bind probe on a kernel without bucket recovery would
    /// leave a shared port locked.
    #[must_use]
    pub fn may_probe(&self) -> bool {
        match self.probe_kind() {
            ProbeKind::Bind {
                protocol: Protocol::Tcp,
                ..
            } => self.limits.features.bucket_recovery == Some(true),
            _ => true,
        }
    }

    /// The ports of which the sockets seen do not tell enough, ascending.
    #[must_use]
    pub fn ports_to_probe(&self) -> Vec<u16> {
        self.request
            .range(self.limits)
            .ports()
            .filter(|port| !self.limits.reserved.contains(*port) && self.is_ambiguous(*port))
            .collect()
    }

    fn is_ambiguous(&self, port: u16) -> bool {
        match self.claim {
            Claim::Tuple { .. } | Claim::Bucket => self.buckets.state(port) == BucketState::Unknown,
            Claim::Address { .. } => {
                let hold = self.hold(port);
                hold & (LIVE | WAITING | PROVED_FREE | PROVED_TAKEN) == 0
                    && (hold & UNTOLD != 0 || self.may_be_held_unseen(port))
            }
        }
    }

    /// A TCP port that an unseen bound socket may hold (old kernels).
    fn may_be_held_unseen(&self, port: u16) -> bool {
        self.request.protocol == Protocol::Tcp
            && self.limits.features.shows_bound_idle != Some(true)
            && self.hold(port) & PROVED_FREE == 0
            && self.buckets.state(port) != BucketState::Locked
    }

    /// Records the state that the kernel itself tells of a port's TCP bind bucket.
    #[inline]
    pub fn see_bucket(&mut self, port: u16, state: BucketState) {
        self.buckets.prove(port, state);
    }

    /// Records the kernel's answer: whether the port was granted. `None` (an answer that tells
    /// nothing) changes nothing.
    pub fn prove(&mut self, port: u16, granted: Option<bool>) {
        let Some(granted) = granted else { return };
        match self.claim {
            Claim::Tuple { .. } | Claim::Bucket => {
                let state = if granted {
                    BucketState::Shareable
                } else {
                    BucketState::Locked
                };
                self.buckets.prove(port, state);
            }
            Claim::Address { .. } => {
                if let Some(slot) = self.holds.get_mut(usize::from(port)) {
                    *slot |= if granted { PROVED_FREE } else { PROVED_TAKEN };
                }
            }
        }
    }

    /// Whether it matters to know if the connections in TIME_WAIT had TCP timestamps.
    #[must_use]
    pub fn needs_timestamps(&self) -> bool {
        self.holds.iter().any(|hold| hold & UNTOLD_TIMESTAMPS != 0)
    }

    /// Records whether they had.
    pub fn set_timestamps(&mut self, timestamps: bool) {
        for hold in self
            .holds
            .iter_mut()
            .filter(|hold| **hold & UNTOLD_TIMESTAMPS != 0)
        {
            *hold &= !UNTOLD_TIMESTAMPS;
            *hold |= if timestamps { REUSABLE } else { WAITING };
        }
    }

    /// The class of every port of the range.
    #[must_use]
    pub fn classes(&self) -> PortClasses {
        PortClasses::new(
            self.request.range(self.limits),
            &self.limits.reserved,
            walks_by_parity(&self.request, self.limits),
            |port| self.class(port),
        )
    }

    fn class(&self, port: u16) -> Class {
        let hold = self.hold(port);
        let has = |bits| hold & bits != 0;
        match self.claim {
            Claim::Address { .. } => match () {
                () if has(LIVE | PROVED_TAKEN) => Class::InUse,
                () if has(WAITING) => Class::TimeWait,
                () if has(PROVED_FREE) => Class::Free,
                () if has(UNTOLD) || self.may_be_held_unseen(port) => Class::Uncertain,
                () => Class::Free,
            },
            Claim::Tuple { .. } | Claim::Bucket => match (self.buckets.state(port), ()) {
                (BucketState::Locked, ()) => Class::Locked,
                (_, ()) if has(LIVE) => Class::InUse,
                (_, ()) if has(WAITING) => Class::TimeWait,
                (BucketState::Unknown, ()) => Class::Uncertain,
                (_, ()) if has(UNTOLD | UNTOLD_TIMESTAMPS) => Class::Uncertain,
                (_, ()) if has(REUSABLE) => Class::TimeWaitReusable,
                _ => Class::Free,
            },
        }
    }

    fn hold(&self, port: u16) -> u8 {
        self.holds.get(usize::from(port)).copied().unwrap_or(0)
    }

    /// Milliseconds until the first and until the last of the ports in class
    /// [`Class::TimeWait`] comes back; `None` where there is none. The kernel's timer adds up to
    /// 2.05 s at HZ=250.
    #[must_use]
    pub fn time_wait_left_ms(&self, classes: &PortClasses) -> Option<(u32, u32)> {
        let left = self
            .waiting
            .iter()
            .filter(|(port, _)| classes.class(*port) == Some(Class::TimeWait))
            .map(|(_, remaining_ms)| *remaining_ms);
        left.fold(None, |ends, ms| match ends {
            None => Some((ms, ms)),
            Some((first, last)) => Some((ms.min(first), ms.max(last))),
        })
    }
}

/// Whether the kernel walks the range in two halves by parity, so that an odd size has a blind
/// spot: TCP only, and for `connect()` not with `IP_LOCAL_PORT_RANGE` (6.8). `bind()` walks by
/// parity with it as well.
pub(crate) fn walks_by_parity(request: &Request, limits: &Limits) -> bool {
    match (request.protocol, request.method) {
        (Protocol::Udp, _) => false,
        (Protocol::Tcp, Method::Bind) => true,
        (Protocol::Tcp, Method::Connect) => {
            request.port_range.is_none() || limits.features.socket_range_full_walk != Some(true)
        }
    }
}
