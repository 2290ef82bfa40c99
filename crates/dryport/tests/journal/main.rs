//! What `fix` and `undo` promise: nothing is lost and nothing is half-written, whatever happens to
//! the process, the disk, the journal, or the values meanwhile.
//!
//! The built program in scratch network namespaces, with a journal and a tree of sysctl.d files of
//! its own. Needs the right to make network namespaces (root, or a user namespace). What cannot run
//! says SKIPPED, and fails where `DRYPORT_REQUIRE` names it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use std::process::ExitCode;

use dryport_lab::Privilege;
use libtest_mimic::{Arguments, Failed, Trial};

mod damaged;
mod disks;
mod identity;
mod killed;
mod others;
mod terminal;
mod trace;
mod tree;
mod waiting;
mod world;

/// Most of the time is spent in the program, and some tests wait for deadlines.
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
    if let Some(("--session", words)) = words.get(1).map(|word| (word.as_str(), &words[2..])) {
        terminal::lead_a_session(words);
    }
    let privilege = match Privilege::enter() {
        Ok(privilege) => privilege,
        Err(unavailable) => return unavailable.skip(),
    };
    // Guards whose parent has ended are this process's to see and to end.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    let tests = [
        killed::TESTS,
        disks::TESTS,
        identity::TESTS,
        others::TESTS,
        damaged::TESTS,
        waiting::TESTS,
    ];
    let tests = tests
        .concat()
        .into_iter()
        .map(|(name, test)| Trial::test(name, move || outcome(test(privilege))));
    let slow = waiting::SLOW_TESTS.iter().map(|(name, test)| {
        Trial::test(*name, move || outcome(test(privilege))).with_ignored_flag(true)
    });
    libtest_mimic::run(&arguments, tests.chain(slow).collect()).exit_code()
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
