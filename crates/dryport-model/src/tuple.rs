//! The 4-tuple rule of `connect()`, and when a TIME_WAIT gives its tuple up.

use core::net::IpAddr;

use crate::{Claim, Limits, Socket, State, TimeWaitReuse};

/// How a socket holds the 4-tuple that a request wants on its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TupleHold {
    /// A live socket: not to be had.
    InUse,
    /// A TIME_WAIT that the kernel would take over now.
    Reusable,
    /// A TIME_WAIT (or FIN_WAIT2 stub) that it would not take over.
    Waiting {
        /// Milliseconds until the tuple is free or may be taken over, whichever is first.
        remaining_ms: u32,
    },
    /// A TIME_WAIT that would be taken over if its connection had TCP timestamps, which is not
    /// told.
    UntoldTimestamps {
        /// Milliseconds until the kernel drops it.
        remaining_ms: u32,
    },
    /// A TIME_WAIT that older kernels may or may not take over at this age.
    UntoldRule {
        /// Milliseconds until the kernel drops it.
        remaining_ms: u32,
    },
}

impl TupleHold {
    /// What the hold becomes once it is known whether the old connection had timestamps.
    #[must_use]
    pub const fn with_timestamps(self, timestamps: bool) -> Self {
        match self {
            Self::UntoldTimestamps { .. } if timestamps => Self::Reusable,
            Self::UntoldTimestamps { remaining_ms } => Self::Waiting { remaining_ms },
            other => other,
        }
    }
}

/// Whether, and how, `socket` holds the tuple of a [`Claim::Tuple`] on its local port.
///
/// An old socket bound to a device does not stand in the way of a new one that is not bound to
/// it, but an unbound old one stands in everybody's way (`INET_MATCH`: `sk_bound_dev_if` of the
/// old socket must be 0 or equal).
#[must_use]
#[inline]
pub fn tuple_hold(claim: &Claim, limits: &Limits, socket: &Socket) -> Option<TupleHold> {
    let Claim::Tuple {
        source,
        destination,
        device,
    } = *claim
    else {
        return None;
    };
    let matches = socket.holds_tuple()
        && socket.remote.port() == destination.port()
        && socket.remote.ip() == destination.ip()
        && socket.local.ip() == source
        && (socket.device == 0 || socket.device == device);
    matches.then(|| hold(limits, socket))
}

/// How a socket holds its own 4-tuple.
#[must_use]
#[inline]
pub(crate) fn hold(limits: &Limits, socket: &Socket) -> TupleHold {
    let Some(time_wait) = socket.time_wait else {
        return TupleHold::InUse;
    };
    let remaining_ms = time_wait.remaining_ms;
    let waiting = TupleHold::Waiting { remaining_ms };
    let timestamps = time_wait
        .timestamps
        .or_else(|| stays_on_this_machine(socket).then_some(limits.tcp_timestamps));
    let asked = match limits.tw_reuse {
        TimeWaitReuse::Off => false,
        TimeWaitReuse::On => true,
        TimeWaitReuse::Loopback => looks_like_loopback(socket),
    };
    if !asked || timestamps == Some(false) {
        return waiting;
    }
    let modern = limits.features.millisecond_time_wait == Some(true);
    if socket.state != State::TimeWait {
        // `tw_substate` is FIN_WAIT2: never taken over since 6.12, sometimes before.
        return if modern {
            waiting
        } else {
            TupleHold::UntoldRule { remaining_ms }
        };
    }
    if time_wait.age_ms <= limits.tw_reuse_delay_ms {
        let until_reuse = (limits.tw_reuse_delay_ms - time_wait.age_ms).saturating_add(1);
        return match (modern, timestamps) {
            // Before 6.14 whole seconds are compared: at some point within the first one.
            (false, _) => TupleHold::UntoldRule { remaining_ms },
            (true, Some(true)) => TupleHold::Waiting {
                remaining_ms: until_reuse.min(remaining_ms),
            },
            (true, _) => waiting,
        };
    }
    match timestamps {
        Some(true) => TupleHold::Reusable,
        _ => TupleHold::UntoldTimestamps { remaining_ms },
    }
}

/// Both ends are this machine's, so the namespace's own `tcp_timestamps` decided whether the
/// connection had them (as long as the setting was not changed in the minute since).
fn stays_on_this_machine(socket: &Socket) -> bool {
    let (local, remote) = (
        socket.local.ip().to_canonical(),
        socket.remote.ip().to_canonical(),
    );
    remote.is_loopback() || local == remote
}

