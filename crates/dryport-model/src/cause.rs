//! Why ports are short, with stable ids.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Level, PortHolders};

macro_rules! cause_ids {
    ($($(#[$doc:meta])* $name:ident = $id:literal,)*) => {
        /// A cause's stable id.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CauseId { $($(#[$doc])* $name,)* }

        impl CauseId {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The id as reports show it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// The cause with this id.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($id => Some(Self::$name),)* _ => None }
            }
        }
    };
}

cause_ids! {
    /// One source and destination have used up their range.
    ConnectTupleDry = "connect.tuple-dry",
    /// Bound sockets burn the range for every destination.
    ConnectRangeLocked = "connect.range-locked",
    /// Connections are opened and closed faster than TIME_WAIT lets go.
    ConnectTimeWait = "connect.time-wait",
    /// `bind(addr, 0)` finds no port.
    BindRangeDry = "bind.range-dry",
    /// UDP sockets hold the whole range.
    UdpRangeDry = "udp.range-dry",
    /// The range is small, or much of it is reserved.
    RangeNarrow = "range.narrow",
    /// The range has an odd number of ports.
    RangeOddSize = "range.odd-size",
    /// A service's own port lies inside the range.
    RangeOverlapsListener = "range.overlaps-listener",
    /// Past half the range, `connect()` gets slow.
    ConnectSlow = "connect.slow",
    /// A program does not close what its peers have closed.
    LeakCloseWait = "leak.close-wait",
    /// A program binds sockets and neither connects nor closes them.
    LeakBound = "leak.bound",
    /// Every dynamic port of a source address is taken, on a system that shares none between
    /// destinations (macOS, older BSDs).
    ConnectRangeDry = "connect.range-dry",
    /// Linux drops TIME_WAITs early, because there are more than `tcp_max_tw_buckets`.
    ConnectTimeWaitOverflow = "connect.time-wait-overflow",
    /// Windows has no dynamic port left (10055, events 4231 and 4266).
    WindowsRangeDry = "windows.range-dry",
    /// Windows met a 4-tuple that is still in TIME_WAIT (10048 on connect, event 4227).
    WindowsTupleTimeWait = "windows.tuple-time-wait",
    /// A port lies in an excluded port range (10013).
    WindowsPortExcluded = "windows.port-excluded",
    /// A NAT has no port left for one destination.
    NatTupleDry = "nat.tuple-dry",
    /// The connection tracking table is full.
    NatTableFull = "nat.table-full",
    /// A setting that was found does nothing for local ports, against common belief.
    SettingNoEffect = "setting.no-effect",
    /// The address to bind is not one of this machine.
    NotExhaustionAddressNotLocal = "not-exhaustion.address-not-local",
    /// IPv6 is off, so `::1` cannot be reached.
    NotExhaustionIpv6Off = "not-exhaustion.ipv6-off",
    /// A program asked for one certain port, which another one has.
    NotExhaustionFixedPortInUse = "not-exhaustion.fixed-port-in-use",
    /// The process may open no more descriptors: not exhaustion of ports.
    NotExhaustionDescriptorLimit = "not-exhaustion.descriptor-limit",
    /// The other side refused, or did not answer.
    NotExhaustionRefusedOrTimeout = "not-exhaustion.refused-or-timeout",
}

/// One number that a cause rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What was counted, as a stable name: `in_use`, `time_wait`, `locked`, …
    pub name: &'static str,
    /// How many.
    pub value: u64,
    /// The same in words.
    pub text: String,
}

/// Something to do about a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// Stable id.
    pub id: &'static str,
    /// What to do, in one sentence.
    pub summary: String,
    /// A command to run next, where one helps.
    pub command: Option<String>,
    /// Whether the program has to be restarted for it to take effect.
    pub restart_needed: bool,
}

/// Why ports are short.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Stable id.
    pub id: CauseId,
    /// How bad it is; [`Level::Ok`] is a note.
    pub level: Level,
    /// The cause in one sentence, with numbers.
    pub summary: String,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// Who holds the ports.
    pub owners: PortHolders,
    /// What to do, the safest first.
    pub remedies: Vec<Remedy>,
    /// What not to do.
    pub avoid: Vec<String>,
}

/// A number as people read it, with thousands separators: 28,232.
#[must_use]
pub fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(0_u32), "0");
        assert_eq!(grouped(999_u32), "999");
        assert_eq!(grouped(28_232_u32), "28,232");
        assert_eq!(grouped(1_000_000_u32), "1,000,000");
    }
}
