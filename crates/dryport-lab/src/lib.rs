//! The lab: scratch network namespaces on the running kernel, and scenarios played in them.
//!
//! What the model predicts is asked here of the kernel itself. A [`Scenario`] is a small text that
//! a network engineer can read: which sockets are held, which were closed and how, and which
//! request is then counted. [`prepare`] builds it in namespaces of its own; [`Stage::grant_all`]
//! asks for ports until the kernel refuses and tells exactly which ones it gave.
//!
//! [`rehearsal`] tries settings the same way, under a stand-in for the machine's load.
//!
//! Namespaces have no name and are held by a descriptor only, so a crash leaves nothing behind.
//! Nothing here runs another program.

mod ask;
mod errno;
mod error;
mod link;
mod namespace;
mod options;
mod privilege;
pub mod random;
pub mod rehearsal;
mod scenario;
mod socket;
mod stage;
mod step;
mod tables;
mod topology;
mod words;

pub use ask::{Ask, AskOptions, Local, Then, Transport};
pub use errno::errno_name;
pub use error::{LabError, ScenarioError};
pub use namespace::Namespace;
pub use privilege::{Privilege, Unavailable};
pub use scenario::{Expect, Parity, Scenario, Topology};
pub use stage::{Granted, Policy, Stage, prepare};
pub use step::{Ends, Side, Step, TryOutcome};
pub use topology::{CLIENT_LINK, Lab, SERVER_LINK, SERVER_PORTS};
