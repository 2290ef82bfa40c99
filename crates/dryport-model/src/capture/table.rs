//! One table, counted.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Host, Map, NameId, PortBag, PortShown, Row};
use crate::{Family, PortSet, Protocol, State};

/// A host, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(u32);

impl HostId {
    /// One of many that are not kept apart.
    const MANY: Self = Self(u32::MAX);
}

/// A process, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

/// Source and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairKey {
    /// Local address.
    pub source: HostId,
    /// Remote address.
    pub destination: HostId,
    /// Remote port.
    pub port: PortShown,
}

/// The local ports of one pair.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// Of live sockets.
    pub live: PortBag,
    /// In TIME_WAIT, of unknown age.
    pub waiting: PortBag,
    /// In TIME_WAIT for less than a second.
    pub young: PortBag,
    /// In TIME_WAIT for more than a second.
    pub aged: PortBag,
    /// In CLOSE_WAIT; they stand in `live` too.
    pub close_wait: PortBag,
    /// Rows by process, the first few processes.
    pub holders: Vec<(ProcessId, u32)>,
}

/// How the ports of one protocol and family are held.
#[derive(Clone, Debug, Default)]
pub struct PoolUse {
    /// By connected sockets (UDP: by any).
    pub live: PortSet,
    /// In TIME_WAIT.
    pub waiting: PortSet,
    /// By listeners, or by sockets that listen or are bound: the row does not tell.
    pub listening: PortSet,
    /// By bound sockets that neither listen nor connect.
    pub bound: PortSet,
    /// Rows.
    pub rows: u64,
}

impl Pair {
    fn merge(&mut self, other: &Self) {
        self.live.merge(&other.live);
        self.waiting.merge(&other.waiting);
        self.young.merge(&other.young);
        self.aged.merge(&other.aged);
        self.close_wait.merge(&other.close_wait);
        for (process, rows) in &other.holders {
            match self.holders.iter_mut().find(|(own, _)| own == process) {
                Some((_, own)) => *own += rows,
                None => self.holders.push((*process, *rows)),
            }
        }
        self.holders.truncate(MOST_HOLDERS);
    }

    /// At most this many ports; quick.
    #[must_use]
    pub fn at_most(&self) -> usize {
        [&self.live, &self.waiting, &self.young, &self.aged]
            .into_iter()
            .map(PortBag::at_most)
            .sum()
    }
}

impl PoolUse {
    /// Every port that is held.
    #[must_use]
    pub fn held(&self) -> PortSet {
        let mut held = self.live.clone();
        for more in [&self.waiting, &self.listening, &self.bound] {
            held.insert_all(more);
        }
        held
    }
}

/// The ports of one process.
#[derive(Clone, Debug, Default)]
pub struct ProcessPorts {
    /// Of TCP.
    pub all: PortBag,
    /// Of UDP.
    pub udp: PortBag,
    /// Of sockets in CLOSE_WAIT.
    pub close_wait: PortBag,
    /// Of bound, idle sockets.
    pub bound: PortBag,
}

/// Pairs kept apart; rows of further pairs count in the pools alone.
const MOST_PAIRS: usize = 1 << 16;
/// Hosts kept apart; the others are one.
const MOST_HOSTS: usize = 1 << 18;
/// A local port with more peers than this is a server's: its peers are not kept apart.
const MOST_PEERS: u16 = 1024;
/// Peers of a server have automatic ports. A client's port may serve many destinations, whose ports
/// are those of services.
const AUTOMATIC: u16 = 10_000;
/// Processes told of one pair.
const MOST_HOLDERS: usize = 32;
/// Linux takes a TIME_WAIT over when it is older than this (`tcp_tw_reuse_delay`).
const AGED_BELOW_MS: u32 = 59_000;

/// One table of sockets, counted.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: u64,
    pools: [PoolUse; 4],
    states: [u64; 16],
    hosts: Map<Host, HostId>,
    host_list: Vec<Host>,
    last_hosts: [Option<(Host, HostId)>; 2],
    pairs: Map<PairKey, Pair>,
    pairs_full: bool,
    /// TCP connections by local port, to tell servers.
    peers: Option<Box<[u16]>>,
    /// Local ports of UDP sockets, by address.
    udp: Map<HostId, PortBag>,
    processes: Map<ProcessId, ProcessPorts>,
}

