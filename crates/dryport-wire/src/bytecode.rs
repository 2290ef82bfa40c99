//! Filters that the kernel runs over the rows of a dump (`INET_DIAG_REQ_BYTECODE`).
//!
//! A program is a list of conditions that must all hold. The kernel runs it as jumps
//! (`inet_diag_bc_run`): falling off the end exactly takes the row, landing 4 bytes behind the end
//! drops it. `inet_diag_bc_audit` refuses a program with `EINVAL` where a jump is shorter than
//! its operation, not a multiple of 4, or lands between operations.

use alloc::vec::Vec;
use core::net::IpAddr;

use dryport_model::PortRange;

const JMP: u8 = 1;
const S_GE: u8 = 2;
const S_LE: u8 = 3;
const D_GE: u8 = 4;
const D_LE: u8 = 5;
const AUTO: u8 = 6;
const S_COND: u8 = 7;
const D_COND: u8 = 8;
/// Since Linux 4.6.
const DEV_COND: u8 = 9;

/// `sizeof(struct inet_diag_bc_op)`.
const OPERATION: usize = 4;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// One condition. A row for which it does not hold is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Automatic,
    NotAutomatic,
    /// An operation with a port in a second operation's `no`.
    Port {
        code: u8,
        port: u16,
    },
    Host {
        code: u8,
        address: IpAddr,
        prefix: u8,
        port: Option<u16>,
    },
    Device(u32),
}

impl Condition {
    const fn size(self) -> usize {
        match self {
            Self::Automatic => OPERATION,
            Self::NotAutomatic | Self::Port { .. } | Self::Device(_) => 2 * OPERATION,
            Self::Host {
                address: IpAddr::V4(_),
                ..
            } => OPERATION + 8 + 4,
            Self::Host {
                address: IpAddr::V6(_),
                ..
            } => OPERATION + 8 + 16,
        }
    }
}

/// A filter program. The conditions hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytecode {
    conditions: Vec<Condition>,
}

impl Bytecode {
    /// Rows whose port was not chosen with `bind()` to a port other than 0: those without
    /// `SOCK_BINDPORT_LOCK`. `bind(addr, 0)`, TIME_WAIT and accepted sockets count as automatic.
    #[must_use]
    pub fn automatic() -> Self {
        Self::of([Condition::Automatic])
    }

    /// Rows that [`Self::automatic`] leaves out.
    #[must_use]
    pub fn not_automatic() -> Self {
        Self::of([Condition::NotAutomatic])
    }

    /// Rows whose local port lies in a range.
    #[must_use]
    pub fn local_port(range: PortRange) -> Self {
        Self::of([
            Condition::Port {
                code: S_GE,
                port: range.low(),
            },
            Condition::Port {
                code: S_LE,
                port: range.high(),
            },
        ])
    }

    /// Rows with this local port. Told as a range of one: `S_EQ` is younger (4.16).
    #[must_use]
    pub fn local_port_equals(port: u16) -> Self {
        Self::of([
            Condition::Port { code: S_GE, port },
            Condition::Port { code: S_LE, port },
        ])
    }

    /// Rows whose remote port lies in a range.
    #[must_use]
    pub fn remote_port(range: PortRange) -> Self {
        Self::of([
            Condition::Port {
                code: D_GE,
                port: range.low(),
            },
            Condition::Port {
                code: D_LE,
                port: range.high(),
            },
        ])
    }

    /// Rows whose local address lies in `address/prefix`, with this port where given. An IPv4
    /// address also finds v4-mapped rows; a prefix that is too long counts as the whole address.
    #[must_use]
    pub fn local(address: IpAddr, prefix: u8, port: Option<u16>) -> Self {
        Self::host(S_COND, address, prefix, port)
    }

    /// Rows whose remote address lies in `address/prefix`, with this port where given; as
    /// [`Self::local`].
    #[must_use]
    pub fn remote(address: IpAddr, prefix: u8, port: Option<u16>) -> Self {
        Self::host(D_COND, address, prefix, port)
    }

    /// Rows bound to an interface (`SO_BINDTODEVICE`); 0 finds those bound to none.
    #[must_use]
    pub fn device(index: u32) -> Self {
        Self::of([Condition::Device(index)])
    }

    /// Rows for which both hold.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.conditions.extend_from_slice(&other.conditions);
        self
    }

    /// The program as the kernel reads it. More than 65,531 bytes of it are refused by the kernel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut left: usize = self
            .conditions
            .iter()
            .map(|condition| condition.size())
            .sum();
        let mut code = Vec::with_capacity(left);
        for condition in &self.conditions {
            push_condition(&mut code, *condition, left);
            left -= condition.size();
        }
        code
    }

    fn host(code: u8, address: IpAddr, prefix: u8, port: Option<u16>) -> Self {
        let address = address.to_canonical();
        let prefix = prefix.min(if address.is_ipv4() { 32 } else { 128 });
        Self::of([Condition::Host {
            code,
            address,
            prefix,
            port,
        }])
    }

    fn of<const N: usize>(conditions: [Condition; N]) -> Self {
        Self {
            conditions: Vec::from(conditions),
        }
    }
}

/// Appends one condition; `left` is the length of the program from here to its end.
fn push_condition(code: &mut Vec<u8>, condition: Condition, left: usize) {
    let size = condition.size();
    let reject = jump(left + OPERATION);
    match condition {
        Condition::Automatic => push_operation(code, AUTO, size, reject),
        Condition::NotAutomatic => {
            // Automatic: fall into the jump, which always takes `no`. Else: skip the jump.
            push_operation(code, AUTO, OPERATION, jump(size));
            push_operation(code, JMP, OPERATION, jump(left));
        }
        Condition::Port {
            code: operation,
            port,
        } => {
            push_operation(code, operation, size, reject);
            push_operation(code, 0, 0, port);
        }
        Condition::Device(index) => {
            push_operation(code, DEV_COND, size, reject);
            code.extend_from_slice(&index.to_ne_bytes());
        }
        Condition::Host {
            code: operation,
            address,
            prefix,
            port,
        } => {
            push_operation(code, operation, size, reject);
            push_host(code, address, prefix, port);
        }
    }
}

/// `struct inet_diag_bc_op`: the code, and how far to jump for yes and for no.
fn push_operation(code: &mut Vec<u8>, operation: u8, yes: usize, no: u16) {
    code.push(operation);
    code.push(yes as u8);
    code.extend_from_slice(&no.to_ne_bytes());
}

/// `struct inet_diag_hostcond`: family, prefix, port (−1: any) in the machine's order, address.
fn push_host(code: &mut Vec<u8>, address: IpAddr, prefix: u8, port: Option<u16>) {
    code.extend_from_slice(&[
        if address.is_ipv4() { AF_INET } else { AF_INET6 },
        prefix,
        0,
        0,
    ]);
    code.extend_from_slice(&port.map_or(-1, i32::from).to_ne_bytes());
    match address {
        IpAddr::V4(address) => code.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => code.extend_from_slice(&address.octets()),
    }
}

/// A jump that does not fit makes the kernel refuse the program: 65,535 is no multiple of 4.
fn jump(distance: usize) -> u16 {
    u16::try_from(distance).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
