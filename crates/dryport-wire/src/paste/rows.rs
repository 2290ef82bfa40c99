//! Rows of sockets, each format in a file of its own. A row is known by its shape, never by the
//! words of a header or by translated words.

use dryport_model::capture::{NatFlow, Row};

use super::Format;

pub(super) mod conntrack;
pub(super) mod lsof;
pub(super) mod powershell;
pub(super) mod proc_net;
pub(super) mod unix;
pub(super) mod windows;

/// A row that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) row: Row,
    pub(super) pid: Option<u32>,
    pub(super) name: Option<&'a [u8]>,
    pub(super) format: Format,
}

/// What a line is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read<'a> {
    /// A row.
    Row(Found<'a>),
    /// A flow of a connection tracking table; `None` where no NAT touches it.
    Flow(Option<NatFlow>),
    /// The beginning of a row.
    Half,
    /// No row.
    No,
}
