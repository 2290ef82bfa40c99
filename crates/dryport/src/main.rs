//! The `dryport` program: arguments in, a report and an exit code out.

use std::process::ExitCode as ProcessExit;

use clap::Parser;

mod args;
mod check;
mod destination;
mod failure;
mod headroom;
mod manual;
mod output;
mod see;

use args::{Args, Command};
use failure::Exit;

fn main() -> ProcessExit {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let output = output::Output::new(&args.output);
    let result = match args.command.unwrap_or_default() {
        Command::Check(check) => check::run(&check, &output),
        Command::See(see) => see::run(&see, &output),
        Command::Headroom(headroom) => headroom::run(&headroom, &output),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report().into(),
    }
}

/// clap exits with 2 for wrong usage, which here means "critical".
fn usage(error: &clap::Error) -> ProcessExit {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
    // A closed pipe is no failure of ours.
    let _ = error.print();
    exit.into()
}
