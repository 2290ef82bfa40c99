//! From a paste to a verdict: captures of any platform, settings and messages together.
//!
//! A reader fills [`Findings`]; [`explain`] judges them. What a capture cannot tell stays a range
//! with two ends, what had to be assumed is listed, and where the input contradicts itself nothing
//! is guessed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::capture::{CapturedProcess, Names, Processes, Tables};
use crate::{
    Call, Cause, Complaint, Coverage, Family, Headroom, Ledger, Level, Message, Platform,
    PortRange, PortSet, Protocol, State, Thresholds,
};

mod causes;
mod coverage;
mod judge;
mod messages;
mod nat;
mod parity;
mod platform;
mod ports;
mod range;
mod remedies;
mod settings;

pub use judge::explain;
pub use remedies::remedies_for;

/// A setting that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Number {
    /// Windows: `MaxUserPort`.
    MaxUserPort,
    /// Windows: `TcpTimedWaitDelay`, seconds.
    TcpTimedWaitDelay,
    /// `net.ipv4.tcp_tw_reuse`.
    TcpTwReuse,
    /// `net.ipv4.tcp_tw_recycle`.
    TcpTwRecycle,
    /// `net.ipv4.tcp_fin_timeout`, seconds.
    TcpFinTimeout,
    /// `net.ipv4.tcp_timestamps`.
    TcpTimestamps,
    /// `net.ipv4.tcp_max_tw_buckets`.
    TcpMaxTwBuckets,
    /// `net.netfilter.nf_conntrack_count`.
    ConntrackCount,
    /// `net.netfilter.nf_conntrack_max`.
    ConntrackMax,
    /// `net.netfilter.nf_conntrack_tcp_timeout_time_wait`, seconds.
    ConntrackTimeWait,
    /// `net.inet.ip.portrange.first`.
    PortRangeFirst,
    /// `net.inet.ip.portrange.last`.
    PortRangeLast,
    /// `net.inet.tcp.msl`, milliseconds.
    Msl,
    /// `TcpExtTCPTimeWaitOverflow`.
    TimeWaitOverflow,
    /// Entries in TIME_WAIT, by `sockstat` or `ss -s`.
    TimeWaitCount,
    /// TCP sockets, by `sockstat` or `ss -s`.
    TcpSockets,
}

/// A port range that the input gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundRange {
    /// Which transport; `None`: both.
    pub protocol: Option<Protocol>,
    /// Which family; `None`: both.
    pub family: Option<Family>,
    /// The range.
    pub range: PortRange,
    /// Windows gave it (`netsh`); else it is a sysctl.
    pub of_windows: bool,
}

/// A message and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMessage {
    /// What it says.
    pub message: Message,
    /// How many lines.
    pub count: u64,
    /// Which input, counted from 0.
    pub input: usize,
    /// Line of the first.
    pub line: u64,
}

/// A document of dryport itself.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundReport {
    /// Its name: `dryport.check/1`.
    pub schema: String,
    /// Its level, where it has one.
    pub level: Option<Level>,
    /// Ids of its causes, with level and summary.
    pub causes: Vec<(String, Level, String)>,
}

/// What tells the platform, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clue {
    /// A version line.
    Version,
    /// The layout of a capture.
    Capture,
    /// The name of a setting.
    Setting,
    /// The wording of a message.
    Message,
}

/// Everything that readers found in a paste.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Host names and services.
    pub names: Names,
    /// Processes.
    pub processes: Processes,
    /// Tables of sockets.
    pub tables: Tables,
    /// Port ranges.
    pub ranges: Vec<FoundRange>,
    /// Windows' excluded ranges.
    pub excluded: Vec<FoundRange>,
    /// `ip_local_reserved_ports`.
    pub reserved: Option<PortSet>,
    /// Other settings and counts, the last value of each.
    pub numbers: Vec<(Number, u64)>,
    /// Messages, in the order of their first lines.
    pub messages: Vec<FoundMessage>,
    /// Documents of dryport.
    pub reports: Vec<FoundReport>,
    /// What tells the platform.
    pub clues: Vec<(Clue, Platform)>,
}

/// Documents of dryport that are kept.
const MOST_REPORTS: usize = 64;
/// Ranges that are kept: two different ones contradict each other already.
const MOST_RANGES: usize = 16;
/// Excluded ranges that are kept; a machine has some dozens.
const MOST_EXCLUDED: usize = 2048;
/// Different messages kept apart.
const MOST_MESSAGES: usize = 256;

impl Findings {
    /// Remembers a number.
    pub fn set(&mut self, number: Number, value: u64) {
        match self.numbers.iter_mut().find(|(other, _)| *other == number) {
            Some((_, old)) => *old = value,
            None => self.numbers.push((number, value)),
        }
    }

    /// A number, where the input gives it.
    #[must_use]
    pub fn number(&self, number: Number) -> Option<u64> {
        let found = self.numbers.iter().find(|(other, _)| *other == number);
        found.map(|(_, value)| *value)
    }

    /// Remembers what tells the platform.
    pub fn clue(&mut self, clue: Clue, platform: Platform) {
        if !self.clues.contains(&(clue, platform)) {
            self.clues.push((clue, platform));
        }
    }

    /// Remembers a range, once.
    pub fn range(&mut self, range: FoundRange) {
        if self.ranges.len() < MOST_RANGES && !self.ranges.contains(&range) {
            self.ranges.push(range);
        }
    }

