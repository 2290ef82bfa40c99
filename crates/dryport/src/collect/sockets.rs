//! The sockets, in the layout of `ss`. `ss` itself need not be there.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use dryport_host::{OwnerWalk, Result, SocketReader, device_names, read_owners};
use dryport_model::{Family, Protocol, Socket, State};

use super::section;
use crate::owners::owners_coverage;

/// Writes the sockets, and gives how many there are.
pub fn write(out: &mut dyn Write, no_owners: bool) -> io::Result<usize> {
    section(out, "ss -tuanpo")?;
    let walk = if no_owners {
        writeln!(out, "# processes: not asked for (--no-owners)")?;
        None
    } else {
        read_owners()
            .map_err(|error| writeln!(out, "# processes could not be read: {error}"))
            .ok()
    };
    let mut sockets = Vec::new();
    for kind in [Kind::Tcp, Kind::Udp(Family::V4), Kind::Udp(Family::V6)] {
        match read(kind) {
            Ok((more, 0)) => sockets.extend(more),
            Ok((more, unreadable)) => {
                writeln!(
                    out,
                    "# {unreadable} rows of {} were not understood",
                    kind.name()
                )?;
                sockets.extend(more);
            }
            Err(error) => writeln!(out, "# {} sockets could not be read: {error}", kind.name())?,
        }
    }
    if let Some(walk) = &walk {
        let without =
            |socket: &&Socket| socket.inode != 0 && walk.owners.of(socket.inode).next().is_none();
        let unowned = sockets.iter().filter(without).count() as u64;
        if let Some(why) = owners_coverage(Some(walk), unowned).why {
            writeln!(out, "# processes: {why}")?;
        }
    }
    rows(out, &sockets, walk.as_ref())?;
    Ok(sockets.len())
}

/// One dump of the kernel.
#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Udp(Family),
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp(Family::V4) => "UDP (IPv4)",
            Self::Udp(Family::V6) => "UDP (IPv6)",
        }
    }
}

/// The sockets, and how many were not understood.
fn read(kind: Kind) -> Result<(Vec<Socket>, u64)> {
    SocketReader::retrying(|reader| {
        let mut sockets = Vec::new();
        let keep = |socket: &Socket| sockets.push(*socket);
        let tally = match kind {
            Kind::Tcp => reader.tcp(None, keep),
            Kind::Udp(family) => reader.udp(family, None, keep),
        }?;
        Ok((sockets, tally.unreadable))
    })
}

fn rows(out: &mut dyn Write, sockets: &[Socket], walk: Option<&OwnerWalk>) -> io::Result<()> {
    let devices = device_names().unwrap_or_default();
    writeln!(
        out,
        "# The lengths of queues and the numbers of descriptors are not asked for: 0 stands there."
    )?;
    writeln!(
        out,
        "{:<5} {:<14} {:<6} {:<6} {:>25} {:>25} Process",
        "Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port"
    )?;
    for socket in sockets {
        let device = devices.iter().find(|(index, _)| *index == socket.device);
        let device = device.map(|(_, name)| name.as_str());
        let row = format!(
            "{:<5} {:<14} {:<6} {:<6} {:>25} {:>25} {}{}",
            socket.protocol.name(),
            state(socket),
            0,
            0,
            end(socket, socket.local, device),
            end(socket, socket.remote, None),
            users(socket, walk),
            timer(socket)
        );
        writeln!(out, "{}", row.trim_end())?;
    }
    Ok(())
}

/// What `ss` calls a state.
const fn state(socket: &Socket) -> &'static str {
    match socket.state {
        State::Established => "ESTAB",
        State::SynSent => "SYN-SENT",
        State::SynRecv => "SYN-RECV",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::TimeWait => "TIME-WAIT",
        State::Close => match socket.protocol {
            Protocol::Udp => "UNCONN",
            Protocol::Tcp => "BOUND-INACTIVE",
        },
        State::CloseWait => "CLOSE-WAIT",
        State::LastAck => "LAST-ACK",
        State::Listen => "LISTEN",
        State::Closing => "CLOSING",
        State::BoundInactive => "BOUND-INACTIVE",
    }
}

