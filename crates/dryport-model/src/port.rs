//! Port ranges and sets of ports.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Write};

/// An inclusive range of local ports, `low <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    low: u16,
    high: u16,
}

impl PortRange {
    /// `None` unless `low <= high`.
    #[must_use]
    pub const fn new(low: u16, high: u16) -> Option<Self> {
        if low <= high {
            Some(Self { low, high })
        } else {
            None
        }
    }

    /// Linux's default since 4.2: 32768–60999, 28,232 ports.
    pub const LINUX_DEFAULT: Self = Self {
        low: 32768,
        high: 60999,
    };

    /// 49152–65535, 16,384 ports: Windows since Vista, macOS.
    pub const IANA_DYNAMIC: Self = Self {
        low: 49152,
        high: 65535,
    };

    /// 1025–5000, 3,976 ports: Windows before Vista.
    pub const WINDOWS_2003_DEFAULT: Self = Self {
        low: 1025,
        high: 5000,
    };

    /// 10000–65535: FreeBSD.
    pub const FREEBSD_DEFAULT: Self = Self {
        low: 10000,
        high: 65535,
    };

    /// 1024–65535, 64,512 ports: what Linux's NAT takes where it is not told.
    pub const NAT_DEFAULT: Self = Self {
        low: 1024,
        high: 65535,
    };

    /// The lowest port.
    #[must_use]
    pub const fn low(self) -> u16 {
        self.low
    }

    /// The highest port.
    #[must_use]
    pub const fn high(self) -> u16 {
        self.high
    }

    /// Number of ports, 1 to 65,536.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.high as u32 - self.low as u32 + 1
    }

    /// Whether `port` lies inside.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.low <= port && port <= self.high
    }

    /// The ports in ascending order.
    pub fn ports(self) -> impl DoubleEndedIterator<Item = u16> + Clone {
        self.low..=self.high
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

/// A set of ports: one bit each, 8 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet {
    words: Box<[u64; 1024]>,
}

impl PortSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            words: Box::new([0; 1024]),
        }
    }

    /// Adds a port; true if it was not there.
    pub fn insert(&mut self, port: u16) -> bool {
        let (word, bit) = Self::position(port);
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        fresh
    }

    /// Adds every port of a range.
    pub fn insert_range(&mut self, range: PortRange) {
        range.ports().for_each(|port| {
            self.insert(port);
        });
    }

    /// Adds every port of another set.
    pub fn insert_all(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(other.words.iter()) {
            *word |= more;
        }
    }

    /// Takes out every port of another set.
    pub fn remove_all(&mut self, other: &Self) {
        for (word, less) in self.words.iter_mut().zip(other.words.iter()) {
            *word &= !less;
        }
    }

    /// Takes a port out.
    pub fn remove(&mut self, port: u16) {
        let (word, bit) = Self::position(port);
        self.words[word] &= !bit;
    }

    /// Whether the port is in the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let (word, bit) = Self::position(port);
        self.words[word] & bit != 0
    }

    /// Number of ports in the set.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Number of ports of `range` in the set.
    #[must_use]
    pub fn count_in(&self, range: PortRange) -> u32 {
        range.ports().filter(|port| self.contains(*port)).count() as u32
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=u16::MAX).filter(|port| self.contains(*port))
    }

    /// As the kernel writes it: `8080,9000-9010`; empty for the empty set.
    #[must_use]
    pub fn to_list(&self) -> String {
        let mut text = String::new();
        let mut ports = self.iter().peekable();
        while let Some(low) = ports.next() {
            let mut high = low;
            while ports
                .next_if(|next| high.checked_add(1) == Some(*next))
                .is_some()
            {
                high += 1;
            }
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = if low == high {
                write!(text, "{comma}{low}")
            } else {
                write!(text, "{comma}{low}-{high}")
            };
        }
        text
    }

    const fn position(port: u16) -> (usize, u64) {
        (port as usize >> 6, 1 << (port & 63))
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut set = Self::new();
        for port in ports {
            set.insert(port);
        }
        set
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_both_ends() {
        assert_eq!(PortRange::LINUX_DEFAULT.size(), 28_232);
        assert_eq!(PortRange::new(0, 65535).unwrap().size(), 65_536);
        assert_eq!(PortRange::new(2, 1), None);
    }

    #[test]
    fn a_list_is_written_as_the_kernel_writes_it() {
        let list = |ports: &[u16]| ports.iter().copied().collect::<PortSet>().to_list();
        assert_eq!(list(&[]), "");
        assert_eq!(list(&[8080]), "8080");
        assert_eq!(list(&[1, 2, 3, 9, 65534, 65535]), "1-3,9,65534-65535");
    }

    #[test]
    fn a_set_holds_the_highest_port() {
        let mut set = PortSet::new();
        assert!(set.insert(65535));
        assert!(!set.insert(65535));
        set.insert_range(PortRange::new(0, 3).unwrap());
        assert_eq!(set.len(), 5);
        set.remove(0);
        assert_eq!(set.iter().collect::<alloc::vec::Vec<_>>(), [1, 2, 3, 65535]);
        assert_eq!(set.count_in(PortRange::new(2, 65535).unwrap()), 3);
    }
}
