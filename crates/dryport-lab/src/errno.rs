//! Names of error numbers. Owns the list of those that a request for a port can meet.

use rustix::io::Errno;

const NAMES: [(Errno, &str); 26] = [
    (Errno::ACCESS, "EACCES"),
    (Errno::ADDRINUSE, "EADDRINUSE"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::ALREADY, "EALREADY"),
    (Errno::CONNABORTED, "ECONNABORTED"),
    (Errno::CONNREFUSED, "ECONNREFUSED"),
    (Errno::CONNRESET, "ECONNRESET"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::INPROGRESS, "EINPROGRESS"),
    (Errno::INVAL, "EINVAL"),
    (Errno::ISCONN, "EISCONN"),
    (Errno::MFILE, "EMFILE"),
    (Errno::NETDOWN, "ENETDOWN"),
    (Errno::NETUNREACH, "ENETUNREACH"),
    (Errno::NFILE, "ENFILE"),
    (Errno::NOBUFS, "ENOBUFS"),
    (Errno::NODEV, "ENODEV"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::NOPROTOOPT, "ENOPROTOOPT"),
    (Errno::NOSPC, "ENOSPC"),
    (Errno::OPNOTSUPP, "EOPNOTSUPP"),
    (Errno::PERM, "EPERM"),
    (Errno::PROTONOSUPPORT, "EPROTONOSUPPORT"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
];

/// The error's name (`EADDRNOTAVAIL`); `E?` for one that no request for a port gives.
#[must_use]
pub fn errno_name(errno: Errno) -> &'static str {
    NAMES
        .iter()
        .find(|(known, _)| *known == errno)
        .map_or("E?", |(_, name)| name)
}

/// Whether a scenario may name this error.
pub(crate) fn known_errno(name: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(_, known)| *known)
}
