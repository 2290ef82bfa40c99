//! What can be wrong with bytes from the kernel. Text has errors of its own, beside its readers.

use thiserror::Error;

/// Why bytes could not be read. Small and `Copy`, so that the row loop pays nothing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end before the thing does.
    #[error("{what} at byte {offset} needs {need} bytes, {have} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts in the buffer given.
        offset: usize,
        /// Bytes it needs.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// A length field contradicts itself: smaller than its own header, or impossible for the field.
    #[error("{what} at byte {offset} says it is {length} bytes long, which cannot be")]
    BadLength {
        /// What was being read.
        what: &'static str,
        /// Where it starts in the buffer given.
        offset: usize,
        /// The length it gives.
        length: usize,
    },
    /// An address family that is neither IPv4 nor IPv6.
    #[error("{what} has the unknown address family {family}")]
    UnknownFamily {
        /// What was being read.
        what: &'static str,
        /// The family's number (`AF_*`).
        family: u8,
    },
    /// A socket state without a name in `include/net/tcp_states.h`.
    #[error("a socket has the unknown state number {state}")]
    UnknownState {
        /// The kernel's number.
        state: u8,
    },
    /// Not BTF, or a version that is not known.
    #[error("the BTF header's {field} is {value:#x}")]
    BadBtfHeader {
        /// The header's field.
        field: &'static str,
        /// What stood there.
        value: u32,
    },
    /// A BTF type of a kind whose size is not known, so that the rest cannot be reached.
    #[error("BTF type at byte {offset} has the unknown kind {kind}")]
    UnknownBtfKind {
        /// Where the type starts in the type section.
        offset: usize,
        /// The kind's number.
        kind: u8,
    },
}
