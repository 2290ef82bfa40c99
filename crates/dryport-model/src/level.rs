//! How bad it is.

use crate::{Headroom, Ledger};

/// The level of an answer, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Nothing to worry about.
    Ok,
    /// Nothing could be judged.
    Unknown,
    /// Getting tight.
    Warning,
    /// Dry, or nearly.
    Critical,
}

impl Level {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// From which use on a level is given, in percent of the range without reserved ports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Warning from here on.
    pub warning_percent: f64,
    /// Critical from here on.
    pub critical_percent: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            warning_percent: 80.0,
            critical_percent: 95.0,
        }
    }
}

impl Thresholds {
    /// The level if every uncertain port could be had.
    #[must_use]
    pub fn at_best(&self, ledger: &Ledger, headroom: Headroom) -> Level {
        self.level(ledger.used_percent(), headroom.at_most)
    }

    /// The level if no uncertain port could be had.
    #[must_use]
    pub fn at_worst(&self, ledger: &Ledger, headroom: Headroom) -> Level {
        // One port that an odd range may not reach is no reason to call it dry.
        let left = if ledger.uncertain == 0 {
            headroom.at_most
        } else {
            headroom.at_least
        };
        self.level(ledger.used_percent_at_most(), left)
    }

    fn level(&self, used_percent: f64, left: u32) -> Level {
        if left == 0 || used_percent >= self.critical_percent {
            Level::Critical
        } else if used_percent >= self.warning_percent {
            Level::Warning
        } else {
            Level::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(ledger: Ledger) -> (Level, Level) {
        let headroom = Headroom {
            at_least: ledger.usable(),
            at_most: ledger.usable() + ledger.uncertain,
        };
        let thresholds = Thresholds::default();
        (
            thresholds.at_best(&ledger, headroom),
            thresholds.at_worst(&ledger, headroom),
        )
    }

    #[test]
    fn the_thresholds_are_inclusive() {
        let of = |in_use| {
            levels(Ledger {
                free: 100 - in_use,
                in_use,
                ..Ledger::default()
            })
            .0
        };
        assert_eq!(of(79), Level::Ok);
        assert_eq!(of(80), Level::Warning);
        assert_eq!(of(95), Level::Critical);
        assert_eq!(of(100), Level::Critical);
    }

    #[test]
    fn uncertain_ports_part_the_two_ends() {
        let ledger = Ledger {
            free: 1,
            uncertain: 99,
            ..Ledger::default()
        };
        assert_eq!(levels(ledger), (Level::Ok, Level::Critical));
    }

    #[test]
    fn a_time_wait_that_would_be_taken_over_is_not_used() {
        let ledger = Ledger {
            time_wait_reusable: 100,
            ..Ledger::default()
        };
        assert_eq!(levels(ledger).0, Level::Ok);
    }

    #[test]
    fn reserved_ports_do_not_count_as_capacity() {
        let ledger = Ledger {
            free: 10,
            in_use: 40,
            reserved: 50,
            ..Ledger::default()
        };
        assert_eq!(levels(ledger).0, Level::Warning);
    }
}
