//! Reading the sockets of the calling thread's network namespace through sock_diag.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use dryport_model::{Family, PortRange, Protocol, Socket};
use dryport_wire::bytecode::Bytecode;
use dryport_wire::sock_diag::{
    self, EXTENSION_INFO, Families, Query, Row, TcpInfo, decode_row, decode_socket, state_bit,
};
use rustix::io::Errno;

use super::netlink::{Failure, Netlink};
use super::table::retrying;
use crate::error::{Error, Result};

/// What a dump brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows read.
    pub rows: u64,
    /// Rows that could not be understood.
    pub unreadable: u64,
}

/// Reads sockets. Tied to the network namespace of the thread that opened it.
pub struct SocketReader {
    netlink: Netlink,
}

impl SocketReader {
    /// Opens the reader.
    ///
    /// # Errors
    /// The kernel has no sock_diag, or forbids netlink sockets.
    pub fn open() -> Result<Self> {
        let netlink = Netlink::sock_diag().map_err(|source| Error::SockDiag {
            what: "open",
            source,
        })?;
        Ok(Self { netlink })
    }

    /// [`retrying`] with a fresh reader each time.
    ///
    /// # Errors
    /// As there.
    pub fn retrying<T>(mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        retrying(|| read(&mut Self::open()?))
    }

    /// Every TCP socket of both families, bound-but-idle ones included, in one walk. With `ports`,
    /// those on a local port of this range only: the kernel passes over the others at a fifth of
    /// the cost of telling them.
    ///
    /// # Errors
    /// The kernel refuses, or the dump breaks off.
    pub fn tcp(&mut self, ports: Option<PortRange>, observe: impl FnMut(&Socket)) -> Result<Tally> {
        let filter = ports.map(Bytecode::local_port);
        let query = Query {
            filter,
            ..Query::all(Families::Both, Protocol::Tcp)
        };
        self.dump("tcp", &query, observe)
    }

    /// Every UDP socket of a family; `ports` as for [`SocketReader::tcp`].
    ///
    /// # Errors
    /// As [`SocketReader::tcp`].
    pub fn udp(
        &mut self,
        family: Family,
        ports: Option<PortRange>,
        observe: impl FnMut(&Socket),
    ) -> Result<Tally> {
        let (what, families) = match family {
            Family::V4 => ("udp", Families::V4),
            Family::V6 => ("udp6", Families::V6),
        };
        let filter = ports.map(Bytecode::local_port);
        self.dump(
            what,
            &Query {
                filter,
                ..Query::all(families, Protocol::Udp)
            },
            observe,
        )
    }

    /// Bound TCP sockets that neither listen nor connect, which only this table shows.
    ///
    /// # Errors
    /// As [`SocketReader::tcp`].
    pub fn tcp_bound_idle(
        &mut self,
        ports: PortRange,
        observe: impl FnMut(&Socket),
    ) -> Result<Tally> {
        let query = Query {
            states: sock_diag::STATE_BOUND_INACTIVE,
            filter: Some(Bytecode::local_port(ports)),
            ..Query::all(Families::Both, Protocol::Tcp)
        };
        self.dump("tcp, bound and idle", &query, observe)
    }

    /// The TCP sockets whose program chose their port itself (`SOCK_BINDPORT_LOCK`). With
    /// `idle_only`, listening and bound-but-idle ones alone, which spares the walk over the
    /// connections; `ports` as for [`SocketReader::tcp`].
    ///
    /// # Errors
    /// As [`SocketReader::tcp`].
    pub fn tcp_fixed_ports(
        &mut self,
        ports: PortRange,
        idle_only: bool,
        observe: impl FnMut(&Socket),
    ) -> Result<Tally> {
        let states = if idle_only {
            sock_diag::STATE_LISTEN | sock_diag::STATE_BOUND_INACTIVE
        } else {
            sock_diag::ALL_STATES
        };
        let query = Query {
            states,
            filter: Some(Bytecode::local_port(ports).and(&Bytecode::not_automatic())),
            ..Query::all(Families::Both, Protocol::Tcp)
        };
        self.dump("tcp, fixed ports", &query, observe)
    }

    /// Whether live connections to a peer use TCP timestamps: `None` where there are none, or
    /// some do and some do not.
    ///
    /// # Errors
    /// As [`SocketReader::tcp`].
    pub fn peer_timestamps(&mut self, peer: IpAddr) -> Result<Option<bool>> {
        // Established or later: the handshake has settled the options.
        let states = [1, 4, 5, 8, 9, 11]
            .into_iter()
            .map(state_bit)
            .fold(0, |all, bit| all | bit);
        let bits = if peer.is_ipv4() { 32 } else { 128 };
        let query = Query {
            states,
            extensions: EXTENSION_INFO,
            filter: Some(Bytecode::remote(peer, bits, None)),
            ..Query::all(Families::Both, Protocol::Tcp)
        };
        let (mut with, mut without) = (0_u32, 0_u32);
        self.rows("tcp, one peer", &query, |row| match row.tcp_info {
            Some(info) if info.has_timestamps() => with += 1,
            Some(_) => without += 1,
            None => {}
        })?;
        Ok(match (with, without) {
            (1.., 0) => Some(true),
            (0, 1..) => Some(false),
            _ => None,
        })
    }

