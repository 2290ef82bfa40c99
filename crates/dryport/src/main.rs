//! The `dryport` program: arguments in, a report and an exit code out.

use std::ffi::OsString;
use std::process::ExitCode as ProcessExit;

use clap::{CommandFactory, Parser};

mod args;
mod check;
mod collect;
mod destination;
mod doctor;
mod explain;
mod failure;
mod fix;
mod headroom;
mod manual;
mod output;
mod owners;
mod reader;
mod rehearse;
mod see;
mod state;
mod undo;

use args::{Args, Command};
use failure::{Exit, Failure};

fn main() -> ProcessExit {
    let words: Vec<OsString> = std::env::args_os().collect();
    run(&words)
        .unwrap_or_else(|failure| failure.report())
        .into()
}

fn run(words: &[OsString]) -> Result<Exit, Failure> {
    without_controls(words)?;
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => return Err(wrong_usage(&error, words)),
        Err(help) => {
            // A closed pipe is no failure of ours.
            let _ = help.print();
            return Ok(Exit::Ok);
        }
    };
    let output = output::Output::new(&args.output);
    match args.command.unwrap_or_default() {
        Command::Check(check) => check::run(&check, &output),
        Command::See(see) => see::run(&see, &output),
        Command::Explain(explain) => explain::run(&explain, &output),
        Command::Headroom(headroom) => headroom::run(&headroom, &output),
        Command::Collect(collect) => collect::run(&collect, &output),
        Command::Doctor => doctor::run(&output),
        Command::Fix(fix) => fix::run(&fix, &output),
        Command::Undo(undo) => undo::run(&undo, &output),
        Command::Rehearse(rehearse) => rehearse::run(&rehearse, &output),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
    }
}

/// clap repeats arguments as they are, and these would spoil the terminal.
fn without_controls(words: &[OsString]) -> Result<(), Failure> {
    let spoils = |word: &&OsString| word.to_string_lossy().contains(char::is_control);
    match words.iter().skip(1).find(spoils) {
        None => Ok(()),
        Some(word) => Err(Failure::CommandLine {
            wrong: format!("the argument {word:?} holds a control character"),
            hint: "was it pasted with a line break?".into(),
        }),
    }
}

/// clap tells it in several lines, and exits with 2, which here means "critical".
fn wrong_usage(error: &clap::Error, words: &[OsString]) -> Failure {
    let text = error.render().to_string();
    let (wrong, more) = text.split_once("\n\n").unwrap_or((&text, ""));
    let wrong: Vec<&str> = wrong
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect();
    let tip = more
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("tip: "));
    let hint = tip.map_or_else(
        || format!("`{} --help` tells how it is written", command(words)),
        Into::into,
    );
    Failure::CommandLine {
        wrong: wrong.join(" "),
        hint,
    }
}

/// `dryport`, with the command that was given.
fn command(words: &[OsString]) -> String {
    let all = Args::command();
    let given = words.iter().find_map(|word| all.find_subcommand(word));
    given.map_or_else(
        || "dryport".into(),
        |command| format!("dryport {}", command.get_name()),
    )
}
