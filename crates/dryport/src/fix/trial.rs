//! A plan, or settings of a person's choice, tried on the kernel in a scratch namespace.

use std::path::Path;
use std::time::Duration;

use dryport_host::read_in_one_call;
use dryport_lab::Privilege;
use dryport_lab::rehearsal::{
    How, Measured, Rehearsal, Rehearsed, RehearsedRequest, Stand, Sustained, rehearse,
};
use dryport_model::plan::{Plan, PortViews, unheld};
use dryport_model::{Claim, Class, Headroom, Limits, PortClasses, Protocol, Request, grouped};
use dryport_report::{MeasuredAnswer, RehearsalAnswer};

use super::{Facts, values};
use crate::failure::Failure;

const UNPRIVILEGED_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// What bears on ports besides the settings that a plan changes.
const CARRIED: [&str; 4] = [
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.ip_autobind_reuse",
    "net.ipv4.tcp_max_tw_buckets",
];

/// Key and value of settings, in the order in which they are written.
pub(crate) type Values = Vec<(String, String)>;

/// What is tried.
pub(crate) struct Trial<'a> {
    pub(crate) request: &'a Request,
    pub(crate) before: Values,
    pub(crate) after: Values,
    pub(crate) load: Vec<(u16, Stand)>,
    pub(crate) predicted: Option<(Headroom, Headroom)>,
    pub(crate) changes: Vec<(String, Option<String>, String)>,
    /// Ports that could be held at once, before and after.
    pub(crate) capacities: (u32, u32),
    /// Ports that could not be judged, and for which nothing stands in.
    pub(crate) unjudged: u32,
    pub(crate) window: Duration,
}

/// Tries a plan with a stand-in for what holds ports now.
pub(super) fn of_plan(
    facts: &Facts,
    before: &Limits,
    after: &Limits,
    plan: &Plan,
) -> Result<RehearsalAnswer, Failure> {
    let subject = facts.first();
    let under = |limits| {
        subject
            .views
            .settled_under(&subject.request, limits)
            .headroom()
    };
    let changes = plan.changes.iter().map(|change| {
        (
            change.setting.name().to_string(),
            change.from.clone(),
            change.to.clone(),
        )
    });
    run(&Trial {
        request: &subject.request,
        before: machine(before),
        after: settings(after),
        load: load(&subject.request, &subject.views, [before, after]),
        predicted: Some((under(before), under(after))),
        changes: changes.collect(),
        capacities: (plan.before.capacity, plan.after.capacity),
        unjudged: subject
            .views
            .settled_under(&subject.request, after)
            .ledger()
            .uncertain,
        window: Rehearsal::WINDOW,
    })
}

/// The settings of this machine that bear on ports. `ip_unprivileged_port_start` comes last: a fresh
/// namespace has another range, which it may exclude.
pub(crate) fn machine(limits: &Limits) -> Values {
    let first = [(UNPRIVILEGED_START.to_string(), "0".to_string())];
    let last = value(UNPRIVILEGED_START).map(|start| (UNPRIVILEGED_START.to_string(), start));
    let carried = CARRIED.iter().filter_map(|key| {
        let bytes = read_in_one_call(&path(key)).ok()?;
        let value = String::from_utf8_lossy(&bytes).trim().to_string();
        Some(((*key).to_string(), value))
    });
    first
        .into_iter()
        .chain(carried)
        .chain(settings(limits))
        .chain(last)
        .collect()
}

/// The value of a setting of this namespace; `None` where it has none.
pub(crate) fn value(key: &str) -> Option<String> {
    let bytes = read_in_one_call(&path(key)).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_string())
}

fn path(key: &str) -> std::path::PathBuf {
    Path::new("/proc/sys").join(key.replace('.', "/"))
}

fn settings(limits: &Limits) -> Values {
    let known = values(limits).into_iter();
    known
        .map(|(setting, value)| (setting.name().to_string(), value))
        .collect()
}

