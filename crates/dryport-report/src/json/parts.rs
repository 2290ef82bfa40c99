//! The pieces that several documents share.

use core::net::IpAddr;

use dryport_model as model;
use dryport_model::{Family, GroupKind, Method, PortRange, Request};
use schemars::JsonSchema;
use serde::Serialize;

use crate::NamespaceName;

/// A network namespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Namespace<'a> {
    /// Inode number of the namespace file.
    inode: u64,
    /// Its name, `host` for the machine's own.
    name: Option<&'a str>,
}

impl<'a> Namespace<'a> {
    pub(super) fn new(namespace: &'a NamespaceName) -> Self {
        Self {
            inode: namespace.inode,
            name: namespace.name.as_deref(),
        }
    }
}

/// A network interface.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Device<'a> {
    /// Interface index.
    index: u32,
    /// Its name.
    name: Option<&'a str>,
}

impl<'a> Device<'a> {
    /// `None` for index 0, which means no interface.
    pub(super) fn new(index: u32, name: Option<&'a str>) -> Option<Self> {
        (index != 0).then_some(Self { index, name })
    }
}

/// An inclusive range of local ports.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Range {
    /// The lowest port.
    low: u16,
    /// The highest port.
    high: u16,
    /// Number of ports.
    size: u32,
}

impl Range {
    pub(super) fn new(range: PortRange) -> Self {
        Self {
            low: range.low(),
            high: range.high(),
            size: range.size(),
        }
    }
}

/// The socket option `IP_LOCAL_PORT_RANGE`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct SocketRange {
    /// The lowest port; null where it is left alone.
    low: Option<u16>,
    /// The highest port; null where it is left alone.
    high: Option<u16>,
}

/// What a program asks for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct RequestPart<'a> {
    /// Transport.
    #[schemars(extend("enum" = ["tcp", "udp"]))]
    protocol: &'static str,
    /// How the port is chosen: by `connect()`, or by `bind(address, 0)` before.
    #[schemars(extend("enum" = ["connect", "bind"]))]
    method: &'static str,
    /// Family of the socket.
    #[schemars(extend("enum" = ["ipv4", "ipv6"]))]
    family: &'static str,
    /// Local address; null: any.
    source: Option<IpAddr>,
    /// Remote address; null: any that nobody is connected to yet.
    destination: Option<IpAddr>,
    /// Remote port.
    destination_port: Option<u16>,
    /// The interface the socket is bound to; null: none.
    device: Option<Device<'a>>,
    /// Port range of the socket itself; null: that of the namespace.
    port_range: Option<SocketRange>,
    /// `IPV6_V6ONLY`; null for IPv4.
    v6only: Option<bool>,
    /// Where.
    namespace: Namespace<'a>,
    /// The program binds its source address before it connects.
    source_bound: bool,
}

impl<'a> RequestPart<'a> {
    pub(super) fn new(
        request: &Request,
        namespace: &'a NamespaceName,
        device_name: Option<&'a str>,
    ) -> Self {
        let end = |port: u16| (port != 0).then_some(port);
        Self {
            protocol: request.protocol.name(),
            method: request.method.name(),
            family: family(request.family),
            source: request.source,
            destination: request.destination.map(|remote| remote.ip()),
            destination_port: request.destination.map(|remote| remote.port()),
            device: Device::new(request.device, device_name),
            port_range: request.port_range.map(|own| SocketRange {
                low: end(own.low),
                high: end(own.high),
            }),
            v6only: (request.family == Family::V6).then_some(request.v6only),
            namespace: Namespace::new(namespace),
            source_bound: request.source_bound || request.method == Method::Bind,
        }
    }
}

pub(super) const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// How far a fact was seen.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Coverage<'a> {
    /// The fact: `sockets`, `bind_buckets`, `owners`, …
    fact: &'static str,
    /// How much of it.
    #[schemars(extend("enum" = ["full", "partial", "none"]))]
    seen: &'static str,
    /// By what means: `bpf`, `sock_diag`, `probe`, `sysctl`, `proc`, …
    how: &'static str,
    /// What is missing and what would show it.
    why: Option<&'a str>,
}

