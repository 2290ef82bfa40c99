//! What the binary hands over to be shown. Plain values; nothing is computed here.

use dryport_model::{
    Coverage, Level, Limits, Owner, Owners, PortClasses, PortHolders, Request, RequestVerdict,
    Socket, Verdict,
};

/// A network namespace as reports name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespaceName {
    /// Inode number of the namespace file.
    pub inode: u64,
    /// `host`, a name under `/run/netns`, a container's name; `None` where it has none.
    pub name: Option<String>,
}

/// How a command gets to a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// It is the caller's own.
    Here,
    /// By `--netns` and this word: `blue`, `pid:12`.
    Netns(String),
    /// No word names it.
    Nameless,
}

/// The answer of `check`.
pub struct Check<'a> {
    /// Every namespace looked at, the caller's first.
    pub namespaces: Vec<CheckedNamespace<'a>>,
    /// What was not seen of the machine beside them.
    pub coverage: Vec<Coverage>,
    /// The worst level.
    pub level: Level,
    /// Settings that could not be seen and were taken to be the platform's defaults; a sentence
    /// each.
    pub assumptions: Vec<String>,
    /// For `check --pid`.
    pub process: Option<ProcessFindings<'a>>,
}

/// One namespace of a [`Check`].
pub struct CheckedNamespace<'a> {
    /// Which.
    pub namespace: NamespaceName,
    /// How a command gets there.
    pub reach: Reach,
    /// Whose it is: `container 3f2a91b0c1de (docker)`; `None` where that was not looked up.
    pub described: Option<String>,
    /// The processes that live in it, as far as they may be looked at; `None` where nobody counted.
    pub processes: Option<usize>,
    /// Its settings.
    pub limits: &'a Limits,
    /// Sockets that hold a port of the range, in any state.
    pub sockets: u64,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// The processes that [`Verdict`]'s shares point to; `None` where nobody looked.
    pub owners: Option<&'a Owners>,
    /// What was seen and what was not.
    pub coverage: &'a [Coverage],
    /// Interface indices and names, as far as known, for requests with `SO_BINDTODEVICE`.
    pub devices: &'a [(u32, String)],
}

/// What `check --pid` found about one process.
pub struct ProcessFindings<'a> {
    /// The process.
    pub process: &'a Owner,
    /// Its network namespace.
    pub namespace: NamespaceName,
    /// That namespace's settings.
    pub limits: &'a Limits,
    /// What was seen of that namespace and what was not.
    pub coverage: &'a [Coverage],
    /// Open descriptors; `None` where they may not be counted.
    pub open_files: Option<u64>,
    /// `RLIMIT_NOFILE`; `None` where it may not be read.
    pub open_files_limit: Option<OpenFilesLimit>,
    /// The requests it has sockets for, the worst first.
    pub requests: Vec<ProcessRequest<'a>>,
    /// cgroup programs that may change its `connect()` or `bind()`, or why they could not be read.
    pub connect_hooks: Result<Vec<String>, String>,
    /// What follows, a sentence each, the most important first.
    pub findings: Vec<String>,
}

/// `RLIMIT_NOFILE` of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFilesLimit {
    /// What holds now.
    pub soft: u64,
    /// What the process may raise it to.
    pub hard: u64,
}

/// One request of a process.
pub struct ProcessRequest<'a> {
    /// How many sockets the process itself has for it.
    pub sockets: u32,
    /// How the request stands.
    pub verdict: &'a RequestVerdict,
}

/// The answer of `headroom`.
pub struct HeadroomAnswer<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// Where.
    pub namespace: NamespaceName,
    /// Every port of the range and its class.
    pub classes: &'a PortClasses,
    /// The level, the worse of the two ends.
    pub level: Level,
    /// Only what could not be seen makes the level worse.
    pub level_is_uncertain: bool,
    /// Milliseconds until the first and the last port in TIME_WAIT comes back.
    pub time_wait_left_ms: Option<(u32, u32)>,
    /// Name of the interface `request.device`.
    pub device_name: Option<String>,
    /// Who holds the ports.
    pub holders: &'a PortHolders,
    /// The processes that `holders` point to; `None` where nobody looked.
    pub owners: Option<&'a Owners>,
    /// What was seen and what was not.
    pub coverage: &'a [Coverage],
    /// More to know, a sentence each; [`crate::request_notes`] are added to them.
    pub notes: Vec<String>,
}

/// One row of `see`.
#[derive(Clone, Copy)]
pub struct SeenSocket<'a> {
    /// The socket.
    pub socket: Socket,
    /// Its namespace.
    pub namespace: &'a NamespaceName,
    /// Who holds which socket in that namespace; `None` where nobody looked.
    pub owners: Option<&'a Owners>,
    /// Name of the interface `socket.device`.
    pub device_name: Option<&'a str>,
    /// Name of the remote address, for `--resolve`.
    pub remote_name: Option<&'a str>,
}

impl<'a> SeenSocket<'a> {
    /// The processes that hold it.
    pub(crate) fn holders(&self) -> impl Iterator<Item = &'a Owner> + use<'a> {
        let inode = self.socket.inode;
        self.owners
            .into_iter()
            .flat_map(move |owners| owners.of(inode))
            .map(|(_, owner)| owner)
    }
}

impl CheckedNamespace<'_> {
    /// The name of an interface, as far as known.
    pub(crate) fn device_name(&self, index: u32) -> Option<&str> {
        let known = self.devices.iter().find(|(other, _)| *other == index);
        known.map(|(_, name)| name.as_str())
    }
}
