//! Network namespaces: naming them and entering them.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::namespaces::FoundNamespace;
use crate::error::{Error, Result};

/// Where `ip netns add` keeps its names.
pub(crate) const NAMED: &str = "/run/netns";
/// Where Docker keeps its own, some of which no process lives in (`ingress_sbox`).
pub(crate) const DOCKERS: &str = "/run/docker/netns";
const CURRENT: &str = "/proc/thread-self/ns/net";
/// The initial network namespace since Linux 6.18 (`PROC_NET_INIT_INO`); before, its number was
/// not fixed.
const INITIAL_NET_NAMESPACE: u64 = 0xEFFF_FFF9;
/// The initial pid namespace (`PROC_PID_INIT_INO`), fixed in the kernel.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Which namespace a command is about, as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceSpec {
    /// A name given by `ip netns add`.
    Name(String),
    /// `pid:N`: the one that a process lives in.
    Pid(u32),
    /// `.`: the one that the caller is in.
    Here,
}

impl FromStr for NamespaceSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some(pid) = text.strip_prefix("pid:") {
            return match pid.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Pid(pid)),
                _ => Err(format!("{pid:?} is not a process id")),
            };
        }
        if text == "." {
            return Ok(Self::Here);
        }
        if text.is_empty() || text.contains('/') || text == ".." {
            return Err(format!("{text:?} is not the name of a network namespace"));
        }
        Ok(Self::Name(text.into()))
    }
}

impl fmt::Display for NamespaceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Here => f.write_str("."),
        }
    }
}

/// A namespace as reports name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceId {
    /// Inode number of the namespace, unique while it exists.
    pub inode: u64,
    /// Its name, or `host` for that of the machine's first process; `None` where it has none or
    /// it could not be told.
    pub name: Option<String>,
}

/// The network namespaces of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Namespace;

impl Namespace {
    /// The one that the calling thread is in.
    ///
    /// # Errors
    /// `/proc` is not there.
    pub fn current() -> Result<NamespaceId> {
        let inode = inode(Path::new(CURRENT)).map_err(|error| Error::system(CURRENT, error))?;
        Ok(NamespaceId {
            inode,
            name: name_of(inode),
        })
    }

    /// Whether this process may enter other namespaces of its user namespace, found by entering the
    /// present one anew, in a thread of its own.
    #[must_use]
    pub fn may_enter() -> bool {
        let again = || {
            let file = File::open(CURRENT)?;
            enter(&file, LinkNameSpaceType::Network)
        };
        let thread = std::thread::Builder::new().spawn(again);
        thread
            .ok()
            .and_then(|thread| thread.join().ok())
            .is_some_and(|entered| entered.is_ok())
    }

    /// Moves the calling thread into a namespace. Threads started afterwards by it follow.
    ///
    /// A namespace that belongs to a user namespace of our own (a rootless container) is entered
    /// through that one; this works only while the program has a single thread.
    ///
    /// # Errors
    /// It does not exist, or may not be entered.
    pub fn enter(spec: &NamespaceSpec) -> Result<()> {
        let name = spec.to_string();
        let forbidden = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => missing(spec),
            _ => Error::NamespaceForbidden {
                name: name.clone(),
                source,
            },
        };
        let path = match spec {
            NamespaceSpec::Name(name) => of_name(name),
            NamespaceSpec::Pid(pid) => of_process(*pid, "net"),
            NamespaceSpec::Here => return Ok(()),
        };
        let file = open_without_waiting(&path).map_err(forbidden)?;
        // Entering takes privilege, staying does not.
        if inode(&path).ok() == inode(Path::new(CURRENT)).ok() {
            return Ok(());
        }
        let Err(first) = enter(&file, LinkNameSpaceType::Network) else {
            return Ok(());
        };
        if let NamespaceSpec::Pid(pid) = spec
            && let Ok(user) = File::open(of_process(*pid, "user"))
            && enter(&user, LinkNameSpaceType::User).is_ok()
        {
            return enter(&file, LinkNameSpaceType::Network).map_err(forbidden);
        }
        Err(forbidden(first))
    }

    /// Moves the calling thread into a namespace that was found before, and into no other that has
    /// taken a name or a process's number since. Works with any number of threads, so it does not
    /// enter user namespaces on the way.
    ///
    /// # Errors
    /// [`Error::NamespaceGone`], [`Error::NamespaceForbidden`], or the system is short of something.
    pub fn enter_found(found: &FoundNamespace) -> Result<()> {
        let wanted = found.id.inode;
        let own = fs::metadata(CURRENT).map_err(|error| Error::system(CURRENT, error))?;
        if own.ino() == wanted {
            return Ok(());
        }
        let processes = found.pids.iter().map(|pid| of_process(*pid, "net"));
        let mut refused = None;
        for path in found.path.clone().into_iter().chain(processes) {
            match open_namespace(&path) {
                Ok((file, dev, inode)) if dev == own.dev() && inode == wanted => {
                    let entered = enter(&file, LinkNameSpaceType::Network);
                    return entered.map_err(|source| not_entered(found, source));
                }
                // It is another one by now, or the process ended.
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => refused = Some(error),
            }
        }
        Err(match refused {
            None => Error::NamespaceGone { inode: wanted },
            Some(source) => not_entered(found, source),
        })
    }
}

