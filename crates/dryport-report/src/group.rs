//! Counting sockets by destination, process, state and so on, for `see --by`.

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, HashMap, HashSet};

use dryport_model::{Owner, Protocol, State};

use crate::{NamespaceName, SeenSocket};

/// What sockets are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Remote address and port.
    Destination,
    /// The process that holds the socket.
    Process,
    /// The container that the process is in.
    Container,
    /// The systemd unit that the process is in.
    Unit,
    /// State.
    State,
    /// Local address.
    Source,
    /// Network namespace.
    Namespace,
    /// Local port.
    Port,
}

impl By {
    /// Every grouping, in the order of the manual.
    pub const ALL: [Self; 8] = [
        Self::Destination,
        Self::Process,
        Self::Container,
        Self::Unit,
        Self::State,
        Self::Source,
        Self::Namespace,
        Self::Port,
    ];

    /// The word on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Process => "process",
            Self::Container => "container",
            Self::Unit => "unit",
            Self::State => "state",
            Self::Source => "source",
            Self::Namespace => "namespace",
            Self::Port => "port",
        }
    }
}

/// What the sockets of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key<'a> {
    Destination(SocketAddr),
    /// Connections that others made to a listener here: no destination of ours.
    Accepted(u16),
    NoDestination,
    Process(u32),
    /// Runtime and id: names of containers (LXC, systemd-nspawn) are those of one runtime.
    Container(Option<&'static str>, &'a str),
    /// Of processes that are in none of its containers.
    Pod(&'a str),
    NoContainer,
    /// Container, user and name: a container may run units of its own, and so may a user.
    Unit(Option<&'a str>, Option<&'a str>, &'a str),
    NoUnit,
    /// The kernel keeps it on: TIME_WAIT, or closed and not yet acknowledged.
    NoProcess,
    /// Some process holds it, which could not be seen.
    UnseenProcess,
    State(State),
    Source(IpAddr),
    Namespace(u64),
    Port(u16),
}

#[derive(Default)]
struct Tally<'a> {
    sockets: u64,
    /// Namespace, protocol and port packed; made distinct now and then, and at the end.
    ports: Vec<u32>,
    states: BTreeMap<State, u64>,
    owner: Option<&'a Owner>,
    /// Sockets by the name of the process, and a process of that name; for containers and units.
    names: BTreeMap<&'a str, (u64, &'a Owner)>,
    namespace: Option<&'a NamespaceName>,
}

/// A list of ports is made distinct when it has grown this long.
const DISTINCT_FROM: usize = 1 << 18;

impl Tally<'_> {
    fn add_port(&mut self, port: u32) {
        self.ports.push(port);
        if self.ports.len() >= DISTINCT_FROM && self.ports.len().is_power_of_two() {
            self.make_distinct();
        }
    }

    fn make_distinct(&mut self) {
        self.ports.sort_unstable();
        self.ports.dedup();
    }
}

/// Sockets counted by group. Keeps four bytes for each socket.
pub struct Groups<'a> {
    by: By,
    tallies: HashMap<Key<'a>, Tally<'a>>,
    namespaces: HashMap<u64, u32>,
    /// Where somebody listens. The kernel tells listeners before connections.
    listeners: HashSet<(u64, SocketAddr)>,
}

/// One group, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name: an endpoint, `pid/name`, a state, the whole id of a container, …
    pub name: String,
    /// For containers and units: of the processes with the name that most of the sockets are held
    /// under, one.
    pub owner: Option<Owner>,
    /// For containers and units: how many names its processes have.
    pub names: u32,
    /// Distinct local ports, each protocol and namespace for itself.
    pub ports: u64,
    /// Sockets. One that several processes hold counts for each; for a container or a unit once.
    pub sockets: u64,
    /// Sockets by state, the most first.
    pub states: Vec<(State, u64)>,
}

