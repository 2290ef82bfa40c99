//! What BPF programs read, beside what the kernel tells in other ways: sock_diag's rows, its own
//! answer when it is asked for a port, the walk over `/proc`.
//!
//! Needs real root; without, all of it is SKIPPED, which fails where `DRYPORT_REQUIRE` names `bpf`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use std::process::ExitCode;
use std::sync::OnceLock;

use dryport_bpf::{BpfTable, Kernel};
use dryport_lab::Privilege;
use libtest_mimic::{Arguments, Trial};

mod buckets;
mod churn;
mod compare;
mod helper;
mod missing;
mod older;
mod owners;
mod remains;
mod rows;
mod scenes;
mod stub;
mod weather;

/// A test. It panics when it fails.
type Test = fn();

/// Most of the time is waiting for other processes and for TIME_WAITs.
const THREADS: usize = 6;

static KERNEL: OnceLock<Kernel> = OnceLock::new();

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let Some(("--helper", words)) = words.get(1).map(|word| (word.as_str(), &words[2..])) {
        helper::run(words);
    }
    let privilege = match Privilege::enter() {
        Ok(privilege) => privilege,
        Err(unavailable) => return unavailable.skip(),
    };
    match (Kernel::open(), privilege) {
        (Ok(kernel), Privilege::Capable) => KERNEL.get_or_init(|| kernel),
        (Ok(_), Privilege::UserNamespace) => return skip("only real root may do this"),
        (Err(error), _) => return skip(&error.to_string()),
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    let all = [
        rows::TESTS,
        stub::TESTS,
        buckets::TESTS,
        owners::TESTS,
        older::TESTS,
        missing::TESTS,
        weather::TESTS,
        churn::TESTS,
        remains::TESTS,
    ];
    let fixed = all.concat().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, fixed.chain(rows::random()).collect()).exit_code()
}

fn skip(why: &str) -> ExitCode {
    eprintln!("SKIPPED: {why}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    if required.split([',', ' ']).any(|word| word == "bpf") {
        eprintln!("but DRYPORT_REQUIRE names bpf");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The running kernel.
fn kernel() -> &'static Kernel {
    KERNEL.get().unwrap()
}

/// A table of the running kernel.
fn table(inodes: bool) -> BpfTable {
    BpfTable::open(kernel(), inodes).unwrap()
}
