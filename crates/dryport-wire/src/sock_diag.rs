//! `NETLINK_SOCK_DIAG`: asking for sockets and reading the rows.
//!
//! Owns the questions and what a row says; the framing belongs to `netlink`, the filters to
//! `bytecode`. Sources: `include/uapi/linux/inet_diag.h`, `net/ipv4/inet_diag.c`. Rows come by
//! the hundred thousand, so [`decode_socket`] allocates nothing and reads attributes only where
//! one can be there; [`decode_row`] reads everything.

use alloc::vec::Vec;

use dryport_model::Protocol;
use zerocopy::byteorder::network_endian::U16 as PortBytes;
use zerocopy::byteorder::{NativeEndian, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::bytecode::Bytecode;
use crate::netlink::{Message, NLM_F_DUMP, NLM_F_REQUEST};

mod row;

pub use row::{Row, TcpInfo, decode_row, decode_socket};

/// Message kind of the first form of the question, and of its rows.
pub const TCPDIAG_GETSOCK: u16 = 18;
/// Message kind of the second form, and of its rows.
pub const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// The bit of a state in [`Query::states`], by the kernel's number (`TCPF_*`).
#[must_use]
pub const fn state_bit(number: u8) -> u32 {
    1_u32.wrapping_shl(number as u32)
}

/// Every state, with `TCPF_NEW_SYN_RECV` (12) and `TCPF_BOUND_INACTIVE` (13). Kernels before 6.8
/// ignore bit 13.
pub const ALL_STATES: u32 = 0x3ffe;
/// `TCPF_ESTABLISHED`; connected UDP sockets too.
pub const STATE_ESTABLISHED: u32 = state_bit(1);
/// `TCPF_FIN_WAIT2`: full sockets and orphans' stubs.
pub const STATE_FIN_WAIT2: u32 = state_bit(5);
/// `TCPF_TIME_WAIT`.
pub const STATE_TIME_WAIT: u32 = state_bit(6);
/// `TCPF_CLOSE`: UDP sockets that are not connected.
pub const STATE_CLOSE: u32 = state_bit(7);
/// `TCPF_CLOSE_WAIT`.
pub const STATE_CLOSE_WAIT: u32 = state_bit(8);
/// `TCPF_LISTEN`.
pub const STATE_LISTEN: u32 = state_bit(10);
/// `TCPF_BOUND_INACTIVE`: bound, neither listening nor connected (6.8).
pub const STATE_BOUND_INACTIVE: u32 = state_bit(13);

/// Asks for `INET_DIAG_MEMINFO`.
pub const EXTENSION_MEMINFO: u8 = 1 << 0;
/// Asks for `INET_DIAG_INFO`, the `struct tcp_info`.
pub const EXTENSION_INFO: u8 = 1 << 1;
/// Asks for `INET_DIAG_CONG`, the congestion control's name.
pub const EXTENSION_CONG: u8 = 1 << 3;
/// Asks for `INET_DIAG_TOS`.
pub const EXTENSION_TOS: u8 = 1 << 4;
/// Asks for `INET_DIAG_TCLASS`; brings `INET_DIAG_CLASS_ID` too.
pub const EXTENSION_TCLASS: u8 = 1 << 5;
/// Asks for `INET_DIAG_SKMEMINFO`.
pub const EXTENSION_SKMEMINFO: u8 = 1 << 6;

/// [`Row::sockopt`]: `IP_BIND_ADDRESS_NO_PORT` was set.
pub const SOCKOPT_BIND_ADDRESS_NO_PORT: u16 = 1 << 8;

const INET_DIAG_REQ_BYTECODE: u16 = 1;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;

/// `struct inet_diag_sockid`. Ports and addresses are in network order, the rest in the machine's.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SocketId {
    local_port: PortBytes,
    remote_port: PortBytes,
    local: [u8; 16],
    remote: [u8; 16],
    device: U32<NativeEndian>,
    cookie: [U32<NativeEndian>; 2],
}

impl SocketId {
    const ANY: Self = Self {
        local_port: PortBytes::ZERO,
        remote_port: PortBytes::ZERO,
        local: [0; 16],
        remote: [0; 16],
        device: U32::ZERO,
        // INET_DIAG_NOCOOKIE; dumps do not look at it.
        cookie: [U32::MAX_VALUE; 2],
    };
}

/// `struct inet_diag_req`, the first form.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct FirstRequest {
    family: u8,
    source_length: u8,
    destination_length: u8,
    extensions: u8,
    id: SocketId,
    states: U32<NativeEndian>,
    tables: U32<NativeEndian>,
}

/// `struct inet_diag_req_v2`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct SecondRequest {
    family: u8,
    protocol: u8,
    extensions: u8,
    padding: u8,
    states: U32<NativeEndian>,
    id: SocketId,
}

/// Which sockets a dump gives, by the family they were created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Families {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`, v4-mapped ones included.
    V6,
    /// Both in one walk of the kernel's tables. Only the first form of the question can say that
    /// (`inet_diag_dump_compat` sets `AF_UNSPEC`), and it knows TCP only: with UDP the kernel
    /// answers `ENOENT`.
    Both,
}

/// A question for sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Families wanted.
    pub families: Families,
    /// Transport.
    pub protocol: Protocol,
    /// One bit per state wanted, see [`state_bit`].
    pub states: u32,
    /// `EXTENSION_*` bits.
    pub extensions: u8,
    /// Rows to give; `None`: all.
    pub filter: Option<Bytecode>,
}

impl Query {
    /// Every socket of a protocol and family, without extensions.
    #[must_use]
    pub const fn all(families: Families, protocol: Protocol) -> Self {
        Self {
            families,
            protocol,
            states: ALL_STATES,
            extensions: 0,
            filter: None,
        }
    }

    /// The question as a netlink message, ready to send.
    #[must_use]
    pub fn encode(&self, sequence: u32) -> Vec<u8> {
        let first_form = self.families == Families::Both && self.protocol == Protocol::Tcp;
        let kind = if first_form {
            TCPDIAG_GETSOCK
        } else {
            SOCK_DIAG_BY_FAMILY
        };
        let mut message = Message::new(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence);
        if first_form {
            message.push(&self.first_request());
        } else {
            message.push(&self.second_request());
        }
        let filter = self.filter.as_ref().map(Bytecode::encode);
        // A program without conditions takes every row, but the kernel refuses an empty one.
        if let Some(code) = filter.filter(|code| !code.is_empty()) {
            message.attribute(INET_DIAG_REQ_BYTECODE, &code);
        }
        message.finish()
    }

    fn first_request(&self) -> FirstRequest {
        FirstRequest {
            family: AF_INET,
            source_length: 0,
            destination_length: 0,
            extensions: self.extensions,
            id: SocketId::ANY,
            states: U32::new(self.states),
            tables: U32::ZERO,
        }
    }

    fn second_request(&self) -> SecondRequest {
        SecondRequest {
            family: match self.families {
                Families::V4 => AF_INET,
                Families::V6 => AF_INET6,
                Families::Both => AF_UNSPEC,
            },
            protocol: match self.protocol {
                Protocol::Tcp => IPPROTO_TCP,
                Protocol::Udp => IPPROTO_UDP,
            },
            extensions: self.extensions,
            padding: 0,
            states: U32::new(self.states),
            id: SocketId::ANY,
        }
    }
}

#[cfg(test)]
mod tests;
