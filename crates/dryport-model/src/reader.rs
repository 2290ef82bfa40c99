//! Which reader of sockets pays here: a rule over facts, so that the choice can be told and tested.

use alloc::string::String;

/// How sockets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderKind {
    /// BPF iterators: exact without asking about ports, every owner in one pass.
    Bpf,
    /// sock_diag, with the kernel asked about doubtful ports, and `/proc` for owners.
    SockDiag,
}

impl ReaderKind {
    /// The name used in coverage and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::SockDiag => "sock_diag",
        }
    }
}

/// What is known before anything is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderFacts {
    /// The reader that was asked for by name.
    pub asked: Option<ReaderKind>,
    /// TCP sockets and TIME_WAITs that would be read, by sockstat; `None`: not told.
    pub sockets: Option<u64>,
    /// Files that are open on the machine (`/proc/sys/fs/file-nr`); `None`: not told.
    pub open_files: Option<u64>,
    /// Whether owners are wanted.
    pub wants_owners: bool,
}

/// From this many sockets on the BPF reader pays. It takes 12 to 15 ms to set up, but it
/// alone sees a client's own port range and what a TIME_WAIT remembers, and either may change the
/// verdict: so it is used as soon as there is anything to read (`cargo xtask bench --only thresholds`
/// prints what that costs).
pub const SOCKETS_WORTH_BPF: u64 = 1;

/// From this many open files on it pays for the owners alone: `/proc` takes 2.4 µs for each.
pub const FILES_WORTH_BPF: u64 = 10_000;

/// Why a reader was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderReason {
    /// It was asked for.
    Asked,
    /// There is nothing to read that BPF would be set up for.
    Little,
    /// There is something to read.
    Much,
    /// BPF would pay, but cannot be had: why.
    Unavailable(String),
}

/// A reader and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderChoice {
    /// The reader.
    pub kind: ReaderKind,
    /// Why.
    pub reason: ReaderReason,
}

impl ReaderFacts {
    /// What to try. [`ReaderReason::Unavailable`] is left to [`ReaderChoice::refused`]: only
    /// trying tells.
    #[must_use]
    pub fn choose(&self) -> ReaderChoice {
        let (kind, reason) = match self.asked {
            Some(kind) => (kind, ReaderReason::Asked),
            None if self.is_much() => (ReaderKind::Bpf, ReaderReason::Much),
            None => (ReaderKind::SockDiag, ReaderReason::Little),
        };
        ReaderChoice { kind, reason }
    }

    /// What could not be counted is taken to be much: the reader that scales is then tried.
    fn is_much(&self) -> bool {
        let reaches = |count: Option<u64>, least| count.is_none_or(|count| count >= least);
        reaches(self.sockets, SOCKETS_WORTH_BPF)
            || self.wants_owners && reaches(self.open_files, FILES_WORTH_BPF)
    }
}

impl ReaderChoice {
    /// What is left once BPF was refused; `None` where it had been asked for by name.
    #[must_use]
    pub fn refused(&self, why: String) -> Option<Self> {
        (self.reason != ReaderReason::Asked).then_some(Self {
            kind: ReaderKind::SockDiag,
            reason: ReaderReason::Unavailable(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sockets: u64, open_files: u64, wants_owners: bool) -> ReaderFacts {
        ReaderFacts {
            asked: None,
            sockets: Some(sockets),
            open_files: Some(open_files),
            wants_owners,
        }
    }

    #[test]
    fn a_machine_without_sockets_does_not_wait_for_bpf() {
        let choice = facts(SOCKETS_WORTH_BPF - 1, FILES_WORTH_BPF - 1, true).choose();
        assert_eq!(choice.kind, ReaderKind::SockDiag);
        assert_eq!(choice.reason, ReaderReason::Little);
    }

    #[test]
    fn many_sockets_or_files_are_worth_it() {
        let kind = |facts: ReaderFacts| facts.choose().kind;
        assert_eq!(kind(facts(SOCKETS_WORTH_BPF, 0, false)), ReaderKind::Bpf);
        assert_eq!(kind(facts(0, FILES_WORTH_BPF, true)), ReaderKind::Bpf);
        assert_eq!(kind(facts(0, FILES_WORTH_BPF, false)), ReaderKind::SockDiag);
    }

    #[test]
    fn what_could_not_be_counted_may_be_much() {
        let unknown = ReaderFacts::default();
        assert_eq!(unknown.choose().kind, ReaderKind::Bpf);
    }

    #[test]
    fn what_is_asked_for_is_taken_and_not_replaced() {
        let asked = ReaderFacts {
            asked: Some(ReaderKind::Bpf),
            ..facts(0, 0, false)
        };
        assert_eq!(asked.choose().kind, ReaderKind::Bpf);
        assert_eq!(asked.choose().refused("no CAP_BPF".into()), None);
        let asked = ReaderFacts {
            asked: Some(ReaderKind::SockDiag),
            ..facts(1 << 20, 1 << 20, true)
        };
        assert_eq!(asked.choose().kind, ReaderKind::SockDiag);
    }

    #[test]
    fn where_bpf_is_refused_the_other_reader_does_the_work() {
        let choice = facts(1 << 20, 0, true).choose();
        let left = choice.refused("no CAP_BPF".into()).unwrap();
        assert_eq!(left.kind, ReaderKind::SockDiag);
        assert_eq!(left.reason, ReaderReason::Unavailable("no CAP_BPF".into()));
    }
}
