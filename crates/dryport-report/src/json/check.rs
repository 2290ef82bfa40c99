//! `dryport.check/1`.

use std::borrow::Cow;

use dryport_model as model;
use dryport_model::{Limits, RequestVerdict};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Answer, AnswerFacts};
use super::parts::{Coverage, Namespace, Owner, OwnerGroup, Process, Range};
use crate::place::Place;
use crate::{Check, CheckedNamespace, NamespaceName, ProcessFindings, Reach, request_notes};

/// The verdict on a machine, with causes, owners and remedies.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.check/1")]
pub struct CheckDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.check/1"))]
    schema: &'static str,
    /// The worst level.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// Settings that could not be seen and were taken to be the platform's defaults.
    assumptions: &'a [String],
    /// Every namespace looked at.
    namespaces: Vec<NamespacePart<'a>>,
    /// Why ports are short, the worst first. Level `ok` is a note.
    causes: Vec<Cause<'a>>,
    /// What was seen and what was not, for each namespace. The fact `namespaces` is there where other
    /// network namespaces were found that could not be looked at.
    coverage: Vec<NamespaceCoverage<'a>>,
    /// For `check --pid`: the process; null otherwise.
    process: Option<ProcessPart<'a>>,
}

/// One namespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct NamespacePart<'a> {
    #[serde(flatten)]
    namespace: Namespace<'a>,
    /// `ip_local_port_range`.
    range: Range,
    /// Sockets that hold a port of the range, in any state.
    sockets: u64,
    /// Requests in use that are not listed.
    requests_omitted: usize,
    /// The requests judged, the worst and busiest first.
    requests: Vec<CheckedRequest<'a>>,
    /// The level of this namespace.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// `ip_local_reserved_ports` as the kernel writes it; empty for none.
    reserved_ports: String,
    /// What `--netns` takes to act in it: `web`, `pid:812`; null for the one that dryport ran in, and
    /// where nothing names it.
    netns: Option<&'a str>,
    /// Whose it is, by its first process: `container 3f2a91b0c1de (docker)`; null where that was not
    /// looked up.
    described: Option<&'a str>,
    /// How many processes live in it, as far as they may be looked at; null where nobody counted.
    processes: Option<usize>,
}

/// One request and who holds its ports.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct CheckedRequest<'a> {
    #[serde(flatten)]
    answer: Answer<'a>,
    /// Who holds its ports, the largest share first; null where nobody looked.
    owners: Option<Vec<Owner<'a>>>,
    /// The same by container, else pod, unit or program; null where nobody looked.
    owner_groups: Option<Vec<OwnerGroup<'a>>>,
}

/// Why ports are short.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Cause<'a> {
    /// Stable id, such as `connect.tuple-dry`.
    id: &'static str,
    /// How bad it is.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// The cause in one sentence.
    summary: &'a str,
    /// The numbers it rests on.
    evidence: Vec<Evidence<'a>>,
    /// Who holds the ports, the largest share first; null where nobody looked.
    owners: Option<Vec<Owner<'a>>>,
    /// The same by container, else pod, unit or program; null where nobody looked.
    owner_groups: Option<Vec<OwnerGroup<'a>>>,
    /// What to do, the safest first.
    remedies: Vec<Remedy<'a>>,
    /// What not to do.
    avoid: &'a [String],
    /// Where.
    namespace: Namespace<'a>,
}

/// One number.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Evidence<'a> {
    /// What was counted: `in_use`, `time_wait`, `locked`, …
    name: &'static str,
    /// How many.
    value: u64,
    /// The same in words.
    text: &'a str,
}

/// Something to do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Remedy<'a> {
    /// Stable id.
    id: &'static str,
    /// What to do, in one sentence.
    summary: &'a str,
    /// A command to run next.
    command: Option<Cow<'a, str>>,
    /// Whether the program has to be restarted.
    restart_needed: bool,
}

/// How far a fact was seen in one namespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct NamespaceCoverage<'a> {
    #[serde(flatten)]
    coverage: Coverage<'a>,
    /// Where.
    namespace: Namespace<'a>,
}

/// What was found about one process.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ProcessPart<'a> {
    #[serde(flatten)]
    process: Process<'a>,
    /// Its network namespace.
    namespace: Namespace<'a>,
    /// Open descriptors.
    open_files: Option<u64>,
    /// How many descriptors it may open.
    open_files_limit: Option<OpenFilesLimit>,
    /// The requests it has sockets for, the worst first.
    requests: Vec<ProcessRequest<'a>>,
    /// cgroup programs that may change its `connect()` or `bind()`; null where they could not be
    /// read.
    connect_hooks: Option<&'a [String]>,
    /// Why they could not be read.
    connect_hooks_unseen: Option<&'a str>,
    /// What follows, a sentence each.
    findings: &'a [String],
}

/// `RLIMIT_NOFILE`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct OpenFilesLimit {
    /// What holds now.
    soft: u64,
    /// What the process may raise it to.
    hard: u64,
}

/// One request of the process.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ProcessRequest<'a> {
    #[serde(flatten)]
    answer: Answer<'a>,
    /// How many sockets the process itself has for it.
    sockets: u32,
}

