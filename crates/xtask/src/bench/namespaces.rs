//! All network namespaces at once: many with a few sockets each, as on a machine full of
//! containers, and beside them one with very many.

use super::herd::{Herd, Order};
use super::{Bench, scene};
use crate::failure::Failure;

const NAMESPACES: u32 = 100;
const IN_SMOKE: u32 = 5;

/// With the listener that is 10 sockets.
const FEW: Order = Order {
    connections: 3,
    time_waits: 3,
};

impl Bench {
    pub(super) fn namespaces(&mut self) -> Result<(), Failure> {
        scene::enter_fresh_namespace()?;
        let herd = self.few_in_each("")?;
        let run = |options: &[&str]| self.check_everywhere(options);
        let plan = [
            run(&[]),
            run(&["--no-owners"]),
            run(&["--reader", "sock_diag"]),
            run(&["--no-owners", "--reader", "sock_diag"]),
        ];
        let [check, ..] = self.interleaved(plan)?;
        let wall = check.wall.as_secs_f64();
        self.table
            .at_most("check of all namespaces, wall, s", wall, 0.5);
        herd.stop()?;
        self.beside_a_crowd()
    }

    /// The kernel walks its one table of connections for each namespace: no bound.
    fn beside_a_crowd(&mut self) -> Result<(), Failure> {
        let mut crowd = Herd::start(self.processes, &["--automatic"])?;
        scene::on_few_ports(|| crowd.grow(self.sockets / 2))?;
        // Others than before: a TIME_WAIT lasts a minute.
        let herd = self.few_in_each(&format!(", and one with {}", self.sockets))?;
        let run = |options: &[&str]| self.check_everywhere(options).few();
        self.interleaved([run(&[]), run(&["--reader", "sock_diag"])])?;
        herd.stop()?;
        crowd.stop()
    }

    /// Each holder has a namespace of its own. Those of others on the machine are looked at as well.
    fn few_in_each(&mut self, beside: &str) -> Result<Herd, Failure> {
        let count = if self.smoke { IN_SMOKE } else { NAMESPACES };
        let mut herd = Herd::start(count, &["--automatic", "--own-namespace"])?;
        herd.each(FEW)?;
        let all = dryport_host::namespaces()?.namespaces.len();
        self.table.state(&format!(
            "{count} namespaces with 10 sockets each{beside}; {all} namespaces on the machine"
        ));
        Ok(herd)
    }
}
