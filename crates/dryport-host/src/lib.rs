//! What the operating system says: its sockets, settings and owners, and its answers when asked.
//!
//! This is the only floor with `cfg(target_os)` and `unsafe`. It asks and translates; it decides
//! nothing: the rules are in `dryport-model`, the formats in `dryport-wire`. [`survey`] strings
//! the three steps together: facts, rule, effect.

mod error;
#[cfg(target_os = "linux")]
mod linux;

pub use error::{Error, Result};
#[cfg(target_os = "linux")]
pub use linux::{
    limits::{LimitsRead, read_in_one_call, read_limits},
    namespace::{Namespace, NamespaceId, NamespaceSpec},
    namespaces::{FoundNamespace, NamespaceList, namespaces},
    owners::{OwnerWalk, describe_process, read_owners, read_owners_here},
    probe::{Probe, ProbeAnswer, must_be_local},
    process::{ConnectHooks, DescriptorLimit, Process},
    resolve::{name_of_address, resolve},
    route::{device_index, device_name, device_names, route_to, with_route_source},
    runtime::runtime_of,
    sockets::{SocketReader, Tally},
    sockstat::{SocketCounts, open_files, read_socket_counts},
    survey,
    table::{Sighting, SockDiag, SocketTable, retrying},
    types::kernel_types,
};
