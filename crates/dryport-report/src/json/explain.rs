//! `dryport.explain/1`.

use dryport_model as model;
use dryport_model::explain::{
    CapturedRequest, DestinationUse, Explanation, MessageTold, RangeInForce, Scope,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Headroom, Ledger, thousandths};
use super::check::{Evidence, Remedy};
use super::parts::{Coverage, family};
use crate::{Explained, ExplainedInput};

/// What a paste tells: the verdict, its causes and what to do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.explain/1")]
pub struct ExplainDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.explain/1"))]
    schema: &'static str,
    /// The worst level.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// What the input does not tell and was taken to be the platform's default.
    assumptions: &'a [String],
    /// Where the input contradicts itself; then the level is unknown.
    contradictions: &'a [String],
    /// What was read.
    inputs: Vec<Input<'a>>,
    /// The platform of the capture; null where nothing tells.
    platform: Option<Platform>,
    /// The ranges that the verdict rests on.
    ranges: Vec<Range>,
    /// Seconds in TIME_WAIT there; null where the platform is not known.
    time_wait_seconds: Option<u32>,
    /// Tables of sockets in the input, those that complete each other as one; the worst is judged.
    tables: u32,
    /// Rows of the table that is judged.
    rows: u64,
    /// The requests judged, the worst and busiest first.
    requests: Vec<Request<'a>>,
    /// Requests in use that are not listed.
    requests_omitted: usize,
    /// Destinations of client sockets, the busiest first.
    destinations: Vec<Destination<'a>>,
    /// Sockets by state, the most first.
    states: Vec<StateCount>,
    /// Ports of the range by process, the most first.
    processes: Vec<Holder<'a>>,
    /// Why ports are short, the worst first. Level `ok` is a note or a false alarm.
    causes: Vec<Cause<'a>>,
    /// The messages in the input.
    messages: Vec<Message<'a>>,
    /// What was seen and what was not.
    coverage: Vec<Coverage<'a>>,
}

/// One file, or what came through standard input.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainInput")]
struct Input<'a> {
    /// Its name.
    name: &'a str,
    /// What it holds: `windows-netstat`, `sysctl`, …; several are parted by `+`, null is nothing known.
    format: Option<String>,
    /// The same as a list.
    formats: &'a [&'static str],
    /// Language of its captures (BCP 47); null where their words do not tell.
    language: Option<&'static str>,
    /// Rows of sockets.
    rows: u64,
    /// Lines.
    lines: u64,
    /// What could not be read.
    notes: Vec<Note<'a>>,
    /// Further notes.
    notes_omitted: u64,
}

/// What could not be read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Note<'a> {
    /// Line, counted from 1.
    line: u64,
    /// What is wrong with it.
    note: &'a str,
}

/// The platform of a capture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainPlatform")]
struct Platform {
    /// Which.
    #[schemars(extend("enum" = ["linux", "windows", "windows-2003", "windows-xp", "macos", "freebsd"]))]
    name: &'static str,
    /// Whether the user gave it, the input tells, or it was assumed.
    #[schemars(extend("enum" = ["given", "found", "assumed"]))]
    source: &'static str,
}

/// The range in force for a protocol and family.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainRange")]
struct Range {
    /// Transport.
    #[schemars(extend("enum" = ["tcp", "udp"]))]
    protocol: &'static str,
    /// Family; null: the same for both.
    family: Option<&'static str>,
    /// The lowest port.
    low: u16,
    /// The highest port.
    high: u16,
    /// Number of ports.
    size: u32,
    /// Ports of it that are excluded or reserved.
    excluded: u32,
    /// Whether the user gave it, the input tells, or it was assumed.
    #[schemars(extend("enum" = ["given", "found", "assumed"]))]
    source: &'static str,
}

/// One request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainRequest")]
struct Request<'a> {
    /// Transport.
    #[schemars(extend("enum" = ["tcp", "udp"]))]
    protocol: &'static str,
    /// Family; null: both.
    family: Option<&'static str>,
    /// Local address as shown (a NAT's outside address); null: any.
    source: Option<&'a str>,
    /// Remote end as shown; null: any.
    destination: Option<&'a str>,
    /// The ports are a NAT's.
    nat: bool,
    /// How many more will be granted.
    headroom: Headroom,
    /// Every port of the range in one class.
    ledger: Ledger,
    /// Taken ports in percent of those that may be used.
    used_percent: f64,
    /// The level.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// Why the level may be better; null where it is certain.
    unsure: Option<&'a str>,
}

/// Ports that go to one destination.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Destination<'a> {
    /// Remote end as shown.
    destination: &'a str,
    /// Distinct local ports.
    ports: u32,
    /// Of these, in TIME_WAIT only.
    time_wait: u32,
}

/// Sockets in one state.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainStateCount")]
struct StateCount {
    /// The state; null where it is not known.
    state: Option<&'static str>,
    /// How many.
    sockets: u64,
}

/// A process of a capture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainHolder")]
struct Holder<'a> {
    /// Process id; null where the capture has none.
    pid: Option<u32>,
    /// Name; null where the capture has none.
    name: Option<&'a str>,
    /// Number of ports.
    ports: u32,
}

