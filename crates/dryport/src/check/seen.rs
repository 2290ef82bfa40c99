//! What is seen of one namespace, the calling thread's, and the verdict on it.

use std::sync::Arc;
use std::thread::Builder;

use dryport_host::survey::{self, CensusSurvey};
use dryport_host::{LimitsRead, OwnerWalk, SocketReader, Tally, device_names, read_socket_counts};
use dryport_model::{
    Census, Coverage, Fact, Limits, NamespaceFacts, Owners, Thresholds, Verdict, judge,
};

use crate::failure::Failure;
use crate::owners::owners_coverage;
use crate::reader::{Reader, Table};

/// What was seen of a namespace.
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    pub(crate) sockets: u64,
    /// Who holds sockets; `None` where nobody looked.
    pub(crate) walk: Option<Arc<OwnerWalk>>,
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) devices: Vec<(u32, String)>,
}

impl Seen {
    /// The walk over `/proc` and the dump of sockets are two different parts of the kernel, so
    /// they run side by side.
    pub(crate) fn gather(
        reader: &Reader,
        read: &LimitsRead,
        thresholds: Thresholds,
        no_owners: bool,
    ) -> Result<Self, Failure> {
        let table = reader.table(!no_owners);
        let (survey, walk) = std::thread::scope(|scope| {
            let start = || Builder::new().spawn_scoped(scope, || reader.owners_here());
            let walk = (!no_owners).then(start);
            let survey = look(&table, read, &thresholds);
            let walk = walk.map(|walk| match walk {
                Ok(walk) => walk.join().unwrap_or_else(|_| Ok(OwnerWalk::default())),
                // No thread is to be had.
                Err(_) => reader.owners_here(),
            });
            (survey, walk)
        });
        let (survey, walk) = (survey?, walk.transpose()?);
        let walk = walk.map(|walk| {
            if walk.can_extend() && unowned(&walk, &survey) > 0 {
                walk.extend()
            } else {
                walk
            }
        });
        Self::of(survey, thresholds, walk.map(Arc::new))
    }

    /// The same with a walk over every process, which is asked for last.
    pub(super) fn with(
        table: &Table<'_>,
        read: &LimitsRead,
        thresholds: Thresholds,
        walk: impl FnOnce() -> Option<Arc<OwnerWalk>>,
    ) -> Result<Self, Failure> {
        let survey = look(table, read, &thresholds)?;
        Self::of(survey, thresholds, walk())
    }

    fn of(
        survey: CensusSurvey<'_>,
        thresholds: Thresholds,
        walk: Option<Arc<OwnerWalk>>,
    ) -> Result<Self, Failure> {
        let without = walk.as_deref().map_or(0, |walk| unowned(walk, &survey));
        let mut coverage = survey.coverage;
        coverage.push(owners_coverage(walk.as_deref(), without as u64));
        let verdict = judge(&NamespaceFacts {
            census: &survey.census,
            owners: walk.as_deref().map(|walk| &walk.owners),
            thresholds,
        });
        let has_device = verdict
            .requests
            .iter()
            .any(|request| request.request.device != 0);
        let devices = if has_device {
            device_names()?
        } else {
            Vec::new()
        };
        Ok(Self {
            verdict,
            sockets: survey.census.sockets(),
            walk,
            coverage,
            devices,
        })
    }

    /// The processes that the verdict's shares point to; `None` where nobody looked.
    pub(crate) fn owners(&self) -> Option<&Owners> {
        self.walk.as_deref().map(|walk| &walk.owners)
    }
}

fn unowned(walk: &OwnerWalk, survey: &CensusSurvey<'_>) -> usize {
    walk.owners.count_unowned(survey.census.inodes().collect())
}

/// The sockets of the calling thread's namespace, counted: the one place where `check` asks for them.
fn look<'a>(
    table: &Table<'_>,
    read: &'a LimitsRead,
    thresholds: &Thresholds,
) -> Result<CensusSurvey<'a>, Failure> {
    if holds_nothing(&read.limits) {
        return Ok(CensusSurvey {
            census: Census::new(&read.limits),
            coverage: vec![Coverage::full(Fact::Sockets, "sockstat"), read.coverage()],
            asked: 0,
        });
    }
    Ok(table.survey(
        |means| survey::census(read, thresholds, means),
        |survey| &survey.coverage,
    )?)
}

/// Whether the namespace of the calling thread surely holds no port, so that the kernel need not
/// walk its one table of connections for it.
///
/// The kernel's counts leave out TCP sockets that are bound and neither listen nor connect; those
/// stand in a table of their own that is quickly looked through. A kernel that does not show them
/// proves nothing.
fn holds_nothing(limits: &Limits) -> bool {
    limits.features.shows_bound_idle == Some(true)
        && read_socket_counts().is_ok_and(|counts| counts.is_zero())
        && SocketReader::retrying(|reader| reader.tcp_bound_idle(limits.range, |_| {}))
            .is_ok_and(|tally| tally == Tally::default())
}
