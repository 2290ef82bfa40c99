//! What can go wrong when the system is asked.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Result with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why the system could not be asked, or its answer not be understood.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{call}: {source}")]
    System {
        /// The call and its object, as `open /proc/sys/…`.
        call: String,
        /// What the system said.
        source: io::Error,
    },
    /// A namespace that does not exist.
    #[error("there is no network namespace {name:?}")]
    NoNamespace {
        /// The name as given.
        name: String,
    },
    /// A namespace that may not be entered.
    #[error("the network namespace {name:?} may not be entered: {source}")]
    NamespaceForbidden {
        /// The name as given.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A namespace that was found and is there no more.
    #[error("the network namespace net:[{inode}] is gone")]
    NamespaceGone {
        /// Its number, which another one may have by now.
        inode: u64,
    },
    /// A process that does not exist.
    #[error("there is no process {pid}")]
    NoProcess {
        /// The process id.
        pid: u32,
    },
    /// A setting whose text was not understood.
    #[error("{path}: {reason}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// What was wrong with its text.
        reason: String,
    },
    /// The kernel refused a dump of sockets.
    #[error("sock_diag ({what}): {source}")]
    SockDiag {
        /// What was asked for.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A dump that did not arrive whole. Asked for again where nothing was shown of it yet.
    #[error("sock_diag ({what}): the dump broke off ({reason})")]
    BrokenDump {
        /// What was asked for.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// There is no route to the destination.
    #[error("no route to {destination}: {source}")]
    NoRoute {
        /// The destination.
        destination: std::net::IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A source address that is not one of the namespace's own.
    #[error("{address} is no address of this network namespace")]
    NotLocal {
        /// The address.
        address: std::net::IpAddr,
    },
    /// A name that did not resolve.
    #[error("the name {name:?} does not resolve: {reason}")]
    NoSuchHost {
        /// The name as given.
        name: String,
        /// What the resolver said.
        reason: String,
    },
    /// An interface that does not exist in the namespace.
    #[error("there is no interface {name:?} in this network namespace")]
    NoDevice {
        /// The name as given.
        name: String,
    },
}

impl Error {
    /// A failed call on an object.
    pub(crate) fn system(call: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System {
            call: call.into(),
            source: source.into(),
        }
    }
}