impl<'a> CheckDocument<'a> {
    /// The document of a check.
    #[must_use]
    pub fn new(check: &'a Check<'a>) -> Self {
        let namespaces = || check.namespaces.iter();
        let mut causes: Vec<(model::Level, Cause<'a>)> = namespaces().flat_map(causes).collect();
        causes.sort_by_key(|(level, _)| core::cmp::Reverse(*level));
        Self {
            schema: "dryport.check/1",
            level: check.level.name(),
            assumptions: &check.assumptions,
            namespaces: namespaces().map(NamespacePart::new).collect(),
            causes: causes.into_iter().map(|(_, cause)| cause).collect(),
            coverage: namespaces()
                .flat_map(coverage)
                .chain(machine_coverage(check))
                .collect(),
            process: check.process.as_ref().map(ProcessPart::new),
        }
    }
}

impl<'a> NamespacePart<'a> {
    fn new(checked: &'a CheckedNamespace<'a>) -> Self {
        let request = |verdict: &'a RequestVerdict| CheckedRequest {
            answer: answer(
                verdict,
                &checked.namespace,
                checked.limits,
                checked.coverage,
                checked.device_name(verdict.request.device),
            ),
            owners: Owner::list(checked.owners, &verdict.owners),
            owner_groups: OwnerGroup::list(checked.owners, &verdict.owners),
        };
        Self {
            namespace: Namespace::new(&checked.namespace),
            range: Range::new(checked.limits.range),
            sockets: checked.sockets,
            requests_omitted: checked.verdict.requests_omitted,
            requests: checked.verdict.requests.iter().map(request).collect(),
            level: checked.verdict.level.name(),
            reserved_ports: checked.limits.reserved.to_list(),
            netns: match &checked.reach {
                Reach::Netns(word) => Some(word),
                Reach::Here | Reach::Nameless => None,
            },
            described: checked.described.as_deref(),
            processes: checked.processes,
        }
    }
}

fn answer<'a>(
    verdict: &'a RequestVerdict,
    namespace: &'a NamespaceName,
    limits: &Limits,
    coverage: &'a [model::Coverage],
    device_name: Option<&'a str>,
) -> Answer<'a> {
    Answer::new(AnswerFacts {
        request: &verdict.request,
        namespace,
        device_name,
        range: verdict.request.range(limits),
        ledger: verdict.ledger,
        headroom: verdict.headroom,
        level: verdict.level,
        level_is_uncertain: verdict.level_is_uncertain,
        time_wait_left_ms: verdict.time_wait_left_ms,
        coverage,
        notes: request_notes(&verdict.request, &verdict.ledger, verdict.headroom),
    })
}

fn causes<'a>(
    checked: &'a CheckedNamespace<'a>,
) -> impl Iterator<Item = (model::Level, Cause<'a>)> {
    let cause = move |cause: &'a model::Cause| Cause {
        id: cause.id.name(),
        level: cause.level.name(),
        summary: &cause.summary,
        evidence: cause.evidence.iter().map(Evidence::new).collect(),
        owners: Owner::list(checked.owners, &cause.owners),
        owner_groups: OwnerGroup::list(checked.owners, &cause.owners),
        remedies: cause
            .remedies
            .iter()
            .map(|remedy| Remedy::there(remedy, &Place::of(checked)))
            .collect(),
        avoid: &cause.avoid,
        namespace: Namespace::new(&checked.namespace),
    };
    let causes = checked.verdict.causes.iter();
    causes.map(move |found| (found.level, cause(found)))
}

fn coverage<'a>(
    checked: &'a CheckedNamespace<'a>,
) -> impl Iterator<Item = NamespaceCoverage<'a>> + 'a {
    checked.coverage.iter().map(|fact| NamespaceCoverage {
        coverage: Coverage::new(fact),
        namespace: Namespace::new(&checked.namespace),
    })
}

/// What concerns the whole machine is told of the caller's namespace.
fn machine_coverage<'a>(check: &'a Check<'a>) -> impl Iterator<Item = NamespaceCoverage<'a>> {
    let caller = check.namespaces.first();
    caller.into_iter().flat_map(|caller| {
        check.coverage.iter().map(|fact| NamespaceCoverage {
            coverage: Coverage::new(fact),
            namespace: Namespace::new(&caller.namespace),
        })
    })
}

impl<'a> Evidence<'a> {
    pub(super) fn new(evidence: &'a model::Evidence) -> Self {
        Self {
            name: evidence.name,
            value: evidence.value,
            text: &evidence.text,
        }
    }
}

impl<'a> Remedy<'a> {
    pub(super) fn new(remedy: &'a model::Remedy) -> Self {
        Self {
            id: remedy.id,
            summary: &remedy.summary,
            command: remedy.command.as_deref().map(Cow::Borrowed),
            restart_needed: remedy.restart_needed,
        }
    }

    /// With the command as it acts in that place.
    fn there(remedy: &'a model::Remedy, place: &Place<'_>) -> Self {
        let command = remedy.command.as_deref();
        Self {
            command: command.map(|command| Cow::Owned(place.command(command))),
            ..Self::new(remedy)
        }
    }
}

impl<'a> ProcessPart<'a> {
    fn new(findings: &'a ProcessFindings<'a>) -> Self {
        let namespace = &findings.namespace;
        Self {
            process: Process::new(findings.process),
            namespace: Namespace::new(namespace),
            open_files: findings.open_files,
            open_files_limit: findings.open_files_limit.map(|limit| OpenFilesLimit {
                soft: limit.soft,
                hard: limit.hard,
            }),
            requests: findings
                .requests
                .iter()
                .map(|request| ProcessRequest {
                    answer: answer(
                        request.verdict,
                        namespace,
                        findings.limits,
                        findings.coverage,
                        None,
                    ),
                    sockets: request.sockets,
                })
                .collect(),
            connect_hooks: findings.connect_hooks.as_deref().ok(),
            connect_hooks_unseen: findings.connect_hooks.as_ref().err().map(String::as_str),
            findings: &findings.findings,
        }
    }
}
