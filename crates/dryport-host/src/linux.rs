//! Linux: netlink, `/proc`, and sockets that ask.

pub(crate) mod features;
pub(crate) mod limits;
pub(crate) mod namespace;
pub(crate) mod namespaces;
pub(crate) mod netlink;
pub(crate) mod owners;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod resolve;
pub(crate) mod route;
pub(crate) mod runtime;
pub(crate) mod sockets;
pub(crate) mod sockstat;
pub mod survey;
pub(crate) mod table;
pub(crate) mod types;