fn not_entered(found: &FoundNamespace, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::PermissionDenied => Error::NamespaceForbidden {
            name: found.to_string(),
            source,
        },
        _ => Error::system(format!("enter the network namespace {found}"), source),
    }
}

fn missing(spec: &NamespaceSpec) -> Error {
    match spec {
        NamespaceSpec::Pid(pid) => Error::NoProcess { pid: *pid },
        named => Error::NoNamespace {
            name: named.to_string(),
        },
    }
}

/// `ip netns` knows those of its own directory only; a name that is not there may be Docker's.
fn of_name(name: &str) -> PathBuf {
    let named = Path::new(NAMED).join(name);
    let dockers = Path::new(DOCKERS).join(name);
    if !named.exists() && dockers.exists() {
        dockers
    } else {
        named
    }
}

/// Opens what should be a namespace, without waiting where it is something else.
fn open_namespace(path: &Path) -> io::Result<(OwnedFd, u64, u64)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = open(path, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    Ok((file, stat.st_dev, stat.st_ino))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn of_process(pid: u32, kind: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/{kind}"))
}

fn enter(file: &impl AsFd, kind: LinkNameSpaceType) -> io::Result<()> {
    Ok(move_into_link_name_space(file.as_fd(), Some(kind))?)
}

/// Opens what a name leads to. A pipe of that name would else wait for somebody to write.
pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    options.open(path)
}

fn inode(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.ino())
}

/// `host` is the initial namespace, or that of pid 1 where pid 1 is the machine's and not a
/// container's.
fn name_of(net: u64) -> Option<String> {
    if is_initial(net, of_first_process()) {
        return Some("host".into());
    }
    let named = fs::read_dir(NAMED).ok()?;
    named
        .filter_map(std::result::Result::ok)
        .filter(|entry| inode(&entry.path()).is_ok_and(|other| other == net))
        .map(|entry| entry.file_name())
        .min()
        .map(|name| dryport_wire::procfs::printable(name.as_encoded_bytes()))
}

/// Whether it is the machine's own; `of_first` is what [`of_first_process`] told.
pub(crate) fn is_initial(net: u64, of_first: Option<u64>) -> bool {
    net == INITIAL_NET_NAMESPACE || Some(net) == of_first
}

/// The namespace of pid 1, where pid 1 is the machine's and not a container's.
pub(crate) fn of_first_process() -> Option<u64> {
    let pids = inode(Path::new("/proc/self/ns/pid")).ok()?;
    let first = || inode(Path::new("/proc/1/ns/net")).ok();
    (pids == INITIAL_PID_NAMESPACE).then(first).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_name_or_a_process() {
        assert_eq!("blue".parse(), Ok(NamespaceSpec::Name("blue".into())));
        assert_eq!("pid:12".parse(), Ok(NamespaceSpec::Pid(12)));
        assert_eq!(".".parse(), Ok(NamespaceSpec::Here));
        for wrong in ["", "pid:", "pid:0", "pid:x", "../etc", "pid:99999999999"] {
            assert!(wrong.parse::<NamespaceSpec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_namespace_is_named() {
        let error = Namespace::enter(&NamespaceSpec::Name("no-such-one".into())).unwrap_err();
        assert!(error.to_string().contains("no-such-one"));
        let error = Namespace::enter(&NamespaceSpec::Pid(u32::MAX)).unwrap_err();
        assert!(matches!(error, Error::NoProcess { .. }));
    }
}
