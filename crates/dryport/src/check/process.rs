//! `dryport check --pid`: what concerns one process.

use dryport_host::{ConnectHooks, LimitsRead, Process};
use dryport_model::{
    Cause, CauseId, Claim, Evidence, Level, Method, PortHolders, Protocol, Remedy, RequestVerdict,
    Verdict,
};
use dryport_report::{NamespaceName, OpenFilesLimit, ProcessFindings, ProcessRequest};

use super::Seen;

/// With `--pid`, only what concerns the process decides. Descriptors are no ports: that finding
/// raises no level.
pub fn level(verdict: &Verdict, findings: &ProcessFindings<'_>) -> Level {
    let own = findings
        .requests
        .iter()
        .map(|request| request.verdict.level);
    let new = new_destination(verdict).map(|request| request.level);
    own.chain(new).max().unwrap_or(Level::Unknown)
}

/// What every program that connects depends on.
fn new_destination(verdict: &Verdict) -> Option<&RequestVerdict> {
    verdict
        .requests
        .iter()
        .find(|request| request.request.claim() == Claim::Bucket)
}

/// Descriptors left below which a program is about to fail with EMFILE.
const FEW_DESCRIPTORS: u64 = 8;

/// The cause that names this false alarm.
pub fn descriptor_cause(process: &Process) -> Option<Cause> {
    let (open, limit) = (process.descriptors?.open, process.descriptors?.soft?);
    descriptors_are_short(process).then(|| Cause {
        id: CauseId::NotExhaustionDescriptorLimit,
        level: Level::Ok,
        summary: format!(
            "Process {} has {open} of {limit} descriptors open: its calls fail with EMFILE, which is \
             no lack of ports.",
            process.owner.pid
        ),
        evidence: vec![Evidence {
            name: "open_files",
            value: open,
            text: format!("{open} descriptors open"),
        }],
        owners: PortHolders::default(),
        remedies: vec![Remedy {
            id: "raise-descriptor-limit",
            summary: "Raise RLIMIT_NOFILE (LimitNOFILE in its unit), or find what it leaves open."
                .into(),
            command: Some(format!("prlimit --pid {} --nofile", process.owner.pid)),
            restart_needed: false,
        }],
        avoid: Vec::new(),
    })
}

fn descriptors_are_short(process: &Process) -> bool {
    process
        .descriptors
        .and_then(|descriptors| Some(descriptors.soft?.saturating_sub(descriptors.open)))
        .is_some_and(|left| left < FEW_DESCRIPTORS)
}

/// What concerns one process.
pub fn findings<'a>(
    process: &'a Process,
    namespace: &NamespaceName,
    seen: &'a Seen,
    read: &'a LimitsRead,
) -> ProcessFindings<'a> {
    let own = process.sockets.as_deref().unwrap_or_default();
    let requests = seen.verdict.requests.iter().filter_map(|verdict| {
        let holds = |holder: &&(u16, u32)| own.binary_search(&holder.1).is_ok();
        let sockets = verdict.holders.iter().filter(holds).count() as u32;
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
    if descriptors_are_short(process) {
        sentences.push(
            "It has no descriptors left (EMFILE): that is its own limit, not a lack of ports. Raise \
             RLIMIT_NOFILE, or find what it leaves open."
                .into(),
        );
    }
    let dry = |verdict: &RequestVerdict| verdict.headroom.at_most == 0;
    for request in findings
        .requests
        .iter()
        .filter(|request| dry(request.verdict))
    {
        let asked = &request.verdict.request;
        let error = asked.error_when_dry();
        sentences.push(match (asked.protocol, asked.method, asked.source, asked.destination) {
            (Protocol::Udp, ..) => format!("No port is left for one more UDP socket ({error})."),
            (_, Method::Bind, Some(source), _) => {
                format!("It cannot bind({source}, 0): no port is left on that address ({error}).")
            }
            (_, _, Some(source), Some(destination)) => format!(
                "It cannot connect from {source} to {destination}: no port is left for that pair \
                 ({error})."
            ),
            _ => format!("No port is left for a new destination ({error})."),
        });
    }
    if sentences.is_empty() && new_destination(&seen.verdict).is_some_and(dry) {
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
