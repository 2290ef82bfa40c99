//! `dryport check`, with `--pid` and without.

use dryport_host::survey::{self, Means};
use dryport_host::{
    LimitsRead, Namespace, NamespaceSpec, OwnerWalk, Process, device_names, read_limits,
    read_owners_here,
};
use dryport_model::{Coverage, NamespaceFacts, Owners, Thresholds, Verdict, judge};
use dryport_report::{Check, CheckedNamespace, NamespaceName, json, text};
use dryport_wire::procfs::printable;

use crate::args::CheckArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::owners::owners_coverage;

mod process;

/// Answers the command.
pub fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    let process = args.pid.map(Process::read).transpose()?;
    let given = args
        .pid
        .map(NamespaceSpec::Pid)
        .or_else(|| args.netns.clone());
    if let Some(spec) = &given {
        Namespace::enter(spec)?;
    }
    let read = read_limits(true)?;
    let mut seen = Seen::gather(&read, args.thresholds.into(), args.no_owners)?;
    seen.verdict
        .causes
        .extend(process.as_ref().and_then(process::descriptor_cause));
    let namespace = Namespace::current()?;
    let name = NamespaceName {
        inode: namespace.inode,
        name: namespace.name,
    };
    let findings = process
        .as_ref()
        .map(|it| process::findings(it, &name, &seen, &read));
    let level = findings.as_ref().map_or(seen.verdict.level, |findings| {
        process::level(&seen.verdict, findings)
    });
    let check = Check {
        namespaces: vec![CheckedNamespace {
            namespace: name,
            limits: &read.limits,
            sockets: seen.sockets,
            verdict: &seen.verdict,
            owners: seen.owners.as_ref(),
            coverage: &seen.coverage,
            devices: &seen.devices,
        }],
        given: given.map(|spec| printable(spec.to_string().as_bytes())),
        level,
        assumptions: read.assumptions.clone(),
        process: findings,
    };
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_check(&mut out, &check),
        (false, true) => out.write_all(text::check_line(&check, output.screen).as_bytes()),
        (false, false) => out.write_all(text::check(&check, output.screen).as_bytes()),
    })?;
    Ok(level.into())
}

/// What was seen of the namespace.
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    sockets: u64,
    pub(crate) owners: Option<Owners>,
    coverage: Vec<Coverage>,
    devices: Vec<(u32, String)>,
}

impl Seen {
    /// The walk over `/proc` and the dump of sockets are two different parts of the kernel, so
    /// they run side by side.
    pub(crate) fn gather(
        read: &LimitsRead,
        thresholds: Thresholds,
        no_owners: bool,
    ) -> Result<Self, Failure> {
        let (survey, walk) = std::thread::scope(|scope| {
            let walk = (!no_owners).then(|| scope.spawn(read_owners_here));
            let survey = survey::census(read, &thresholds, Means::ALL);
            let walk = walk.map(|walk| walk.join().unwrap_or_else(|_| Ok(OwnerWalk::default())));
            (survey, walk)
        });
        let (survey, mut walk) = (survey?, walk.transpose()?);
        let unowned =
            |walk: &OwnerWalk| walk.owners.count_unowned(survey.census.inodes().collect());
        walk = walk.map(|walk| {
            if walk.can_extend() && unowned(&walk) > 0 {
                walk.extend()
            } else {
                walk
            }
        });
        let mut coverage = survey.coverage;
        let without = walk.as_ref().map_or(0, |walk| unowned(walk) as u64);
        coverage.push(owners_coverage(walk.as_ref(), without));
        let owners = walk.map(|walk| walk.owners);
        let facts = NamespaceFacts {
            census: &survey.census,
            owners: owners.as_ref(),
            thresholds,
        };
        let verdict = judge(&facts);
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
            owners,
            coverage,
            devices,
        })
    }
}
