//! What was seen and what was not: every answer carries it.

use alloc::string::String;

/// A fact that an answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// The table of sockets.
    Sockets,
    /// Bound sockets that neither listen nor connect.
    BoundIdle,
    /// Whether each port's bind bucket can be shared.
    BindBuckets,
    /// `IP_LOCAL_PORT_RANGE` of clients, within which they are to be judged.
    PortRanges,
    /// Whether connections in TIME_WAIT had TCP timestamps.
    TimeWaitTimestamps,
    /// `IPV6_V6ONLY` of connected IPv6 sockets.
    V6Only,
    /// The namespace's settings.
    Settings,
    /// The other network namespaces of the machine.
    Namespaces,
    /// Which processes hold the sockets.
    Owners,
}

impl Fact {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sockets => "sockets",
            Self::BoundIdle => "bound_idle",
            Self::BindBuckets => "bind_buckets",
            Self::PortRanges => "port_ranges",
            Self::TimeWaitTimestamps => "time_wait_timestamps",
            Self::V6Only => "v6only",
            Self::Settings => "settings",
            Self::Namespaces => "namespaces",
            Self::Owners => "owners",
        }
    }
}

/// How much of a fact was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// All of it.
    Full,
    /// A part; the reason says which.
    Partial,
    /// Nothing.
    None,
}

impl Seen {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// How far one fact was seen, by what means, and if not fully, why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The fact.
    pub fact: Fact,
    /// How much of it.
    pub seen: Seen,
    /// By what means: `sock_diag`, `probe`, `sysctl`, `proc`, …
    pub how: &'static str,
    /// What is missing and what would show it.
    pub why: Option<String>,
}

impl Coverage {
    /// All of it was seen.
    #[must_use]
    pub const fn full(fact: Fact, how: &'static str) -> Self {
        Self {
            fact,
            seen: Seen::Full,
            how,
            why: None,
        }
    }

    /// Only a part was seen.
    #[must_use]
    pub const fn partial(fact: Fact, how: &'static str, why: String) -> Self {
        Self {
            fact,
            seen: Seen::Partial,
            how,
            why: Some(why),
        }
    }

    /// Nothing was seen.
    #[must_use]
    pub const fn none(fact: Fact, how: &'static str, why: String) -> Self {
        Self {
            fact,
            seen: Seen::None,
            how,
            why: Some(why),
        }
    }
}