/// Why ports are short.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainCause")]
struct Cause<'a> {
    /// Stable id, such as `connect.tuple-dry`.
    id: &'static str,
    /// How bad it is.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// The cause in words.
    summary: &'a str,
    /// The numbers it rests on.
    evidence: Vec<Evidence<'a>>,
    /// Who holds the ports, the largest share first.
    owners: Vec<Holder<'a>>,
    /// What to do, the safest first.
    remedies: Vec<Remedy<'a>>,
    /// What not to do.
    avoid: &'a [String],
}

/// A message, and how often it came.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Message<'a> {
    /// The cause it points to.
    cause: &'static str,
    /// Where to, as written.
    destination: Option<&'a str>,
    /// Whose wording it is.
    program: Option<&'static str>,
    /// Lines.
    count: u64,
    /// Which input, counted from 0.
    input: usize,
    /// The first line.
    line: u64,
}

impl<'a> ExplainDocument<'a> {
    /// The document of an explanation.
    #[must_use]
    pub fn new(explained: &'a Explained<'a>) -> Self {
        let e = explained.explanation;
        Self {
            schema: "dryport.explain/1",
            level: e.level.name(),
            assumptions: &e.assumptions,
            contradictions: &e.contradictions,
            inputs: explained.inputs.iter().map(Input::new).collect(),
            platform: e.platform.map(|(platform, source)| Platform {
                name: platform.name(),
                source: source.name(),
            }),
            ranges: e.ranges.iter().map(Range::new).collect(),
            time_wait_seconds: e.time_wait_seconds.map(|(seconds, _)| seconds),
            tables: e.tables,
            rows: e.rows,
            requests: e.requests.iter().map(Request::new).collect(),
            requests_omitted: e.requests_omitted,
            destinations: e.destinations.iter().map(Destination::new).collect(),
            states: e
                .states
                .iter()
                .map(|(state, sockets)| StateCount {
                    state: state.map(model::State::name),
                    sockets: *sockets,
                })
                .collect(),
            processes: holders(e, &e.holders),
            causes: e.causes.iter().map(|cause| Cause::new(e, cause)).collect(),
            messages: e.messages.iter().map(Message::new).collect(),
            coverage: Coverage::list(&e.coverage),
        }
    }
}

fn holders<'a>(e: &'a Explanation, shares: &[(u32, u32)]) -> Vec<Holder<'a>> {
    let holder = |(index, ports): &(u32, u32)| {
        let process = e.processes.get(*index as usize)?;
        Some(Holder {
            pid: process.pid,
            name: process.name.as_deref(),
            ports: *ports,
        })
    };
    shares.iter().filter_map(holder).collect()
}

impl<'a> Input<'a> {
    fn new(input: &'a ExplainedInput) -> Self {
        Self {
            name: &input.name,
            format: (!input.formats.is_empty()).then(|| input.formats.join("+")),
            formats: &input.formats,
            language: input.language,
            rows: input.rows,
            lines: input.lines,
            notes: input
                .notes
                .iter()
                .map(|(line, note)| Note { line: *line, note })
                .collect(),
            notes_omitted: input.notes_omitted,
        }
    }
}

impl Range {
    fn new(range: &RangeInForce) -> Self {
        Self {
            protocol: range.protocol.name(),
            family: range.family.map(family),
            low: range.range.low(),
            high: range.range.high(),
            size: range.range.size(),
            excluded: range.excluded,
            source: range.source.name(),
        }
    }
}

impl<'a> Request<'a> {
    fn new(request: &'a CapturedRequest) -> Self {
        let (source, destination, nat) = match &request.scope {
            Scope::Any => (None, None, false),
            Scope::Source(source) => (Some(source.as_str()), None, false),
            Scope::Pair {
                source,
                destination,
            } => (Some(source.as_str()), Some(destination.as_str()), false),
            Scope::Nat {
                outside,
                destination,
            } => (Some(outside.as_str()), Some(destination.as_str()), true),
        };
        Self {
            protocol: request.protocol.name(),
            family: request.family.map(family),
            source,
            destination,
            nat,
            headroom: Headroom::new(request.headroom),
            ledger: Ledger::new(&request.ledger),
            used_percent: thousandths(request.ledger.used_percent()),
            level: request.level.name(),
            unsure: request.unsure.as_deref(),
        }
    }
}

impl<'a> Destination<'a> {
    fn new(used: &'a DestinationUse) -> Self {
        Self {
            destination: &used.destination,
            ports: used.ports,
            time_wait: used.time_wait,
        }
    }
}

impl<'a> Cause<'a> {
    fn new(e: &'a Explanation, cause: &'a model::Cause) -> Self {
        let shares: Vec<(u32, u32)> = cause
            .owners
            .processes
            .iter()
            .map(|s| (s.process, s.ports))
            .collect();
        Self {
            id: cause.id.name(),
            level: cause.level.name(),
            summary: &cause.summary,
            evidence: cause.evidence.iter().map(Evidence::new).collect(),
            owners: holders(e, &shares),
            remedies: cause.remedies.iter().map(Remedy::new).collect(),
            avoid: &cause.avoid,
        }
    }
}

impl<'a> Message<'a> {
    fn new(message: &'a MessageTold) -> Self {
        Self {
            cause: message.cause.name(),
            destination: message.destination.as_deref(),
            program: message.program,
            count: message.count,
            input: message.input,
            line: message.line,
        }
    }
}
