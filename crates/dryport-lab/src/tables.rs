//! The state of TCP connections in the calling thread's namespace, asked to wait for one.
//!
//! One connection is asked of `sock_diag`, which is a hash look-up; the text table
//! (`/proc/thread-self/net/tcp`) walks the whole machine's table, 262,144 buckets where this was
//! written, and a loaded machine needs 100 ms for it.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dryport_model::State;
use dryport_wire::netlink::{Message, NLM_F_REQUEST, messages};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::LabError;
use crate::socket::{Connection, canonical};

const DEADLINE: Duration = Duration::from_secs(5);
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// Local and remote end.
pub(crate) type Tuple = (SocketAddr, SocketAddr);

/// Waits until each connection is in one of `states`. `gone_counts` says whether being gone from
/// the table will do.
pub(crate) fn wait_for(
    connections: &[Connection],
    states: &[State],
    gone_counts: bool,
) -> Result<(), LabError> {
    let diag = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )
    .map_err(LabError::system("socket", "NETLINK_SOCK_DIAG"))?;
    let started = Instant::now();
    loop {
        let mut late = None;
        let mut gone = Vec::new();
        for connection in connections {
            match look_up(&diag, connection)? {
                Some(state) if states.contains(&state) => {}
                Some(state) => late = Some((*connection, Some(state))),
                None => gone.push(*connection),
            }
        }
        if let Some(found) = check_gone(&gone, states, gone_counts)? {
            late = Some(found);
        }
        let Some((Connection { local, remote, .. }, now)) = late else {
            return Ok(());
        };
        if started.elapsed() > DEADLINE {
            let now = now.map_or("gone", State::name);
            let states: Vec<&str> = states.iter().map(|state| state.name()).collect();
            let condition = format!(
                "{local} -> {remote}, now {now}, to reach {}",
                states.join(" or ")
            );
            return Err(LabError::Deadline {
                condition,
                waited: started.elapsed(),
            });
        }
        sleep(Duration::from_millis(1));
    }
}

/// `sock_diag` says ENOENT for a connection that is gone, and where the kernel lacks the reader
/// of TCP sockets, so the text table has the last word. Gives one that has not arrived.
fn check_gone(
    gone: &[Connection],
    states: &[State],
    gone_counts: bool,
) -> Result<Option<(Connection, Option<State>)>, LabError> {
    if gone.is_empty() {
        return Ok(None);
    }
    let table = connections()?;
    let found = gone
        .iter()
        .map(|connection| (*connection, table.get(&connection.tuple()).copied()));
    let arrived = |state: Option<State>| state.map_or(gone_counts, |state| states.contains(&state));
    Ok(found.into_iter().find(|(_, state)| !arrived(*state)))
}

/// The state of one connection; `None` where there is none.
fn look_up(diag: &OwnedFd, connection: &Connection) -> Result<Option<State>, LabError> {
    let object = "the state of a connection";
    send(diag, &request(connection), SendFlags::empty())
        .map_err(LabError::system("send", object))?;
    let mut buffer = [0; 4096];
    let (length, _) = recv(diag, &mut buffer[..], RecvFlags::empty())
        .map_err(LabError::system("recv", object))?;
    for frame in messages(buffer.get(..length).unwrap_or_default()) {
        let frame = frame.map_err(|source| LabError::Netlink {
            object: object.to_owned(),
            source,
        })?;
        if frame.kind == SOCK_DIAG_BY_FAMILY {
            // The look-up goes on to listeners where no connection is found.
            let state = frame.payload.get(1).copied().and_then(State::from_number);
            return Ok(state.filter(|state| *state != State::Listen));
        }
    }
    Ok(None)
}

/// `struct inet_diag_req_v2` for exactly one TCP socket. V4-mapped sockets are found as IPv4.
fn request(connection: &Connection) -> Vec<u8> {
    const TCP: u8 = 6;
    const ANY_COOKIE: [u8; 8] = [0xff; 8];
    let family = if connection.local.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let mut message = Message::new(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1);
    message.push_bytes(&[family as u8, TCP, 0, 0]);
    message.push_bytes(&u32::MAX.to_ne_bytes());
    let [a, b] = connection.local.port().to_be_bytes();
    let [c, d] = connection.remote.port().to_be_bytes();
    message.push_bytes(&[a, b, c, d]);
    for end in [connection.local, connection.remote] {
        let mut words = [0; 16];
        match end.ip() {
            IpAddr::V4(address) => {
                for (to, from) in words.iter_mut().zip(address.octets()) {
                    *to = from;
                }
            }
            IpAddr::V6(address) => words = address.octets(),
        }
        message.push_bytes(&words);
    }
    message.push_bytes(&connection.device.to_ne_bytes());
    message.push_bytes(&ANY_COOKIE);
    message.finish()
}

/// Every TCP connection of the calling thread's namespace.
fn connections() -> Result<HashMap<Tuple, State>, LabError> {
    let mut table = HashMap::new();
    for path in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        let text = fs::read_to_string(path).map_err(LabError::file("read", path))?;
        table.extend(text.lines().skip(1).filter_map(row));
    }
    Ok(table)
}

fn row(line: &str) -> Option<(Tuple, State)> {
    let mut words = line.split_whitespace().skip(1);
    let tuple = (endpoint(words.next()?)?, endpoint(words.next()?)?);
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    Some((tuple, State::from_number(state)?))
}

/// `0100007F:2328`: the address as words in the machine's byte order, the port as a number.
fn endpoint(word: &str) -> Option<SocketAddr> {
    let (address, port) = word.split_once(':')?;
    let mut octets = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        octets.extend(
            u32::from_str_radix(address.get(at..at + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        );
    }
    let address = match octets.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
    };
    Some(canonical(SocketAddr::new(
        address,
        u16::from_str_radix(port, 16).ok()?,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_both_ends_and_the_state() {
        let line = "   1: 0100007F:4E23 0100007F:2328 06 00000000:00000000 03:000016FE 00000000 0";
        let ends = (
            "127.0.0.1:20003".parse().unwrap(),
            "127.0.0.1:9000".parse().unwrap(),
        );
        assert_eq!(row(line), Some((ends, State::TimeWait)));
    }

    #[test]
    fn a_mapped_address_is_told_as_ipv4() {
        let mapped = "0000000000000000FFFF00000100007F:2328";
        assert_eq!(endpoint(mapped), Some("127.0.0.1:9000".parse().unwrap()));
    }
}
