//! Where the BPF reader begins to pay: what `SOCKETS_WORTH_BPF` and `FILES_WORTH_BPF` of the model
//! are taken from. Setting it up takes some milliseconds however little there is to read; sock_diag
//! costs more with every port that is in doubt, and `/proc` with every open file.

use super::herd::Herd;
use super::{Bench, Run, scene};
use crate::failure::Failure;

const SOCKETS: [u16; 6] = [100, 300, 1_000, 3_000, 10_000, 30_000];
const FILES: [u32; 5] = [1_000, 3_000, 10_000, 30_000, 100_000];
const HOLDERS: u16 = 10;

/// Times as many runs as elsewhere: the differences are small, and so is what a run takes.
const MORE_RUNS: u32 = 3;

const READERS: [&str; 2] = ["sock_diag", "bpf"];

impl Bench {
    /// A namespace that holds no socket: what a person waits for at least, and what setting up BPF
    /// adds where it is asked for.
    pub(super) fn idle(&mut self) -> Result<(), Failure> {
        scene::enter_fresh_namespace()?;
        self.table.state("idle: no socket in the namespace");
        let check = self.check(&[]);
        let check = if self.bpf {
            let [diag, bpf] =
                READERS.map(|reader| self.check(&["--no-owners", "--reader", reader]));
            let owners = self.check(&["--reader", "bpf"]);
            let [check, diag, bpf, _] = self.interleaved([check, diag, bpf, owners])?;
            let more = bpf.wall.as_secs_f64() - diag.wall.as_secs_f64();
            self.table.told("setting up BPF, ms", more * 1e3);
            check
        } else {
            let [check] = self.interleaved([check])?;
            check
        };
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
            "more and more sockets in 10 processes, wall ms (+own: with owners)",
            &["sock_diag", "bpf", "diag+own", "bpf+own"],
        );
        for sockets in self.levels(&SOCKETS) {
            scene::enter_fresh_namespace()?;
            let mut herd = Herd::start(HOLDERS.into(), &["--automatic"])?;
            herd.grow_apart(sockets / 2 / HOLDERS)?;
            let [diag, bpf] =
                READERS.map(|reader| self.check(&["--no-owners", "--reader", reader]));
            let [diag_own, bpf_own] = READERS.map(|reader| self.check(&["--reader", reader]));
            let name = format!("{sockets} sockets, {} ports in doubt", sockets / 2);
            self.row(&name, [diag, bpf, diag_own, bpf_own])?;
            herd.stop()?;
        }
        Ok(())
    }

    /// Files that are no sockets, beside 100 sockets. By `/proc` the processes of one namespace are
    /// looked at first, by BPF all of the machine.
    fn by_files(&mut self) -> Result<(), Failure> {
        let open = dryport_host::open_files().unwrap_or_default();
        self.table.grid(
            &format!("files in 10 processes, beside {open} of others, and 100 sockets, wall ms"),
            &["diag+own", "bpf+own"],
        );
        for elsewhere in [false, true] {
            for files in self.levels(&FILES) {
                self.beside_files(files, elsewhere)?;
            }
        }
        Ok(())
    }

    fn beside_files(&mut self, files: u32, elsewhere: bool) -> Result<(), Failure> {
        scene::enter_fresh_namespace()?;
        let with_files = format!("--files={}", files / u32::from(HOLDERS));
        let hoard = ["--own-namespace", &with_files];
        let hoard = elsewhere.then(|| Herd::start(HOLDERS.into(), &hoard));
        let hoard = hoard.transpose()?;
        let options: &[&str] = match elsewhere {
            true => &["--automatic"],
            false => &["--automatic", &with_files],
        };
        let mut herd = Herd::start(HOLDERS.into(), options)?;
        herd.grow_apart(5)?;
        let plan = READERS.map(|reader| self.check(&["--reader", reader]));
        let place = if elsewhere {
            " in other namespaces"
        } else {
            ""
        };
        self.row(&format!("{files} files{place}"), plan)?;
        herd.stop()?;
        hoard.into_iter().try_for_each(Herd::stop)
    }

    fn levels<T: Copy>(&self, all: &[T]) -> Vec<T> {
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