impl<'a> Groups<'a> {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self {
            by,
            tallies: HashMap::new(),
            namespaces: HashMap::new(),
            listeners: HashSet::new(),
        }
    }

    /// What they are grouped by.
    #[must_use]
    pub const fn by(&self) -> By {
        self.by
    }

    /// Counts one socket.
    pub fn observe(&mut self, seen: &SeenSocket<'a>) {
        let socket = &seen.socket;
        let single = match self.by {
            By::Destination if socket.remote.port() == 0 => {
                if socket.state == State::Listen {
                    self.listeners.insert((seen.namespace.inode, socket.local));
                    if socket.local.ip().is_unspecified() && socket.v6only == Some(false) {
                        let v4 = SocketAddr::from(([0, 0, 0, 0], socket.local.port()));
                        self.listeners.insert((seen.namespace.inode, v4));
                    }
                }
                Key::NoDestination
            }
            By::Destination if self.is_accepted(seen) => Key::Accepted(socket.local.port()),
            By::Destination => Key::Destination(socket.remote),
            By::State => Key::State(socket.state),
            By::Source => Key::Source(socket.local.ip()),
            By::Namespace => Key::Namespace(seen.namespace.inode),
            By::Port => Key::Port(socket.local.port()),
            By::Process | By::Container | By::Unit => return self.observe_holders(seen),
        };
        self.add(single, seen, None);
    }

    /// Whether a listener seen so far has the socket's local end.
    fn is_accepted(&self, seen: &SeenSocket<'_>) -> bool {
        let local = seen.socket.local;
        let (v4, v6) = (IpAddr::from([0; 4]), IpAddr::from([0; 16]));
        // A listener on :: that takes IPv6 alone is not remembered under 0.0.0.0.
        let wildcard = if local.is_ipv4() { v4 } else { v6 };
        seen.socket.protocol == Protocol::Tcp
            && [wildcard, local.ip()].into_iter().any(|address| {
                let end = SocketAddr::new(address, local.port());
                self.listeners.contains(&(seen.namespace.inode, end))
            })
    }

    fn observe_holders(&mut self, seen: &SeenSocket<'a>) {
        let mut counted: Vec<Key<'a>> = Vec::new();
        for owner in seen.holders() {
            let key = match self.by {
                By::Container => container(owner),
                By::Unit => unit(owner),
                _ => Key::Process(owner.pid),
            };
            if !counted.contains(&key) {
                counted.push(key);
                self.add(key, seen, Some(owner));
            }
        }
        if counted.is_empty() {
            let key = if seen.socket.inode == 0 {
                Key::NoProcess
            } else {
                Key::UnseenProcess
            };
            self.add(key, seen, None);
        }
    }

    fn add(&mut self, key: Key<'a>, seen: &SeenSocket<'a>, owner: Option<&'a Owner>) {
        let next = self.namespaces.len() as u32;
        let namespace = *self.namespaces.entry(seen.namespace.inode).or_insert(next);
        let udp = u32::from(seen.socket.protocol == Protocol::Udp);
        let port = namespace << 17 | udp << 16 | u32::from(seen.socket.local.port());
        let tally = self.tallies.entry(key).or_default();
        tally.sockets += 1;
        tally.add_port(port);
        *tally.states.entry(seen.socket.state).or_default() += 1;
        tally.owner = owner;
        if let Some(owner) = owner.filter(|_| is_home(key)) {
            tally.names.entry(&owner.name).or_insert((0, owner)).0 += 1;
        }
        tally.namespace = Some(seen.namespace);
    }

    /// The groups, most sockets first.
    #[must_use]
    pub fn finish(self) -> Vec<Group> {
        let mut tallies: Vec<_> = self.tallies.into_iter().collect();
        tallies.sort_by_key(|(key, tally)| (Reverse(tally.sockets), *key));
        tallies
            .into_iter()
            .map(|(key, mut tally)| {
                tally.make_distinct();
                let mut states: Vec<_> = tally.states.iter().map(|(s, n)| (*s, *n)).collect();
                states.sort_by_key(|(state, count)| (Reverse(*count), *state));
                let most = tally.names.values().max_by_key(|(sockets, _)| *sockets);
                Group {
                    owner: most.map(|(_, owner)| (*owner).clone()),
                    names: tally.names.len() as u32,
                    name: name(key, tally.owner, tally.namespace),
                    ports: tally.ports.len() as u64,
                    sockets: tally.sockets,
                    states,
                }
            })
            .collect()
    }
}

