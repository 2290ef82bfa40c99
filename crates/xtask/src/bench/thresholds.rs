//! Where the BPF reader begins to pay: what `SOCKETS_WORTH_BPF` and `FILES_WORTH_BPF` of the model
//! are taken from. Setting it up takes some milliseconds however little there is to read; sock_diag
//! costs more with every port that is in doubt, and `/proc` with every open file.

use super::herd::Herd;
use super::{Bench, Run, scene};
use crate::failure::Failure;

const SOCKETS: [u32; 4] = [100, 300, 1_000, 3_000];
const FILES: [u32; 5] = [1_000, 3_000, 10_000, 30_000, 100_000];
const HOLDERS: u32 = 10;

/// Times as many runs as elsewhere: the differences are small, and so is what a run takes.
const MORE_RUNS: u32 = 3;

const READERS: [&str; 2] = ["sock_diag", "bpf"];

impl Bench {
    /// A namespace that holds no socket: what a person waits for at least, and what setting up BPF
    /// adds where it is asked for.
    pub(super) fn idle(&mut self) -> Result<(), Failure> {
        scene::enter_fresh_namespace()?;
        self.table.state("idle: no socket in the namespace");
        let plan = self.check(&[]);
        let [check] = self.interleaved([plan])?;
        if self.bpf {
            let by = |reader| self.check(&["--reader", reader]);
            let [sock_diag, bpf] = self.interleaved(READERS.map(by))?;
            let more = bpf.wall.as_secs_f64() - sock_diag.wall.as_secs_f64();
            self.table.told("setting up BPF, ms", more * 1e3);
        }
        self.table
            .at_most("check, wall, ms", check.wall.as_secs_f64() * 1e3, 50.0);
        Ok(())
    }

    pub(super) fn thresholds(&mut self) -> Result<(), Failure> {
        if !self.bpf {
            return Ok(());
        }
        self.by_sockets()?;
        self.by_files()
    }

    /// Half of the sockets are clients, each on a port that the kernel chose and sock_diag leaves in
    /// doubt; the other ends share a port outside the range.
    fn by_sockets(&mut self) -> Result<(), Failure> {
        self.table.grid(
            "more and more sockets in 10 processes, wall ms",
            &["bare diag", "bare bpf", "sock_diag", "bpf"],
        );
        for sockets in self.levels(&SOCKETS) {
            scene::enter_fresh_namespace()?;
            let mut herd = Herd::start(HOLDERS, &["--automatic"])?;
            herd.grow(sockets / 2)?;
            let bare = READERS.map(|reader| self.check(&["--no-owners", "--reader", reader]));
            let whole = READERS.map(|reader| self.check(&["--reader", reader]));
            let [a, b] = bare;
            let [c, d] = whole;
            let name = format!("{sockets} sockets, {} ports in doubt", sockets / 2);
            self.row(&name, [a, b, c, d])?;
            herd.stop()?;
        }
        Ok(())
    }

    /// Files that are no sockets, beside 100 sockets.
    fn by_files(&mut self) -> Result<(), Failure> {
        self.table.grid(
            "more and more open files in 10 processes, 100 sockets, wall ms",
            &["sock_diag", "bpf"],
        );
        for files in self.levels(&FILES) {
            scene::enter_fresh_namespace()?;
            let each = format!("--files={}", files / HOLDERS);
            let mut herd = Herd::start(HOLDERS, &["--automatic", &each])?;
            herd.grow(50)?;
            let plan = READERS.map(|reader| self.check(&["--reader", reader]));
            let open = dryport_host::open_files().unwrap_or_default();
            self.row(&format!("{files} files, {open} on the machine"), plan)?;
            herd.stop()?;
        }
        Ok(())
    }

    fn levels(&self, all: &[u32]) -> Vec<u32> {
        let count = if self.smoke { 1 } else { all.len() };
        all.iter().take(count).copied().collect()
    }

    fn row<const N: usize>(&mut self, name: &str, plan: [Run; N]) -> Result<(), Failure> {
        let more = if self.smoke { 1 } else { MORE_RUNS };
        let plan = plan.map(|run| Run {
            runs: run.runs * more,
            ..run
        });
        let figures = self.measured(&plan)?;
        self.table
            .row(name, &figures.map(|run| run.wall.as_secs_f64() * 1e3));
        Ok(())
    }
}
