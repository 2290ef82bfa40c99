//! The benchmark: `dryport check` beside its peers, in the same run, on sockets that it makes in
//! network namespaces of its own. This file owns the plan (which states, which pairs, which
//! bounds); how sockets are held, a run is measured and the floor is found is in the modules.

mod explain;
pub mod floor;
mod herd;
pub mod holder;
pub mod measure;
mod scene;
mod table;

use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::workspace;
use herd::Herd;
use measure::{Figures, medians};
use table::Table;

#[derive(clap::Args)]
pub struct Options {
    /// TCP sockets to hold, both ends counted; some states hold half and twice as many
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    sockets: u32,
    /// Processes that hold them
    #[arg(long, value_name = "N", default_value_t = 100)]
    processes: u32,
    /// Runs of each program (3 of those that take many seconds)
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// A few sockets, one run and no bounds: only proves that the benchmark works
    #[arg(long)]
    smoke: bool,
    /// Measure one command only
    #[arg(long, value_enum, value_name = "COMMAND")]
    only: Option<Only>,
    /// The program to measure, instead of a release build of this workspace
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// `dryport check`, on sockets in namespaces of its own (root)
    Check,
    /// `dryport explain`, on files of its own
    Explain,
}

/// What every state is measured with.
struct Bench {
    dryport: PathBuf,
    sockets: u32,
    processes: u32,
    runs: u32,
    /// Runs of a program that takes many seconds.
    slow_runs: u32,
    smoke: bool,
    table: Table,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let dryport = match &options.binary {
        Some(binary) => binary.clone(),
        None => workspace::build_release(&workspace::metadata()?)?,
    };
    let mut bench = Bench {
        dryport,
        sockets: if options.smoke {
            2_000
        } else {
            options.sockets
        },
        processes: if options.smoke { 10 } else { options.processes },
        runs: if options.smoke { 1 } else { options.runs },
        slow_runs: if options.smoke {
            1
        } else {
            options.runs.min(3)
        },
        smoke: options.smoke,
        table: Table::new(!options.smoke),
    };
    if !(2..=holder::MOST_HOLDERS).contains(&bench.processes) {
        let most = holder::MOST_HOLDERS;
        return Err(Failure::Usage(format!("--processes takes 2 to {most}")));
    }
    println!("{}", scene::machine());
    if options.only != Some(Only::Check) {
        bench.explain()?;
    }
    if options.only == Some(Only::Explain) {
        return bench.table.finish();
    }
    scene::prepare()?;
    let ss = Command::new("ss").arg("-V").output().is_ok();
    if !ss {
        let why = "ss is not installed (iproute2)";
        if workspace::required("ss") {
            return Err(Failure::Required("ss", why.into()));
        }
        bench.table.skipped("everything beside ss", why);
    }
    bench.idle()?;
    bench.busy(ss)?;
    bench.probing()?;
    bench.table.finish()
}

impl Bench {
    /// A machine that holds no socket: what a person waits for at least.
    fn idle(&mut self) -> Result<(), Failure> {
        scene::enter_fresh_namespace()?;
        self.table.state("idle: no socket in the namespace");
        let [check] =
            self.interleaved([Run::new(&self.dryport, "check", &["check", "--netns", "."], self.runs)])?;
        self.table
            .at_most("check, wall, ms", check.wall.as_secs_f64() * 1e3, 50.0);
        Ok(())
    }

    /// Clients on ports that the kernel chose, to a destination for each process: half the
    /// sockets, all, and twice as many. They hold 15,000 of the 28,232 ports, so that no level
    /// depends on whether those can be shared, and no probe is needed.
    fn busy(&mut self, ss: bool) -> Result<(), Failure> {
        scene::enter_fresh_namespace()?;
        let mut herd = Herd::start(self.processes, &["--automatic"])?;
        for (factor, sockets) in [
            (1, self.sockets / 2),
            (2, self.sockets),
            (4, self.sockets * 2),
        ] {
            scene::set_range(32_768, 47_767)?;
            herd.grow(sockets / 2)?;
            scene::set_range(32_768, 60_999)?;
            self.table.state(&format!(
                "{sockets} sockets in {} processes, {}",
                self.processes,
                scene::sockstat()?
            ));
            match factor {
                1 => self.owners(ss, self.runs, 20.0)?,
                2 => {
                    self.readers(ss)?;
                    self.owners(ss, self.slow_runs, 40.0)?;
                }
                _ => self.memory()?,
            }
        }
        herd.stop()
    }