    /// Both ends of the connections on local ports of a range that were accepted, not opened from
    /// here.
    ///
    /// tcp_info tells: the SYN that opens a connection counts as one byte acknowledged, the
    /// SYN-ACK of an accepted one does not (`tcp_ack`). Only where nothing is in flight.
    ///
    /// # Errors
    /// As [`SocketReader::tcp`].
    pub fn accepted_on(&mut self, ports: PortRange) -> Result<HashSet<(SocketAddr, SocketAddr)>> {
        let query = Query {
            // Past these we may have sent a FIN, which counts as a byte too.
            states: sock_diag::STATE_ESTABLISHED | sock_diag::STATE_CLOSE_WAIT,
            extensions: EXTENSION_INFO,
            filter: Some(Bytecode::local_port(ports)),
            ..Query::all(Families::Both, Protocol::Tcp)
        };
        let mut accepted = HashSet::new();
        self.rows("tcp, with tcp_info", &query, |row| {
            if row.tcp_info.as_ref().is_some_and(was_accepted) {
                accepted.insert((row.socket.local, row.socket.remote));
            }
        })?;
        Ok(accepted)
    }

    /// Whole rows, attributes included.
    fn rows(
        &mut self,
        what: &'static str,
        query: &Query,
        mut on_row: impl FnMut(&Row),
    ) -> Result<()> {
        self.exchange(what, query, |payload| {
            if let Ok(row) = decode_row(payload, query.protocol) {
                on_row(&row);
            }
        })
    }

    fn dump(
        &mut self,
        what: &'static str,
        query: &Query,
        mut observe: impl FnMut(&Socket),
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        self.exchange(what, query, |payload| {
            match decode_socket(payload, query.protocol) {
                Ok(socket) => {
                    tally.rows += 1;
                    observe(&socket);
                }
                Err(_) => tally.unreadable += 1,
            }
        })?;
        Ok(tally)
    }

    fn exchange(
        &mut self,
        what: &'static str,
        query: &Query,
        mut on_payload: impl FnMut(&[u8]),
    ) -> Result<()> {
        let request = query.encode(1);
        let done = self
            .netlink
            .exchange(&request, true, |frame| on_payload(frame.payload));
        done.map_err(|failure| match failure {
            Failure::Broken(reason) => Error::BrokenDump { what, reason },
            Failure::Refused(Errno::BUSY) => Error::BrokenDump {
                what,
                reason: "the kernel is busy".into(),
            },
            other => Error::SockDiag {
                what,
                source: other.into_io(),
            },
        })
    }
}

fn was_accepted(info: &TcpInfo) -> bool {
    let once = match (info.bytes_sent, info.bytes_retransmitted) {
        (Some(sent), Some(again)) => sent.checked_sub(again),
        _ => None,
    };
    info.unacked == 0 && once == Some(info.bytes_acked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaking_off(times: u32) -> (Result<u32>, u32) {
        let mut tries = 0;
        let result = SocketReader::retrying(|_| {
            tries += 1;
            if tries > times {
                Ok(tries)
            } else {
                Err(Error::BrokenDump {
                    what: "test",
                    reason: "made up".into(),
                })
            }
        });
        (result, tries)
    }

    #[test]
    fn a_dump_that_broke_off_is_asked_for_again_and_then_told() {
        assert!(matches!(breaking_off(0), (Ok(1), 1)));
        assert!(matches!(breaking_off(2), (Ok(3), 3)));
        assert!(matches!(
            breaking_off(3),
            (Err(Error::BrokenDump { .. }), 3)
        ));
    }

    #[test]
    fn other_failures_are_told_at_once() {
        let mut tries = 0;
        let result: Result<()> = SocketReader::retrying(|_| {
            tries += 1;
            Err(Error::NoProcess { pid: 1 })
        });
        assert!(result.is_err());
        assert_eq!(tries, 1);
    }

    #[test]
    fn an_accepted_connection_is_told_by_its_acknowledged_bytes() {
        let info = |bytes_acked, bytes_sent, unacked| TcpInfo {
            options: 0,
            unacked,
            last_data_sent_ms: 0,
            last_data_received_ms: 0,
            total_retransmits: 0,
            bytes_acked,
            bytes_received: 0,
            segments_out: 0,
            segments_in: 0,
            bytes_sent: Some(bytes_sent),
            bytes_retransmitted: Some(0),
        };
        assert!(was_accepted(&info(0, 0, 0)));
        assert!(was_accepted(&info(500, 500, 0)));
        assert!(!was_accepted(&info(1, 0, 0)), "the SYN counts as one");
        assert!(
            !was_accepted(&info(500, 500, 1)),
            "in flight: nothing is told"
        );
    }
}