/// Containers and units, which are told by a process of theirs.
const fn is_home(key: Key<'_>) -> bool {
    matches!(key, Key::Container(..) | Key::Pod(_) | Key::Unit(..))
}

fn container(owner: &Owner) -> Key<'_> {
    match (&owner.container, &owner.pod) {
        (Some(id), _) => Key::Container(owner.runtime, id),
        (None, Some(pod)) => Key::Pod(pod),
        (None, None) => Key::NoContainer,
    }
}

fn unit(owner: &Owner) -> Key<'_> {
    let of = |unit| Key::Unit(owner.container.as_deref(), owner.unit_user(), unit);
    owner.unit.as_deref().map_or(Key::NoUnit, of)
}

fn name(key: Key<'_>, owner: Option<&Owner>, namespace: Option<&NamespaceName>) -> String {
    match key {
        Key::Destination(remote) => remote.to_string(),
        Key::Accepted(port) => format!("accepted on port {port}"),
        Key::NoDestination => "none".to_string(),
        Key::Process(pid) => format!("{pid}/{}", owner.map_or("?", |owner| &owner.name)),
        Key::Container(_, id) => id.to_string(),
        Key::Pod(uid) => format!("pod {uid}"),
        Key::NoContainer => "no container".to_string(),
        Key::Unit(None, None, unit) => unit.to_string(),
        Key::Unit(None, Some(user), unit) => format!("{unit} (user {user})"),
        Key::Unit(Some(id), _, unit) => format!("{unit} (container {id})"),
        Key::NoUnit => "no unit".to_string(),
        Key::NoProcess => "none (kept by the kernel)".to_string(),
        Key::UnseenProcess => "not seen".to_string(),
        Key::State(state) => state.name().to_string(),
        Key::Source(address) => address.to_string(),
        Key::Namespace(inode) => namespace
            .and_then(|namespace| namespace.name.clone())
            .unwrap_or_else(|| format!("net:[{inode}]")),
        Key::Port(port) => port.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dryport_model::{Family, Origin, Socket};

    fn socket(state: State, local: &str, remote: &str) -> Socket {
        Socket {
            protocol: Protocol::Tcp,
            state,
            family: Family::V4,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            device: 0,
            v6only: Some(false),
            origin: Origin::Unknown,
            time_wait: None,
            inode: 1,
            uid: 0,
        }
    }

    #[test]
    fn accepted_connections_are_one_group_and_no_destinations() {
        let namespace = NamespaceName {
            inode: 1,
            name: None,
        };
        let mut groups = Groups::new(By::Destination);
        for socket in [
            socket(State::Listen, "0.0.0.0:9000", "0.0.0.0:0"),
            socket(State::Established, "10.0.0.1:9000", "10.0.0.2:40000"),
            socket(State::Established, "10.0.0.1:9000", "10.0.0.2:40001"),
            socket(State::Established, "10.0.0.1:40000", "10.0.0.2:9000"),
        ] {
            groups.observe(&SeenSocket {
                socket,
                namespace: &namespace,
                owners: None,
                device_name: None,
                remote_name: None,
            });
        }
        let names: Vec<(String, u64)> = groups
            .finish()
            .into_iter()
            .map(|group| (group.name, group.sockets))
            .collect();
        let told: Vec<(&str, u64)> = names.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(
            told,
            [
                ("accepted on port 9000", 2),
                ("10.0.0.2:9000", 1),
                ("none", 1)
            ]
        );
    }
}