    /// Sockets without owners: beside the floor and beside `ss`.
    fn readers(&mut self, ss: bool) -> Result<(), Failure> {
        let check = Run::new(
            &self.dryport,
            "check --no-owners",
            &["check", "--no-owners", "--netns", "."],
            self.runs,
        );
        let own = scene::own_program()?;
        let floor = Run::new(
            &own,
            "floor: the dump, thrown away",
            &["bench-floor"],
            self.runs,
        );
        if ss {
            let peer = Run::new("ss", "ss -tanH", &["-tanH"], self.runs);
            let [check, floor, peer] = self.interleaved([check, floor, peer])?;
            self.table
                .at_most("check --no-owners / floor", check.ratio(&floor), 1.3);
            self.table
                .at_least("ss -tanH / check --no-owners", peer.ratio(&check), 2.5);
            // What a reader of every row could reach at best.
            self.table.told("ss -tanH / floor", peer.ratio(&floor));
        } else {
            let [check, floor] = self.interleaved([check, floor])?;
            self.table
                .at_most("check --no-owners / floor", check.ratio(&floor), 1.3);
        }
        Ok(())
    }

    /// Sockets with the processes that own them. `ss -p` takes longer than in proportion.
    fn owners(&mut self, ss: bool, peer_runs: u32, bound: f64) -> Result<(), Failure> {
        let check = Run::new(&self.dryport, "check", &["check", "--netns", "."], self.runs);
        if ss {
            let peer = Run::new("ss", "ss -tanp", &["-tanp"], peer_runs);
            let [check, peer] = self.interleaved([check, peer])?;
            self.table
                .at_least("ss -tanp / check", peer.ratio(&check), bound);
        } else {
            self.interleaved([check])?;
        }
        Ok(())
    }

    fn memory(&mut self) -> Result<(), Failure> {
        let runs = self.slow_runs;
        let [bare, owners] = self.interleaved([
            Run::new(
                &self.dryport,
                "check --no-owners",
                &["check", "--no-owners", "--netns", "."],
                runs,
            ),
            Run::new(&self.dryport, "check", &["check", "--netns", "."], runs),
        ])?;
        let peak = bare.peak_kib.max(owners.peak_kib);
        self.table
            .at_most("peak memory, MiB", peak as f64 / 1024.0, 64.0);
        Ok(())
    }

    /// What probing costs: the same number of sockets twice, once with ports outside the range,
    /// once on ports of the range that the kernel chose. 88 % of the range may then be locked for
    /// a new destination, so the verdict depends on asking about each of those ports.
    fn probing(&mut self) -> Result<(), Failure> {
        const HOLDERS: u16 = 10;
        let each: u16 = if self.smoke { 10 } else { 2_500 };
        let ports = u32::from(HOLDERS * each);
        scene::enter_fresh_namespace()?;
        let mut herd = Herd::start(HOLDERS.into(), &[])?;
        herd.grow(ports)?;
        self.table
            .state(&format!("{} sockets, no port in doubt", 2 * ports));
        let without = self.check_alone()?;
        herd.stop()?;

        scene::enter_fresh_namespace()?;
        let mut herd = Herd::start(HOLDERS.into(), &["--automatic"])?;
        // A slice of the range for each holder, so that no two share a port.
        for (index, low) in (32_768..)
            .step_by(each.into())
            .take(HOLDERS.into())
            .enumerate()
        {
            scene::set_range(low, low + each - 1)?;
            herd.grow_one(index, each.into())?;
        }
        scene::set_range(32_768, 60_999)?;
        self.table
            .state(&format!("{} sockets, {ports} ports in doubt", 2 * ports));
        let with = self.check_alone()?;
        herd.stop()?;

        let extra = with.wall.as_secs_f64() - without.wall.as_secs_f64();
        self.table.told(
            "probing, extra wall per port, us",
            extra * 1e6 / f64::from(ports),
        );
        Ok(())
    }

    fn check_alone(&mut self) -> Result<Figures, Failure> {
        let arguments = ["check", "--no-owners", "--netns", "."];
        let run = Run::new(&self.dryport, "check --no-owners", &arguments, self.runs);
        let [figures] = self.interleaved([run])?;
        Ok(figures)
    }

    /// One discarded run of each, then A B A B, so that a slow minute of the machine hits all.
    fn interleaved<const N: usize>(&mut self, plan: [Run; N]) -> Result<[Figures; N], Failure> {
        let mut taken: [Vec<Figures>; N] = std::array::from_fn(|_| Vec::new());
        for run in plan.iter().filter(|run| run.runs == self.runs) {
            run.measure()?;
        }
        for round in 0..self.runs {
            for (run, taken) in plan.iter().zip(&mut taken) {
                if round < run.runs {
                    taken.push(run.measure()?);
                }
            }
        }
        let figures = taken.map(|taken| medians(&taken));
        for (run, figures) in plan.iter().zip(&figures) {
            self.table.figures(run.name, run.runs, figures);
        }
        Ok(figures)
    }
}

/// One program to measure, with its name in the table.
struct Run {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    runs: u32,
}

impl Run {
    fn new(program: impl Into<PathBuf>, name: &'static str, arguments: &[&str], runs: u32) -> Self {
        let arguments = arguments.iter().copied().map(str::to_owned).collect();
        Self {
            name,
            program: program.into(),
            arguments,
            runs,
        }
    }

    fn measure(&self) -> Result<Figures, Failure> {
        measure::measure(&self.program, &self.arguments)
    }
}
