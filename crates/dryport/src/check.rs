//! `dryport check`, with `--pid` and without.

use dryport_host::survey::{self, Means};
use dryport_host::{
    ConnectHooks, LimitsRead, Namespace, NamespaceSpec, OwnerWalk, Process, device_names,
    read_limits, read_owners_here,
};
use dryport_model::{
    Coverage, Fact, Level, NamespaceFacts, Owners, RequestVerdict, Thresholds, Verdict, judge,
};
use dryport_report::{
    Check, CheckedNamespace, NamespaceName, OpenFilesLimit, ProcessFindings, ProcessRequest, json,
    text,
};

use crate::args::CheckArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Answers the command.
pub fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    let process = args.pid.map(Process::read).transpose()?;
    if let Some(spec) = args.pid.map(NamespaceSpec::Pid).as_ref().or(args.netns.as_ref()) {
        Namespace::enter(spec)?;
    }
    let read = read_limits(false)?;
    let seen = Seen::gather(&read, args)?;
    let namespace = Namespace::current()?;
    let name = NamespaceName { inode: namespace.inode, name: namespace.name };
    let findings = process.as_ref().map(|process| findings(process, &name, &seen, &read));
    let level = level(&seen.verdict, findings.as_ref());
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
struct Seen {
    verdict: Verdict,
    sockets: u64,
    owners: Option<Owners>,
    coverage: Vec<Coverage>,
    devices: Vec<(u32, String)>,
}

impl Seen {
    /// The walk over `/proc` and the dump of sockets are two different parts of the kernel, so
    /// they run side by side.
    fn gather(read: &LimitsRead, args: &CheckArgs) -> Result<Self, Failure> {
        let thresholds = Thresholds::from(args.thresholds);
        let (survey, walk) = std::thread::scope(|scope| {
            let walk = (!args.no_owners).then(|| scope.spawn(read_owners_here));
            let survey = survey::census(read, &thresholds, Means::ALL);
            let walk = walk.map(|walk| walk.join().unwrap_or_else(|_| Ok(OwnerWalk::default())));
            (survey, walk)
        });
        let (survey, mut walk) = (survey?, walk.transpose()?);
        let unowned = |walk: &OwnerWalk| {
            walk.owners.count_unowned(survey.census.inodes().collect())
        };
        walk = walk.map(|walk| {
            if walk.can_extend() && unowned(&walk) > 0 { walk.extend() } else { walk }
        });
        let mut coverage = survey.coverage;
        coverage.push(owners_coverage(walk.as_ref(), unowned));
        let owners = walk.map(|walk| walk.owners);
        let facts =
            NamespaceFacts { census: &survey.census, owners: owners.as_ref(), thresholds };
        let verdict = judge(&facts);
        let has_device = verdict.requests.iter().any(|request| request.request.device != 0);
        let devices = if has_device { device_names()? } else { Vec::new() };
        Ok(Self { verdict, sockets: survey.census.sockets(), owners, coverage, devices })
    }
}

fn owners_coverage(walk: Option<&OwnerWalk>, unowned: impl Fn(&OwnerWalk) -> usize) -> Coverage {
    let Some(walk) = walk else {
        return Coverage::none(Fact::Owners, "proc", "not asked for (--no-owners)".into());
    };
    match unowned(walk) {
        0 => Coverage::full(Fact::Owners, "proc"),
        unowned => Coverage::partial(
            Fact::Owners,
            "proc",
            format!(
                "{unowned} sockets belong to nobody that may be read here ({} processes forbid it); \
                 root sees them",
                walk.forbidden
            ),
        ),
    }
}

/// With `--pid`, only what concerns the process decides.
fn level(verdict: &Verdict, findings: Option<&ProcessFindings<'_>>) -> Level {
    let Some(findings) = findings else { return verdict.level };
    let own = findings.requests.iter().map(|request| request.verdict.level);
    let new = verdict.requests.iter().filter(|r| r.request.destination.is_none()).map(|r| r.level);
    let files = if descriptors_are_short(findings) { Level::Critical } else { Level::Ok };
    own.chain(new).chain([files]).max().unwrap_or(Level::Unknown)
}

/// Descriptors left below which a program is about to fail with EMFILE.
const FEW_DESCRIPTORS: u64 = 8;

fn descriptors_are_short(findings: &ProcessFindings<'_>) -> bool {
    match (findings.open_files, findings.open_files_limit) {
        (Some(open), Some(limit)) => limit.soft.saturating_sub(open) < FEW_DESCRIPTORS,
        _ => false,
    }
}

fn findings<'a>(
    process: &'a Process,
    namespace: &NamespaceName,
    seen: &'a Seen,
    read: &'a LimitsRead,
) -> ProcessFindings<'a> {
    let own = process.sockets.as_deref().unwrap_or_default();
    let requests = seen.verdict.requests.iter().filter_map(|verdict| {
        let holds = |inode: &&u32| own.binary_search(inode).is_ok();
        let sockets = verdict.inodes.iter().filter(holds).count() as u32;
        (sockets > 0).then_some(ProcessRequest { sockets, verdict })
    });
    let unlimited = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let mut findings = ProcessFindings {
        process: &process.owner,
        namespace: namespace.clone(),
        limits: &read.limits,
        coverage: &seen.coverage,
        open_files: process.descriptors.map(|descriptors| descriptors.open),
        open_files_limit: process.descriptors.map(|descriptors| OpenFilesLimit {
            soft: unlimited(descriptors.soft),
            hard: unlimited(descriptors.hard),
        }),
        requests: requests.collect(),
        connect_hooks: match &process.connect_hooks {
            ConnectHooks::Found(hooks) => Ok(hooks.clone()),
            ConnectHooks::Unseen(why) => Err(why.clone()),
        },
        findings: Vec::new(),
    };
    findings.findings = sentences(&findings, process, seen);
    findings
}

/// What follows, the most important first.
fn sentences(findings: &ProcessFindings<'_>, process: &Process, seen: &Seen) -> Vec<String> {
    let mut sentences = Vec::new();
    if descriptors_are_short(findings) {
        sentences.push(
            "It has no descriptors left (EMFILE): that is its own limit, not a lack of ports. Raise \
             RLIMIT_NOFILE, or find what it leaves open."
                .into(),
        );
    }
    let dry = |verdict: &RequestVerdict| verdict.headroom.at_most == 0;
    for request in findings.requests.iter().filter(|request| dry(request.verdict)) {
        let asked = &request.verdict.request;
        sentences.push(match (asked.source, asked.destination) {
            (Some(source), Some(destination)) => format!(
                "It cannot connect from {source} to {destination}: no port is left for that pair \
                 ({}).",
                asked.error_when_dry()
            ),
            _ => format!("No port is left for a new destination ({}).", asked.error_when_dry()),
        });
    }
    let any = seen.verdict.requests.iter().find(|r| r.request.destination.is_none() && dry(r));
    if any.is_some() && sentences.is_empty() {
        sentences.push("No port is left for any new destination in its namespace.".into());
    }
    if process.sockets.is_none() {
        sentences.push("Its sockets may not be read: run it as root, or as the same user.".into());
    }
    if let Ok(hooks) = &findings.connect_hooks
        && !hooks.is_empty()
    {
        sentences.push(format!(
            "A cgroup program runs at each of its connects ({}): it may rewrite the destination or \
             the source, or forbid the call.",
            hooks.join(", ")
        ));
    }
    if sentences.is_empty() {
        sentences.push("Ports are not what it lacks: every request it uses has some left.".into());
    }
    sentences
}
