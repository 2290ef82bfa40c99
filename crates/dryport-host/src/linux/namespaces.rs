//! Every network namespace that can be found: those of processes, and those with a name. Finding
//! takes one link of each process; entering belongs to [`Namespace`].
//!
//! Not found is what lives on by a socket, a descriptor or a mount elsewhere alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dryport_wire::procfs::{self, CgroupName};
use rustix::fs::{CWD, readlinkat_raw};
use rustix::io::Errno;

use super::namespace::{
    DOCKERS, NAMED, Namespace, NamespaceId, NamespaceSpec, is_initial, of_first_process,
};
use super::owners::process_ids;
use crate::error::Result;

/// One network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundNamespace {
    /// Which.
    pub id: NamespaceId,
    /// What names it on the command line; `None` where nothing does that can be typed.
    pub spec: Option<NamespaceSpec>,
    /// Whose it is, by its first process: `container 3f2a91b0c1de (docker)`. Printable.
    pub described: Option<String>,
    /// The processes that live in it, as far as they may be looked at, sorted.
    pub(crate) pids: Vec<u32>,
    /// The file of its name.
    pub(crate) path: Option<PathBuf>,
}

impl FoundNamespace {
    /// How many processes live in it, as far as they may be looked at.
    #[must_use]
    pub const fn processes(&self) -> usize {
        self.pids.len()
    }
}

/// The network namespaces that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceList {
    /// The caller's first, then by name, those without one last, then by inode.
    pub namespaces: Vec<FoundNamespace>,
    /// Network namespaces of others' processes that may not be looked at. One of them may be
    /// among those found by their name.
    pub hidden: usize,
}

/// Looks for every network namespace with a process or a name.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn namespaces() -> Result<NamespaceList> {
    let mut processes = Processes::default();
    let own = Namespace::current()?.inode;
    processes.live_in.insert(own, Vec::new());
    for pid in process_ids()? {
        processes.see(pid, own);
    }
    let hidden = processes.hidden();
    let names = [(NAMED, false), (DOCKERS, true)].map(|(directory, is_dockers)| {
        let of = |(path, inode)| Name {
            path,
            inode,
            is_dockers,
        };
        named(Path::new(directory)).map(of).collect::<Vec<_>>()
    });
    let of_first = of_first_process();
    let mut inodes = processes.live_in.keys().copied();
    let host = inodes.find(|inode| is_initial(*inode, of_first));
    let mut namespaces = assemble(own, host, processes.live_in, names.concat());
    for found in &mut namespaces {
        if Some(found.id.inode) != host && !found.pids.is_empty() {
            found.described = described(&found.pids);
        }
    }
    tell_apart(&mut namespaces);
    Ok(NamespaceList { namespaces, hidden })
}

/// The processes by their namespace.
#[derive(Default)]
struct Processes {
    live_in: BTreeMap<u64, Vec<u32>>,
    /// Inode of `/proc/PID/net/dev` where the namespace's own may not be seen, with a process.
    closed: BTreeMap<u64, u32>,
}

impl Processes {
    fn see(&mut self, pid: u32, own: u64) {
        match net_inode(pid) {
            Ok(inode) => self.live_in.entry(inode).or_default().push(pid),
            Err(Errno::ACCESS | Errno::PERM) => self.see_closed(pid, own),
            // The process ended meanwhile, or is a zombie.
            Err(_) => {}
        }
    }

    /// The files of `/proc/PID/net` may be looked at by everybody, and each namespace has its own
    /// (`proc_register` numbers them in the same space as namespaces): they tell namespaces apart
    /// whose names are closed to us, so that others' processes in our own are no mystery.
    fn see_closed(&mut self, pid: u32, own: u64) {
        let Ok(inode) = net_file(&pid.to_string()) else {
            return;
        };
        if net_file("thread-self").is_ok_and(|ours| ours == inode) {
            self.live_in.entry(own).or_default().push(pid);
        } else {
            self.closed.entry(inode).or_insert(pid);
        }
    }

    /// How many namespaces are closed to us, without those that are known by another process.
    fn hidden(&self) -> usize {
        if self.closed.is_empty() {
            return 0;
        }
        let first = self.live_in.values().filter_map(|pids| pids.first());
        let known: BTreeSet<u64> = first
            .filter_map(|pid| net_file(&pid.to_string()).ok())
            .collect();
        let closed = self.closed.keys();
        closed.filter(|inode| !known.contains(inode)).count()
    }
}

fn net_inode(pid: u32) -> std::result::Result<u64, Errno> {
    let mut target = [MaybeUninit::<u8>::uninit(); 64];
    let path = format!("/proc/{pid}/ns/net");
    let (target, _) = readlinkat_raw(CWD, path, target.as_mut_slice())?;
    procfs::net_namespace_inode(target).ok_or(Errno::INVAL)
}

