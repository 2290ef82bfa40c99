//! The benchmark: `dryport check` beside its peers, in the same run, on sockets that it makes in
//! network namespaces of its own. This file owns the plan (which parts there are) and how a pair
//! is measured; each part has a module, and so have holding sockets, measuring a run and the
//! floors.

mod busy;
mod explain;
pub mod floor;
mod herd;
pub mod holder;
pub mod measure;
mod namespaces;
mod probing;
mod scene;
mod table;
mod thresholds;

use std::path::PathBuf;
use std::process::Command;

use dryport_bpf::{BpfTable, Kernel};

use crate::failure::Failure;
use crate::workspace;
use measure::{Figures, medians};
use table::Table;

#[derive(clap::Args)]
pub struct Options {
    /// TCP sockets to hold, both ends counted; some states hold half or two and a half times as
    /// many
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    sockets: u32,
    /// Processes that hold them
    #[arg(long, value_name = "N", default_value_t = 100)]
    processes: u32,
    /// Runs of each program (fewer of those that take many seconds)
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// A few sockets, one run and no bounds: only proves that the benchmark works
    #[arg(long)]
    smoke: bool,
    /// Measure these parts only, separated by commas
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// The program to measure, instead of a release build of this workspace
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// All but `explain` make sockets in namespaces of their own (root).
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// `dryport explain`, on files of its own
    Explain,
    /// All parts but `explain`
    Check,
    /// Nothing to read, and from where on the BPF reader pays
    Thresholds,
    /// Sockets read by BPF, beside its floor and `ss`, and the memory that takes
    Bpf,
    /// Sockets read from sock_diag, beside its floor and `ss`
    SockDiag,
    /// Sockets with their owners, beside `ss -p`
    Owners,
    /// What asking about doubtful ports costs
    Probing,
    /// All network namespaces at once
    Namespaces,
}

/// What every state is measured with.
struct Bench {
    dryport: PathBuf,
    /// The program that finds the floors.
    floors: PathBuf,
    sockets: u32,
    processes: u32,
    runs: u32,
    smoke: bool,
    only: Vec<Part>,
    /// Whether the peer is installed.
    ss: bool,
    /// Whether BPF may be used.
    bpf: bool,
    table: Table,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let smoke = options.smoke;
    let (sockets, processes) = match smoke {
        true => (2_000, 10),
        false => (options.sockets, options.processes),
    };
    holder::check_room(busy::most(sockets), processes)?;
    let mut bench = Bench {
        dryport: match &options.binary {
            Some(binary) => binary.clone(),
            None => workspace::build_release(&workspace::metadata()?, "dryport")?,
        },
        floors: scene::own_program()?,
        sockets,
        processes,
        runs: if smoke { 1 } else { options.runs },
        smoke,
        only: options.only.clone(),
        ss: false,
        bpf: false,
        table: Table::new(!smoke),
    };
    // A program that is not optimised finds no floor under one that is.
    let has_floor = bench.wants(Part::Bpf) || bench.wants(Part::SockDiag);
    if cfg!(debug_assertions) && has_floor && !smoke {
        bench.floors = workspace::build_release(&workspace::metadata()?, "xtask")?;
    }
    println!("{}, load {} at the start", scene::machine(), scene::load());
    if bench.wants(Part::Explain) {
        bench.explain()?;
    }
    if bench.only == [Part::Explain] {
        return bench.table.finish();
    }
    scene::prepare()?;
    bench.ss = bench.has("ss", "everything beside ss", find_ss())?;
    bench.bpf = bench.has("bpf", "the BPF reader", find_bpf())?;
    if bench.wants(Part::Thresholds) {
        bench.idle()?;
        bench.thresholds()?;
    }
    bench.busy()?;
    if bench.wants(Part::Probing) {
        bench.probing()?;
    }
    if bench.wants(Part::Namespaces) {
        bench.namespaces()?;
    }
    println!("\nload {} at the end", scene::load());
    bench.table.finish()
}

fn find_ss() -> Result<(), String> {
    let said = Command::new("ss").arg("-V").output();
    said.map(drop)
        .map_err(|_| "ss is not installed (iproute2)".into())
}

fn find_bpf() -> Result<(), String> {
    let opened = Kernel::open().and_then(|kernel| BpfTable::open(&kernel, false));
    opened.map(drop).map_err(|error| error.to_string())
}

impl Bench {
    fn wants(&self, part: Part) -> bool {
        let all_of_check = part != Part::Explain && self.only.contains(&Part::Check);
        self.only.is_empty() || self.only.contains(&part) || all_of_check
    }

    /// What is not there is said once, and is a failure where `DRYPORT_REQUIRE` names it.
    fn has(
        &self,
        name: &'static str,
        what: &str,
        found: Result<(), String>,
    ) -> Result<bool, Failure> {
        match found {
            Ok(()) => Ok(true),
            Err(why) if workspace::required(name) => Err(Failure::Required(name, why)),
            Err(why) => {
                self.table.skipped(what, &why);
                Ok(false)
            }
        }
    }

    /// `dryport check` of the present namespace.
    fn check(&self, options: &[&str]) -> Run {
        self.dryport(&["check", "--netns", "."], options)
    }

    /// Of all namespaces.
    fn check_everywhere(&self, options: &[&str]) -> Run {
        self.dryport(&["check"], options)
    }

    /// The options are its name.
    fn dryport(&self, command: &[&str], options: &[&str]) -> Run {
        let name = [&["check"], options].concat().join(" ");
        let arguments = [command, options].concat();
        Run::new(&self.dryport, name, &arguments, self.runs)
    }

    /// [`Self::measured`], shown.
    fn interleaved<const N: usize>(&mut self, plan: [Run; N]) -> Result<[Figures; N], Failure> {
        let figures = self.measured(&plan)?;
        for (run, figures) in plan.iter().zip(&figures) {
            self.table.figures(&run.name, run.runs, figures);
        }
        Ok(figures)
    }

    /// One discarded run of each, then A B A B, so that a slow minute of the
    /// machine hits all.
    fn measured<const N: usize>(&self, plan: &[Run; N]) -> Result<[Figures; N], Failure> {
        let mut taken: [Vec<Figures>; N] = std::array::from_fn(|_| Vec::new());
        for run in plan.iter().filter(|run| run.warm) {
            run.measure()?;
        }
        let rounds = plan.iter().map(|run| run.runs).max().unwrap_or_default();
        for round in 0..rounds {
            for (run, taken) in plan.iter().zip(&mut taken) {
                if round < run.runs {
                    taken.push(run.measure()?);
                }
            }
        }
        Ok(taken.map(|taken| medians(&taken)))
    }
}

/// One program to measure, with its name in the table.
struct Run {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    runs: u32,
    /// Whether a first run is discarded.
    warm: bool,
}

impl Run {
    fn new(
        program: impl Into<PathBuf>,
        name: impl Into<String>,
        arguments: &[&str],
        runs: u32,
    ) -> Self {
        let arguments = arguments.iter().copied().map(str::to_owned).collect();
        Self {
            name: name.into(),
            program: program.into(),
            arguments,
            runs,
            warm: true,
        }
    }

    /// A program that takes many seconds.
    fn once(self) -> Self {
        Self {
            runs: 1,
            warm: false,
            ..self
        }
    }

    /// A program beside that.
    fn few(self) -> Self {
        let runs = self.runs.min(3);
        Self { runs, ..self }
    }

    fn measure(&self) -> Result<Figures, Failure> {
        measure::measure(&self.program, &self.arguments)
    }
}
