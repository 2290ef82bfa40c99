//! A ledger as a bar: one cell is a share of the range.

use dryport_model::{Class, Ledger};

use super::Screen;
use super::paint::Tone;

/// The order in a bar, from what is taken to what is left.
const ORDER: [Class; 7] = [
    Class::InUse,
    Class::TimeWait,
    Class::Locked,
    Class::Reserved,
    Class::Uncertain,
    Class::TimeWaitReusable,
    Class::Free,
];

/// The sign of a class.
pub(super) const fn sign(class: Class) -> &'static str {
    match class {
        Class::InUse => "█",
        Class::TimeWait => "▒",
        Class::Locked => "▓",
        Class::Reserved => "░",
        Class::Uncertain => "?",
        Class::TimeWaitReusable => "+",
        Class::Free => "·",
    }
}

/// A class in words.
pub(super) const fn word(class: Class) -> &'static str {
    match class {
        Class::InUse => "in use",
        Class::TimeWait => "TIME_WAIT",
        Class::Locked => "locked",
        Class::Reserved => "reserved",
        Class::Uncertain => "not seen",
        Class::TimeWaitReusable => "reusable",
        Class::Free => "free",
    }
}

/// The colour of a class.
pub(super) const fn tone(class: Class) -> Tone {
    match class {
        Class::InUse => Tone::InUse,
        Class::TimeWait => Tone::TimeWait,
        Class::Locked => Tone::Locked,
        Class::Uncertain => Tone::Uncertain,
        Class::Reserved | Class::TimeWaitReusable | Class::Free => Tone::Faint,
    }
}

/// The bar, `cells` wide.
pub(super) fn bar(ledger: &Ledger, cells: usize, screen: Screen) -> String {
    shares(ledger, cells)
        .into_iter()
        .map(|(class, cells)| screen.paint(tone(class), &sign(class).repeat(cells)))
        .collect()
}

/// Cells for each class, which sum to `cells`. A class that has ports gets a cell, however few;
/// the largest one pays for that.
fn shares(ledger: &Ledger, cells: usize) -> Vec<(Class, usize)> {
    let total = u64::from(ledger.total()).max(1);
    let mut shares: Vec<(Class, usize)> = ORDER
        .into_iter()
        .filter(|class| ledger.count(*class) > 0)
        .map(|class| {
            let share = u64::from(ledger.count(class)) * cells as u64 / total;
            (class, (share as usize).max(1))
        })
        .collect();
    let used: usize = shares.iter().map(|(_, cells)| cells).sum();
    if let Some((_, largest)) = shares.iter_mut().max_by_key(|(_, cells)| *cells) {
        *largest = (*largest + cells).saturating_sub(used);
    }
    shares
}

/// What the signs mean, for the classes that occur, and how many columns that takes.
pub(super) fn legend<'a>(
    ledgers: impl Iterator<Item = &'a Ledger>,
    screen: Screen,
) -> (String, usize) {
    let sum = ledgers.fold(Ledger::default(), |mut sum, ledger| {
        ORDER
            .into_iter()
            .for_each(|class| sum.add(class, ledger.count(class)));
        sum
    });
    let shown = || ORDER.into_iter().filter(|class| sum.count(*class) > 0);
    let entries: Vec<String> = shown()
        .map(|class| {
            let sign = screen.paint(tone(class), sign(class));
            format!("{sign} {}", screen.paint(Tone::Faint, word(class)))
        })
        .collect();
    const PARTING: &str = "   ";
    let taken = shown().map(|class| 2 + word(class).len()).sum::<usize>()
        + PARTING.len() * entries.len().saturating_sub(1);
    (entries.join(PARTING), taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(ledger: Ledger, cells: usize) -> String {
        bar(&ledger, cells, Screen::default())
    }

    #[test]
    fn a_bar_is_as_wide_as_asked() {
        let ledger = Ledger {
            in_use: 28_000,
            time_wait: 1,
            locked: 1,
            free: 230,
            ..Ledger::default()
        };
        assert_eq!(plain(ledger, 10), "███████▒▓·");
    }

    #[test]
    fn one_port_of_many_is_seen() {
        let ledger = Ledger {
            in_use: 1,
            free: 28_231,
            ..Ledger::default()
        };
        assert_eq!(plain(ledger, 10), "█·········");
    }

    #[test]
    fn only_a_full_range_looks_full() {
        let ledger = Ledger {
            in_use: 28_231,
            free: 1,
            ..Ledger::default()
        };
        assert!(plain(ledger, 20).ends_with('·'));
    }
}
