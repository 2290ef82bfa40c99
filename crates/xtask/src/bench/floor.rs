//! The floors under `check --no-owners`: the same sockets asked of `sock_diag`, or of the BPF
//! iterators, received and thrown away without a look at them. Nobody who reads them so can be
//! faster.

use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use dryport_bpf::{BpfTable, Kernel};
use dryport_model::{PortRange, Protocol};
use dryport_wire::bytecode::Bytecode;
use dryport_wire::sock_diag::{Families, Query};

use crate::failure::Failure;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// The kernel fills at most 32 KiB at a time however large the buffer is.
const BUFFER: usize = 64 * 1024;

#[derive(clap::Args)]
pub struct Options {
    /// Load the BPF programs and read their iterators, instead of the dump of sock_diag
    #[arg(long)]
    bpf: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let range = dryport_host::read_limits(false)?.limits.range;
    let received = match options.bpf {
        true => by_bpf(range)?,
        false => by_sock_diag(range)?,
    };
    println!("{received} bytes");
    Ok(())
}

fn by_bpf(range: PortRange) -> Result<u64, Failure> {
    let kernel = Kernel::open()?;
    let table = BpfTable::open(&kernel, false)?;
    Ok(table.discard(Protocol::Tcp, range)? + table.discard(Protocol::Udp, range)?)
}

fn by_sock_diag(range: PortRange) -> Result<u64, Failure> {
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )
    .map_err(Failure::system("socket(NETLINK_SOCK_DIAG)"))?;
    let mut buffer = vec![0; BUFFER];
    let mut received = 0;
    for request in requests(range) {
        send(&kernel, &request, SendFlags::empty()).map_err(Failure::system("send"))?;
        received += discard(&kernel, &mut buffer)?;
    }
    Ok(received)
}

/// The requests of `dryport check`, byte for byte: sockets on a local port of the range.
fn requests(range: PortRange) -> [Vec<u8>; 3] {
    let of = |families, protocol| {
        let filter = Some(Bytecode::local_port(range));
        Query {
            filter,
            ..Query::all(families, protocol)
        }
        .encode(1)
    };
    [
        of(Families::Both, Protocol::Tcp),
        of(Families::V4, Protocol::Udp),
        of(Families::V6, Protocol::Udp),
    ]
}

/// Receives until the dump's end and counts the bytes.
fn discard(kernel: &OwnedFd, buffer: &mut [u8]) -> Result<u64, Failure> {
    let mut received = 0;
    loop {
        let (length, _) = recv(kernel, &mut *buffer, RecvFlags::empty())
            .map_err(Failure::system("recv(NETLINK_SOCK_DIAG)"))?;
        received += length as u64;
        let datagram = buffer.get(..length).unwrap_or_default();
        match last(datagram) {
            Some(NLMSG_DONE) => return Ok(received),
            Some(NLMSG_ERROR) => {
                let said = format!("an error in place of the dump: {datagram:02x?}");
                return Err(Failure::Answer {
                    program: "sock_diag",
                    said,
                });
            }
            _ => {}
        }
    }
}

/// The type of an end or an error. Both come alone or last, and an end is 20 bytes long, so the
/// messages in between need not be walked.
fn last(datagram: &[u8]) -> Option<u16> {
    let kind = |header: &[u8]| Some(u16::from_ne_bytes([*header.get(4)?, *header.get(5)?]));
    let tail = datagram.get(datagram.len().checked_sub(20)?..)?;
    if tail.first_chunk() == Some(&20u32.to_ne_bytes()) && kind(tail) == Some(NLMSG_DONE) {
        return Some(NLMSG_DONE);
    }
    kind(datagram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dryport_wire::netlink::Message;
    use dryport_wire::sock_diag::TCPDIAG_GETSOCK;

    #[test]
    fn an_end_is_found_alone_and_behind_other_messages() {
        let message = |kind, body: &[u8]| {
            let mut message = Message::new(kind, 0, 1);
            message.push_bytes(body);
            message.finish()
        };
        let done = message(NLMSG_DONE, &[0; 4]);
        assert_eq!(last(&done), Some(NLMSG_DONE));
        let mut both = message(TCPDIAG_GETSOCK, &[7; 72]);
        assert_eq!(last(&both), Some(TCPDIAG_GETSOCK));
        both.extend(done);
        assert_eq!(last(&both), Some(NLMSG_DONE));
    }
}
