//! `dryport fix`: facts, plan, rehearsal, question, change, report.

use std::io::{self, BufRead, IsTerminal};

use dryport_fix::{Entry, FixError, Journal, Place, Progress, Wanted, apply, confirm, take_back};
use dryport_host::survey;
use dryport_host::{LimitsRead, Namespace, read_limits};
use dryport_model::plan::{Plan, Setting, Target, recipes};
use dryport_model::{Headroom, Level, Limits, Platform};
use dryport_report::{NamespaceName, Outcome, Planned, RehearsalAnswer, json, text};
use dryport_tune::signals::Uninterrupted;
use dryport_tune::{Error as TuneError, sysctl};

use crate::args::FixArgs;
use crate::failure::{Exit, Failure, tell};
use crate::output::Output;
use crate::reader::{Extent, Reader};
use crate::{state, undo};

mod capture;
mod facts;
mod files;
mod guard;
mod last;
pub(crate) mod trial;
mod wanted;

pub(crate) use facts::{Facts, asked_for};

/// Answers the command.
pub fn run(args: &FixArgs, output: &Output) -> Result<Exit, Failure> {
    if !args.inputs.is_empty() {
        return capture::run(args, output);
    }
    if let Some(spec) = &args.netns {
        Namespace::enter(spec)?;
    }
    let place = state::place()?;
    if let Some(id) = &args.guard {
        return guard::stand(args, &place, id);
    }
    if args.confirm {
        return confirmed(args, output, &place);
    }
    // What an interrupted run left would be planned upon.
    let has_journal = !args.dry_run && opened(args, &place)?.is_some();
    Run {
        args,
        output,
        place,
    }
    .fix(has_journal)
}

