//! What the benchmark prints: figures, the ratios that follow from them, and which bounds held.

use super::measure::Figures;
use crate::failure::Failure;

pub struct Table {
    /// Whether a bound that is not met counts.
    judged: bool,
    missed: Vec<String>,
    state: String,
}

impl Table {
    pub fn new(judged: bool) -> Self {
        Self {
            judged,
            missed: Vec::new(),
            state: String::new(),
        }
    }

    pub fn state(&mut self, text: &str) {
        println!("\n{text}");
        println!(
            "  {:<37} {:>10} {:>10} {:>10}  runs",
            "medians", "wall ms", "cpu ms", "peak MiB"
        );
        text.clone_into(&mut self.state);
    }

    pub fn figures(&self, name: &str, runs: u32, figures: &Figures) {
        let (wall, cpu) = (
            figures.wall.as_secs_f64() * 1e3,
            figures.cpu.as_secs_f64() * 1e3,
        );
        let peak = figures.peak_kib as f64 / 1024.0;
        println!("  {name:<37} {wall:>10.1} {cpu:>10.1} {peak:>10.1}  {runs}");
    }

    /// The head of a table of other figures than a program's.
    pub fn grid(&mut self, title: &str, columns: &[&str]) {
        println!("\n{title}");
        let columns = columns.iter().map(|column| format!(" {column:>10}"));
        println!("  {:<37}{}", "medians", columns.collect::<String>());
        title.clone_into(&mut self.state);
    }

    /// A row of it.
    pub fn row(&self, name: &str, values: &[f64]) {
        let values = values.iter().map(|value| format!(" {value:>10.1}"));
        println!("  {name:<37}{}", values.collect::<String>());
    }

    pub fn at_most(&mut self, name: &str, value: f64, bound: f64) {
        self.bound(name, value, value <= bound, &format!("at most {bound}"));
    }

    pub fn at_least(&mut self, name: &str, value: f64, bound: f64) {
        self.bound(name, value, value >= bound, &format!("at least {bound}"));
    }

    /// A figure without a bound.
    pub fn told(&self, name: &str, value: f64) {
        println!("  -> {name}: {value:.2}");
    }

    pub fn skipped(&self, what: &str, why: &str) {
        println!("SKIPPED: {what}: {why}");
    }

    pub fn finish(self) -> Result<(), Failure> {
        if !self.missed.is_empty() {
            return Err(Failure::Bounds(self.missed));
        }
        println!(
            "\n{}",
            if self.judged {
                "all bounds met"
            } else {
                "works; no bound was judged"
            }
        );
        Ok(())
    }

    fn bound(&mut self, name: &str, value: f64, held: bool, bound: &str) {
        let verdict = match (self.judged, held) {
            (false, _) => "not judged",
            (true, true) => "met",
            (true, false) => "NOT MET",
        };
        println!("  -> {name}: {value:.2} ({bound}: {verdict})");
        if self.judged && !held {
            let state = self.state.split(',').next().unwrap_or_default();
            self.missed
                .push(format!("{name} is {value:.2}, {bound} ({state})"));
        }
    }
}
