//! Ranges to choose between.

use alloc::vec::Vec;

use crate::PortRange;

/// Ranges grow downwards in steps of so many ports: round numbers are easier to remember.
pub(super) const STEP: u16 = 1024;

/// The range to begin with: the one in force, or the platform's default where that is larger. Where
/// the two touch, both; the default alone where something that serves may lie between.
pub(super) fn first(present: PortRange, default: PortRange) -> PortRange {
    if present.size() >= default.size() {
        return present;
    }
    let apart = present.high() < default.low() || default.high() < present.low();
    if apart {
        return default;
    }
    let (low, high) = (
        present.low().min(default.low()),
        present.high().max(default.high()),
    );
    PortRange::new(low, high).unwrap_or(default)
}

/// Ever lower starts below `from`, down to `floor`, which is the last.
pub(super) fn lower_starts(from: u16, floor: u16) -> Vec<u16> {
    let mut starts = Vec::new();
    let mut start = from.saturating_sub(1) / STEP * STEP;
    while start > floor {
        starts.push(start);
        start = start.saturating_sub(STEP);
    }
    if from > floor {
        starts.push(floor);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: u16, high: u16) -> PortRange {
        PortRange::new(low, high).unwrap()
    }

    #[test]
    fn a_narrow_range_becomes_at_least_the_default() {
        let default = PortRange::LINUX_DEFAULT;
        assert_eq!(first(range(1024, 65535), default), range(1024, 65535));
        assert_eq!(first(range(1024, 5000), default), default);
        assert_eq!(first(range(40000, 40999), default), default);
        assert_eq!(first(range(60000, 65535), default), range(32768, 65535));
    }

    #[test]
    fn starts_go_down_in_round_steps_to_the_floor() {
        assert_eq!(lower_starts(13000, 10240), [12288, 11264, 10240]);
        assert_eq!(lower_starts(49152, 47104), [48128, 47104]);
        assert_eq!(lower_starts(10240, 10000), [10000]);
        assert_eq!(lower_starts(2048, 1025), [1025]);
        assert_eq!(lower_starts(1025, 1025), []);
        assert_eq!(lower_starts(1024, 1025), []);
    }
}
