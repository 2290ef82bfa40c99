//! The prediction against the kernel: what `headroom` says beside what is then granted.
//!
//! Every scenario file is predicted, then counted; beside them random states, each predicted as
//! an ordinary user, as root, and from the table of sockets alone (where only bounds are claimed).
//!
//! `DRYPORT_STATES=N`: how many random states (300). `DRYPORT_SEED=N`: the first seed (1); with
//! `DRYPORT_STATES=1` one failing state is replayed.

use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dryport_bpf::{BpfTable, Kernel};
use dryport_host::survey::{self, HeadroomSurvey, Means};
use dryport_host::{read_limits, with_route_source};
use dryport_lab::random::{self, REUSE_DELAY_MS};
use dryport_lab::{Granted, Privilege, Scenario, Stage, Step};
use dryport_model::{Class, Coverage, Fact, MOST_REQUESTS, Request, Seen, Thresholds};
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_thread_res_uid};

/// Random states in one test, so that the list of tests stays readable.
const STATES_A_TEST: u64 = 10;
/// Most of the time is waiting for TIME_WAITs to age.
const THREADS: usize = 8;
/// `nobody`.
const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    let privilege = match Privilege::enter() {
        Ok(privilege) => privilege,
        Err(unavailable) => return unavailable.skip(),
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let scenarios = match Scenario::load_dir(&directory) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let (first, states) = (setting("DRYPORT_SEED", 1), setting("DRYPORT_STATES", 300));
    eprintln!(
        "random states: seeds {first} to {}",
        first + states.max(1) - 1
    );
    let mut trials: Vec<Trial> = scenarios
        .into_iter()
        .filter(|scenario| scenario.predict && scenario.expect.seconds.is_none())
        .filter(|scenario| scenario.request.is_some())
        .map(|scenario| {
            let name = format!("{} is predicted: {}", scenario.id, scenario.title);
            let slow = scenario.slow;
            Trial::test(name, move || verdict(compare(&scenario, privilege)))
                .with_ignored_flag(slow)
        })
        .collect();
    trials.extend(
        (first..first + states)
            .step_by(STATES_A_TEST as usize)
            .map(|seed| {
                let last = (seed + STATES_A_TEST).min(first + states);
                let name = format!("random states {seed} to {} are exact", last - 1);
                Trial::test(name, move || {
                    (seed..last).try_for_each(|seed| random_state(seed, privilege))
                })
            }),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn verdict(result: Result<(), String>) -> Result<(), Failed> {
    result.map_err(Failed::from)
}

/// A random state; a failing one is made as small as it goes and printed as a scenario file.
fn random_state(seed: u64, privilege: Privilege) -> Result<(), Failed> {
    let mut state = random::scenario(seed);
    let Err(mut error) = compare(&state, privilege) else {
        return Ok(());
    };
    let mut at = 0;
    while at < state.setup.len() {
        let mut smaller = state.clone();
        smaller.setup.remove(at);
        match compare(&smaller, privilege) {
            // A step that others need (the group it names) cannot be left out.
            Err(reason) if !reason.starts_with("the lab: ") => (state, error) = (smaller, reason),
            _ => at += 1,
        }
    }
    Err(Failed::from(format!(
        "seed {seed}: {error}\nreplay with DRYPORT_SEED={seed} DRYPORT_STATES=1; shrunk to:\n{state}"
    )))
}

/// Predicts, counts, compares. Done anew if the machine was so slow that young TIME_WAITs grew
/// old in between.
fn compare(scenario: &Scenario, privilege: Privilege) -> Result<(), String> {
    const TRIES: u32 = 8;
    let fresh_for = Duration::from_millis(REUSE_DELAY_MS - 200);
    for _ in 0..TRIES {
        let (mut stage, youth) = play(scenario).map_err(|error| format!("the lab: {error}"))?;
        let predictions = predict(&stage, privilege)?;
        let census = stage
            .client()
            .run(|| census_agrees(privilege))
            .map_err(|e| format!("the lab: {e}"))?;
        let granted = stage
            .grant_all()
            .map_err(|error| format!("the lab: {error}"))?;
        let random = scenario.id.starts_with('R');
        if !random || youth.elapsed() < fresh_for {
            for (who, prediction) in &predictions {
                check(who, prediction, &granted)?;
            }
            return census;
        }
    }
    Err("the lab: the machine is too slow for this state".into())
}

/// Plays the set-up and tells since when its young TIME_WAITs can exist.
fn play(scenario: &Scenario) -> Result<(Stage, Instant), dryport_lab::LabError> {
    let mut stage = Stage::empty(scenario)?;
    let is_wait = |step: &Step| matches!(step, Step::Wait(_));
    let young = scenario
        .setup
        .iter()
        .rposition(is_wait)
        .map_or(0, |index| index + 1);
    let (old, young) = scenario.setup.split_at(young);
    stage.play_all(old)?;
    let youth = Instant::now();
    stage.play_all(young)?;
    Ok((stage, youth))
}

/// The predictions of an ordinary user, of root, and from the table of sockets alone.
fn predict(
    stage: &Stage,
    privilege: Privilege,
) -> Result<Vec<(&'static str, HeadroomSurvey)>, String> {
    let request = stage
        .request()
        .map_err(|error| format!("the lab: {error}"))?;
    let Some(request) = request else {
        return Err("the lab: nothing to predict".into());
    };
    let one = |work: &(dyn Fn() -> Result<HeadroomSurvey, String> + Sync)| {
        stage
            .client()
            .run(work)
            .map_err(|error| format!("the lab: {error}"))?
    };
    let ordinary = |means: Means<'static>| {
        become_ordinary(privilege)?;
        survey_of(request, means)
    };
    let mut predictions = vec![
        ("ordinary user", one(&|| ordinary(Means::ALL))?),
        ("root", one(&|| survey_of(request, Means::ALL))?),
        ("bounds", one(&|| ordinary(Means::SOCK_DIAG_ALONE))?),
    ];
    if let Some(kernel) = kernel(privilege)? {
        for (who, probes) in [("BPF", true), ("BPF alone", false)] {
            predictions.push((who, one(&|| by_bpf(kernel, request, probes))?));
        }
    }
    Ok(predictions)
}

fn by_bpf(kernel: &Kernel, request: Request, probes: bool) -> Result<HeadroomSurvey, String> {
    let table = BpfTable::open(kernel, false).map_err(|error| error.to_string())?;
    let means = Means {
        table: &table,
        probes,
    };
    survey_of(request, means)
}

/// The kernel for BPF programs; `None` where they may not be used, which CI does not let pass.
fn kernel(privilege: Privilege) -> Result<Option<&'static Kernel>, String> {
    static KERNEL: OnceLock<Option<Kernel>> = OnceLock::new();
    let found = KERNEL.get_or_init(|| match Kernel::open() {
        Ok(kernel) if privilege == Privilege::Capable => Some(kernel),
        Ok(_) => None,
        Err(error) => {
            eprintln!("SKIPPED: the BPF reader: {error}");
            None
        }
    });
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    if found.is_none() && required.split(',').any(|word| word == "bpf") {
        return Err("DRYPORT_REQUIRE names bpf, and the BPF reader cannot be loaded".into());
    }
    Ok(found.as_ref())
}

