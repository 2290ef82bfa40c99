//! One run of one program: wall time, processor time and peak memory.
//!
//! The kernel adds up what a process's ended children used, and keeps the largest of their peaks.
//! So each run gets a small parent of its own (a hidden subcommand of this program), and the sums
//! are those of one program. The parent's own few MiB are the least that a peak can show: the
//! kernel lets a program start with the peak of the image that it replaced.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::time::TimeValLike;

use super::scene;
use crate::failure::Failure;
use crate::workspace;

/// No run may take more processor time than this.
const DEADLINE_SECONDS: u64 = 300;

/// Exit codes of a program that did its work: `check` gives a level.
const DONE: std::ops::RangeInclusive<i32> = 0..=2;

#[derive(clap::Args)]
pub struct Options {
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What one run used, or the medians of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    pub peak_kib: u64,
}

impl Figures {
    /// How many times as long as `other` it took by the clock on the wall.
    pub fn ratio(&self, other: &Self) -> f64 {
        self.wall.as_secs_f64() / other.wall.as_secs_f64().max(1e-9)
    }
}

/// Runs a program in a parent of its own.
pub fn measure(program: &Path, arguments: &[String]) -> Result<Figures, Failure> {
    let mut parent = Command::new(scene::own_program()?);
    parent.arg("bench-measure").arg(program).args(arguments);
    let said = workspace::output(&mut parent)?;
    said.trim().parse().map_err(|()| Failure::Answer {
        program: "xtask bench-measure",
        said,
    })
}

/// The hidden subcommand: the parent.
pub fn run(options: &Options) -> Result<(), Failure> {
    let ceiling = setrlimit(Resource::RLIMIT_CPU, DEADLINE_SECONDS, DEADLINE_SECONDS);
    ceiling.map_err(Failure::system("setrlimit(RLIMIT_CPU)"))?;
    let mut command = Command::new(&options.program);
    command
        .args(&options.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());

    let start = Instant::now();
    let status = command
        .status()
        .map_err(|source| start_failure(options, source))?;
    let wall = start.elapsed();

    if !status.code().is_some_and(|code| DONE.contains(&code)) {
        return Err(ended(&command, status));
    }
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(Failure::system("getrusage"))?;
    let cpu = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    let figures = Figures {
        wall,
        cpu: Duration::from_micros(cpu.unsigned_abs()),
        peak_kib: used.max_rss().unsigned_abs(),
    };
    println!("{figures}");
    Ok(())
}

/// The median of each figure by itself.
pub fn medians(runs: &[Figures]) -> Figures {
    Figures {
        wall: median(runs.iter().map(|run| run.wall)),
        cpu: median(runs.iter().map(|run| run.cpu)),
        peak_kib: median(runs.iter().map(|run| run.peak_kib)),
    }
}

/// The upper one of the two in the middle where their number is even.
fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// As the parent prints them: nanoseconds, microseconds, KiB.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.wall.as_nanos(),
            self.cpu.as_micros(),
            self.peak_kib
        )
    }
}

impl FromStr for Figures {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Vec<u64> = text
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| ())?;
        let [wall, cpu, peak_kib] = numbers[..] else {
            return Err(());
        };
        let (wall, cpu) = (Duration::from_nanos(wall), Duration::from_micros(cpu));
        Ok(Self {
            wall,
            cpu,
            peak_kib,
        })
    }
}

fn start_failure(options: &Options, source: io::Error) -> Failure {
    Failure::Start {
        program: options.program.display().to_string(),
        source,
    }
}

fn ended(command: &Command, status: ExitStatus) -> Failure {
    let (command, status) = (format!("{command:?}"), status.to_string());
    Failure::Program {
        command,
        status,
        stderr: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(wall: u64, cpu: u64, peak_kib: u64) -> Figures {
        Figures {
            wall: Duration::from_nanos(wall),
            cpu: Duration::from_micros(cpu),
            peak_kib,
        }
    }

    #[test]
    fn figures_survive_the_pipe() {
        let one = figures(1_234_567_890, 42, 4096);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!("1 2".parse::<Figures>(), Err(()));
        assert_eq!("1 2 x".parse::<Figures>(), Err(()));
    }

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        let runs = [figures(5, 5, 9), figures(900, 4, 7), figures(6, 800, 8)];
        assert_eq!(medians(&runs), figures(6, 5, 8));
    }
}
