//! What doubtful ports cost: sock_diag asks the kernel about each, BPF sees.

use super::herd::Herd;
use super::measure::Figures;
use super::{Bench, scene};
use crate::failure::Failure;

const HOLDERS: u16 = 10;

impl Bench {
    /// The same number of sockets twice, once with ports outside the range, once on ports of the
    /// range that the kernel chose. 88 % of the range may then be locked for a new destination, so
    /// the verdict depends on asking about each of those ports.
    pub(super) fn probing(&mut self) -> Result<(), Failure> {
        let each: u16 = if self.smoke { 10 } else { 2_500 };
        let ports = u32::from(HOLDERS * each);
        scene::enter_fresh_namespace()?;
        let mut herd = Herd::start(HOLDERS.into(), &[])?;
        herd.grow(ports)?;
        self.table
            .state(&format!("{} sockets, no port in doubt", 2 * ports));
        let without = self.by_sock_diag()?;
        herd.stop()?;

        scene::enter_fresh_namespace()?;
        let mut herd = Herd::start(HOLDERS.into(), &["--automatic"])?;
        herd.grow_apart(each)?;
        self.table
            .state(&format!("{} sockets, {ports} ports in doubt", 2 * ports));
        let with = self.by_sock_diag()?;
        if self.bpf {
            self.interleaved([self.check(&["--no-owners", "--reader", "bpf"])])?;
        }
        herd.stop()?;

        let extra = with.wall.as_secs_f64() - without.wall.as_secs_f64();
        self.table.told(
            "probing, extra wall per port, us",
            extra * 1e6 / f64::from(ports),
        );
        Ok(())
    }

    fn by_sock_diag(&mut self) -> Result<Figures, Failure> {
        let run = self.check(&["--no-owners", "--reader", "sock_diag"]);
        let [figures] = self.interleaved([run])?;
        Ok(figures)
    }
}
