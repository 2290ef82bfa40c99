//! Why a BPF reader is not to be had here.

use std::io;

use thiserror::Error;

/// Result with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why BPF programs cannot read here.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel does not describe its types.
    #[error("the kernel's types cannot be read (/sys/kernel/btf/vmlinux): {0}")]
    NoTypes(io::Error),
    /// Its description was not understood.
    #[error("the kernel's types were not understood: {0}")]
    Types(String),
    /// This process may not use BPF.
    #[error("BPF may not be used: {0}")]
    Forbidden(io::Error),
    /// The kernel has no such iterator.
    #[error("this kernel has no {0} iterator")]
    NoIterator(&'static str),
    /// The object could not be fitted to this kernel.
    #[error("the BPF program {program} does not fit this kernel: {reason}")]
    Unfit {
        /// The program.
        program: &'static str,
        /// What was missing.
        reason: String,
    },
    /// The verifier refused, or the kernel did.
    #[error("the kernel refuses the BPF program {program}: {source}{}", told(.log))]
    Refused {
        /// The program.
        program: &'static str,
        /// What the system said.
        source: io::Error,
        /// The last line of the verifier's log; may be empty.
        log: String,
    },
    /// A system call on maps or links failed.
    #[error("bpf ({what}): {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Process ids of the kernel are not those that are seen here.
    #[error("this is a container's pid namespace: owners are told by other process ids here")]
    OtherPids,
}

fn told(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!(" ({log})")
    }
}

impl Error {
    /// The answer to whether BPF may be used here.
    pub(crate) fn of_permission(source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden(source),
            _ => Self::System {
                what: "load a program",
                source,
            },
        }
    }

    /// What would change it, in words; `None` where nothing is known to.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoTypes(_) | Self::Types(_) => Some("a kernel with CONFIG_DEBUG_INFO_BTF"),
            Self::Forbidden(_) => Some("run it as root, or with CAP_BPF and CAP_PERFMON"),
            Self::NoIterator(_) => Some("Linux 5.9"),
            Self::OtherPids => Some("run it on the host"),
            // Such a kernel takes this helper away (`LOCKDOWN_BPF_READ_KERNEL`), which the verifier
            // then finds to be unknown.
            Self::Refused { source, log, .. }
                if source.raw_os_error() == Some(libc::EPERM)
                    || log.contains("bpf_probe_read_kernel") =>
            {
                Some("CAP_PERFMON, and a kernel that is not locked down to confidentiality")
            }
            _ => None,
        }
    }
}

impl From<Error> for dryport_host::Error {
    fn from(error: Error) -> Self {
        Self::System {
            call: "bpf".into(),
            source: io::Error::other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_want_of_rights_is_forbidden() {
        let of = |errno| Error::of_permission(io::Error::from_raw_os_error(errno));
        for errno in [libc::EPERM, libc::EACCES] {
            assert!(matches!(of(errno), Error::Forbidden(_)));
        }
        for errno in [libc::EMFILE, libc::ENOMEM, libc::ENOSYS] {
            assert!(matches!(of(errno), Error::System { .. }));
            assert_eq!(of(errno).remedy(), None);
        }
    }

    #[test]
    fn a_kernel_that_shows_nothing_of_its_memory_is_named() {
        let refused = |errno, log: &str| Error::Refused {
            program: "tcp",
            source: io::Error::from_raw_os_error(errno),
            log: log.into(),
        };
        let locked = [
            refused(libc::EPERM, ""),
            refused(
                libc::EINVAL,
                "program of this type cannot use helper bpf_probe_read_kernel#113",
            ),
            refused(libc::EINVAL, "unknown func bpf_probe_read_kernel#113"),
        ];
        for error in locked {
            assert!(error.remedy().unwrap().contains("locked down"), "{error}");
        }
        assert_eq!(
            refused(libc::EINVAL, "invalid func unknown#195896080").remedy(),
            None
        );
    }
}
