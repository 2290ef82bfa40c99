//! Many sockets in one namespace: beside the floor of each reader, beside `ss` with and without
//! owners, and how much memory that takes.

use dryport_model::ReaderKind;

use super::herd::Herd;
use super::measure::Figures;
use super::{Bench, Part, Run, scene};
use crate::failure::Failure;

/// How many sockets a state holds.
#[derive(Clone, Copy)]
enum Level {
    Half,
    All,
    /// Two and a half times as many.
    Most,
}

impl Level {
    fn sockets(self, all: u32) -> u32 {
        match self {
            Self::Half => all / 2,
            Self::All => all,
            Self::Most => most(all),
        }
    }

    fn parts(self) -> &'static [Part] {
        match self {
            Self::Half => &[Part::Owners],
            Self::All => &[Part::Bpf, Part::SockDiag, Part::Owners],
            Self::Most => &[Part::Bpf],
        }
    }
}

/// The most that a state holds.
pub(super) fn most(sockets: u32) -> u32 {
    sockets / 2 * 5
}

/// Above its floor a reader may take this much.
const ABOVE_FLOOR: f64 = 1.3;

impl Bench {
    /// Clients on ports that the kernel chose, to a destination for each process.
    pub(super) fn busy(&mut self) -> Result<(), Failure> {
        let levels = [Level::Half, Level::All, Level::Most];
        let wanted = |level: &Level| level.parts().iter().any(|part| self.wants(*part));
        let levels: Vec<Level> = levels.into_iter().filter(wanted).collect();
        if levels.is_empty() {
            return Ok(());
        }
        scene::enter_fresh_namespace()?;
        let mut herd = Herd::start(self.processes, &["--automatic"])?;
        for level in levels {
            let sockets = level.sockets(self.sockets);
            let took = scene::on_few_ports(|| herd.grow(sockets / 2))?;
            self.table.state(&format!(
                "{sockets} sockets in {} processes, made in {:.0} s, {}",
                self.processes,
                took.as_secs_f64(),
                scene::sockstat()?
            ));
            match level {
                Level::Half => self.owners(20.0)?,
                Level::All => {
                    self.reader(ReaderKind::Bpf, 3.0)?;
                    self.reader(ReaderKind::SockDiag, 2.5)?;
                    self.owners(40.0)?;
                }
                Level::Most => {
                    self.reader(ReaderKind::Bpf, 5.0)?;
                    self.memory()?;
                }
            }
        }
        herd.stop()
    }

    /// Sockets without owners: beside the floor and beside `ss`, than which it must be faster by
    /// `bound`.
    fn reader(&mut self, reader: ReaderKind, bound: f64) -> Result<(), Failure> {
        let (part, floor_of): (_, &[&str]) = match reader {
            ReaderKind::Bpf => (Part::Bpf, &["bench-floor", "--bpf"]),
            ReaderKind::SockDiag => (Part::SockDiag, &["bench-floor"]),
        };
        if !self.wants(part) || reader == ReaderKind::Bpf && !self.bpf {
            return Ok(());
        }
        let name = reader.name();
        let check = self.check(&["--no-owners", "--reader", name]);
        let floor = format!("floor: read by {name}, thrown away");
        let floor = Run::new(&self.floors, floor, floor_of, self.runs);
        if !self.ss {
            let [check, floor] = self.interleaved([check, floor])?;
            self.above_floor(&check, &floor);
            return Ok(());
        }
        let peer = Run::new("ss", "ss -tanH", &["-tanH"], self.runs);
        let [check, floor, peer] = self.interleaved([check, floor, peer])?;
        self.above_floor(&check, &floor);
        self.table
            .at_least("ss -tanH / check --no-owners", peer.ratio(&check), bound);
        // What a reader of every row could reach at best.
        self.table.told("ss -tanH / floor", peer.ratio(&floor));
        Ok(())
    }

    fn above_floor(&mut self, check: &Figures, floor: &Figures) {
        let ratio = check.ratio(floor);
        self.table
            .at_most("check --no-owners / floor", ratio, ABOVE_FLOOR);
    }

    /// Sockets with the processes that own them, by the reader that `check` chooses. `ss -p` takes
    /// longer than in proportion: seconds, and minutes.
    fn owners(&mut self, bound: f64) -> Result<(), Failure> {
        if !self.wants(Part::Owners) {
            return Ok(());
        }
        let check = self.check(&[]).few();
        if self.ss {
            let peer = Run::new("ss", "ss -tanp", &["-tanp"], 1).once();
            let [check, peer] = self.interleaved([check, peer])?;
            self.table
                .at_least("ss -tanp / check", peer.ratio(&check), bound);
        } else {
            self.interleaved([check])?;
        }
        Ok(())
    }

    fn memory(&mut self) -> Result<(), Failure> {
        let run = |options: &[&str]| self.check(options).few();
        let plan = [
            run(&[]),
            run(&["--reader", "sock_diag"]),
            run(&["--no-owners", "--reader", "sock_diag"]),
        ];
        let figures = self.interleaved(plan)?;
        let peak = figures.iter().map(|run| run.peak_kib).max();
        let mib = peak.unwrap_or_default() as f64 / 1024.0;
        self.table.at_most("peak memory, MiB", mib, 64.0);
        Ok(())
    }
}
