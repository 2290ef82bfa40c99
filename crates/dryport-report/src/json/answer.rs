//! One request's answer: the body of `dryport.headroom/1` and of each request of `dryport.check/1`.

use dryport_model as model;
use dryport_model::{PortRange, Request};
use schemars::JsonSchema;
use serde::Serialize;

use super::parts::{Coverage, Range, RequestPart, seconds};
use crate::NamespaceName;

/// How many more times the request is granted. The two ends are equal where everything was seen.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Headroom {
    /// At the least.
    at_least: u32,
    /// At the most.
    at_most: u32,
}

/// Every port of the range in exactly one class.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Ledger {
    /// Nobody stands in the way.
    free: u32,
    /// In TIME_WAIT on this 4-tuple; the kernel would take it over now.
    time_wait_reusable: u32,
    /// In TIME_WAIT; the kernel would not take it over.
    time_wait: u32,
    /// A live socket holds this 4-tuple, or for `bind` and UDP an overlapping address.
    in_use: u32,
    /// Held by a bound socket: lost for every destination.
    locked: u32,
    /// Set aside by `ip_local_reserved_ports`, or never reached.
    reserved: u32,
    /// Could not be seen.
    uncertain: u32,
}

impl Headroom {
    pub(super) const fn new(headroom: model::Headroom) -> Self {
        Self {
            at_least: headroom.at_least,
            at_most: headroom.at_most,
        }
    }
}

impl Ledger {
    pub(super) const fn new(ledger: &model::Ledger) -> Self {
        Self {
            free: ledger.free,
            time_wait_reusable: ledger.time_wait_reusable,
            time_wait: ledger.time_wait,
            in_use: ledger.in_use,
            locked: ledger.locked,
            reserved: ledger.reserved,
            uncertain: ledger.uncertain,
        }
    }
}

/// Seconds until ports in TIME_WAIT come back.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TimeWaitLeft {
    /// Until the first.
    first: f64,
    /// Until the last.
    last: f64,
}

/// A request, its number and what the number rests on: the body of `dryport.headroom/1` and of
/// each request of `dryport.check/1`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Answer<'a> {
    /// What was asked.
    request: RequestPart<'a>,
    /// The ports that the request may get.
    range: Range,
    /// How many more times it is granted.
    headroom: Headroom,
    /// Every port of the range in exactly one class.
    ledger: Ledger,
    /// The error that the program gets when no port is left.
    error_when_dry: &'static str,
    /// What was seen and what was not.
    coverage: Vec<Coverage<'a>>,
    /// How bad it is, by the worse of the two ends.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// Only what could not be seen makes the level worse.
    level_is_uncertain: bool,
    /// Ports certainly taken, in percent of the range without reserved ones.
    used_percent: f64,
    /// The same if every uncertain port is taken.
    used_percent_at_most: f64,
    /// Seconds until ports in TIME_WAIT come back; null where none is.
    time_wait_left_seconds: Option<TimeWaitLeft>,
    /// More to know, a sentence each.
    notes: Vec<String>,
}

/// What an [`Answer`] is made from.
pub(super) struct AnswerFacts<'a> {
    pub(super) request: &'a Request,
    pub(super) namespace: &'a NamespaceName,
    pub(super) device_name: Option<&'a str>,
    pub(super) range: PortRange,
    pub(super) ledger: model::Ledger,
    pub(super) headroom: model::Headroom,
    pub(super) level: model::Level,
    pub(super) level_is_uncertain: bool,
    pub(super) time_wait_left_ms: Option<(u32, u32)>,
    pub(super) coverage: &'a [model::Coverage],
    pub(super) notes: Vec<String>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(facts: AnswerFacts<'a>) -> Self {
        let ledger = &facts.ledger;
        Self {
            request: RequestPart::new(facts.request, facts.namespace, facts.device_name),
            range: Range::new(facts.range),
            headroom: Headroom::new(facts.headroom),
            ledger: Ledger::new(ledger),
            error_when_dry: facts.request.error_when_dry(),
            coverage: Coverage::list(facts.coverage),
            level: facts.level.name(),
            level_is_uncertain: facts.level_is_uncertain,
            used_percent: thousandths(ledger.used_percent()),
            used_percent_at_most: thousandths(ledger.used_percent_at_most()),
            time_wait_left_seconds: facts.time_wait_left_ms.map(|(first, last)| TimeWaitLeft {
                first: seconds(first),
                last: seconds(last),
            }),
            notes: facts.notes,
        }
    }
}

/// Rounded to three decimals.
pub(super) fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
