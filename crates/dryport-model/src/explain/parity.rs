//! How the ports of a capture were chosen, told by the ports themselves.
//!
//! A capture does not show whether a port was bound before `connect()`, and a bound one is lost for
//! every destination. But Linux (4.2 and later) gives `connect()` ports of the parity of the range's
//! low end first and `bind(addr, 0)` those of the other (`__inet_hash_connect`,
//! `inet_csk_find_open_port`). Two things follow for the ports of one source address:
//!
//! - As long as they are less than half of the range, their parity shows which of the two chose.
//! - `connect()` begins with the same half of the range for every destination. Where the pairs
//!   together have more ports than that half and yet share none, it was not `connect()`.

use alloc::vec::Vec;

use crate::{PortRange, PortSet};

/// Ports from which on their parity is no accident.
const ENOUGH: u32 = 32;
/// In percent; some ports are taken out of turn where others stand in the way.
const NEARLY_ALL: u32 = 95;
/// Of the ports that `connect()` would have to share, in percent; a few may be another program's.
const HARDLY_SHARED: u32 = 2;
/// Ports this close together come from a range of the socket's own (`IP_LOCAL_PORT_RANGE`), whose
/// low end decides the parity before Linux 6.8; in percent of the places they could take.
const DENSE: u32 = 80;

/// Who chose the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// `connect()`: other destinations may use them again.
    ByConnect,
    /// `bind(addr, 0)`: lost for every destination.
    ByBind,
    /// The ports do not tell.
    Untold,
}

/// Who chose the ports of one source address, given for each of its destinations.
pub(super) fn chosen(pairs: &[PortSet], range: PortRange, locked: &PortSet) -> Chosen {
    let counted: Vec<PortSet> = pairs
        .iter()
        .map(|ports| {
            let own = |port: &u16| ports.contains(*port) && !locked.contains(*port);
            range.ports().filter(own).collect()
        })
        .collect();
    let mut union = PortSet::new();
    counted.iter().for_each(|ports| union.insert_all(ports));
    let half = range.size() / 2;
    let sum: u32 = counted.iter().map(PortSet::len).sum();
    let first_half: u32 = counted.iter().map(|ports| ports.len().min(half)).sum();
    let all = union.len();
    // `connect()` would use at least so many ports for two destinations.
    let forced = first_half.saturating_sub(half);
    let shared = sum - all;
    match () {
        () if all < ENOUGH => Chosen::Untold,
        () if forced >= ENOUGH && shared * 100 <= forced * HARDLY_SHARED => Chosen::ByBind,
        () if all > half => Chosen::Untold,
        () => by_parity(&union, range),
    }
}

fn by_parity(ports: &PortSet, range: PortRange) -> Chosen {
    let all = ports.len();
    let first = ports
        .iter()
        .filter(|port| (port ^ range.low()) & 1 == 0)
        .count() as u32;
    match () {
        () if first * 100 >= all * NEARLY_ALL => Chosen::ByConnect,
        () if (all - first) * 100 >= all * NEARLY_ALL && !is_dense(ports, range) => Chosen::ByBind,
        () => Chosen::Untold,
    }
}

/// Whether the ports fill a part of the range: `bind(addr, 0)` spreads them over all of it.
fn is_dense(ports: &PortSet, range: PortRange) -> bool {
    let (Some(lowest), Some(highest)) = (ports.iter().next(), ports.iter().last()) else {
        return false;
    };
    let places = u32::from(highest - lowest) / 2 + 1;
    let part = places * 2 * 100 < range.size() * 95;
    part && ports.len() * 100 >= places * DENSE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(step: usize, from: u16, count: usize) -> PortSet {
        (from..).step_by(step).take(count).collect()
    }

    fn told(pairs: &[PortSet], low: u16, high: u16) -> Chosen {
        chosen(pairs, PortRange::new(low, high).unwrap(), &PortSet::new())
    }

    #[test]
    fn the_parity_of_the_low_end_is_connects() {
        for low in [32768, 32769] {
            let of = |ports: PortSet| told(&[ports], low, 60999);
            assert_eq!(of(ports(2, low, 100)), Chosen::ByConnect);
            assert_eq!(of(ports(200, low + 1, 100)), Chosen::ByBind);
            // A range of the socket's own, that begins with the other parity.
            assert_eq!(of(ports(2, low + 1, 100)), Chosen::Untold);
            assert_eq!(of(ports(1, low, 100)), Chosen::Untold);
            assert_eq!(of(ports(2, low, 10)), Chosen::Untold);
        }
    }

    #[test]
    fn a_full_range_of_one_destination_tells_nothing() {
        assert_eq!(told(&[ports(1, 40000, 100)], 40000, 40099), Chosen::Untold);
    }

    #[test]
    fn a_pair_that_shares_all_its_ports_with_a_large_one_was_not_bound() {
        let large: PortSet = ports(2, 40000, 5000)
            .iter()
            .chain(ports(2, 40001, 4000).iter())
            .collect();
        let small = ports(2, 40000, 100);
        assert_eq!(told(&[large, small.clone()], 40000, 49999), Chosen::Untold);
        assert_eq!(
            told(&[ports(2, 40000, 5000), small], 40000, 49999),
            Chosen::ByConnect
        );
    }

    #[test]
    fn destinations_that_share_no_port_were_bound() {
        let (one, other) = (ports(2, 40001, 50), ports(2, 40000, 50));
        assert_eq!(told(&[one, other.clone()], 40000, 40099), Chosen::ByBind);
        let shared = [other.clone(), other];
        assert_eq!(told(&shared, 40000, 40099), Chosen::ByConnect);
    }
}
