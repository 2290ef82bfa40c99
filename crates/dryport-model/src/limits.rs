//! The settings of one network namespace and the kernel rules that changed over time.

use crate::{PortRange, PortSet};

/// `net.ipv4.tcp_tw_reuse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeWaitReuse {
    /// 0: never.
    Off,
    /// 1: every outgoing connection.
    On,
    /// 2: loopback only; the default since 4.19.
    Loopback,
}

/// Kernel rules that changed between releases. Each is detected (a sysctl that is present, a BTF
/// field), never concluded from a version number alone. `None`: could not be detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// A bind bucket whose last bound owner leaves becomes shareable again
    /// (`inet_bind2_bucket.fastreuse`, 6.17.8 and 6.18). Without it, a port that a binder visited
    /// stays locked as long as any socket keeps the bucket alive.
    pub bucket_recovery: Option<bool>,
    /// sock_diag tells bound sockets that neither listen nor connect (6.8).
    pub shows_bound_idle: Option<bool>,
    /// `IP_LOCAL_PORT_RANGE` exists (6.3) and makes `connect()` walk every port (6.8): no blind
    /// spot in odd ranges. Without it, such a range has the blind spot too.
    pub socket_range_full_walk: Option<bool>,
    /// `tcp_tw_reuse_delay` and millisecond stamps (6.14). Without it: reuse somewhere in the
    /// first second, and a FIN_WAIT2 stub may have been taken over (before 6.12).
    pub millisecond_time_wait: Option<bool>,
}

impl Features {
    /// Every rule as in Linux 6.18.
    pub const LINUX_6_18: Self = Self {
        bucket_recovery: Some(true),
        shows_bound_idle: Some(true),
        socket_range_full_walk: Some(true),
        millisecond_time_wait: Some(true),
    };
}

/// The settings of a network namespace that decide how many ports there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `net.ipv4.ip_local_port_range` (IPv6 uses the same).
    pub range: PortRange,
    /// `net.ipv4.ip_local_reserved_ports`.
    pub reserved: PortSet,
    /// `net.ipv4.tcp_tw_reuse`.
    pub tw_reuse: TimeWaitReuse,
    /// `net.ipv4.tcp_tw_reuse_delay`, milliseconds; 1,000 where the kernel has no such setting.
    pub tw_reuse_delay_ms: u32,
    /// `net.ipv4.tcp_timestamps` is not 0.
    pub tcp_timestamps: bool,
    /// `net.ipv6.bindv6only`: what a new IPv6 socket starts with.
    pub bindv6only: bool,
    /// `net.ipv4.ip_autobind_reuse`: `bind(addr, 0)` may share ports between `SO_REUSEADDR`
    /// sockets when all else failed. Not modelled; told in a note.
    pub autobind_reuse: bool,
    /// Which rules the kernel follows.
    pub features: Features,
}

impl Limits {
    /// What a Linux namespace starts with (6.14 and later).
    #[must_use]
    pub fn linux_default() -> Self {
        Self {
            range: PortRange::LINUX_DEFAULT,
            reserved: PortSet::new(),
            tw_reuse: TimeWaitReuse::Loopback,
            tw_reuse_delay_ms: 1000,
            tcp_timestamps: true,
            bindv6only: false,
            autobind_reuse: false,
            features: Features::LINUX_6_18,
        }
    }
}
