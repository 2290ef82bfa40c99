//! Numbers as people read them.

pub(super) use dryport_model::grouped;
use dryport_model::{Headroom, Ledger};

/// A headroom: one number where it is exact, else its two ends.
pub(super) fn ends(headroom: Headroom) -> String {
    if headroom.is_exact() {
        grouped(headroom.at_least)
    } else {
        format!(
            "{}–{}",
            grouped(headroom.at_least),
            grouped(headroom.at_most)
        )
    }
}

/// How much is taken: `45.2%`, or `3.1–98.2%` where not all was seen. Rounded down, so that 100%
/// means all and not nearly all; a trace shows as `<0.1%`.
pub(super) fn used(ledger: &Ledger) -> String {
    let low = floor(ledger.used_percent());
    if ledger.uncertain == 0 {
        format!("{low}%")
    } else {
        format!("{low}–{}%", floor(ledger.used_percent_at_most()))
    }
}

fn floor(percent: f64) -> String {
    let tenths = (percent * 10.0).floor();
    if percent > 0.0 && tenths < 1.0 {
        "<0.1".to_string()
    } else if percent >= 100.0 || percent <= 0.0 {
        format!("{percent:.0}")
    } else {
        format!("{:.1}", tenths / 10.0)
    }
}

/// Whole seconds, rounded up: `back in 3 s`, `back in 3–58 s`.
pub(super) fn back_in((first, last): (u32, u32)) -> String {
    let (first, last) = (first.div_ceil(1000), last.div_ceil(1000));
    if first == last {
        format!("back in {last} s")
    } else {
        format!("back in {first}–{last} s")
    }
}

/// `one` or `many`, as the number wants.
pub(super) const fn plural(number: u64, one: &'static str, many: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_is_not_all_and_a_trace_is_not_nothing() {
        let used = |in_use, free| {
            used(&Ledger {
                in_use,
                free,
                ..Ledger::default()
            })
        };
        assert_eq!(used(28_231, 1), "99.9%");
        assert_eq!(used(28_232, 0), "100%");
        assert_eq!(used(1, 28_231), "<0.1%");
        assert_eq!(used(0, 28_232), "0%");
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!(grouped(7_u32), "7");
        assert_eq!(grouped(28_232_u32), "28,232");
        assert_eq!(grouped(1_000_000_u32), "1,000,000");
    }
}
