//! Every scenario file against the running kernel: the facts that the model is built on.
//!
//! Scenarios that take over 20 seconds are run with `-- --include-ignored`.

use std::path::Path;
use std::process::ExitCode;

use dryport_lab::{LabError, Privilege, Scenario, prepare};
use libtest_mimic::{Arguments, Failed, Trial};

/// Most of a scenario's time is waiting, so more run at once than there are cores.
const THREADS: usize = 12;

fn main() -> ExitCode {
    if let Err(unavailable) = Privilege::enter() {
        return unavailable.skip();
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let scenarios = match Scenario::load_dir(&directory) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    libtest_mimic::run(&arguments, scenarios.into_iter().map(trial).collect()).exit_code()
}

fn trial(scenario: Scenario) -> Trial {
    let name = format!("{} {}", scenario.id, scenario.title);
    let slow = scenario.slow;
    Trial::test(name, move || {
        ask_the_kernel(&scenario)
            .map_err(|error| error.to_string())?
            .map_err(Failed::from)
    })
    .with_ignored_flag(slow)
}

fn ask_the_kernel(scenario: &Scenario) -> Result<Result<(), String>, LabError> {
    prepare(scenario)?.judge(scenario)
}