impl Table {
    /// Counts a row.
    pub(super) fn add(&mut self, row: &Row, process: Option<ProcessId>) {
        self.rows += 1;
        let state = row.state.map_or(0, |state| state as usize);
        if let Some(count) = self.states.get_mut(state) {
            *count += 1;
        }
        let Some(port) = row.local.number() else {
            return;
        };
        if let Some(process) = process {
            self.add_to_process(process, row, port);
        }
        let pool = &mut self.pools[pool(row.protocol, row.family)];
        pool.rows += 1;
        match (row.protocol, row.state) {
            (Protocol::Udp, _) => {
                pool.live.insert(port);
                let source = self.host(row.local.host, 0);
                self.udp.entry(source).or_default().insert(port);
            }
            (_, Some(State::BoundInactive)) => {
                pool.bound.insert(port);
            }
            (_, Some(State::TimeWait)) => {
                pool.waiting.insert(port);
                self.add_to_pair(row, port, process);
            }
            _ if row.has_no_peer() => {
                pool.listening.insert(port);
            }
            _ => {
                pool.live.insert(port);
                self.add_to_pair(row, port, process);
            }
        }
    }

    fn add_to_process(&mut self, process: ProcessId, row: &Row, port: u16) {
        let ports = self.processes.entry(process).or_default();
        if row.protocol == Protocol::Udp {
            ports.udp.insert(port);
            return;
        }
        ports.all.insert(port);
        match row.state {
            Some(State::CloseWait) => ports.close_wait.insert(port),
            Some(State::BoundInactive) => ports.bound.insert(port),
            _ => {}
        }
    }

    fn add_to_pair(&mut self, row: &Row, port: u16, process: Option<ProcessId>) {
        if row
            .remote
            .number()
            .is_some_and(|remote| remote >= AUTOMATIC)
            && self.is_server(port)
        {
            return;
        }
        let key = PairKey {
            source: self.host(row.local.host, 0),
            destination: self.host(row.remote.host, 1),
            port: row.remote.port,
        };
        let many = |host: Host| match host {
            Host::Name(id) | Host::Cut(id) => id == NameId::MANY,
            _ => false,
        };
        let lost = many(row.local.host)
            || many(row.remote.host)
            || row.remote.port == PortShown::Name(NameId::MANY)
            || [key.source, key.destination].contains(&HostId::MANY);
        if lost {
            self.pairs_full = true;
            return;
        }
        if self.pairs.len() >= MOST_PAIRS && !self.pairs.contains_key(&key) {
            self.pairs_full = true;
            return;
        }
        let pair = self.pairs.entry(key).or_default();
        match row.state {
            Some(State::TimeWait) => match row.wait_left_ms {
                None => pair.waiting.insert(port),
                Some(left) if left < AGED_BELOW_MS => pair.aged.insert(port),
                Some(_) => pair.young.insert(port),
            },
            state => {
                pair.live.insert(port);
                if state == Some(State::CloseWait) {
                    pair.close_wait.insert(port);
                }
            }
        }
        let Some(process) = process else { return };
        let room = pair.holders.len() < MOST_HOLDERS;
        match pair.holders.iter_mut().find(|(other, _)| *other == process) {
            Some((_, rows)) => *rows += 1,
            None if room => pair.holders.push((process, 1)),
            None => {}
        }
    }

    /// Counts a peer of a local port; true once there are too many for a client.
    fn is_server(&mut self, port: u16) -> bool {
        let peers = self.peers.get_or_insert_with(no_peers);
        peers.get_mut(usize::from(port)).is_some_and(|count| {
            *count = count.saturating_add(1);
            *count > MOST_PEERS
        })
    }

    /// Whether the sockets of two tables are in different states, so that the tables complete each
    /// other: `ss state established` and `ss state time-wait`, listeners and connections.
    pub(super) fn completes(&self, other: &Self) -> bool {
        let tcp = |table: &Self| {
            [Family::V4, Family::V6]
                .iter()
                .any(|f| table.pool(Protocol::Tcp, *f).rows > 0)
        };
        let overlap = self.states.iter().zip(&other.states).skip(1);
        let mut common = overlap.filter(|(one, other)| **one > 0 && **other > 0);
        let unknown = [self, other]
            .iter()
            .any(|table| table.states.first().is_some_and(|n| *n > 0));
        tcp(self) && tcp(other) && !unknown && common.next().is_none()
    }

