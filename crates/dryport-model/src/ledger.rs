//! The ledger: every port of a request's range in exactly one class.

use alloc::vec::Vec;

use crate::{PortRange, PortSet};

/// The class of one port for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Nobody stands in the way.
    Free,
    /// A TIME_WAIT on this 4-tuple that the kernel would take over now.
    TimeWaitReusable,
    /// A TIME_WAIT that it would not take over.
    TimeWait,
    /// A live socket holds this 4-tuple (for `bind` and UDP: an overlapping address).
    InUse,
    /// The bind bucket is not shareable: lost for every destination.
    Locked,
    /// Set aside by `ip_local_reserved_ports`, or never reached by rule.
    Reserved,
    /// Could not be seen.
    Uncertain,
}

impl Class {
    /// Every class, in the order of the reports.
    pub const ALL: [Self; 7] = [
        Self::Free,
        Self::TimeWaitReusable,
        Self::TimeWait,
        Self::InUse,
        Self::Locked,
        Self::Reserved,
        Self::Uncertain,
    ];

    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::TimeWaitReusable => "time_wait_reusable",
            Self::TimeWait => "time_wait",
            Self::InUse => "in_use",
            Self::Locked => "locked",
            Self::Reserved => "reserved",
            Self::Uncertain => "uncertain",
        }
    }

    /// Whether the request can have the port now.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Free | Self::TimeWaitReusable)
    }
}

/// How many ports of a range are in each class. The classes sum to the size of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// See [`Class::Free`].
    pub free: u32,
    /// See [`Class::TimeWaitReusable`].
    pub time_wait_reusable: u32,
    /// See [`Class::TimeWait`].
    pub time_wait: u32,
    /// See [`Class::InUse`].
    pub in_use: u32,
    /// See [`Class::Locked`].
    pub locked: u32,
    /// See [`Class::Reserved`].
    pub reserved: u32,
    /// See [`Class::Uncertain`].
    pub uncertain: u32,
}

impl Ledger {
    /// The count of one class.
    #[must_use]
    pub const fn count(&self, class: Class) -> u32 {
        match class {
            Class::Free => self.free,
            Class::TimeWaitReusable => self.time_wait_reusable,
            Class::TimeWait => self.time_wait,
            Class::InUse => self.in_use,
            Class::Locked => self.locked,
            Class::Reserved => self.reserved,
            Class::Uncertain => self.uncertain,
        }
    }

    /// Counts `ports` more in a class.
    pub const fn add(&mut self, class: Class, ports: u32) {
        *self.slot(class) += ports;
    }

    /// Counts `ports` less in a class, which holds at least as many.
    const fn remove(&mut self, class: Class, ports: u32) {
        *self.slot(class) -= ports;
    }

    const fn slot(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Free => &mut self.free,
            Class::TimeWaitReusable => &mut self.time_wait_reusable,
            Class::TimeWait => &mut self.time_wait,
            Class::InUse => &mut self.in_use,
            Class::Locked => &mut self.locked,
            Class::Reserved => &mut self.reserved,
            Class::Uncertain => &mut self.uncertain,
        }
    }

    /// All classes together: the size of the range.
    #[must_use]
    pub fn total(&self) -> u32 {
        Class::ALL.iter().map(|class| self.count(*class)).sum()
    }

    /// Ports that can be had now for certain.
    #[must_use]
    pub const fn usable(&self) -> u32 {
        self.free + self.time_wait_reusable
    }

    /// Ports certainly taken.
    #[must_use]
    pub const fn taken(&self) -> u32 {
        self.in_use + self.time_wait + self.locked
    }

    /// Ports taken if every uncertain one is.
    #[must_use]
    pub const fn taken_at_most(&self) -> u32 {
        self.taken() + self.uncertain
    }

    /// Ports that were ever to be had: the range without the reserved ones.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.total() - self.reserved
    }

    /// `taken` as a percentage of the capacity, 100 where there is none.
    #[must_use]
    pub fn used_percent(&self) -> f64 {
        percent(self.taken(), self.capacity())
    }

    /// [`Ledger::used_percent`] if every uncertain port is taken.
    #[must_use]
    pub fn used_percent_at_most(&self) -> f64 {
        percent(self.taken_at_most(), self.capacity())
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        100.0
    } else {
        f64::from(part) * 100.0 / f64::from(whole)
    }
}

/// How many more times the request will be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// At the least.
    pub at_least: u32,
    /// At the most.
    pub at_most: u32,
}

impl Headroom {
    /// Both ends are the same.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        self.at_least == self.at_most
    }
}

/// The class of each port of a range, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortClasses {
    range: PortRange,
    classes: Vec<Class>,
    ledger: Ledger,
    blind_spot: bool,
}

impl PortClasses {
    /// Classifies every port of the range by the first of: reserved, locked, in use, time_wait,
    /// uncertain, and the two that can be had. `class` answers for all but reserved.
    ///
    /// `parity_walk`: the kernel walks the ports of one parity, then the other, and so can miss
    /// one end of an odd-sized range (see [`PortClasses::headroom`]).
    pub fn new(
        range: PortRange,
        reserved: &PortSet,
        parity_walk: bool,
        mut class: impl FnMut(u16) -> Class,
    ) -> Self {
        // With three ports both walks begin at the lowest and never come to the highest.
        let unreachable = (parity_walk && range.size() == 3).then_some(range.high());
        let classes: Vec<Class> = range
            .ports()
            .map(|port| {
                if reserved.contains(port) || unreachable == Some(port) {
                    Class::Reserved
                } else {
                    class(port)
                }
            })
            .collect();
        let mut ledger = Ledger::default();
        classes.iter().for_each(|class| ledger.add(*class, 1));
        let blind_spot = parity_walk && range.size() % 2 == 1 && range.size() >= 5;
        Self {
            range,
            classes,
            ledger,
            blind_spot,
        }
    }

