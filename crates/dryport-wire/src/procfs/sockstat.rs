//! `/proc/net/sockstat` and `sockstat6`: how many sockets there are, without a walk.
//!
//! Counts are of the reader's network namespace, but memory and orphans are of the whole machine
//! (`sockstat_seq_show`).

use super::{number, words};

/// What `/proc/net/sockstat` says; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockstat {
    /// Sockets of every family.
    pub sockets_used: Option<u64>,
    /// TCP sockets over IPv4 in the tables, TIME_WAIT not counted.
    pub tcp_in_use: Option<u64>,
    /// TCP sockets that no process holds any more; whole machine.
    pub tcp_orphans: Option<u64>,
    /// TIME_WAIT entries, both families.
    pub tcp_time_wait: Option<u64>,
    /// TCP sockets that exist, both families; whole machine.
    pub tcp_allocated: Option<u64>,
    /// Memory of TCP in pages; whole machine.
    pub tcp_memory_pages: Option<u64>,
    /// UDP sockets over IPv4 with a port.
    pub udp_in_use: Option<u64>,
    /// Memory of UDP in pages; whole machine.
    pub udp_memory_pages: Option<u64>,
}

/// What `/proc/net/sockstat6` says; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockstat6 {
    /// TCP sockets of `AF_INET6` in the tables, TIME_WAIT not counted.
    pub tcp_in_use: Option<u64>,
    /// UDP sockets of `AF_INET6` with a port.
    pub udp_in_use: Option<u64>,
}

/// Reads `/proc/net/sockstat`.
#[must_use]
pub fn parse_sockstat(bytes: &[u8]) -> Sockstat {
    Sockstat {
        sockets_used: field(bytes, b"sockets:", b"used"),
        tcp_in_use: field(bytes, b"TCP:", b"inuse"),
        tcp_orphans: field(bytes, b"TCP:", b"orphan"),
        tcp_time_wait: field(bytes, b"TCP:", b"tw"),
        tcp_allocated: field(bytes, b"TCP:", b"alloc"),
        tcp_memory_pages: field(bytes, b"TCP:", b"mem"),
        udp_in_use: field(bytes, b"UDP:", b"inuse"),
        udp_memory_pages: field(bytes, b"UDP:", b"mem"),
    }
}

/// Reads `/proc/net/sockstat6`.
#[must_use]
pub fn parse_sockstat6(bytes: &[u8]) -> Sockstat6 {
    Sockstat6 {
        tcp_in_use: field(bytes, b"TCP6:", b"inuse"),
        udp_in_use: field(bytes, b"UDP6:", b"inuse"),
    }
}

/// The number behind `key` on the line that starts with `section`.
fn field(bytes: &[u8], section: &[u8], key: &[u8]) -> Option<u64> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut words = words(lines.find_map(|line| line.strip_prefix(section))?);
    while let Some(word) = words.next() {
        let value = words.next()?;
        if word == key {
            return number(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counts_are_read() {
        let text = b"sockets: used 290\nTCP: inuse 5 orphan 1 tw 28000 alloc 7 mem 3\n\
            UDP: inuse 4 mem 2\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n";
        let wanted = Sockstat {
            sockets_used: Some(290),
            tcp_in_use: Some(5),
            tcp_orphans: Some(1),
            tcp_time_wait: Some(28000),
            tcp_allocated: Some(7),
            tcp_memory_pages: Some(3),
            udp_in_use: Some(4),
            udp_memory_pages: Some(2),
        };
        assert_eq!(parse_sockstat(text), wanted);
        let six = parse_sockstat6(b"TCP6: inuse 3\nUDP6: inuse 2\nUDPLITE6: inuse 0\n");
        assert_eq!(
            six,
            Sockstat6 {
                tcp_in_use: Some(3),
                udp_in_use: Some(2)
            }
        );
    }

    #[test]
    fn what_is_not_there_is_not_zero() {
        assert_eq!(parse_sockstat(b""), Sockstat::default());
        let odd = parse_sockstat(b"TCP: inuse\nUDP: inuse x mem 4\n");
        assert_eq!(
            (odd.tcp_in_use, odd.udp_in_use, odd.udp_memory_pages),
            (None, None, Some(4))
        );
    }
}