    /// Remembers a range that nobody gets.
    pub fn exclude(&mut self, range: FoundRange) {
        if self.excluded.len() < MOST_EXCLUDED && !self.excluded.contains(&range) {
            self.excluded.push(range);
        }
    }

    /// Remembers a document of dryport. Of many the worst are kept.
    pub fn report(&mut self, report: FoundReport) {
        if self.reports.len() < MOST_REPORTS {
            self.reports.push(report);
            return;
        }
        let mildest = self.reports.iter_mut().min_by_key(|known| known.level);
        if let Some(known) = mildest.filter(|known| known.level < report.level) {
            *known = report;
        }
    }

    /// Counts a message; past the limit without its destination.
    pub fn message(&mut self, message: Message, input: usize, line: u64, count: u64) {
        let mut message = message;
        if self.messages.len() >= MOST_MESSAGES {
            message.destination = None;
            message.destination_address = None;
        }
        let room = self.messages.len() < 2 * MOST_MESSAGES;
        match self.messages.iter_mut().find(|m| m.message == message) {
            Some(found) => found.count += count,
            None if room => self.messages.push(FoundMessage {
                message,
                count,
                input,
                line,
            }),
            None => {
                let alike = |m: &&mut FoundMessage| m.message.complaint == message.complaint;
                if let Some(found) = self.messages.iter_mut().find(alike) {
                    found.count += count;
                }
            }
        }
    }
}

/// What the user adds to the paste.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--platform`.
    pub platform: Option<Platform>,
    /// `--range`.
    pub range: Option<PortRange>,
    /// From which use on a level is given.
    pub thresholds: Thresholds,
}

/// Where a fact of the verdict comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The user gave it.
    Given,
    /// It stands in the input.
    Found,
    /// It is the platform's default.
    Assumed,
}

impl Source {
    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Found => "found",
            Self::Assumed => "assumed",
        }
    }
}

/// The range in force for one protocol and family.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeInForce {
    /// Transport.
    pub protocol: Protocol,
    /// Family; `None`: the same for both.
    pub family: Option<Family>,
    /// The range.
    pub range: PortRange,
    /// Ports of it that are excluded or reserved.
    pub excluded: u32,
    /// Where it comes from.
    pub source: Source,
}

/// What a request of a capture is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One source and destination, as shown.
    Pair {
        /// Local address.
        source: String,
        /// Remote end.
        destination: String,
    },
    /// One source, any destination.
    Source(String),
    /// Any destination.
    Any,
    /// A NAT: outside address and destination.
    Nat {
        /// The address that the NAT puts in.
        outside: String,
        /// Remote end.
        destination: String,
    },
}

/// One request and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedRequest {
    /// Transport.
    pub protocol: Protocol,
    /// Family; `None`: both.
    pub family: Option<Family>,
    /// Between whom.
    pub scope: Scope,
    /// Its ledger.
    pub ledger: Ledger,
    /// Its headroom.
    pub headroom: Headroom,
    /// Its level.
    pub level: Level,
    /// Of the uncertain ports, those in TIME_WAIT.
    pub uncertain_waits: u32,
    /// Why the two ends give two levels, where they do.
    pub unsure: Option<String>,
    /// Rows by process, the most first; index into [`Explanation::processes`].
    pub holders: Vec<(u32, u32)>,
}

/// What goes to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationUse {
    /// Remote end as shown.
    pub destination: String,
    /// Distinct local ports.
    pub ports: u32,
    /// Of these, in TIME_WAIT only.
    pub time_wait: u32,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The worst level.
    pub level: Level,
    /// The platform, where one is known or assumed.
    pub platform: Option<(Platform, Source)>,
    /// What was assumed, a sentence each.
    pub assumptions: Vec<String>,
    /// Where the input contradicts itself, a sentence each; then the level is unknown.
    pub contradictions: Vec<String>,
    /// The ranges that the verdict rests on.
    pub ranges: Vec<RangeInForce>,
    /// Seconds in TIME_WAIT, and where that comes from; `None` where the platform is not known.
    pub time_wait_seconds: Option<(u32, Source)>,
    /// Tables of sockets, those that complete each other as one; the worst is judged.
    pub tables: u32,
    /// Rows of the table that is judged.
    pub rows: u64,
    /// The requests judged, the worst and busiest first.
    pub requests: Vec<CapturedRequest>,
    /// Requests that are not told.
    pub requests_omitted: usize,
    /// Destinations of client sockets on ports of the range, the busiest first.
    pub destinations: Vec<DestinationUse>,
    /// Sockets by state, the most first; `None`: not known.
    pub states: Vec<(Option<State>, u64)>,
    /// Processes; `holders` and causes point here.
    pub processes: Vec<CapturedProcess>,
    /// Ports of the range by process, the most first.
    pub holders: Vec<(u32, u32)>,
    /// Why, the worst first. Owners point into `processes`.
    pub causes: Vec<Cause>,
    /// What the messages say, a line each.
    pub messages: Vec<MessageTold>,
    /// What was seen and what was not.
    pub coverage: Vec<Coverage>,
}

/// A message in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTold {
    /// What it complains of.
    pub complaint: Complaint,
    /// The call that failed.
    pub call: Option<Call>,
    /// Where to.
    pub destination: Option<String>,
    /// Whose wording.
    pub program: Option<&'static str>,
    /// How many lines.
    pub count: u64,
    /// Which input, counted from 0.
    pub input: usize,
    /// Line of the first.
    pub line: u64,
    /// The cause it points to.
    pub cause: crate::CauseId,
}