impl<'a> Coverage<'a> {
    pub(super) fn list(coverage: &'a [model::Coverage]) -> Vec<Self> {
        coverage.iter().map(Self::new).collect()
    }

    pub(super) fn new(coverage: &'a model::Coverage) -> Self {
        Self {
            fact: coverage.fact.name(),
            seen: coverage.seen.name(),
            how: coverage.how,
            why: coverage.why.as_deref(),
        }
    }
}

/// A process.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Process<'a> {
    /// Process id.
    pid: u32,
    /// Name.
    name: &'a str,
    /// Path of the executable.
    executable: Option<&'a str>,
    /// cgroup path.
    cgroup: Option<&'a str>,
    /// Container id.
    container: Option<&'a str>,
    /// systemd unit.
    unit: Option<&'a str>,
    /// What runs the container: `docker`, `containerd`, `cri-o`, `podman`, `lxc`, `systemd-nspawn`;
    /// null where its cgroup does not tell.
    runtime: Option<&'static str>,
    /// Uid of the Kubernetes pod.
    pod: Option<&'a str>,
}

impl<'a> Process<'a> {
    pub(super) fn new(owner: &'a model::Owner) -> Self {
        Self {
            pid: owner.pid,
            name: &owner.name,
            executable: owner.executable.as_deref(),
            cgroup: owner.cgroup.as_deref(),
            container: owner.container.as_deref(),
            unit: owner.unit.as_deref(),
            runtime: owner.runtime,
            pod: owner.pod.as_deref(),
        }
    }
}

/// A process and the ports it holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Owner<'a> {
    #[serde(flatten)]
    process: Process<'a>,
    /// Number of ports.
    ports: u32,
}

impl<'a> Owner<'a> {
    /// `None` where nobody looked.
    pub(super) fn list(
        owners: Option<&'a model::Owners>,
        holders: &model::PortHolders,
    ) -> Option<Vec<Self>> {
        let owner = |share: &model::OwnerShare| {
            let owner = owners?.processes.get(share.process as usize)?;
            Some(Self {
                process: Process::new(owner),
                ports: share.ports,
            })
        };
        owners.map(|_| holders.processes.iter().filter_map(owner).collect())
    }
}

/// Processes that belong together, and the ports they hold.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OwnerGroup<'a> {
    /// What it is: a container; a Kubernetes pod, by what is in none of its containers; a systemd
    /// unit; or processes of one name in one cgroup that have none of these, or only that of a login.
    #[schemars(extend("enum" = ["container", "pod", "unit", "process"]))]
    kind: &'static str,
    /// Container id, whole.
    container: Option<&'a str>,
    /// What runs the container; null where its cgroup does not tell.
    runtime: Option<&'static str>,
    /// Uid of the Kubernetes pod.
    pod: Option<&'a str>,
    /// systemd unit, for kind `unit`.
    unit: Option<&'a str>,
    /// Name that most of the ports are held under.
    name: &'a str,
    /// Process id, where it is one process.
    pid: Option<u32>,
    /// How many processes of it hold any of the ports.
    processes: u32,
    /// Number of ports. One that several processes of the group hold counts once.
    ports: u32,
}

impl<'a> OwnerGroup<'a> {
    /// `None` where nobody looked.
    pub(super) fn list(
        owners: Option<&'a model::Owners>,
        holders: &model::PortHolders,
    ) -> Option<Vec<Self>> {
        let group = |group: &model::OwnerGroup| {
            let owner = owners?.processes.get(group.process as usize)?;
            Some(Self::new(group, owner))
        };
        owners.map(|_| holders.groups.iter().filter_map(group).collect())
    }

    fn new(group: &model::OwnerGroup, owner: &'a model::Owner) -> Self {
        let is_unit = group.kind == GroupKind::Unit;
        Self {
            kind: group.kind.name(),
            container: owner.container.as_deref(),
            runtime: owner.runtime,
            pod: owner.pod.as_deref(),
            unit: owner.unit.as_deref().filter(|_| is_unit),
            name: &owner.name,
            pid: (group.processes == 1).then_some(owner.pid),
            processes: group.processes,
            ports: group.ports,
        }
    }
}

/// Milliseconds as seconds.
pub(super) fn seconds(milliseconds: u32) -> f64 {
    f64::from(milliseconds) / 1000.0
}
