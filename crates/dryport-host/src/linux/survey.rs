//! Surveys: facts from the system, counted by the model, the doubtful ports asked of the kernel.
//!
//! Everything here is about the network namespace of the calling thread. [`headroom()`] answers for
//! one request, [`census()`] for every one in use, [`every_port()`] for a plan.

use std::io;

use dryport_model::{Coverage, Fact};

use super::sockets::Tally;
use super::table::{SockDiag, SocketTable};

mod census;
mod every_port;
mod headroom;

pub use census::{CensusSurvey, census};
pub use every_port::{every_port, service_ports};
pub use headroom::{HeadroomSurvey, headroom};

/// What a survey may use.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Where the sockets come from.
    pub table: &'a dyn SocketTable,
    /// Ask the kernel about doubtful ports.
    pub probes: bool,
}

impl Means<'static> {
    /// Everything that needs no privilege.
    pub const ALL: Self = Self {
        table: &SockDiag,
        probes: true,
    };
    /// The table of sockets alone: the answers are bounds.
    pub const SOCK_DIAG_ALONE: Self = Self {
        table: &SockDiag,
        probes: false,
    };
}

impl Means<'_> {
    /// What coverage calls these means, once the kernel was asked about ports or not.
    fn name(&self, asked: bool) -> &'static str {
        match (self.table.name(), asked) {
            ("bpf", true) => "bpf+probe",
            ("sock_diag", true) => "sock_diag+probe",
            (name, _) => name,
        }
    }
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

impl Tally {
    fn coverage(self, how: &'static str) -> Coverage {
        match self.unreadable {
            0 => Coverage::full(Fact::Sockets, how),
            n => Coverage::partial(
                Fact::Sockets,
                how,
                format!("{n} rows of the kernel's answer were not understood"),
            ),
        }
    }
}

/// Why ports are left that the kernel was asked about.
fn silent(left: usize) -> String {
    format!("{left} ports could not be told apart: the kernel's answer told nothing (is lo up?)")
}

const NOT_ASKED: &str = "the kernel was not asked";

/// Why the kernel cannot be asked.
fn no_probe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT) => {
            "the kernel has no IP_LOCAL_PORT_RANGE to ask with (needs Linux 6.3)".into()
        }
        _ => format!("the kernel could not be asked: {error}"),
    }
}

fn bound_idle_unseen(how: &'static str) -> Coverage {
    let why = "this kernel does not show bound sockets that are idle (needs Linux 6.8)";
    Coverage::none(Fact::BoundIdle, how, why.into())
}

fn timestamps_coverage(told: bool) -> Coverage {
    if told {
        Coverage::full(
            Fact::TimeWaitTimestamps,
            "live connections to the same peer",
        )
    } else {
        Coverage::partial(
            Fact::TimeWaitTimestamps,
            "sock_diag",
            "no live connection to the peer tells whether it uses TCP timestamps, which decides \
             whether its TIME_WAITs can be taken over"
                .into(),
        )
    }
}
