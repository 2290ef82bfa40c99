//! The ports of a pair as a client's, and their classes.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use crate::capture::{Host, Names, Pair, PortBag, PortShown};
use crate::{Class, Ledger, PortRange, PortSet};

/// Whether a TIME_WAIT would be taken over by a new connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Never.
    No,
    /// By a setting that was seen.
    Applies,
    /// By a setting that was not seen.
    Untold,
}

/// The ports of a pair that are a client's.
pub(super) struct Ports {
    live: PortSet,
    waiting: PortSet,
    young: PortSet,
    aged: PortSet,
}

impl Ports {
    pub(super) fn of(pair: &Pair, servers: &PortSet) -> Self {
        let set = |bag: &PortBag| {
            let mut set = bag.to_set();
            set.remove_all(servers);
            set
        };
        Self {
            live: set(&pair.live),
            waiting: set(&pair.waiting),
            young: set(&pair.young),
            aged: set(&pair.aged),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.live.insert_all(&other.live);
        self.waiting.insert_all(&other.waiting);
        self.young.insert_all(&other.young);
        self.aged.insert_all(&other.aged);
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.live, &self.waiting, &self.young, &self.aged]
            .into_iter()
            .all(PortSet::is_empty)
    }

    pub(super) fn all(&self) -> PortSet {
        let mut all = self.live.clone();
        for more in [&self.waiting, &self.young, &self.aged] {
            all.insert_all(more);
        }
        all
    }

    pub(super) fn count_in(&self, range: PortRange) -> u32 {
        self.all().count_in(range)
    }

    pub(super) fn waiting_in(&self, range: PortRange) -> u32 {
        let mut waiting = self.waiting.clone();
        waiting.insert_all(&self.young);
        waiting.insert_all(&self.aged);
        waiting.remove_all(&self.live);
        waiting.count_in(range)
    }

    pub(super) fn class(&self, port: u16, reuse: Reuse) -> Class {
        let waiting = self.waiting.contains(port);
        let aged = self.aged.contains(port);
        match () {
            () if self.live.contains(port) => Class::InUse,
            () if self.young.contains(port) => Class::TimeWait,
            () if aged && reuse == Reuse::Applies => Class::TimeWaitReusable,
            () if (waiting || aged) && reuse != Reuse::No => Class::Uncertain,
            () if waiting || aged => Class::TimeWait,
            () => Class::Free,
        }
    }
}

pub(super) fn ledger(range: PortRange, mut class: impl FnMut(u16) -> Class) -> Ledger {
    let mut ledger = Ledger::default();
    range.ports().for_each(|port| ledger.add(class(port), 1));
    ledger
}

/// A host as reports show it.
pub(super) fn host_text(names: &Names, host: Host) -> String {
    match host {
        Host::Any => "*".to_owned(),
        Host::Ip(address) => address.to_string(),
        Host::Name(id) => names.text(id).to_owned(),
        Host::Cut(id) => format!("{}…", names.text(id)),
        Host::Other => "(one of many)".to_owned(),
    }
}

/// An end as reports show it.
pub(super) fn end_text(names: &Names, host: Host, port: PortShown) -> String {
    let port = match port {
        PortShown::Any => "*".to_owned(),
        PortShown::Number(port) => port.to_string(),
        PortShown::Name(id) => names.text(id).to_owned(),
    };
    match host {
        Host::Ip(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        host => format!("{}:{port}", host_text(names, host)),
    }
}
