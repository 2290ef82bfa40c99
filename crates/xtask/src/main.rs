//! The chores of the house: `cargo xtask dist`, `schema`, `bpf` and `bench`. This file owns the
//! command line and the exit code; each chore has a module of its own.

mod bench;
mod bpf;
mod dist;
mod failure;
mod schema;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of the house")]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Make the release archive: one static binary, manual, completions, checksums
    Dist(dist::Options),
    /// Write the JSON schemas of every document into docs/schema
    Schema(schema::Options),
    /// Make the committed objects and record.rs of crates/dryport-bpf from their sources in C
    Bpf(bpf::Options),
    /// Measure dryport beside its peers, and fail when a promised bound is not met
    Bench(bench::Options),
    /// Hold sockets for the benchmark
    #[command(hide = true)]
    BenchHold(bench::holder::Options),
    /// Receive the sockets and throw them away
    #[command(hide = true)]
    BenchFloor(bench::floor::Options),
    /// Run one program and tell what it used
    #[command(hide = true)]
    BenchMeasure(bench::measure::Options),
}

fn main() -> ExitCode {
    match run(CommandLine::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<(), Failure> {
    match chore {
        Chore::Dist(options) => dist::run(&options),
        Chore::Schema(options) => schema::run(&options),
        Chore::Bpf(options) => bpf::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::BenchHold(options) => bench::holder::run(&options),
        Chore::BenchFloor(options) => bench::floor::run(&options),
        Chore::BenchMeasure(options) => bench::measure::run(&options),
    }
}
