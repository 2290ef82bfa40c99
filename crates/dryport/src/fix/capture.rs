//! `dryport fix FILE…`: the plan for the machine of a capture.

use dryport_model::explain::{Explanation, Given, explain};
use dryport_model::plan::{
    Advice, Client, Measure, ProgramTraits, Refusal, Target, advice, plan_for_capture, recipes,
    recognise,
};
use dryport_model::{Cause, CauseId, Level, Thresholds};
use dryport_report::{Outcome, Planned, json, text};

use super::files;
use crate::args::FixArgs;
use crate::explain::read_all;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Programs looked at for what they are.
const MOST_PROGRAMS: usize = 8;

/// Answers the command for captures.
pub(super) fn run(args: &FixArgs, output: &Output) -> Result<Exit, Failure> {
    let (findings, _) = read_all(&args.inputs)?;
    let given = Given {
        platform: args.platform.map(Into::into),
        range: args.range,
        thresholds: Thresholds::from(args.thresholds),
    };
    let explanation = explain(&findings, &given);
    let target = Target {
        rate_per_second: args.target_rate,
        hold_seconds: args.hold,
    };
    let planned = plan_for_capture(&findings, &explanation, &target);
    let (Some(mut plan), Some((platform, _))) = (planned, explanation.platform) else {
        return Err(Failure::NothingToPlan(why_not(&explanation)));
    };
    plan.refusals.extend(full_nat(&explanation));
    plan.reaches &= plan.refusals.is_empty();
    plan.advice = advice_for(&explanation);
    let told: Vec<String> = plan.assumptions.clone();
    let more = explanation
        .assumptions
        .iter()
        .filter(|text| !told.contains(text));
    plan.assumptions.extend(more.cloned());
    let recipes = recipes(platform, &plan.changes);
    files::write(args.write.as_deref(), &recipes)?;
    let outcome = if plan.changes.is_empty() {
        Outcome::Nothing
    } else {
        Outcome::Shown
    };
    let exit = if plan.reaches {
        Exit::Ok
    } else {
        Exit::Warning
    };
    let planned = Planned {
        platform,
        namespace: None,
        request: None,
        device_name: None,
        level: explanation.level,
        plan: &plan,
        rehearsal: None,
        recipes: &recipes,
        why: false,
        command_suffix: String::new(),
        outcome,
    };
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_plan(&mut out, &planned),
        (false, true) => out.write_all(text::plan_line(&planned, output.screen).as_bytes()),
        (false, false) => out.write_all(text::plan(&planned, output.screen).as_bytes()),
    })?;
    Ok(exit)
}

/// A full table of connection tracking is no lack of ports, and no setting here ends it.
fn full_nat(explanation: &Explanation) -> Option<Refusal> {
    let is_full = |cause: &&Cause| cause.id == CauseId::NatTableFull && cause.level > Level::Ok;
    let cause = explanation.causes.iter().find(is_full)?;
    Some(Refusal {
        what: "room in the table of connection tracking".into(),
        reason: format!("{} It is no setting of local ports.", cause.summary),
        page: CauseId::NatTableFull,
    })
}

fn why_not(explanation: &Explanation) -> String {
    match explanation.contradictions.first() {
        Some(contradiction) => format!("the input contradicts itself: {contradiction}"),
        None if explanation.platform.is_none() => {
            "the input does not tell which system it comes from".into()
        }
        None => "the input holds no table of sockets to plan from".into(),
    }
}

/// The programs of a capture are known by name alone, and its destinations by their ports.
fn advice_for(explanation: &Explanation) -> Vec<Advice> {
    if explanation.level < Level::Warning {
        return Vec::new();
    }
    let mut clients: Vec<Client> = Vec::new();
    let destination = explanation
        .destinations
        .first()
        .and_then(|busiest| busiest.destination.parse().ok());
    for (process, _) in explanation.holders.iter().take(MOST_PROGRAMS) {
        let Some(process) = explanation.processes.get(*process as usize) else {
            continue;
        };
        let traits = ProgramTraits {
            name: process.name.as_deref().unwrap_or_default(),
            executable: None,
            runtime: None,
        };
        for client in recognise(&traits, destination) {
            if !clients.contains(&client) {
                clients.push(client);
            }
        }
    }
    let mut measures = vec![Measure::ReuseConnections];
    if explanation
        .requests
        .iter()
        .any(|request| request.ledger.time_wait > 0)
    {
        measures.push(Measure::CloseOnTheOtherSide);
    }
    measures.push(Measure::Spread);
    advice(&measures, &clients)
}
