//! One experiment: where, what is held, what is counted, and what the kernel is known to answer.
//!
//! `scenario::load` reads the TOML text, `scenario::write` writes it back, `scenario::expect`
//! compares an answer with it.

use std::collections::BTreeMap;

use dryport_model::PortRange;

use crate::{Ask, Step};

mod expect;
mod load;
mod write;

pub use expect::{Expect, Parity};

/// Where a scenario plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Topology {
    /// One namespace, over its loopback interface.
    #[default]
    Loopback,
    /// Client and server joined by a veth pair.
    Veth,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Short name, unique among the scenarios loaded together.
    pub id: String,
    /// What it shows, as a sentence.
    pub title: String,
    /// Where it plays.
    pub topology: Topology,
    /// `ip_local_port_range` of the client's namespace.
    pub range: PortRange,
    /// Other settings of the client's namespace, in force from the start.
    pub sysctl: BTreeMap<String, String>,
    /// Settings of the server's namespace.
    pub server_sysctl: BTreeMap<String, String>,
    /// What happens before the count.
    pub setup: Vec<Step>,
    /// What is counted. `None`: the steps themselves are the point.
    pub request: Option<Ask>,
    /// How often a refusal is answered with one more attempt.
    pub retries: u32,
    /// Where to stop though the kernel grants on.
    pub limit: Option<u32>,
    /// Whether the model says something about the count.
    pub predict: bool,
    /// Takes over 20 seconds.
    pub slow: bool,
    /// A remark.
    pub note: Option<String>,
    /// What the kernel answers.
    pub expect: Expect,
}

impl Scenario {
    /// The range a scenario has unless it says otherwise: 20000–20007.
    pub const RANGE: PortRange = match PortRange::new(20_000, 20_007) {
        Some(range) => range,
        None => PortRange::LINUX_DEFAULT,
    };

    /// A scenario that only counts a request, to be filled in.
    #[must_use]
    pub fn new(id: impl Into<String>, title: impl Into<String>, request: Option<Ask>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            topology: Topology::default(),
            range: Self::RANGE,
            sysctl: BTreeMap::new(),
            server_sysctl: BTreeMap::new(),
            setup: Vec::new(),
            request,
            retries: 0,
            limit: None,
            predict: true,
            slow: false,
            note: None,
            expect: Expect::default(),
        }
    }
}
