//! The built program in scratch network namespaces with real sockets: what it says beside what the
//! kernel then grants.
//!
//! Needs the right to make network namespaces (root, or a user namespace); a few tests need real
//! root or `ss`. What cannot run says SKIPPED, and fails where `DRYPORT_REQUIRE` names it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use std::process::ExitCode;

use dryport_lab::Privilege;
use libtest_mimic::{Arguments, Failed, Trial};

mod accepted;
mod blind;
mod doctor;
mod everywhere;
mod fix;
mod groups;
mod helper;
mod hostile;
mod namespaces;
mod program;
mod readers;
mod same_as_ss;
mod states;
mod whole_range;

/// Each test holds up to 3,000 descriptors, all of them in this process.
const THREADS: usize = 4;

/// Why a test cannot run here.
struct Skipped {
    /// The word of `DRYPORT_REQUIRE` that forbids it.
    needed: &'static str,
    why: String,
}

/// A test. It panics when it fails.
type Test = fn(Privilege) -> Result<(), Skipped>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let Some(("--helper", words)) = words.get(1).map(|w| (w.as_str(), &words[2..])) {
        helper::run(words);
    }
    let privilege = match Privilege::enter() {
        Ok(privilege) => privilege,
        Err(unavailable) => return unavailable.skip(),
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    // Dropped after the last test, which removes it.
    let _reachable = program::make_reachable();
    let fixed = [
        whole_range::TESTS,
        same_as_ss::TESTS,
        namespaces::TESTS,
        everywhere::TESTS,
        blind::TESTS,
        hostile::TESTS,
        accepted::TESTS,
        fix::TESTS,
        doctor::TESTS,
        groups::TESTS,
        readers::TESTS,
    ];
    let fixed = fixed
        .concat()
        .into_iter()
        .map(|(name, test)| Trial::test(name, move || outcome(test(privilege))));
    let states = states::all().into_iter().map(|state| {
        Trial::test(
            format!("the numbers are the kernel's: {}", state.title),
            move || {
                states::holds(&state);
                Ok(())
            },
        )
    });
    libtest_mimic::run(&arguments, fixed.chain(states).collect()).exit_code()
}

fn outcome(result: Result<(), Skipped>) -> Result<(), Failed> {
    let Err(Skipped { needed, why }) = result else {
        return Ok(());
    };
    eprintln!("SKIPPED: {why}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    if required.split([',', ' ']).any(|word| word == needed) {
        return Err(format!("SKIPPED ({why}), but DRYPORT_REQUIRE names {needed}").into());
    }
    Ok(())
}

/// For tests that need more than the root of a user namespace may do.
fn needs_root(privilege: Privilege) -> Result<(), Skipped> {
    match privilege {
        Privilege::Capable => Ok(()),
        Privilege::UserNamespace => Err(Skipped {
            needed: "root",
            why: "only real root may do this".into(),
        }),
    }
}
