//! A set of ports that is small while it holds few: two bytes each, then a bit map.

use alloc::vec::Vec;

use crate::PortSet;

/// Ports are made distinct when a list has grown this long.
const LONG: usize = 4096;

/// Ports, in any order and as often as they come.
#[derive(Clone, Debug, Default)]
pub struct PortBag {
    few: Vec<u16>,
    many: Option<PortSet>,
}

impl PortBag {
    /// Adds a port.
    pub fn insert(&mut self, port: u16) {
        if let Some(many) = &mut self.many {
            many.insert(port);
            return;
        }
        // The table repeats a port in successive rows more often than elsewhere.
        if self.few.last() != Some(&port) {
            self.few.push(port);
            if self.few.len() == LONG {
                self.many = Some(self.few.drain(..).collect());
                self.few = Vec::new();
            }
        }
    }

    /// Adds every port of another bag.
    pub(super) fn merge(&mut self, other: &Self) {
        match &other.many {
            Some(many) => many.iter().for_each(|port| self.insert(port)),
            None => other.few.iter().for_each(|port| self.insert(*port)),
        }
    }

    /// The ports, each once.
    #[must_use]
    pub fn to_set(&self) -> PortSet {
        self.many
            .clone()
            .unwrap_or_else(|| self.few.iter().copied().collect())
    }

    /// Adds every port to a set.
    pub fn add_to(&self, set: &mut PortSet) {
        match &self.many {
            Some(many) => set.insert_all(many),
            None => self.few.iter().for_each(|port| {
                set.insert(*port);
            }),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_none()
    }

    /// At most this many distinct ports; quick.
    #[must_use]
    pub fn at_most(&self) -> usize {
        self.many
            .as_ref()
            .map_or(self.few.len(), |many| many.len() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_comes_again_counts_once() {
        for many in [10_u16, 5000] {
            let mut bag = PortBag::default();
            for port in (1..=many).chain(1..=many) {
                bag.insert(port);
            }
            assert_eq!(bag.to_set().len(), u32::from(many));
            let mut set = PortSet::new();
            bag.add_to(&mut set);
            assert_eq!(set, bag.to_set());
        }
    }
}
