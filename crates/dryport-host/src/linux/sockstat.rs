//! How many sockets the calling thread's network namespace counts, without a walk over them.

use std::fs;
use std::path::Path;

use dryport_wire::procfs::{Sockstat, Sockstat6, parse_sockstat, parse_sockstat6};

use crate::error::{Error, Result};

/// Counts of one network namespace, both families together. TCP sockets that are bound and neither
/// listen nor connect are in no count: they are not in the kernel's tables (`inet_hash`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// TCP sockets that listen or are connected, TIME_WAIT not counted.
    pub tcp: u64,
    /// TIME_WAIT entries.
    pub tcp_time_wait: u64,
    /// UDP sockets with a port.
    pub udp: u64,
    /// TCP sockets that are alive on the whole machine, in whatever namespace.
    pub tcp_machine: u64,
}

/// Reads `/proc/thread-self/net/sockstat` and `sockstat6`: `/proc/net` is that of the process's
/// first thread, which may be elsewhere.
///
/// # Errors
/// The counts of IPv4 cannot be read, or one is missing.
pub fn read_socket_counts() -> Result<SocketCounts> {
    const FILE: &str = "/proc/thread-self/net/sockstat";
    let failed = |error| Error::system(format!("read {FILE}"), error);
    let four = parse_sockstat(&fs::read(FILE).map_err(failed)?);
    // Absent where IPv6 is not built in.
    let six = fs::read("/proc/thread-self/net/sockstat6").unwrap_or_default();
    sum(&four, &parse_sockstat6(&six)).ok_or_else(|| Error::Setting {
        path: Path::new(FILE).to_owned(),
        reason: "a count is missing".into(),
    })
}

fn sum(four: &Sockstat, six: &Sockstat6) -> Option<SocketCounts> {
    Some(SocketCounts {
        tcp: four.tcp_in_use? + six.tcp_in_use.unwrap_or(0),
        tcp_time_wait: four.tcp_time_wait?,
        udp: four.udp_in_use? + six.udp_in_use.unwrap_or(0),
        tcp_machine: four.tcp_allocated?,
    })
}

/// Files that are open on the whole machine, of whatever kind; `None` where that is not told.
#[must_use]
pub fn open_files() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/fs/file-nr").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

impl SocketCounts {
    /// No socket and no TIME_WAIT is counted in this namespace.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.tcp == 0 && self.tcp_time_wait == 0 && self.udp == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn both_families_are_counted_together() {
        let four =
            parse_sockstat(b"TCP: inuse 5 orphan 1 tw 3 alloc 7 mem 3\nUDP: inuse 4 mem 2\n");
        let six = parse_sockstat6(b"TCP6: inuse 2\nUDP6: inuse 1\n");
        let wanted = SocketCounts {
            tcp: 7,
            tcp_time_wait: 3,
            udp: 5,
            tcp_machine: 7,
        };
        assert_eq!(sum(&four, &six), Some(wanted));
        assert_eq!(sum(&Sockstat::default(), &six), None);
        assert!(!wanted.is_zero() && SocketCounts::default().is_zero());
    }

    #[test]
    fn an_open_socket_is_counted() {
        let _socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(read_socket_counts().unwrap().udp > 0);
    }
}
