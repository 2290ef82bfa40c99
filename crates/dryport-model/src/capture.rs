//! A captured table of sockets: rows as a reader found them, counted as they come.
//!
//! A paste can hold millions of rows, so no row is kept. What is kept is what a verdict needs: for
//! each pair of source and destination the local ports, for each process its ports, and for each
//! protocol and family which ports are held and how. A paste can hold several tables (`netstat`
//! with an interval): each is counted for itself ([`Tables`]), and the worst is judged.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{Family, Protocol, State};

mod port_bag;
mod table;

pub use port_bag::PortBag;
pub use table::{HostId, Pair, PairKey, PoolUse, ProcessId, ProcessPorts, Table};

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// A word of the paste that is kept once: a host's name, a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub u32);

impl NameId {
    /// One of many that are not kept apart.
    pub const MANY: Self = Self(u32::MAX);
}

/// A host as a row shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// `0.0.0.0`, `::`, `*`.
    Any,
    /// An address; v4-mapped ones are told as IPv4.
    Ip(IpAddr),
    /// A name, where names were not asked to be numbers.
    Name(NameId),
    /// Cut off (`2001:db8:aaaa:...`): hosts that begin alike are one.
    Cut(NameId),
    /// One of many that are not kept apart.
    Other,
}

/// A port as a row shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortShown {
    /// `*` or 0.
    Any,
    /// A number.
    Number(u16),
    /// A service's name.
    Name(NameId),
}

/// One end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: PortShown,
}

impl End {
    /// Neither host nor port.
    pub const NONE: Self = Self {
        host: Host::Any,
        port: PortShown::Any,
    };

    /// The port, where it is a number.
    #[must_use]
    pub const fn number(&self) -> Option<u16> {
        match self.port {
            PortShown::Number(port) => Some(port),
            _ => None,
        }
    }
}

/// One row of a table of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Transport.
    pub protocol: Protocol,
    /// Family, as far as the row tells.
    pub family: Family,
    /// State; `None` where the row has none or an unknown word.
    pub state: Option<State>,
    /// Local end.
    pub local: End,
    /// Remote end, [`End::NONE`] where there is none.
    pub remote: End,
    /// Milliseconds that a TIME_WAIT has left, where the row tells.
    pub wait_left_ms: Option<u32>,
}

impl Row {
    /// Neither connected nor with a peer: it listens, or is bound.
    #[must_use]
    pub const fn has_no_peer(&self) -> bool {
        matches!(self.remote.port, PortShown::Any)
    }

    /// Where the row stands in the order of `netstat`: IPv4 before IPv6, TCP before UDP.
    const fn rank(&self) -> u8 {
        let udp = matches!(self.protocol, Protocol::Udp) as u8;
        let six = matches!(self.family, Family::V6) as u8;
        udp * 2 + six
    }
}

/// A flow that a NAT rewrites, from a connection tracking table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NatFlow {
    /// Transport.
    pub protocol: Protocol,
    /// The address that the NAT puts in.
    pub outside: IpAddr,
    /// The port that the NAT took.
    pub port: u16,
    /// Where to.
    pub destination: IpAddr,
    /// Port of the destination.
    pub destination_port: u16,
}

/// Words that are kept once.
#[derive(Clone, Debug, Default)]
pub struct Names {
    ids: Map<String, NameId>,
    texts: Vec<String>,
}

/// More names than this are not kept apart.
const MOST_NAMES: usize = 1 << 16;

impl Names {
    /// The id of a text. Past the limit all are one, [`NameId::MANY`].
    pub fn id(&mut self, text: &str) -> NameId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        if self.texts.len() >= MOST_NAMES {
            return NameId::MANY;
        }
        let id = NameId(self.texts.len() as u32);
        self.texts.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    /// The text of an id.
    #[must_use]
    pub fn text(&self, id: NameId) -> &str {
        self.texts.get(id.0 as usize).map_or("?", String::as_str)
    }
}

/// A process as a capture names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapturedProcess {
    /// Process id, where told.
    pub pid: Option<u32>,
    /// Name, where told, printable.
    pub name: Option<String>,
}

/// Ports that a NAT took, by protocol, outside address, destination and its port.
pub type NatPorts = Map<(Protocol, IpAddr, IpAddr, u16), PortBag>;

/// Destinations of a NAT that are kept apart.
const MOST_NAT_PAIRS: usize = 1 << 17;