/// Asks on the terminal; `false` where the answer is no, or nobody can be asked.
pub(crate) fn ask(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        tell("nobody can be asked here: --yes goes ahead without asking");
        return Ok(false);
    }
    tell(&format!("{question} [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let is_yes = matches!(answer.trim(), "y" | "Y" | "yes" | "Yes");
    if !is_yes {
        tell("nothing was changed");
    }
    Ok(is_yes)
}

/// The journal, put right; `None` for those who may not write it, and who are shown the plan. It is
/// locked as long as it is held, so not while a rehearsal runs or a person thinks: a guard waits
/// for it.
fn opened(args: &FixArgs, place: &Place) -> Result<Option<Journal>, Failure> {
    match state::open(&args.state) {
        Ok(journal) => {
            let repaired = state::repaired(&journal, place)?;
            let waiting = repaired.entries.iter().find(|entry| {
                entry.stage == dryport_fix::Stage::Unconfirmed && entry.place.is(place)
            });
            match waiting {
                Some(entry) => Err(FixError::WaitsForConfirmation {
                    id: entry.id.clone(),
                }
                .into()),
                None => Ok(Some(journal)),
            }
        }
        Err(FixError::Journal { source }) if may_not(&source) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const fn may_not(error: &TuneError) -> bool {
    matches!(
        error,
        TuneError::NotPermitted { .. } | TuneError::ReadOnly { .. }
    )
}

fn confirmed(args: &FixArgs, output: &Output, place: &Place) -> Result<Exit, Failure> {
    let journal = state::open(&args.state)?;
    state::repaired(&journal, place)?;
    let _change = Uninterrupted::begin();
    let entry = confirm(&journal, place, &mut |progress: &Progress| {
        if !output.quiet {
            tell(&format!("  {progress}"));
        }
    })?;
    let file = entry.file.as_ref().map_or_else(
        || "until a restart".to_string(),
        |file| format!("also after a restart, by {}", file.path),
    );
    let undo = format!("dryport undo{}", suffix(args));
    undo::show(
        output,
        format!("Kept, {file}. `{undo}` takes it back."),
        &entry,
        place,
    )
}

/// One run for the namespace of the calling thread.
struct Run<'a> {
    args: &'a FixArgs,
    output: &'a Output,
    place: Place,
}

/// A plan with all that is shown of it.
struct Ready<'a> {
    facts: &'a Facts,
    plan: Plan,
    rehearsal: Option<RehearsalAnswer>,
}

impl Run<'_> {
    fn fix(&self, has_journal: bool) -> Result<Exit, Failure> {
        let read = read_limits(true)?;
        let facts = Facts::gather(self.args, &read)?;
        let target = Target {
            rate_per_second: self.args.target_rate,
            hold_seconds: self.args.hold,
        };
        let mut plan = if self.args.set.is_empty() {
            facts.plan(&read, &target)
        } else {
            facts.plan_with(
                &read,
                &target,
                wanted::limits(&self.args.set, &read, &facts)?,
            )
        };
        plan.advice = facts.advice();
        let last = last::Last::look(self.args, &self.place, &plan)?;
        last.tell(&mut plan);
        // Before the rehearsal: an ordinary user is in a namespace of their own after it.
        let cannot = self.cannot(&plan, has_journal);
        let rehearsal = match self.rehearsed(&facts, &plan, &read) {
            // Where nothing can be applied anyway (a container's read-only /proc/sys), the plan is
            // still worth showing.
            Err(Failure::NoRehearsal(_)) if cannot.is_some() || self.args.dry_run => None,
            rehearsed => rehearsed?,
        };
        let ready = Ready {
            facts: &facts,
            plan,
            rehearsal,
        };
        self.decide(&ready, &last, cannot)
    }

    fn rehearsed(
        &self,
        facts: &Facts,
        plan: &Plan,
        read: &LimitsRead,
    ) -> Result<Option<RehearsalAnswer>, Failure> {
        let Some(after) = plan.limits_after.as_ref() else {
            return Ok(None);
        };
        if self.args.no_rehearsal || plan.changes.is_empty() {
            return Ok(None);
        }
        let answer = trial::of_plan(facts, &read.limits, after, plan)?;
        let wrong = answer.predicted.and_then(|(before, after)| {
            let fits = |headroom: Headroom, measured| {
                headroom.at_least <= measured && measured <= headroom.at_most
            };
            let wrong = !fits(before, answer.before.granted) || !fits(after, answer.after.granted);
            wrong.then_some(Failure::Rehearsal {
                measured: (answer.before.granted, answer.after.granted),
                predicted: (before, after),
            })
        });
        match wrong {
            Some(failure) if !self.args.dry_run => Err(failure),
            _ => Ok(Some(answer)),
        }
    }

    fn decide(
        &self,
        ready: &Ready<'_>,
        last: &last::Last,
        cannot: Option<Outcome>,
    ) -> Result<Exit, Failure> {
        let plan = &ready.plan;
        if plan.changes.is_empty() {
            let outcome = Outcome::Nothing;
            self.show(ready, outcome)?;
            return Ok(if plan.reaches {
                Exit::Ok
            } else {
                Exit::Warning
            });
        }
        if !plan.reaches && !self.args.best_effort {
            let helps = plan.after.headroom.at_least > plan.before.headroom.at_least
                || plan.after.capacity > plan.before.capacity;
            let outcome = Outcome::NotApplied {
                why: "Nothing was changed: that is not enough.".into(),
                command: (helps || !self.args.set.is_empty())
                    .then(|| self.command("--best-effort")),
            };
            self.show(ready, outcome)?;
            return Ok(Exit::Warning);
        }
        files::write(self.args.write.as_deref(), &self.recipes(plan))?;
        if self.args.dry_run {
            self.show(ready, Outcome::Shown)?;
            return Ok(Exit::Ok);
        }
        if let Some(outcome) = cannot {
            self.show(ready, outcome)?;
            return Ok(Exit::Unknown);
        }
        if !self.args.yes {
            if self.output.json || !io::stdin().is_terminal() {
                let outcome = Outcome::NotApplied {
                    why: "Nothing was changed: nobody can be asked here, and --yes was not given."
                        .into(),
                    command: Some(self.command("--yes")),
                };
                self.show(ready, outcome)?;
                return Ok(Exit::Unknown);
            }
            self.show_plan(ready)?;
            if !ask(&question(plan))? {
                return Ok(Exit::Unknown);
            }
        } else if !self.output.json && !self.output.quiet {
            // Whoever said yes wants it done, also where nobody reads on (`| head`).
            let _ = self.show_plan(ready);
        }
        self.carry_out(ready, last)
    }

    fn carry_out(&self, ready: &Ready<'_>, last: &last::Last) -> Result<Exit, Failure> {
        if !state::place()?.is(&self.place) {
            return Err(Failure::NoRehearsal(
                "the rehearsal needs a namespace of its own, from which nothing can be applied"
                    .into(),
            ));
        }
        let Some(journal) = opened(self.args, &self.place)? else {
            return Ok(Exit::Unknown);
        };
        let plan = &ready.plan;
        let settings = plan.changes.iter().map(|change| {
            (
                change.setting,
                change.from.clone().unwrap_or_default(),
                change.to.clone(),
            )
        });
        let wanted = Wanted {
            settings: settings.collect(),
            file: last.file(plan)?,
            confirm_within: self.args.confirm_within,
        };
        let _change = Uninterrupted::begin();
        let mut headroom = None;
        let quiet = self.output.json || self.output.quiet;
        let entry = apply(
            &journal,
            &self.place,
            &wanted,
            || {
                headroom = Some(verified(ready, plan.limits_after.as_ref())?);
                Ok(())
            },
            &mut |progress: &Progress| {
                if !quiet {
                    tell(&format!("  {progress}"));
                }
            },
        )?;
        if self.args.confirm_within.is_some()
            && let Err(failure) = guard::start(self.args, &entry)
        {
            return Err(self.without_guard(&journal, entry, &failure));
        }
        let outcome = Outcome::Applied {
            id: entry.id.clone(),
            headroom,
            file: entry.file.as_ref().map(|file| file.path.clone()),
            does_not_last: last.why_not(),
            confirm_within_seconds: self
                .args
                .confirm_within
                .map(|time| time.as_millis().div_ceil(1000) as u64),
        };
        self.show_outcome(ready, outcome)?;
        Ok(Exit::Ok)
    }

    /// Nobody would take the change back in time, so it is done now.
    fn without_guard(&self, journal: &Journal, mut entry: Entry, failure: &Failure) -> Failure {
        let because = Box::new(FixError::NotVerified(format!(
            "no guard could be started: {failure}"
        )));
        match take_back(journal, &mut entry, &mut |_| {}) {
            Ok(()) => FixError::TakenBack { because }.into(),
            Err(back) => FixError::NotTakenBack {
                because,
                back: Box::new(back),
            }
            .into(),
        }
    }

    /// Why the change cannot be made here, found without writing anything.
    fn cannot(&self, plan: &Plan, has_journal: bool) -> Option<Outcome> {
        let failures = plan
            .changes
            .iter()
            .map(|change| sysctl::can_write(change.setting));
        let why = match failures.filter_map(Result::err).next() {
            Some(TuneError::ReadOnly { .. }) => {
                "Nothing was changed: /proc/sys is read-only here, as in most containers. Set it where \
                 the container is started (--write DIR writes how), or from the host:"
            }
            Some(TuneError::NotPermitted { .. }) => {
                "Nothing was changed: that takes root. Run this:"
            }
            Some(error) => {
                return Some(Outcome::NotApplied {
                    why: format!("Nothing was changed: {error}"),
                    command: None,
                });
            }
            None if has_journal => return None,
            None => {
                "Nothing was changed: the journal may not be written, and without it nothing could be \
                 taken back. Run it as root, or name a directory with --state-dir:"
            }
        };
        let command = if why.contains("container") {
            "sudo dryport fix --netns pid:PID   (PID: the container's first process, as the host sees it)"
                .to_string()
        } else {
            format!("sudo {}", self.command(""))
        };
        Some(Outcome::NotApplied {
            why: why.into(),
            command: Some(command),
        })
    }

    /// This command again, with one more option.
    fn command(&self, more: &str) -> String {
        let words = std::env::args_os().skip(1);
        let mut all = vec!["dryport".to_string()];
        all.extend(words.map(|word| quoted(&word.to_string_lossy())));
        if !more.is_empty() {
            all.push(more.into());
        }
        all.join(" ")
    }

    fn recipes(&self, plan: &Plan) -> Vec<dryport_model::plan::Recipe> {
        recipes(Platform::Linux, &plan.changes)
    }

    fn planned<'a>(
        &self,
        ready: &'a Ready<'_>,
        recipes: &'a [dryport_model::plan::Recipe],
        outcome: Outcome,
    ) -> Planned<'a> {
        Planned {
            platform: Platform::Linux,
            namespace: Some(NamespaceName {
                inode: self.place.inode,
                name: self.place.name.clone(),
            }),
            request: Some(&ready.facts.first().request),
            device_name: ready.facts.device_name(),
            level: ready.facts.level(),
            plan: &ready.plan,
            rehearsal: ready.rehearsal.as_ref(),
            recipes,
            why: self.args.why,
            command_suffix: suffix(self.args),
            outcome,
        }
    }

    /// Everything at once, where nothing is done in between.
    fn show(&self, ready: &Ready<'_>, outcome: Outcome) -> Result<(), Failure> {
        if !self.output.json {
            self.show_plan_as(ready, outcome.clone())?;
        }
        self.show_outcome(ready, outcome)
    }

    fn show_plan(&self, ready: &Ready<'_>) -> Result<(), Failure> {
        self.show_plan_as(ready, Outcome::Shown)
    }

    fn show_plan_as(&self, ready: &Ready<'_>, outcome: Outcome) -> Result<(), Failure> {
        let recipes = self.recipes(&ready.plan);
        let planned = self.planned(ready, &recipes, outcome);
        let screen = self.output.screen;
        self.output.write(|out| {
            let text = if self.output.quiet {
                text::plan_line(&planned, screen)
            } else {
                text::plan(&planned, screen)
            };
            out.write_all(text.as_bytes())
        })?;
        Ok(())
    }

    fn show_outcome(&self, ready: &Ready<'_>, outcome: Outcome) -> Result<(), Failure> {
        let recipes = self.recipes(&ready.plan);
        let planned = self.planned(ready, &recipes, outcome);
        self.output.write(|mut out| {
            if self.output.json {
                return json::write_plan(&mut out, &planned);
            }
            let text = text::outcome(&planned, self.output.screen);
            let first = text.split_inclusive('\n').next().unwrap_or_default();
            let applied = matches!(planned.outcome, Outcome::Applied { .. });
            match (self.output.quiet, applied) {
                (false, _) => out.write_all(text.as_bytes()),
                (true, true) => out.write_all(first.as_bytes()),
                (true, false) => Ok(()),
            }
        })?;
        Ok(())
    }
}