/// A stand-in for each port that is held in one of the ranges.
pub(crate) fn load(
    request: &Request,
    views: &PortViews,
    limits: [&Limits; 2],
) -> Vec<(u16, Stand)> {
    let is_address = matches!(request.claim(), Claim::Address { .. });
    let in_a_range = |port: &u16| limits.iter().any(|limits| limits.range.contains(*port));
    let stand = |port: u16| match views.now.class(port)? {
        Class::Locked => Some(Stand::Locked),
        Class::InUse => Some(Stand::InUse),
        Class::TimeWait | Class::TimeWaitReusable if is_address => Some(Stand::TimeWait),
        // No setting makes it reusable: no timestamps, or a stub of FIN_WAIT2.
        Class::TimeWait if views.reuse_settled.class(port) == Some(Class::TimeWait) => {
            Some(Stand::TimeWaitWithoutTimestamps)
        }
        Class::TimeWait | Class::TimeWaitReusable => Some(Stand::TimeWait),
        Class::Free | Class::Reserved | Class::Uncertain => None,
    };
    (1..=u16::MAX)
        .filter(in_a_range)
        .filter_map(|port| Some((port, stand(port)?)))
        .collect()
}

/// What a request finds, with what is held now or with nothing.
pub(crate) fn classes(facts: Option<&Facts>, request: &Request, limits: &Limits) -> PortClasses {
    match facts {
        Some(facts) => facts.first().views.settled_under(request, limits),
        None => unheld(request, limits),
    }
}

/// Asks the kernel.
pub(crate) fn run(trial: &Trial<'_>) -> Result<RehearsalAnswer, Failure> {
    Privilege::enter().map_err(|error| Failure::NoRehearsal(error.to_string()))?;
    let rehearsed = rehearse(&Rehearsal {
        request: RehearsedRequest::from(trial.request),
        before: trial.before.clone(),
        after: trial.after.clone(),
        load: trial.load.clone(),
        window: trial.window,
    })
    .map_err(|error| Failure::NoRehearsal(error.to_string()))?;
    Ok(RehearsalAnswer {
        subject: subject(trial.request),
        before: measured(&rehearsed.before, trial.capacities.0),
        after: measured(&rehearsed.after, trial.capacities.1),
        predicted: trial.predicted,
        changes: trial.changes.clone(),
        notes: notes(&rehearsed, trial.unjudged),
    })
}

fn subject(request: &Request) -> String {
    match request.claim() {
        Claim::Tuple { .. } => "connect() to one destination",
        Claim::Bucket => "connect() to any new destination",
        Claim::Address { .. } if request.protocol == Protocol::Udp => "UDP sockets",
        Claim::Address { .. } => "bind(address, 0)",
    }
    .into()
}

/// A rate on a few ports is told for all that there are.
fn measured(side: &Measured, capacity: u32) -> MeasuredAnswer {
    let (sustained_per_second, sustained_note) = match side.sustained {
        Sustained::Limited { per_second, ports } if ports >= capacity => (Some(per_second), None),
        Sustained::Limited { per_second, ports } => (
            Some(per_second / f64::from(ports.max(1)) * f64::from(capacity)),
            Some(format!(
                "The rate was measured on {} ports and is told for {}.",
                grouped(ports),
                grouped(capacity)
            )),
        ),
        Sustained::NothingCameBack { ports: 0, .. } => (None, None),
        Sustained::NothingCameBack { window, .. } => (
            None,
            Some(format!(
                "No port came back within {:.1} s: a TIME_WAIT lasts 60 s (`rehearse --for 130s` \
                 measures it).",
                window.as_secs_f64()
            )),
        ),
        Sustained::NotLimited { .. } => (
            None,
            Some("The rate is not limited by ports: each is free again at once.".into()),
        ),
    };
    MeasuredAnswer {
        granted: side.granted,
        refused_with: side.refused_with,
        sustained_per_second,
        sustained_note,
    }
}

fn notes(rehearsed: &Rehearsed, unjudged: u32) -> Vec<String> {
    let by_port = |side: &Measured| matches!(side.how, How::PortByPort { .. });
    let mut notes = Vec::new();
    if unjudged > 0 {
        notes.push(format!(
            "{} {} that could not be judged {} rehearsed as free.",
            grouped(unjudged),
            if unjudged == 1 { "port" } else { "ports" },
            if unjudged == 1 { "was" } else { "were" },
        ));
    }
    if by_port(&rehearsed.before) || by_port(&rehearsed.after) {
        notes.push(
            "Rehearsed port by port, each asked for by itself, since the kernel's own walk takes \
             minutes in a range this large."
                .into(),
        );
    }
    if rehearsed.stand_in.left_out > 0 {
        notes.push(format!(
            "{} of the ports that are held now were left out of the rehearsal.",
            grouped(rehearsed.stand_in.left_out)
        ));
    }
    notes
}
