//! The smallest change that suffices, in order of safety, with what it is expected to give.
//!
//! A plan is pure: it is made from counts and settings that others read, and others apply it. The
//! application comes first, since only it can stop asking for ports; then the range; then the
//! reuse of TIME_WAITs.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{CauseId, Family, Headroom, Limits, Protocol};

mod capture;
mod client;
mod known;
mod linux;
mod myth;
mod recipe;
mod views;

pub use capture::plan_for_capture;
pub use client::{Client, Measure, ProgramTraits, Runtime, advice, recognise, snippet};
pub use known::{KUBELET_PORT, known_service_ports, node_ports_in};
pub use linux::{LinuxFacts, PlannedRequest, measures_for, plan_for_linux, plan_with_limits};
pub use myth::{refuse, refuse_on};
pub use recipe::{Recipe, recipes};
pub use views::{PortViews, Service, ServicePort, ports_of, unheld};

/// What a plan has to reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Target {
    /// Connections per second to be sustained. `None`: twice the present peak.
    pub rate_per_second: Option<f64>,
    /// How long a connection is held, in seconds. `None`: estimated, or taken as 0.
    pub hold_seconds: Option<f64>,
}

/// A setting that a plan may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// `net.ipv4.ip_local_reserved_ports`. Before the range: a port must be reserved before the
    /// kernel may hand it out.
    ReservedPorts,
    /// `net.ipv4.ip_local_port_range`; IPv6 uses the same.
    LocalPortRange,
    /// `net.ipv4.tcp_tw_reuse`.
    TcpTwReuse,
    /// `net.ipv4.tcp_tw_reuse_delay`, milliseconds (6.14).
    TcpTwReuseDelay,
    /// Windows Vista and later: `netsh int FAMILY set dynamicport PROTOCOL`.
    DynamicPorts(Family, Protocol),
    /// Windows before Vista: the last port of the range.
    MaxUserPort,
    /// Windows: seconds in TIME_WAIT.
    TcpTimedWaitDelay,
    /// macOS and FreeBSD: `net.inet.ip.portrange.first`.
    PortRangeFirst,
    /// macOS: `net.inet.ip.portrange.hifirst`.
    PortRangeHiFirst,
    /// macOS and FreeBSD: `net.inet.tcp.msl`, milliseconds; TIME_WAIT lasts twice as long.
    Msl,
}

impl Setting {
    /// The settings of Linux, in the order in which they are written. They are taken back in the
    /// opposite order.
    pub const LINUX: [Self; 4] = [
        Self::ReservedPorts,
        Self::LocalPortRange,
        Self::TcpTwReuse,
        Self::TcpTwReuseDelay,
    ];

    /// Its name as its system's tools write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReservedPorts => "net.ipv4.ip_local_reserved_ports",
            Self::LocalPortRange => "net.ipv4.ip_local_port_range",
            Self::TcpTwReuse => "net.ipv4.tcp_tw_reuse",
            Self::TcpTwReuseDelay => "net.ipv4.tcp_tw_reuse_delay",
            Self::DynamicPorts(Family::V4, Protocol::Tcp) => "ipv4 dynamicport tcp",
            Self::DynamicPorts(Family::V4, Protocol::Udp) => "ipv4 dynamicport udp",
            Self::DynamicPorts(Family::V6, Protocol::Tcp) => "ipv6 dynamicport tcp",
            Self::DynamicPorts(Family::V6, Protocol::Udp) => "ipv6 dynamicport udp",
            Self::MaxUserPort => "MaxUserPort",
            Self::TcpTimedWaitDelay => "TcpTimedWaitDelay",
            Self::PortRangeFirst => "net.inet.ip.portrange.first",
            Self::PortRangeHiFirst => "net.inet.ip.portrange.hifirst",
            Self::Msl => "net.inet.tcp.msl",
        }
    }

    /// The Linux setting of this name, written with dots or slashes.
    #[must_use]
    pub fn from_linux_name(name: &str) -> Option<Self> {
        let name = name.replace('/', ".");
        Self::LINUX.into_iter().find(|known| known.name() == name)
    }
}