fn question(plan: &Plan) -> String {
    let settings = plan.changes.len();
    let s = if settings == 1 { "" } else { "s" };
    format!("Apply {settings} change{s}?")
}

/// What a command for the same namespace and journal ends with.
fn suffix(args: &FixArgs) -> String {
    let mut suffix = String::new();
    if let Some(spec) = &args.netns {
        suffix.push_str(&format!(" --netns {}", quoted(&spec.to_string())));
    }
    // One that the environment names is there the next time as well.
    let directory = args.state.state_dir.as_ref();
    let is_named =
        std::env::args_os().any(|word| word.to_string_lossy().starts_with("--state-dir"));
    if let Some(directory) = directory.filter(|_| is_named) {
        suffix.push_str(&format!(
            " --state-dir {}",
            quoted(&directory.to_string_lossy())
        ));
    }
    suffix
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A fresh look: the settings are in force, and this is what they give.
fn verified(ready: &Ready<'_>, after: Option<&Limits>) -> Result<Headroom, String> {
    let read = read_limits(false).map_err(|error| error.to_string())?;
    let now = &read.limits;
    if let Some(after) = after {
        let in_force = now.range == after.range
            && now.reserved == after.reserved
            && now.tw_reuse == after.tw_reuse
            && now.tw_reuse_delay_ms == after.tw_reuse_delay_ms;
        if !in_force {
            return Err("the settings in force are not those that were written".into());
        }
    }
    let request = &ready.facts.first().request;
    // By the reader that the plan was made with: one of them may see what the other cannot.
    let reader = Reader::choose(None, Extent::Here, false).map_err(|error| error.to_string())?;
    let table = reader.table(false);
    let survey = table.survey(
        |means| survey::headroom(request, &read, means),
        |survey| &survey.coverage,
    );
    Ok(survey
        .map_err(|error| error.to_string())?
        .classes
        .headroom())
}

/// The level of the worst request, for the first line.
pub(crate) fn worst(levels: impl Iterator<Item = Level>) -> Level {
    levels.max().unwrap_or(Level::Ok)
}

/// Values that are written for a setting: also used by the trial.
pub(crate) fn values(limits: &Limits) -> Vec<(Setting, String)> {
    let reuse = match limits.tw_reuse {
        dryport_model::TimeWaitReuse::Off => "0",
        dryport_model::TimeWaitReuse::On => "1",
        dryport_model::TimeWaitReuse::Loopback => "2",
    };
    let range = format!("{}\t{}", limits.range.low(), limits.range.high());
    let mut values = vec![
        (Setting::ReservedPorts, limits.reserved.to_list()),
        (Setting::LocalPortRange, range),
        (Setting::TcpTwReuse, reuse.to_string()),
    ];
    if limits.features.millisecond_time_wait == Some(true) {
        values.push((
            Setting::TcpTwReuseDelay,
            limits.tw_reuse_delay_ms.to_string(),
        ));
    }
    values
}
