//! Which reader a command uses: the facts and the effect around the rule in
//! [`dryport_model::ReaderFacts`].

use std::sync::OnceLock;

use dryport_bpf::{BpfTable, Kernel, read_owners_of};
use dryport_host::survey::Means;
use dryport_host::{
    Namespace, OwnerWalk, open_files, read_owners, read_owners_here, read_socket_counts,
};
use dryport_model::{Coverage, Fact, ReaderChoice, ReaderFacts, ReaderKind, Seen};

use crate::failure::Failure;

/// The reader of this run.
pub struct Reader {
    /// What was chosen, and why.
    pub choice: ReaderChoice,
    asked: Option<ReaderKind>,
    /// Opened when first needed; `None` where it cannot be.
    kernel: OnceLock<Option<Kernel>>,
}

/// What is going to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The namespace of the calling thread.
    Here,
    /// Every namespace.
    Everywhere,
}

impl Extent {
    /// How many TCP sockets there are. Of the whole machine only those that are alive are counted,
    /// TIME_WAITs in the present namespace alone.
    fn sockets(self) -> Option<u64> {
        let counts = read_socket_counts().ok()?;
        let here = counts.tcp + counts.tcp_time_wait;
        Some(match self {
            Self::Here => here,
            Self::Everywhere => here.max(counts.tcp_machine),
        })
    }
}

impl Reader {
    /// Chooses.
    ///
    /// # Errors
    /// BPF was asked for by name and cannot be had.
    pub fn choose(
        asked: Option<ReaderKind>,
        extent: Extent,
        wants_owners: bool,
    ) -> Result<Self, Failure> {
        let facts = ReaderFacts {
            asked,
            sockets: extent.sockets(),
            open_files: open_files(),
            wants_owners,
        };
        let choice = facts.choose();
        let mut reader = Self {
            choice,
            asked,
            kernel: OnceLock::new(),
        };
        if reader.choice.kind == ReaderKind::Bpf {
            reader.open()?;
        }
        Ok(reader)
    }

    /// Where the reader was asked for by name, a refusal of its programs is told at once.
    fn open(&mut self) -> Result<(), Failure> {
        let opened = Kernel::open().and_then(|kernel| match self.asked {
            Some(_) => BpfTable::open(&kernel, false).map(|_| kernel),
            None => Ok(kernel),
        });
        let kernel = match opened {
            Ok(kernel) => Some(kernel),
            Err(error) => match self.choice.refused(error.to_string()) {
                Some(choice) => {
                    self.choice = choice;
                    None
                }
                None => return Err(Failure::NoBpf(error)),
            },
        };
        self.kernel = OnceLock::from(kernel);
        Ok(())
    }

    /// The kernel for BPF programs, tried now if it was not yet.
    fn kernel(&self) -> Option<&Kernel> {
        let allowed = self.asked != Some(ReaderKind::SockDiag);
        let open = || allowed.then(|| Kernel::open().ok()).flatten();
        self.kernel.get_or_init(open).as_ref()
    }

    fn is_by_bpf(&self) -> bool {
        self.choice.kind == ReaderKind::Bpf
    }

    /// A table for one thread. With `inodes` it can be told who holds its sockets.
    pub fn table(&self, inodes: bool) -> Table<'_> {
        let mut table = Table {
            reader: self,
            inodes,
            bpf: None,
        };
        if self.is_by_bpf() {
            table.bpf = table.open_bpf();
        }
        table
    }

    /// Who holds sockets of the calling thread's namespace: whoever it is by BPF, else processes
    /// that live there first ([`OwnerWalk::extend`] looks at the others).
    pub fn owners_here(&self) -> dryport_host::Result<OwnerWalk> {
        let here = Namespace::current()?.inode;
        match self.bpf().map(|kernel| read_owners_of(kernel, here)) {
            Some(Ok(walk)) => Ok(walk),
            _ => read_owners_here(),
        }
    }

    /// Who holds sockets, in every process that may be looked at.
    pub fn owners_everywhere(&self) -> dryport_host::Result<OwnerWalk> {
        match self.bpf().map(dryport_bpf::read_owners) {
            Some(Ok(walk)) => Ok(walk),
            _ => read_owners(),
        }
    }

    /// The kernel, where BPF is what was chosen.
    fn bpf(&self) -> Option<&Kernel> {
        self.is_by_bpf().then(|| self.kernel()).flatten()
    }
}

/// The table of one thread.
pub struct Table<'a> {
    reader: &'a Reader,
    inodes: bool,
    bpf: Option<BpfTable>,
}

impl Table<'_> {
    /// A refusal by the verifier leaves the other reader; the doctor tells of it.
    fn open_bpf(&self) -> Option<BpfTable> {
        BpfTable::open(self.reader.kernel()?, self.inodes).ok()
    }

    /// Runs a survey. Where BPF fails in the middle, anew with sock_diag; where sock_diag leaves
    /// something in doubt (`coverage` tells), anew with BPF if it may be used.
    ///
    /// # Errors
    /// What the survey fails with.
    pub fn survey<T>(
        &self,
        mut survey: impl FnMut(Means<'_>) -> dryport_host::Result<T>,
        coverage: impl Fn(&T) -> &[Coverage],
    ) -> dryport_host::Result<T> {
        let mut by = |table: &BpfTable| {
            survey(Means {
                table,
                probes: true,
            })
        };
        if let Some(Ok(done)) = self.bpf.as_ref().map(&mut by) {
            return Ok(done);
        }
        let done = survey(Means::ALL)?;
        if self.bpf.is_some() || !coverage(&done).iter().any(is_doubt) {
            return Ok(done);
        }
        let better = self.open_bpf().and_then(|table| {
            survey(Means {
                table: &table,
                probes: true,
            })
            .ok()
        });
        Ok(better.unwrap_or(done))
    }
}

/// What BPF would tell.
fn is_doubt(coverage: &Coverage) -> bool {
    coverage.seen != Seen::Full
        && matches!(
            coverage.fact,
            Fact::BindBuckets | Fact::PortRanges | Fact::TimeWaitTimestamps | Fact::V6Only
        )
}