/// What a setting governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One network namespace: containers and pods have their own.
    Namespace,
    /// The whole machine.
    Machine,
}

impl Scope {
    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Machine => "machine",
        }
    }
}

/// One setting to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub setting: Setting,
    /// Its value now, as its system writes it without the line's end. `None`: absent (the system's
    /// default is in force), or not told by the input.
    pub from: Option<String>,
    /// Its value afterwards, in the same form. The empty string empties a list.
    pub to: String,
    /// Why, in a sentence.
    pub why: String,
    /// What it governs.
    pub scope: Scope,
    /// Whether it survives a restart by itself (`netsh`, the registry). A sysctl does not.
    pub persists: bool,
    /// Whether the system has to be restarted for it to take effect.
    pub restart_needed: bool,
}

impl Change {
    /// A sysctl: in force at once, and only until the next start.
    fn of_sysctl(
        setting: Setting,
        (from, to): (Option<String>, String),
        why: String,
        scope: Scope,
    ) -> Self {
        Self {
            setting,
            from,
            to,
            why,
            scope,
            persists: false,
            restart_needed: false,
        }
    }
}

/// What a change meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// A program listens on, or is bound to, a port that the range covers; it is reserved.
    Service,
    /// A port that a well-known service uses would be swallowed; it is reserved.
    KnownPort,
    /// NodePorts of Kubernetes lie in the range; they are reserved.
    NodePorts,
    /// The range cannot begin lower.
    UnprivilegedStart,
    /// Another file sets the same key.
    OtherFile,
    /// The change has a condition that cannot be seen here.
    Condition,
}

impl ConflictKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::KnownPort => "known-port",
            Self::NodePorts => "node-ports",
            Self::UnprivilegedStart => "unprivileged-start",
            Self::OtherFile => "other-file",
            Self::Condition => "condition",
        }
    }
}

/// Something that a change meets, and what the plan does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What kind.
    pub kind: ConflictKind,
    /// In a sentence.
    pub text: String,
}

/// Something to do in the application, which no setting can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Stable id, the same as that of a remedy.
    pub id: &'static str,
    /// What to do, in a sentence.
    pub summary: String,
    /// How, for the programs that were recognised.
    pub snippets: Vec<Snippet>,
}

/// How something is done in one kind of program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The kind of program, as people call it: `nginx`, `Go`.
    pub client: &'static str,
    /// The lines to put in, with the comment that says where.
    pub text: &'static str,
}

/// Something that was asked for and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub what: String,
    /// Why not, in a sentence.
    pub reason: String,
    /// The page that explains it.
    pub page: CauseId,
}

/// What a request may expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Ports left now.
    pub headroom: Headroom,
    /// Ports that the request could ever hold at once: those of the range that are neither
    /// reserved nor locked.
    pub capacity: u32,
    /// Connections per second that can go on for ever: `capacity / (hold + wait)`. `None`: not
    /// limited by ports, or not known.
    pub sustainable_per_second: Option<f64>,
}

/// One of the ways that were weighed, in order of safety.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered {
    /// What it is, in a few words.
    pub what: String,
    /// What it gives.
    pub expected: Expected,
    /// Whether it is enough.
    pub suffices: bool,
    /// Whether it is the one that was taken.
    pub is_chosen: bool,
}

/// A change that suffices, or what keeps it from sufficing.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What to do in the application.
    pub advice: Vec<Advice>,
    /// Settings to change, in the order in which they are written.
    pub changes: Vec<Change>,
    /// What the changes meet.
    pub conflicts: Vec<Conflict>,
    /// What was asked for and is not done.
    pub refusals: Vec<Refusal>,
    /// What was assumed, a sentence each.
    pub assumptions: Vec<String>,
    /// Ports that the target takes at once.
    pub needed: u32,
    /// What may be expected without the changes.
    pub before: Expected,
    /// What may be expected with them.
    pub after: Expected,
    /// Whether the changes reach the target; where not, a refusal says why.
    pub reaches: bool,
    /// The settings of Linux with the changes; `None` for other systems.
    pub limits_after: Option<Limits>,
    /// The ways that were weighed, the safest first; empty where there was no choice.
    pub considered: Vec<Considered>,
}