    /// The same with some ports in another class; ports outside the range are passed over.
    #[must_use]
    pub fn with(&self, moved: &[(u16, Class)]) -> Self {
        let mut copy = self.clone();
        for (port, class) in moved.iter().filter(|(port, _)| self.range.contains(*port)) {
            if let Some(slot) = copy.classes.get_mut(usize::from(port - self.range.low())) {
                copy.ledger.remove(*slot, 1);
                copy.ledger.add(*class, 1);
                *slot = *class;
            }
        }
        copy
    }

    /// The range.
    #[must_use]
    pub const fn range(&self) -> PortRange {
        self.range
    }

    /// The class of a port; `None` outside the range.
    #[must_use]
    pub fn class(&self, port: u16) -> Option<Class> {
        self.range
            .contains(port)
            .then(|| {
                self.classes
                    .get(usize::from(port - self.range.low()))
                    .copied()
            })
            .flatten()
    }

    /// Ports of a class, ascending.
    pub fn ports_of(&self, class: Class) -> impl Iterator<Item = u16> + '_ {
        self.range
            .ports()
            .zip(&self.classes)
            .filter(move |(_, c)| **c == class)
            .map(|(p, _)| p)
    }

    /// The counts.
    #[must_use]
    pub const fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The number of grants before the first refusal.
    ///
    /// An odd-sized range of 5 or more has a blind spot: the walk covers one port less than the
    /// range, so that either the lowest or the highest port may still be free when the kernel
    /// gives up (`remaining &= ~1U` in `__inet_hash_connect`; measured: 7 of 60 runs at size 5).
    /// Where neither end can be had anyway, nothing is lost.
    #[must_use]
    pub fn headroom(&self) -> Headroom {
        let ledger = self.ledger();
        let can_be_had = |port| {
            self.class(port)
                .is_some_and(|class| class.is_usable() || class == Class::Uncertain)
        };
        let blind = u32::from(
            self.blind_spot && (can_be_had(self.range.low()) || can_be_had(self.range.high())),
        );
        Headroom {
            at_least: ledger.usable().saturating_sub(blind),
            at_most: ledger.usable() + ledger.uncertain,
        }
    }

    /// Whether the range's odd size may cost one port.
    #[must_use]
    pub const fn has_blind_spot(&self) -> bool {
        self.blind_spot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn classes(size: u16, parity_walk: bool, of: impl FnMut(u16) -> Class) -> PortClasses {
        let range = PortRange::new(20000, 20000 + size - 1).unwrap();
        PortClasses::new(range, &PortSet::new(), parity_walk, of)
    }

    #[test]
    fn an_even_range_is_exact() {
        let headroom = classes(8, true, |_| Class::Free).headroom();
        assert_eq!(
            headroom,
            Headroom {
                at_least: 8,
                at_most: 8
            }
        );
    }

    #[test]
    fn an_odd_range_may_lose_one_end() {
        let all = classes(5, true, |_| Class::Free);
        assert_eq!(
            all.headroom(),
            Headroom {
                at_least: 4,
                at_most: 5
            }
        );
        let ends_taken = classes(5, true, |port| {
            if port == 20000 || port == 20004 {
                Class::InUse
            } else {
                Class::Free
            }
        });
        assert!(ends_taken.headroom().is_exact());
        assert!(classes(5, false, |_| Class::Free).headroom().is_exact());
        assert!(classes(1, true, |_| Class::Free).headroom().is_exact());
    }

    #[test]
    fn a_range_of_three_never_reaches_its_highest_port() {
        let three = classes(3, true, |_| Class::Free);
        assert_eq!(
            three.headroom(),
            Headroom {
                at_least: 2,
                at_most: 2
            }
        );
        assert_eq!(three.class(20002), Some(Class::Reserved));
    }

    #[test]
    fn reserved_comes_before_everything() {
        let range = PortRange::new(20000, 20003).unwrap();
        let reserved = [20001].into_iter().collect();
        let all = PortClasses::new(range, &reserved, true, |_| Class::Locked);
        assert_eq!(
            all.ledger(),
            Ledger {
                locked: 3,
                reserved: 1,
                ..Ledger::default()
            }
        );
        assert!((all.ledger().used_percent() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn moving_a_port_moves_it_in_the_ledger() {
        let all = classes(4, true, |_| Class::Free);
        let moved = all.with(&[
            (20001, Class::InUse),
            (20001, Class::Locked),
            (1, Class::InUse),
        ]);
        assert_eq!(
            moved.ledger(),
            Ledger {
                free: 3,
                locked: 1,
                ..Ledger::default()
            }
        );
    }

    #[test]
    fn a_fully_reserved_range_is_used_up() {
        let range = PortRange::new(20000, 20000).unwrap();
        let all = PortClasses::new(range, &[20000].into_iter().collect(), true, |_| Class::Free);
        assert!(all.ledger().used_percent() >= 100.0);
    }

    proptest! {
        #[test]
        fn the_classes_sum_to_the_size(size in 1u16..300, seed: u64, parity: bool) {
            let all = classes(size, parity, |port| {
                Class::ALL[(seed.rotate_left(u32::from(port)) % 7) as usize]
            });
            prop_assert_eq!(all.ledger().total(), u32::from(size));
            let headroom = all.headroom();
            prop_assert!(headroom.at_least <= headroom.at_most);
        }
    }
}
