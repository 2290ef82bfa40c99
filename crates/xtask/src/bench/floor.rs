//! The floor under `check --no-owners`: the same sockets asked of `sock_diag`, received and thrown
//! away without a look at them. Nobody who reads that dump can be faster.

use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::failure::Failure;

/// `TCPDIAG_GETSOCK`, the oldest request: the only one that dumps IPv4 and IPv6 in one walk of the
/// kernel's table.
const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_UDP: u8 = 17;

/// Every state from ESTABLISHED (1) to NEW_SYN_RECV (12), and bound but idle (13).
const ALL_STATES: u32 = 0x3ffe;

/// The kernel fills at most 32 KiB at a time however large the buffer is.
const BUFFER: usize = 64 * 1024;

pub fn run() -> Result<(), Failure> {
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )
    .map_err(Failure::system("socket(NETLINK_SOCK_DIAG)"))?;
    let mut buffer = vec![0; BUFFER];
    let mut received = 0;
    for request in [tcp(), udp(AF_INET), udp(AF_INET6)] {
        send(&kernel, &request, SendFlags::empty()).map_err(Failure::system("send"))?;
        received += discard(&kernel, &mut buffer)?;
    }
    println!("{received} bytes");
    Ok(())
}

/// `struct inet_diag_req`: family, lengths and extensions, socket id, states, dump flags.
fn tcp() -> Vec<u8> {
    let mut body = [0; 60];
    body[52..56].copy_from_slice(&ALL_STATES.to_ne_bytes());
    message(TCPDIAG_GETSOCK, &body)
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, states, socket id.
fn udp(family: u8) -> Vec<u8> {
    let mut body = [0; 56];
    (body[0], body[1]) = (family, IPPROTO_UDP);
    body[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    message(SOCK_DIAG_BY_FAMILY, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Receives until the dump's end and counts the bytes.
fn discard(kernel: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Failure> {
    let mut received = 0;
    loop {
        let (length, _) = recv(kernel, &mut *buffer, RecvFlags::empty())
            .map_err(Failure::system("recv(NETLINK_SOCK_DIAG)"))?;
        received += length;
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

    #[test]
    fn an_end_is_found_alone_and_behind_other_messages() {
        let done = message(NLMSG_DONE, &[0; 4]);
        assert_eq!(last(&done), Some(NLMSG_DONE));
        let mut both = message(SOCK_DIAG_BY_FAMILY, &[7; 72]);
        assert_eq!(last(&both), Some(SOCK_DIAG_BY_FAMILY));
        both.extend(done);
        assert_eq!(last(&both), Some(NLMSG_DONE));
    }
}