/// `twsk_unique` with `tcp_tw_reuse` = 2: bound to the loopback interface (index 1), or either
/// address is a loopback one. An own address other than 127/8 is not, even over lo.
fn looks_like_loopback(socket: &Socket) -> bool {
    const LOOPBACK_IFINDEX: u32 = 1;
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    socket.device == LOOPBACK_IFINDEX || loopback(socket.local.ip()) || loopback(socket.remote.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Features, Origin, Protocol, TimeWait};

    fn stub(local: &str, remote: &str, age_ms: u32, timestamps: Option<bool>) -> Socket {
        Socket {
            protocol: Protocol::Tcp,
            state: State::TimeWait,
            family: Family::V4,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            device: 0,
            v6only: Some(false),
            origin: Origin::Unknown,
            time_wait: Some(TimeWait {
                remaining_ms: 60_000 - age_ms,
                age_ms,
                timestamps,
            }),
            inode: 0,
            uid: 0,
        }
    }

    fn with(tw_reuse: TimeWaitReuse) -> Limits {
        Limits {
            tw_reuse,
            ..Limits::linux_default()
        }
    }

    const LO: (&str, &str) = ("127.0.0.1:20000", "127.0.0.1:9000");
    const FAR: (&str, &str) = ("10.0.0.1:20000", "10.0.0.2:9000");

    #[test]
    fn reuse_needs_age_timestamps_and_the_setting() {
        let old = stub(LO.0, LO.1, 1001, Some(true));
        assert_eq!(
            hold(&with(TimeWaitReuse::Loopback), &old),
            TupleHold::Reusable
        );
        assert_eq!(hold(&with(TimeWaitReuse::On), &old), TupleHold::Reusable);
        assert!(matches!(
            hold(&with(TimeWaitReuse::Off), &old),
            TupleHold::Waiting { .. }
        ));
        let young = stub(LO.0, LO.1, 1000, Some(true));
        let on = with(TimeWaitReuse::On);
        assert_eq!(hold(&on, &young), TupleHold::Waiting { remaining_ms: 1 });
        let bare = stub(LO.0, LO.1, 5000, Some(false));
        assert_eq!(
            hold(&on, &bare),
            TupleHold::Waiting {
                remaining_ms: 55_000
            }
        );
        let untold = hold(&on, &stub(FAR.0, FAR.1, 5000, None));
        assert_eq!(
            untold,
            TupleHold::UntoldTimestamps {
                remaining_ms: 55_000
            }
        );
        assert_eq!(untold.with_timestamps(true), TupleHold::Reusable);
        assert!(matches!(
            untold.with_timestamps(false),
            TupleHold::Waiting { .. }
        ));
    }

    #[test]
    fn on_loopback_the_namespace_setting_tells_about_timestamps() {
        let untold = stub(LO.0, LO.1, 5000, None);
        assert_eq!(hold(&with(TimeWaitReuse::On), &untold), TupleHold::Reusable);
        let bare = Limits {
            tcp_timestamps: false,
            ..with(TimeWaitReuse::On)
        };
        assert!(matches!(hold(&bare, &untold), TupleHold::Waiting { .. }));
    }

    #[test]
    fn the_default_reuses_on_loopback_only() {
        let limits = with(TimeWaitReuse::Loopback);
        let far = stub(FAR.0, FAR.1, 5000, Some(true));
        assert!(matches!(hold(&limits, &far), TupleHold::Waiting { .. }));
        let on_lo = Socket { device: 1, ..far };
        assert_eq!(hold(&limits, &on_lo), TupleHold::Reusable);
    }

    #[test]
    fn a_fin_wait2_stub_is_never_taken_over() {
        let limits = with(TimeWaitReuse::On);
        let fin_wait2 = Socket {
            state: State::FinWait2,
            ..stub(LO.0, LO.1, 5000, Some(true))
        };
        assert!(matches!(
            hold(&limits, &fin_wait2),
            TupleHold::Waiting { .. }
        ));
    }

    #[test]
    fn before_millisecond_stamps_the_first_second_is_untold() {
        let features = Features {
            millisecond_time_wait: Some(false),
            ..Features::LINUX_6_18
        };
        let limits = Limits {
            features,
            ..with(TimeWaitReuse::On)
        };
        let young = stub(LO.0, LO.1, 500, Some(true));
        assert!(matches!(
            hold(&limits, &young),
            TupleHold::UntoldRule { .. }
        ));
        assert_eq!(
            hold(&limits, &stub(LO.0, LO.1, 1500, Some(true))),
            TupleHold::Reusable
        );
    }

    #[test]
    fn a_device_bound_socket_leaves_the_tuple_to_others_but_not_the_reverse() {
        let claim = |device| Claim::Tuple {
            source: "127.0.0.1".parse().unwrap(),
            destination: LO.1.parse().unwrap(),
            device,
        };
        let limits = Limits::linux_default();
        let plain = Socket {
            time_wait: None,
            state: State::Established,
            ..stub(LO.0, LO.1, 0, None)
        };
        let bound = Socket { device: 3, ..plain };
        assert_eq!(tuple_hold(&claim(0), &limits, &bound), None);
        assert_eq!(
            tuple_hold(&claim(3), &limits, &bound),
            Some(TupleHold::InUse)
        );
        assert_eq!(
            tuple_hold(&claim(3), &limits, &plain),
            Some(TupleHold::InUse)
        );
    }
}