fn survey_of(request: Request, means: Means<'_>) -> Result<HeadroomSurvey, String> {
    let request = with_route_source(request).map_err(|error| error.to_string())?;
    let read = read_limits(true).map_err(|error| error.to_string())?;
    survey::headroom(&request, &read, means).map_err(|error| error.to_string())
}

/// Gives up what this thread may do beyond others; the rest of the process keeps it.
fn become_ordinary(privilege: Privilege) -> Result<(), String> {
    if privilege == Privilege::Capable {
        let nobody = rustix::process::Uid::from_raw(NOBODY);
        set_thread_res_uid(nobody, nobody, nobody)
            .map_err(|error| format!("setresuid: {error}"))?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
    .map_err(|error| format!("capset: {error}"))
}

/// `check` counts every request in one pass, `headroom` one at a time: both must say the same, and
/// by whatever reader.
fn census_agrees(privilege: Privilege) -> Result<(), String> {
    // A TIME_WAIT that grows old between the two is counted anew.
    let twice = |means| one_census_agrees(means).or_else(|_| one_census_agrees(means));
    twice(Means::ALL)?;
    let Some(kernel) = kernel(privilege)? else {
        return Ok(());
    };
    let table = BpfTable::open(kernel, true).map_err(|error| error.to_string())?;
    twice(Means {
        table: &table,
        probes: false,
    })
    .map_err(|error| format!("BPF: {error}"))
}

fn one_census_agrees(means: Means<'_>) -> Result<(), String> {
    let read = read_limits(true).map_err(|error| error.to_string())?;
    let survey =
        survey::census(&read, &Thresholds::default(), means).map_err(|error| error.to_string())?;
    let census = &survey.census;
    let mut uses = vec![census.any_new_destination()];
    uses.extend(census.tcp_requests(MOST_REQUESTS));
    uses.extend(census.bind_requests());
    uses.extend(census.udp_requests());
    for used in uses {
        let alone =
            survey::headroom(&used.request, &read, means).map_err(|error| error.to_string())?;
        let (ledger, headroom) = (alone.classes.ledger(), alone.classes.headroom());
        if (used.ledger, used.headroom) != (ledger, headroom) {
            return Err(format!(
                "check and headroom differ for {:?}: {:?} {:?}, alone {ledger:?} {headroom:?}",
                used.request, used.ledger, used.headroom
            ));
        }
    }
    Ok(())
}

fn check(who: &str, prediction: &HeadroomSurvey, granted: &Granted) -> Result<(), String> {
    let (headroom, ledger) = (prediction.classes.headroom(), prediction.classes.ledger());
    let told = format!("{who}: predicted {headroom:?} ({ledger:?}), granted {granted:?}");
    if ledger.total() != prediction.classes.range().size() {
        return Err(format!("the classes do not sum to the range; {told}"));
    }
    if !(headroom.at_least..=headroom.at_most).contains(&granted.first_failure) {
        return Err(told);
    }
    let may_be_granted = |port: &u16| {
        let class = prediction.classes.class(*port);
        class.is_some_and(|class| class.is_usable() || class == Class::Uncertain)
    };
    if let Some(port) = granted.ports.iter().find(|port| !may_be_granted(port)) {
        return Err(format!("port {port} was granted against its class; {told}"));
    }
    let allowed = u32::from(prediction.classes.has_blind_spot());
    // No privilege shows whether a remote peer's TIME_WAIT had timestamps; the answer says so.
    let untold = |c: &Coverage| c.fact == Fact::TimeWaitTimestamps && c.seen != Seen::Full;
    if prediction.coverage.iter().any(untold) {
        return Ok(());
    }
    if who != "bounds" && headroom.at_most - headroom.at_least > allowed {
        return Err(format!("not exact ({:?}); {told}", prediction.coverage));
    }
    Ok(())
}
