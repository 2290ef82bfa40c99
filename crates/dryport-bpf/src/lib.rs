//! Sockets, bind buckets and owners, read by BPF programs.
//!
//! The programs are in `bpf/`, compiled objects in `objects/` (`cargo xtask bpf`); `aya-obj` reads
//! and relocates them, [`Kernel`] loads those that are asked for. Nothing is pinned and nothing is
//! attached to an event: an iterator runs while it is read, so that all is gone with the process.
#![cfg(target_os = "linux")]

mod error;
mod holders;
mod kernel;
mod program;
mod record;
mod row;
mod syscall;
mod table;

pub use error::{Error, Result};
pub use holders::{read_owners, read_owners_of};
pub use kernel::Kernel;
pub use row::{decode_holders, decode_sockets};
pub use table::BpfTable;
