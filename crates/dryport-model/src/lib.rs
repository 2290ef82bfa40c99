//! The vocabulary and the rules of local-port allocation.
//!
//! Everything here is a function of its arguments: no file, clock, environment, randomness, or
//! operating system. The crate is `no_std`, so the compiler holds that. What the operating system
//! says arrives as [`Socket`]s and [`Limits`]; what leaves is a [`Ledger`], a [`Headroom`] and a
//! [`Verdict`].
//!
//! The rules are those of Linux (`__inet_hash_connect`, `inet_csk_get_port`, `udp_lib_get_port`);
//! each is stated beside the function that applies it and is asked of a real kernel by the tests
//! of `dryport-lab`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bucket;
pub mod capture;
mod cause;
mod census;
mod conflict;
mod coverage;
pub mod explain;
mod headroom;
mod ledger;
mod level;
mod limits;
mod message;
mod owner;
pub mod plan;
mod platform;
mod port;
mod reader;
mod request;
mod socket;
mod tuple;
mod verdict;

pub use bucket::{BucketState, Buckets};
pub use cause::{Cause, CauseId, Evidence, Remedy, grouped};
pub use census::{BoundSocket, Census, RequestUse, SocketKey};
pub use conflict::{Overlap, address_overlap, claim_conflict};
pub use coverage::{Coverage, Fact, Seen};
pub use headroom::{HeadroomCount, ProbeKind};
pub use ledger::{Class, Headroom, Ledger, PortClasses};
pub use level::{Level, Thresholds};
pub use limits::{Features, Limits, TimeWaitReuse};
pub use message::{Call, Complaint, Meaning, Message};
pub use owner::{GroupKind, Owner, OwnerGroup, OwnerShare, Owners, PortHolders};
pub use platform::{Platform, Sharing};
pub use port::{PortRange, PortSet};
pub use reader::{
    FILES_WORTH_BPF, ReaderChoice, ReaderFacts, ReaderKind, ReaderReason, SOCKETS_WORTH_BPF,
};
pub use request::{Claim, Method, Request, SocketPortRange};
pub use socket::{Family, Origin, Protocol, Socket, State, TimeWait};
pub use tuple::{TupleHold, tuple_hold};
pub use verdict::{MOST_REQUESTS, NamespaceFacts, RequestVerdict, Verdict, judge};
