//! Every network namespace that may be entered, a few at a time, each with its own settings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use dryport_host::{
    Error as HostError, FoundNamespace, LimitsRead, Namespace, NamespaceList, OwnerWalk,
    namespaces, read_limits,
};
use dryport_model::{Coverage, Fact, Level, Thresholds};

use super::Seen;
use crate::args::CheckArgs;
use crate::failure::Failure;
use crate::reader::{Extent, Reader, Table};

/// Namespaces looked at side by side, at the most: the kernel walks its one table of connections for
/// each of them.
const MOST_WORKERS: usize = 4;

/// One namespace and what was seen of it.
pub struct Looked {
    pub found: FoundNamespace,
    pub read: LimitsRead,
    pub seen: Seen,
}

/// What was seen of the machine.
pub struct Everywhere {
    /// The caller's first.
    pub looked: Vec<Looked>,
    /// What was not seen beside them.
    pub coverage: Vec<Coverage>,
    /// The worst of all.
    pub level: Level,
}

/// Why a namespace was not seen.
enum Unseen {
    /// It ended meanwhile: nothing is missing.
    Gone,
    Forbidden,
    Failed(Failure),
}

impl From<HostError> for Unseen {
    fn from(error: HostError) -> Self {
        match error {
            HostError::NamespaceGone { .. } => Self::Gone,
            HostError::NamespaceForbidden { .. } => Self::Forbidden,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<Failure> for Unseen {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Looks at all of them. That of the caller has to be seen; what others withhold is told.
pub fn look_everywhere(args: &CheckArgs) -> Result<Everywhere, Failure> {
    let NamespaceList { namespaces, hidden } = namespaces()?;
    let thresholds = args.thresholds.into();
    let is_alone = namespaces.len() < 2;
    let extent = if is_alone {
        Extent::Here
    } else {
        Extent::Everywhere
    };
    let reader = Reader::choose(args.reader.kind(), extent, !args.no_owners)?;
    let outcomes = if is_alone {
        let alone = |found| look_here(&reader, found, thresholds, args.no_owners);
        namespaces.into_iter().map(alone).collect()
    } else {
        look_at_all(&reader, &namespaces, thresholds, args.no_owners)
    };
    sum_up(outcomes, hidden)
}

/// The only one: its processes alone are asked for their sockets.
fn look_here(
    reader: &Reader,
    found: FoundNamespace,
    thresholds: Thresholds,
    no_owners: bool,
) -> Result<Looked, Unseen> {
    let read = read_limits(true)?;
    let seen = Seen::gather(reader, &read, thresholds, no_owners)?;
    Ok(Looked { found, read, seen })
}

fn look_at_all(
    reader: &Reader,
    namespaces: &[FoundNamespace],
    thresholds: Thresholds,
    no_owners: bool,
) -> Vec<Result<Looked, Unseen>> {
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .clamp(1, MOST_WORKERS)
        .min(namespaces.len());
    let next = AtomicUsize::new(0);
    let mut outcomes = thread::scope(|scope| {
        let walk = Arc::new(SharedWalk::start(scope, reader, no_owners));
        let worker = |_| {
            let (walk, next) = (Arc::clone(&walk), &next);
            Builder::new().spawn_scoped(scope, move || {
                let table = reader.table(!no_owners);
                work(namespaces, next, thresholds, (&table, &walk))
            })
        };
        let workers: Vec<_> = (0..workers).map_while(|i| worker(i).ok()).collect();
        if workers.is_empty() {
            // No thread is to be had: this one goes everywhere, and stays where it is at the end.
            let table = reader.table(!no_owners);
            return work(namespaces, &next, thresholds, (&table, &walk));
        }
        let joined = workers.into_iter().flat_map(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect::<Vec<_>>()
    });
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Takes one after another. The first to be handed out is the caller's, to a worker that has not
/// moved yet.
fn work(
    namespaces: &[FoundNamespace],
    next: &AtomicUsize,
    thresholds: Thresholds,
    sources: (&Table<'_>, &SharedWalk<'_>),
) -> Vec<(usize, Result<Looked, Unseen>)> {
    let mut outcomes = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(found) = namespaces.get(index) else {
            return outcomes;
        };
        outcomes.push((index, look_into(found, thresholds, sources)));
    }
}

/// Moves the calling thread there for good.
fn look_into(
    found: &FoundNamespace,
    thresholds: Thresholds,
    (table, walk): (&Table<'_>, &SharedWalk<'_>),
) -> Result<Looked, Unseen> {
    Namespace::enter_found(found)?;
    let read = read_limits(true)?;
    let seen = Seen::with(table, &read, thresholds, || walk.get())?;
    Ok(Looked {
        found: found.clone(),
        read,
        seen,
    })
}

/// One walk over every process, for all namespaces. Whoever needs it first waits for it.
struct SharedWalk<'scope> {
    reader: &'scope Reader,
    no_owners: bool,
    /// `None` where no thread was to be had.
    thread: Mutex<Option<ScopedJoinHandle<'scope, dryport_host::Result<OwnerWalk>>>>,
    done: OnceLock<Arc<OwnerWalk>>,
}

impl<'scope> SharedWalk<'scope> {
    fn start(scope: &'scope Scope<'scope, '_>, reader: &'scope Reader, no_owners: bool) -> Self {
        let start = || Builder::new().spawn_scoped(scope, || reader.owners_everywhere());
        let thread = (!no_owners).then(start).and_then(Result::ok);
        Self {
            reader,
            no_owners,
            thread: Mutex::new(thread),
            done: OnceLock::new(),
        }
    }

    /// `None` where nobody looked. A walk that failed found nothing, which the coverage tells.
    fn get(&self) -> Option<Arc<OwnerWalk>> {
        let walk = || {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let walk = match thread.take() {
                Some(thread) => thread.join().ok().and_then(Result::ok),
                None => self.reader.owners_everywhere().ok(),
            };
            Arc::new(walk.unwrap_or_default())
        };
        if self.no_owners {
            return None;
        }
        Some(Arc::clone(self.done.get_or_init(walk)))
    }
}

fn sum_up(outcomes: Vec<Result<Looked, Unseen>>, hidden: usize) -> Result<Everywhere, Failure> {
    let (mut looked, mut forbidden, mut failures) = (Vec::new(), 0, Vec::new());
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(seen) => looked.push(seen),
            Err(Unseen::Failed(failure)) if index == 0 => return Err(failure),
            Err(Unseen::Failed(failure)) => failures.push(failure.to_string()),
            Err(Unseen::Forbidden) => forbidden += 1,
            Err(Unseen::Gone) => {}
        }
    }
    let levels = looked.iter().map(|looked| looked.seen.verdict.level);
    let unjudged = (!failures.is_empty()).then_some(Level::Unknown);
    let level = levels.chain(unjudged).max().unwrap_or(Level::Unknown);
    // What failed is told first.
    let gaps = [failed(&failures), closed(forbidden, hidden)];
    let partial = |why| Coverage::partial(Fact::Namespaces, "setns", why);
    Ok(Everywhere {
        looked,
        coverage: gaps.into_iter().flatten().map(partial).collect(),
        level,
    })
}

/// Those that may not be entered. Of others' processes the numbers of namespaces are not told, so
/// one that is `hidden` may be among those that are `forbidden`.
fn closed(forbidden: usize, hidden: usize) -> Option<String> {
    let at_least = if forbidden > 0 && hidden > 0 {
        "at least "
    } else {
        ""
    };
    let (count, s, them) = match forbidden.max(hidden) {
        0 => return None,
        1 => (1, "", "it"),
        many => (many, "s", "them"),
    };
    let who = if rustix::process::geteuid().is_root() {
        format!("it takes CAP_SYS_ADMIN to see {them}")
    } else {
        format!("root sees {them}, `--netns pid:N` one of your own containers")
    };
    Some(format!(
        "{at_least}{count} other network namespace{s} may not be entered; {who}"
    ))
}

fn failed(failures: &[String]) -> Option<String> {
    let first = failures.first()?;
    Some(match failures.len() {
        1 => format!("1 other network namespace could not be judged: {first}"),
        many => format!("{many} other network namespaces could not be judged; the first: {first}"),
    })
}
