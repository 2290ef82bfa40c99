//! `dryport.see/1`, written as it comes: one socket a line, in constant memory.

use core::net::IpAddr;
use std::io::{self, Write};

use dryport_model::{Coverage, Family, Socket};
use schemars::JsonSchema;
use serde::Serialize;

use super::parts;
use super::parts::{Device, Namespace, Process};
use crate::{By, Group, SeenSocket};

/// The sockets that hold ports. Only described, for the schema: [`SeeWriter`] writes it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.see/1")]
pub(super) struct SeeDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.see/1"))]
    schema: &'static str,
    /// The sockets, in no order.
    sockets: Vec<SocketPart<'a>>,
    /// How many sockets there are.
    count: u64,
    /// What was seen and what was not.
    coverage: Vec<parts::Coverage<'a>>,
    /// With `--by`: what the groups are made by; null otherwise.
    by: Option<&'static str>,
    /// With `--by`: the groups, most sockets first; null otherwise.
    groups: Option<Vec<GroupPart<'a>>>,
}

/// One socket.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct SocketPart<'a> {
    /// Transport.
    #[schemars(extend("enum" = ["tcp", "udp"]))]
    protocol: &'static str,
    /// State, as `netstat` names it.
    state: &'static str,
    /// Local address; unspecified for the wildcard.
    local: IpAddr,
    /// Local port.
    local_port: u16,
    /// Remote address; null where there is none.
    remote: Option<IpAddr>,
    /// Remote port.
    remote_port: Option<u16>,
    /// Where.
    namespace: Namespace<'a>,
    /// The processes that hold it; null where nobody looked.
    owners: Option<Vec<Process<'a>>>,
    /// Family that the socket was made with.
    #[schemars(extend("enum" = ["ipv4", "ipv6"]))]
    family: &'static str,
    /// The interface it is bound to; null: none.
    device: Option<Device<'a>>,
    /// `IPV6_V6ONLY`; null for IPv4 and where it is not told.
    v6only: Option<bool>,
    /// Seconds until the kernel drops it; null for a socket that a program still has.
    time_wait_left_seconds: Option<f64>,
    /// Inode number, as in `/proc/PID/fd`; null for TIME_WAIT and orphans.
    inode: Option<u32>,
    /// User id of its maker; null for TIME_WAIT and orphans.
    uid: Option<u32>,
    /// Name of the remote address, with `--resolve`.
    remote_name: Option<&'a str>,
}

/// One group.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct GroupPart<'a> {
    /// Its name.
    name: &'a str,
    /// Distinct local ports.
    ports: u64,
    /// Sockets.
    sockets: u64,
    /// Sockets by state, the most first.
    states: Vec<StateCount>,
}

/// Sockets in one state.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct StateCount {
    /// The state.
    state: &'static str,
    /// How many.
    sockets: u64,
}

impl<'a> SocketPart<'a> {
    fn new(seen: &SeenSocket<'a>) -> Self {
        let socket: &Socket = &seen.socket;
        let remote = (socket.remote.port() != 0).then_some(socket.remote);
        let alive = socket.inode != 0;
        Self {
            protocol: socket.protocol.name(),
            state: socket.state.name(),
            local: socket.local.ip(),
            local_port: socket.local.port(),
            remote: remote.map(|remote| remote.ip()),
            remote_port: remote.map(|remote| remote.port()),
            namespace: Namespace::new(seen.namespace),
            owners: seen
                .owners
                .map(|_| seen.holders().map(Process::new).collect()),
            family: parts::family(socket.family),
            device: Device::new(socket.device, seen.device_name),
            v6only: socket.v6only.filter(|_| socket.family == Family::V6),
            time_wait_left_seconds: socket.time_wait.map(|t| parts::seconds(t.remaining_ms)),
            inode: alive.then_some(socket.inode),
            uid: alive.then_some(socket.uid),
            remote_name: seen.remote_name,
        }
    }
}

/// What follows the sockets; [`SeeDocument`] has the same fields.
#[derive(Serialize)]
struct Footer<'a> {
    count: u64,
    coverage: Vec<parts::Coverage<'a>>,
    by: Option<&'static str>,
    groups: Option<Vec<GroupPart<'a>>>,
}

/// Writes a `dryport.see/1` document socket by socket.
pub struct SeeWriter<W: Write> {
    out: W,
    count: u64,
}

impl<W: Write> SeeWriter<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(mut out: W) -> io::Result<Self> {
        write!(out, "{{\"schema\":\"dryport.see/1\",\"sockets\":[")?;
        Ok(Self { out, count: 0 })
    }

    /// Writes one socket.
    ///
    /// # Errors
    /// What the writer says.
    pub fn socket(&mut self, seen: &SeenSocket<'_>) -> io::Result<()> {
        let separator: &[u8] = if self.count == 0 { b"\n" } else { b",\n" };
        self.out.write_all(separator)?;
        serde_json::to_writer(&mut self.out, &SocketPart::new(seen))?;
        self.count += 1;
        Ok(())
    }

    /// Writes the foot and gives the writer back. `groups` for `--by`.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(
        mut self,
        coverage: &[Coverage],
        groups: Option<(By, &[Group])>,
    ) -> io::Result<W> {
        let footer = Footer {
            count: self.count,
            coverage: parts::Coverage::list(coverage),
            by: groups.map(|(by, _)| by.name()),
            groups: groups.map(|(_, groups)| groups.iter().map(GroupPart::new).collect()),
        };
        let footer = serde_json::to_string(&footer)?;
        // Without its opening brace: the object was opened by the head.
        writeln!(
            self.out,
            "\n],{}",
            footer.strip_prefix('{').unwrap_or(&footer)
        )?;
        Ok(self.out)
    }
}

impl<'a> GroupPart<'a> {
    fn new(group: &'a Group) -> Self {
        Self {
            name: &group.name,
            ports: group.ports,
            sockets: group.sockets,
            states: group
                .states
                .iter()
                .map(|(state, sockets)| StateCount {
                    state: state.name(),
                    sockets: *sockets,
                })
                .collect(),
        }
    }
}