/// `192.0.2.1:443`, `[2001:db8::1]:443`, `0.0.0.0:*`; `*:443` for an IPv6 socket that is open to
/// IPv4 as well, and `[::ffff:192.0.2.1]:443` for one that speaks IPv4.
fn end(socket: &Socket, address: SocketAddr, device: Option<&str>) -> String {
    let scope = device.map_or_else(String::new, |name| format!("%{name}"));
    let host = match (socket.family, address.ip()) {
        (Family::V4, ip) => format!("{ip}{scope}"),
        (Family::V6, ip) if ip.is_unspecified() && socket.v6only != Some(true) => {
            format!("*{scope}")
        }
        (Family::V6, IpAddr::V4(ip)) => format!("[::ffff:{ip}{scope}]"),
        (Family::V6, IpAddr::V6(ip)) => format!("[{ip}{scope}]"),
    };
    match address.port() {
        0 => format!("{host}:*"),
        port => format!("{host}:{port}"),
    }
}

/// `users:(("nginx",pid=1234,fd=0),("nginx",pid=1235,fd=0))`.
fn users(socket: &Socket, walk: Option<&OwnerWalk>) -> String {
    let mut text = String::new();
    let owners = walk
        .into_iter()
        .flat_map(|walk| walk.owners.of(socket.inode));
    for (_, owner) in owners {
        let before = if text.is_empty() { "users:((" } else { ",(" };
        // A name that holds these would end the word, or the name.
        let name = owner.name.replace([' ', '"'], "_");
        let _ = write!(text, "{before}\"{name}\",pid={},fd=0)", owner.pid);
    }
    if !text.is_empty() {
        text.push_str(") ");
    }
    text
}

/// `timer:(timewait,45sec,0)`, whole seconds as `ss` rounds them: down.
fn timer(socket: &Socket) -> String {
    let Some(wait) = socket.time_wait else {
        return String::new();
    };
    let left = match wait.remaining_ms {
        under @ 0..1000 => format!("{under}ms"),
        more => match (more / 60_000, more / 1000 % 60) {
            (0, seconds) => format!("{seconds}sec"),
            (minutes, 0) => format!("{minutes}min"),
            (minutes, seconds) => format!("{minutes}min{seconds}sec"),
        },
    };
    format!("timer:(timewait,{left},0)")
}

#[cfg(test)]
mod tests {
    use dryport_model::{Origin, TimeWait};

    use super::*;

    fn socket(family: Family, local: &str, remote: &str) -> Socket {
        Socket {
            protocol: Protocol::Tcp,
            state: State::TimeWait,
            family,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            device: 0,
            v6only: None,
            origin: Origin::Unknown,
            time_wait: None,
            inode: 0,
            uid: 0,
        }
    }

    #[test]
    fn ends_are_written_as_ss_writes_them() {
        for (family, address, device, text) in [
            (Family::V4, "192.0.2.1:443", None, "192.0.2.1:443"),
            (Family::V4, "0.0.0.0:0", None, "0.0.0.0:*"),
            (Family::V4, "127.0.0.53:53", Some("lo"), "127.0.0.53%lo:53"),
            (Family::V6, "[::]:80", None, "*:80"),
            (Family::V6, "192.0.2.1:443", None, "[::ffff:192.0.2.1]:443"),
            (Family::V6, "[2001:db8::1]:443", None, "[2001:db8::1]:443"),
            (
                Family::V6,
                "[fe80::1]:546",
                Some("eth0"),
                "[fe80::1%eth0]:546",
            ),
        ] {
            let socket = socket(family, address, "[::]:0");
            assert_eq!(end(&socket, socket.local, device), text);
        }
        let only = Socket {
            v6only: Some(true),
            ..socket(Family::V6, "[::]:80", "[::]:0")
        };
        assert_eq!(end(&only, only.local, None), "[::]:80");
    }

    #[test]
    fn a_timer_is_rounded_down_to_seconds() {
        for (remaining_ms, text) in [
            (0, "0ms"),
            (450, "450ms"),
            (45_999, "45sec"),
            (60_000, "1min"),
            (63_001, "1min3sec"),
        ] {
            let socket = Socket {
                time_wait: Some(TimeWait {
                    remaining_ms,
                    age_ms: 0,
                    timestamps: None,
                }),
                ..socket(Family::V4, "192.0.2.1:1", "192.0.2.2:2")
            };
            assert_eq!(timer(&socket), format!("timer:(timewait,{text},0)"));
        }
    }
}