fn net_file(process: &str) -> std::io::Result<u64> {
    fs::metadata(format!("/proc/{process}/net/dev")).map(|metadata| metadata.ino())
}

/// A name and what it names.
#[derive(Clone)]
struct Name {
    path: PathBuf,
    inode: u64,
    /// Docker's names are numbers that say nothing, but they are ways in.
    is_dockers: bool,
}

/// The files of a directory that are namespaces; what a crash of the machine left is an empty file.
fn named(directory: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let namespaces = fs::metadata("/proc/thread-self/ns/net").map(|own| own.dev());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let path = entry.path();
        let metadata = fs::metadata(&path).ok()?;
        let is_namespace = namespaces.as_ref().is_ok_and(|dev| *dev == metadata.dev());
        is_namespace.then(|| (path, metadata.ino()))
    })
}

/// Puts together what was found. `host`: the machine's own namespace, where it is known.
fn assemble(
    own: u64,
    host: Option<u64>,
    processes: BTreeMap<u64, Vec<u32>>,
    mut names: Vec<Name>,
) -> Vec<FoundNamespace> {
    // The first name counts; Docker's come last.
    names.sort_by(|a, b| (a.is_dockers, &a.path).cmp(&(b.is_dockers, &b.path)));
    let mut found: BTreeMap<u64, FoundNamespace> = processes
        .into_iter()
        .map(|(inode, pids)| (inode, FoundNamespace::of(inode, pids)))
        .collect();
    for name in names {
        let namespace = found
            .entry(name.inode)
            .or_insert_with(|| FoundNamespace::of(name.inode, Vec::new()));
        if namespace.path.is_none() {
            namespace.take_name(name);
        }
    }
    if let Some(namespace) = host.and_then(|host| found.get_mut(&host)) {
        namespace.id.name = Some("host".into());
    }
    let mut found: Vec<FoundNamespace> = found.into_values().collect();
    found.sort_by_cached_key(|namespace| {
        let id = namespace.id.clone();
        (id.inode != own, id.name.is_none(), id.name, id.inode)
    });
    found
}

impl fmt::Display for FoundNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id.name {
            Some(name) => f.write_str(name),
            None => write!(f, "net:[{}]", self.id.inode),
        }
    }
}

impl FoundNamespace {
    fn of(inode: u64, mut pids: Vec<u32>) -> Self {
        pids.sort_unstable();
        Self {
            id: NamespaceId { inode, name: None },
            spec: pids.first().map(|pid| NamespaceSpec::Pid(*pid)),
            described: None,
            pids,
            path: None,
        }
    }

    fn take_name(&mut self, name: Name) {
        let file = name.path.file_name().unwrap_or_default();
        let spec = typed(file);
        if name.is_dockers {
            let printable = procfs::printable(file.as_bytes());
            self.described = Some(format!("{printable} (docker)"));
            self.spec = self.spec.take().or(spec);
        } else {
            self.id.name = Some(procfs::printable(file.as_bytes()));
            self.spec = spec.or(self.spec.take());
        }
        self.path = Some(name.path);
    }
}

/// The name as it is typed. Not all that a file may be called can be typed, or would be taken for a
/// name.
fn typed(file: &OsStr) -> Option<NamespaceSpec> {
    let name = file.to_str()?;
    let is_plain = procfs::printable(name.as_bytes()) == name && !name.starts_with('-');
    let spec: NamespaceSpec = name.parse().ok().filter(|_| is_plain)?;
    matches!(spec, NamespaceSpec::Name(_)).then_some(spec)
}

/// The most characters of a container's id, as its runtime's own lists show it.
const SHORT_ID: usize = 12;

/// Processes that are looked at to tell whose a namespace is.
const WITNESSES: usize = 16;

/// Whose a namespace is: the container, pod or service that its processes have in common, else the
/// name of the first one.
fn described(pids: &[u32]) -> Option<String> {
    let pid = *pids.first()?;
    let names: Vec<CgroupName> = pids.iter().take(WITNESSES).copied().map(home).collect();
    let first = names.first()?;
    let all_share = |part: fn(&CgroupName) -> &Option<String>| {
        names.iter().all(|name| part(name) == part(first))
    };
    if let Some(container) = first
        .container
        .as_ref()
        .filter(|_| all_share(|n| &n.container))
    {
        let id: String = container.chars().take(SHORT_ID).collect();
        let runtime = first.runtime.map(|runtime| format!(" ({runtime})"));
        return Some(format!("container {id}{}", runtime.unwrap_or_default()));
    }
    if let Some(pod) = first.pod_uid.as_ref().filter(|_| all_share(|n| &n.pod_uid)) {
        return Some(format!("pod {pod}"));
    }
    let unit = first.unit.as_ref().filter(|_| all_share(|n| &n.unit));
    if let Some(unit) = unit.filter(|unit| unit.ends_with(".service")) {
        return Some(unit.clone());
    }
    let root = PathBuf::from(format!("/proc/{pid}"));
    let comm = procfs::parse_comm(&fs::read(root.join("comm")).ok()?);
    (!comm.is_empty()).then(|| format!("{comm} (pid {pid})"))
}