    /// Adds the sockets of another table.
    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        for (own, more) in self.pools.iter_mut().zip(&other.pools) {
            own.live.insert_all(&more.live);
            own.waiting.insert_all(&more.waiting);
            own.listening.insert_all(&more.listening);
            own.bound.insert_all(&more.bound);
            own.rows += more.rows;
        }
        for (own, more) in self.states.iter_mut().zip(&other.states) {
            *own += more;
        }
        for (key, pair) in &other.pairs {
            let key = PairKey {
                source: self.host(other.host_of(key.source), 0),
                destination: self.host(other.host_of(key.destination), 1),
                port: key.port,
            };
            self.pairs.entry(key).or_default().merge(pair);
        }
        self.pairs_full |= other.pairs_full;
        if let Some(more) = &other.peers {
            let own = self.peers.get_or_insert_with(no_peers);
            for (own, more) in own.iter_mut().zip(more) {
                *own = own.saturating_add(*more);
            }
        }
        for (host, bag) in &other.udp {
            let host = self.host(other.host_of(*host), 0);
            self.udp.entry(host).or_default().merge(bag);
        }
        for (process, ports) in &other.processes {
            let own = self.processes.entry(*process).or_default();
            own.all.merge(&ports.all);
            own.udp.merge(&ports.udp);
            own.close_wait.merge(&ports.close_wait);
            own.bound.merge(&ports.bound);
        }
    }

    /// The number of a host. Successive rows often have the same hosts.
    fn host(&mut self, host: Host, column: usize) -> HostId {
        if let Some(Some((last, id))) = self.last_hosts.get(column)
            && *last == host
        {
            return *id;
        }
        if self.host_list.len() >= MOST_HOSTS && !self.hosts.contains_key(&host) {
            return HostId::MANY;
        }
        let next = HostId(self.host_list.len() as u32);
        let id = *self.hosts.entry(host).or_insert(next);
        if id == next {
            self.host_list.push(host);
        }
        if let Some(last) = self.last_hosts.get_mut(column) {
            *last = Some((host, id));
        }
        id
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The host with this number.
    #[must_use]
    pub fn host_of(&self, id: HostId) -> Host {
        self.host_list
            .get(id.0 as usize)
            .copied()
            .unwrap_or(Host::Other)
    }

    /// How the ports of a protocol and family are held.
    #[must_use]
    pub const fn pool(&self, protocol: Protocol, family: Family) -> &PoolUse {
        &self.pools[pool(protocol, family)]
    }

    /// Rows by state, the most first; `None`: a state that is not known. UDP rows without a state
    /// are left out.
    #[must_use]
    pub fn states(&self) -> Vec<(Option<State>, u64)> {
        let counts = self.states.iter().enumerate();
        let mut states: Vec<(Option<State>, u64)> = counts
            .filter(|(_, count)| **count > 0)
            .map(|(number, count)| (State::from_number(number as u8), *count))
            .collect();
        states.sort_by_key(|(state, count)| (core::cmp::Reverse(*count), *state));
        states
    }

    /// The pairs of TCP.
    pub fn pairs(&self) -> impl Iterator<Item = (&PairKey, &Pair)> {
        self.pairs.iter()
    }

    /// Local ports of UDP sockets by address.
    pub fn udp(&self) -> impl Iterator<Item = (Host, &PortBag)> {
        self.udp.iter().map(|(id, bag)| (self.host_of(*id), bag))
    }

    /// The processes that hold ports.
    pub fn processes(&self) -> impl Iterator<Item = (ProcessId, &ProcessPorts)> {
        self.processes.iter().map(|(id, ports)| (*id, ports))
    }

    /// Ports that TCP listeners hold, of both families, and those that have too many peers for a
    /// client: connections on them were accepted.
    #[must_use]
    pub fn server_ports(&self) -> PortSet {
        let mut ports = self.pool(Protocol::Tcp, Family::V4).listening.clone();
        ports.insert_all(&self.pool(Protocol::Tcp, Family::V6).listening);
        let peers = self.peers.iter().flatten().enumerate();
        for (port, _) in peers.filter(|(_, count)| **count > MOST_PEERS) {
            ports.insert(port as u16);
        }
        ports
    }

    /// Local ports of TCP clients: those of pairs, without those of servers.
    #[must_use]
    pub fn client_ports(&self) -> PortSet {
        let mut held = PortSet::new();
        for pair in self.pairs.values() {
            for bag in [&pair.live, &pair.waiting, &pair.young, &pair.aged] {
                bag.add_to(&mut held);
            }
        }
        held.remove_all(&self.server_ports());
        held
    }

    /// Whether there were more pairs than are kept apart.
    #[must_use]
    pub const fn pairs_are_incomplete(&self) -> bool {
        self.pairs_full
    }

    /// How full its fullest pool of TCP is: ports held.
    pub(super) fn fullest_pool(&self) -> u32 {
        let pools = [Family::V4, Family::V6].map(|family| self.pool(Protocol::Tcp, family));
        let held = pools.iter().filter(|pool| pool.rows > 0);
        held.map(|pool| pool.held().len()).max().unwrap_or(0)
    }

    /// Ports of its largest pair.
    pub(super) fn largest_pair(&self) -> usize {
        self.pairs.values().map(Pair::at_most).max().unwrap_or(0)
    }
}

fn no_peers() -> Box<[u16]> {
    alloc::vec![0; 1 << 16].into_boxed_slice()
}

const fn pool(protocol: Protocol, family: Family) -> usize {
    match (protocol, family) {
        (Protocol::Tcp, Family::V4) => 0,
        (Protocol::Tcp, Family::V6) => 1,
        (Protocol::Udp, Family::V4) => 2,
        (Protocol::Udp, Family::V6) => 3,
    }
}
