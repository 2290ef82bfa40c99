//! Readers and writers of what the Linux kernel speaks: netlink messages, `sock_diag` rows, routes,
//! sysctl and `/proc` text, BTF.
//!
//! Bytes or text go in, the model's words and notes come out. Nothing here opens a file or a socket.
//! Every reader takes hostile input: it returns a [`WireError`] (or what it could read) and never
//! panics; the fuzz targets hold that.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod btf;
pub mod bytecode;
mod error;
pub mod message;
pub mod netlink;
pub mod paste;
pub mod procfs;
pub mod route;
pub mod sock_diag;
pub mod sysctl;
pub mod sysctl_conf;

pub use error::WireError;
