//! What a plan for Linux is made from: the classes of every port under the settings that may be
//! chosen between, and who serves which port.

use alloc::string::String;

use crate::{Limits, PortClasses, PortSet, Protocol, Request, TimeWaitReuse};

use crate::headroom::walks_by_parity;

/// The classes of every port from 1 to 65,535 for one request, nothing reserved.
#[derive(Clone, Debug)]
pub struct PortViews {
    /// Under the settings in force.
    pub now: PortClasses,
    /// The same once young TIME_WAITs have passed `tcp_tw_reuse_delay`.
    pub settled: PortClasses,
    /// With `tcp_tw_reuse` = 1.
    pub reuse: PortClasses,
    /// With `tcp_tw_reuse` = 1, once young TIME_WAITs have passed the delay.
    pub reuse_settled: PortClasses,
}

impl PortViews {
    /// The classes that the request would find under `limits`, which differ from those in force by
    /// range, reserved ports and reuse alone.
    #[must_use]
    pub fn under(&self, request: &Request, limits: &Limits) -> PortClasses {
        let view = if limits.tw_reuse == TimeWaitReuse::On {
            &self.reuse
        } else {
            &self.now
        };
        cut(view, request, limits)
    }

    /// The same once young TIME_WAITs have passed the delay.
    #[must_use]
    pub fn settled_under(&self, request: &Request, limits: &Limits) -> PortClasses {
        let view = if limits.tw_reuse == TimeWaitReuse::On {
            &self.reuse_settled
        } else {
            &self.settled
        };
        cut(view, request, limits)
    }
}

fn cut(view: &PortClasses, request: &Request, limits: &Limits) -> PortClasses {
    let class = |port| view.class(port).unwrap_or(crate::Class::Uncertain);
    PortClasses::new(
        limits.range,
        &limits.reserved,
        walks_by_parity(request, limits),
        class,
    )
}

/// A port that a program serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The port.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// The program, where it is known; made printable by its reader.
    pub program: Option<String>,
}

/// A served port before its program is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The port.
    pub service: Service,
    /// Inode of the socket; 0 for none.
    pub inode: u32,
}

/// The ports of some services.
#[must_use]
pub fn ports_of(services: &[Service]) -> PortSet {
    services.iter().map(|service| service.port).collect()
}

/// The classes that a request finds where nobody holds anything.
#[must_use]
pub fn unheld(request: &Request, limits: &Limits) -> PortClasses {
    let parity = walks_by_parity(request, limits);
    PortClasses::new(limits.range, &limits.reserved, parity, |_| {
        crate::Class::Free
    })
}