/// All tables of a paste. Only what may be judged is kept: the one being read, the one before it,
/// and of all before those the two that are fullest.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    current: Table,
    previous: Option<Rc<Table>>,
    /// The one with the fullest pool.
    by_pool: Option<Rc<Table>>,
    /// The one with the largest pair.
    by_pair: Option<Rc<Table>>,
    nat: NatPorts,
    /// Complete tables so far.
    complete: u32,
    /// Rows of all tables.
    rows: u64,
    /// Rank of the last row, and whether text stood between it and now.
    last_rank: u8,
    parted: bool,
}

impl Tables {
    /// Text that is no row stood here: a header, a command line. What follows may be a new table.
    pub const fn part(&mut self) {
        self.parted = true;
    }

    /// Counts a row. It begins a new table if text parts it from the last row and the order of
    /// `netstat` goes backwards: the same kind of rows comes again.
    pub fn add(&mut self, row: &Row, process: Option<ProcessId>) {
        let rank = row.rank();
        if self.parted && !self.current.is_empty() && rank <= self.last_rank {
            self.close();
        }
        self.parted = false;
        self.last_rank = rank;
        self.rows += 1;
        self.current.add(row, process);
    }

    /// Counts a NAT flow.
    pub fn add_flow(&mut self, flow: &NatFlow) {
        self.rows += 1;
        let key = (
            flow.protocol,
            flow.outside,
            flow.destination,
            flow.destination_port,
        );
        if self.nat.len() < MOST_NAT_PAIRS || self.nat.contains_key(&key) {
            self.nat.entry(key).or_default().insert(flow.port);
        }
    }

    /// Counts a row whose content is of no use, such as a flow that no NAT touches.
    pub const fn add_idle(&mut self) {
        self.rows += 1;
    }

    /// The table being read is whole: it completes the one before, or stands for itself.
    pub fn close(&mut self) {
        let mut done = core::mem::take(&mut self.current);
        if done.is_empty() {
            return;
        }
        if let Some(previous) = self.previous.take() {
            if previous.completes(&done) {
                done.merge(&previous);
            } else {
                self.rank(previous);
                self.complete += 1;
            }
        }
        self.previous = Some(Rc::new(done));
    }

    fn rank(&mut self, table: Rc<Table>) {
        let fuller = |best: &Rc<Table>| table.fullest_pool() >= best.fullest_pool();
        if self.by_pool.as_ref().is_none_or(fuller) {
            self.by_pool = Some(Rc::clone(&table));
        }
        let larger = |best: &Rc<Table>| table.largest_pair() >= best.largest_pair();
        if self.by_pair.as_ref().is_none_or(larger) {
            self.by_pair = Some(table);
        }
    }

    /// Rows of all tables.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// How many tables there are; those that complete each other are one.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.complete + u32::from(self.previous.is_some()) + u32::from(!self.current.is_empty())
    }

    /// The tables that may be the worst, each once; an empty one where there is none.
    #[must_use]
    pub fn candidates(&self) -> Vec<&Table> {
        let mut all: Vec<&Table> = Vec::new();
        let kept = [&self.previous, &self.by_pool, &self.by_pair];
        for table in kept.into_iter().flatten() {
            if !all
                .iter()
                .any(|known| core::ptr::eq(*known, &raw const **table))
            {
                all.push(table);
            }
        }
        if !self.current.is_empty() || all.is_empty() {
            all.push(&self.current);
        }
        all
    }

    /// The table with the fullest pool; an empty one where there is none.
    #[must_use]
    pub fn fullest(&self) -> &Table {
        let fullest = self
            .candidates()
            .into_iter()
            .max_by_key(|t| t.fullest_pool());
        fullest.unwrap_or(&self.current)
    }

    /// What a NAT took.
    #[must_use]
    pub const fn nat(&self) -> &NatPorts {
        &self.nat
    }
}

/// The processes of a paste.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    ids: Map<CapturedProcess, ProcessId>,
    all: Vec<CapturedProcess>,
}

/// More processes than this are not kept apart.
const MOST_PROCESSES: usize = 1 << 15;

impl Processes {
    /// The id of a process; `None` where nothing is told of it.
    pub fn id(&mut self, pid: Option<u32>, name: Option<&str>) -> Option<ProcessId> {
        if pid.is_none() && name.is_none() {
            return None;
        }
        let process = CapturedProcess {
            pid,
            name: name.map(String::from),
        };
        if let Some(id) = self.ids.get(&process) {
            return Some(*id);
        }
        if self.all.len() >= MOST_PROCESSES {
            return None;
        }
        let id = ProcessId(self.all.len() as u32);
        self.all.push(process.clone());
        self.ids.insert(process, id);
        Some(id)
    }

    /// Every process, in the order of their ids.
    #[must_use]
    pub fn all(&self) -> &[CapturedProcess] {
        &self.all
    }
}
