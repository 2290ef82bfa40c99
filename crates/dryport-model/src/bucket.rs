//! Bind buckets: may an automatic port be taken on this port number at all?
//!
//! The kernel keeps one bucket per namespace and port (`inet_bind_bucket`), whatever the address
//! or family of the sockets in it. `__inet_hash_connect` passes over every bucket whose
//! `fastreuse` or `fastreuseport` is not -1, that is every bucket that a `bind()` made or joined.

use alloc::boxed::Box;

use crate::{Features, Origin, Protocol, Socket, State};

/// The state of one port's TCP bind bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketState {
    /// No socket holds the port.
    Absent,
    /// Only automatic connections hold it; any number of them may, to different destinations.
    Shareable,
    /// Lost to every automatic connection.
    Locked,
    /// Could not be told.
    Unknown,
}

const HELD: u8 = 1;
const BOUND: u8 = 1 << 1;
const UNTOLD: u8 = 1 << 2;
const LISTENER: u8 = 1 << 3;
const PROVED_LOCKED: u8 = 1 << 6;
const PROVED_SHAREABLE: u8 = 1 << 7;

/// What the sockets seen say of every port's bucket: one byte a port.
#[derive(Clone)]
pub struct Buckets {
    evidence: Box<[u8; 65536]>,
    features: Features,
}

impl Buckets {
    /// No socket seen yet.
    #[must_use]
    pub fn new(features: Features) -> Self {
        Self {
            evidence: Box::new([0; 65536]),
            features,
        }
    }

    /// Takes note of one socket. UDP sockets have no part in this.
    #[inline]
    pub fn observe(&mut self, socket: &Socket) {
        if socket.protocol != Protocol::Tcp {
            return;
        }
        let Some(slot) = self.evidence.get_mut(usize::from(socket.local.port())) else {
            return;
        };
        *slot |= match (socket.state, socket.origin) {
            (State::Listen, _) => HELD | BOUND | LISTENER,
            (State::BoundInactive, _) => HELD | BOUND,
            (_, Origin::Bound) => HELD | BOUND,
            // A request socket owns no bucket: its listener does. (A full socket in SYN_RECV,
            // from a simultaneous open, is told the same way: so it proves nothing.)
            (_, Origin::Automatic) => HELD,
            (_, Origin::Unknown) => HELD | UNTOLD,
        };
    }

    /// Records what asking the kernel showed: [`BucketState::Locked`] or
    /// [`BucketState::Shareable`]; other values change nothing.
    pub fn prove(&mut self, port: u16, state: BucketState) {
        let Some(slot) = self.evidence.get_mut(usize::from(port)) else {
            return;
        };
        match state {
            BucketState::Locked => *slot |= PROVED_LOCKED,
            BucketState::Shareable | BucketState::Absent => *slot |= PROVED_SHAREABLE,
            BucketState::Unknown => {}
        }
    }

    /// The bucket's state as far as the evidence goes.
    #[must_use]
    #[inline]
    pub fn state(&self, port: u16) -> BucketState {
        let evidence = self.evidence(port);
        let has = |bit| evidence & bit != 0;
        if has(PROVED_LOCKED) || (has(BOUND) && !has(PROVED_SHAREABLE)) {
            BucketState::Locked
        } else if has(PROVED_SHAREABLE) {
            if has(HELD) {
                BucketState::Shareable
            } else {
                BucketState::Absent
            }
        } else if has(UNTOLD) {
            BucketState::Unknown
        } else if has(HELD) {
            // Only automatic owners are left. Whether a binder visited before matters where the
            // kernel does not recompute the state when it leaves.
            match self.features.bucket_recovery {
                Some(true) => BucketState::Shareable,
                _ => BucketState::Unknown,
            }
        } else if self.features.shows_bound_idle == Some(true) {
            BucketState::Absent
        } else {
            // A bound socket that neither listens nor connects may hold it, unseen.
            BucketState::Unknown
        }
    }

    /// Whether a listener was seen on the port.
    #[must_use]
    #[inline]
    pub fn has_listener(&self, port: u16) -> bool {
        self.evidence(port) & LISTENER != 0
    }

    #[inline]
    fn evidence(&self, port: u16) -> u8 {
        self.evidence.get(usize::from(port)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, TimeWait};

    fn socket(state: State, origin: Origin) -> Socket {
        Socket {
            protocol: Protocol::Tcp,
            state,
            family: Family::V4,
            local: "127.0.0.1:20000".parse().unwrap(),
            remote: "127.0.0.1:9000".parse().unwrap(),
            device: 0,
            v6only: Some(false),
            origin,
            time_wait: None,
            inode: 1,
            uid: 0,
        }
    }

    fn state_after(features: Features, sockets: &[Socket]) -> BucketState {
        let mut buckets = Buckets::new(features);
        sockets.iter().for_each(|socket| buckets.observe(socket));
        buckets.state(20000)
    }

    const NEW: Features = Features::LINUX_6_18;
    const STUCK: Features = Features {
        bucket_recovery: Some(false),
        ..Features::LINUX_6_18
    };

    #[test]
    fn any_bind_locks_the_port() {
        for (state, origin) in [
            (State::Listen, Origin::Unknown),
            (State::BoundInactive, Origin::Unknown),
            (State::Established, Origin::Bound),
            (State::TimeWait, Origin::Bound),
        ] {
            let sharer = socket(State::Established, Origin::Automatic);
            assert_eq!(
                state_after(NEW, &[sharer, socket(state, origin)]),
                BucketState::Locked
            );
        }
    }

    #[test]
    fn automatic_owners_alone_share_where_the_kernel_recomputes_the_bucket() {
        let owners = [socket(State::Established, Origin::Automatic)];
        assert_eq!(state_after(NEW, &owners), BucketState::Shareable);
    }

    #[test]
    fn without_bucket_recovery_a_past_binder_may_have_left_the_port_locked() {
        let owners = [socket(State::Established, Origin::Automatic)];
        assert_eq!(state_after(STUCK, &owners), BucketState::Unknown);
        assert_eq!(state_after(STUCK, &[]), BucketState::Absent);
    }

    #[test]
    fn a_socket_that_only_looks_automatic_proves_nothing() {
        let mut stub = socket(State::TimeWait, Origin::Unknown);
        stub.time_wait = Some(TimeWait {
            remaining_ms: 1,
            age_ms: 59_999,
            timestamps: None,
        });
        assert_eq!(state_after(NEW, &[stub]), BucketState::Unknown);
    }

    #[test]
    fn what_the_kernel_said_when_asked_decides() {
        let mut buckets = Buckets::new(NEW);
        buckets.observe(&socket(State::Established, Origin::Unknown));
        buckets.prove(20000, BucketState::Unknown);
        assert_eq!(buckets.state(20000), BucketState::Unknown);
        buckets.prove(20000, BucketState::Shareable);
        assert_eq!(buckets.state(20000), BucketState::Shareable);
        buckets.prove(20000, BucketState::Locked);
        assert_eq!(buckets.state(20000), BucketState::Locked);
    }

    #[test]
    fn an_unseen_bound_socket_may_hold_any_port_on_old_kernels() {
        let old = Features {
            shows_bound_idle: None,
            ..NEW
        };
        assert_eq!(state_after(old, &[]), BucketState::Unknown);
    }
}
