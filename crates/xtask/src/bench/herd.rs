//! The processes that hold the benchmark's sockets, as seen from the benchmark.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;

use super::scene;
use crate::failure::Failure;

pub struct Herd {
    holders: Vec<Holder>,
}

/// What a holder is to hold, told in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Connections, two sockets each, those it has included.
    pub connections: u32,
    /// Connections to open and close beside them.
    pub time_waits: u32,
}

impl Order {
    fn of(connections: u32) -> Self {
        Self {
            connections,
            time_waits: 0,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.connections, self.time_waits)
    }
}

impl FromStr for Order {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (connections, time_waits) = text.split_once(' ').ok_or(())?;
        Ok(Self {
            connections: connections.parse().map_err(drop)?,
            time_waits: time_waits.parse().map_err(drop)?,
        })
    }
}

/// Dropping its two ends of the pipes ends the process.
struct Holder {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Herd {
    /// Starts `count` holders in this process's network namespace.
    pub fn start(count: u32, arguments: &[&str]) -> Result<Self, Failure> {
        let program = scene::own_program()?;
        let mut holders = Vec::new();
        for index in 0..count {
            let mut command = Command::new(&program);
            command
                .arg("bench-hold")
                .arg(format!("--index={index}"))
                .args(arguments);
            holders.push(Holder::start(&mut command)?);
        }
        Ok(Self { holders })
    }

    /// Makes all together hold `connections`, two sockets each.
    pub fn grow(&mut self, connections: u32) -> Result<(), Failure> {
        self.each(Order::of(connections / self.holders.len().max(1) as u32))
    }

    /// Gives each the same order. All work at once.
    pub fn each(&mut self, order: Order) -> Result<(), Failure> {
        for holder in &mut self.holders {
            holder.order(order)?;
        }
        self.holders.iter_mut().try_for_each(Holder::wait_ready)
    }

    /// Makes each hold `connections`, on a slice of the range for each, so that no two share a port.
    /// Of a slice with an odd number of ports the kernel gives one less.
    pub fn grow_apart(&mut self, connections: u16) -> Result<(), Failure> {
        let width = connections.next_multiple_of(2);
        let lows = (scene::RANGE.0..scene::RANGE.1).step_by(width.max(2).into());
        for (holder, low) in self.holders.iter_mut().zip(lows) {
            scene::set_range((low, low + width - 1))?;
            holder.order(Order::of(connections.into()))?;
            holder.wait_ready()?;
        }
        scene::set_range(scene::RANGE)
    }

    /// Ends them all and waits until their sockets are gone with them.
    pub fn stop(self) -> Result<(), Failure> {
        let mut children = Vec::new();
        for holder in self.holders {
            drop(holder.orders);
            children.push(holder.child);
        }
        for mut child in children {
            child.wait().map_err(Failure::system("wait for a holder"))?;
        }
        Ok(())
    }
}

impl Holder {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| Failure::Start {
            program: "a holder".into(),
            source,
        })?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(answers)) => Ok(Self {
                child,
                orders,
                answers: BufReader::new(answers),
            }),
            _ => Err(Failure::Usage("a holder has no pipes".into())),
        }
    }

    fn order(&mut self, order: Order) -> Result<(), Failure> {
        writeln!(self.orders, "{order}").map_err(Failure::system("write to a holder"))
    }

    fn wait_ready(&mut self) -> Result<(), Failure> {
        let mut said = String::new();
        self.answers
            .read_line(&mut said)
            .map_err(Failure::system("read from a holder"))?;
        if said == "ready\n" {
            return Ok(());
        }
        Err(Failure::Answer {
            program: "a holder",
            said,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_pipe() {
        let order = Order {
            connections: 2_500,
            time_waits: 3,
        };
        assert_eq!(order.to_string().parse(), Ok(order));
        assert_eq!("7".parse::<Order>(), Err(()));
        assert_eq!("7 x".parse::<Order>(), Err(()));
    }
}