/// What the cgroup of a process tells.
fn home(pid: u32) -> CgroupName {
    let cgroups = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    procfs::cgroup_path(&cgroups)
        .map(CgroupName::of)
        .unwrap_or_default()
}

/// A service may have several namespaces: each is then told by its first process too.
fn tell_apart(namespaces: &mut [FoundNamespace]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for described in namespaces
        .iter()
        .filter_map(|found| found.described.clone())
    {
        *counts.entry(described).or_default() += 1;
    }
    for found in namespaces {
        if let (Some(described), Some(pid)) = (&mut found.described, found.pids.first())
            && counts.get(described).is_some_and(|count| *count > 1)
        {
            *described = format!("{described}, pid {pid}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn name(path: &str, inode: u64) -> Name {
        Name {
            path: path.into(),
            inode,
            is_dockers: path.starts_with(DOCKERS),
        }
    }

    fn names(found: &[FoundNamespace]) -> Vec<(u64, Option<&str>, String)> {
        let spec = |found: &FoundNamespace| {
            let spec = found.spec.as_ref();
            spec.map(ToString::to_string).unwrap_or_default()
        };
        found
            .iter()
            .map(|found| (found.id.inode, found.id.name.as_deref(), spec(found)))
            .collect()
    }

    #[test]
    fn the_callers_is_first_then_those_with_a_name() {
        let processes = [
            (1, vec![1, 2, 900]),
            (9, vec![77, 70]),
            (5, vec![50]),
            (7, vec![60]),
        ];
        let named = vec![
            name("/run/netns/web", 6),
            name("/run/netns/db", 7),
            name("/run/netns/also-db", 7),
            name("/run/docker/netns/3f2a", 5),
            name("/run/docker/netns/default", 1),
            name("/run/docker/netns/ingress_sbox", 8),
        ];
        let found = assemble(9, Some(1), processes.into(), named);
        assert_eq!(
            names(&found),
            [
                (9, None, "pid:70".into()),
                (7, Some("also-db"), "also-db".into()),
                (1, Some("host"), "pid:1".into()),
                (6, Some("web"), "web".into()),
                (5, None, "pid:50".into()),
                (8, None, "ingress_sbox".into()),
            ]
        );
        assert_eq!(found[0].processes(), 2);
        assert_eq!(found[5].described.as_deref(), Some("ingress_sbox (docker)"));
    }

    #[test]
    fn a_name_that_cannot_be_typed_is_shown_and_not_offered() {
        for hostile in ["\x1b[31m", "pid:1", "-x", "\u{202e}txt"] {
            let file = name(&format!("/run/netns/{hostile}"), 5);
            let found = assemble(1, None, [(5, vec![50])].into(), vec![file.clone()]);
            assert_eq!(found[0].spec, Some(NamespaceSpec::Pid(50)), "{hostile:?}");
            let shown = found[0].id.name.clone().unwrap();
            assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'));
            assert_eq!(assemble(1, None, BTreeMap::new(), vec![file])[0].spec, None);
        }
    }

    #[test]
    fn two_of_one_service_are_told_apart() {
        let described = |pid: u32, text: &str| FoundNamespace {
            described: Some(text.into()),
            ..FoundNamespace::of(pid.into(), vec![pid])
        };
        let mut found = [
            described(5, "a.service"),
            described(6, "b.service"),
            described(7, "a.service"),
        ];
        tell_apart(&mut found);
        let told = found.map(|found| found.described.unwrap());
        assert_eq!(told, ["a.service, pid 5", "b.service", "a.service, pid 7"]);
    }

    #[test]
    fn this_process_is_in_the_first_one() {
        let list = namespaces().unwrap();
        let first = &list.namespaces[0];
        assert_eq!(first.id, Namespace::current().unwrap());
        assert!(first.pids.contains(&std::process::id()), "{first:?}");
        Namespace::enter_found(first).unwrap();
    }

    #[test]
    fn a_number_that_another_namespace_has_now_is_not_entered() {
        let mut gone = FoundNamespace::of(1, vec![std::process::id()]);
        gone.path = Some("/run/netns/no-such-one".into());
        let error = Namespace::enter_found(&gone).unwrap_err();
        assert!(
            matches!(error, Error::NamespaceGone { inode: 1 }),
            "{error}"
        );
    }
}
