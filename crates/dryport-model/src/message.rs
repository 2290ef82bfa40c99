//! What a log line or an error message says, and what it means for local ports.
//!
//! A reader turns words into a [`Message`]; the rule that turns a message into a cause
//! ([`Message::cause`]) is here. The same errno means exhaustion or not, by the call that failed,
//! by the port that was asked for and by the destination.

use alloc::string::String;
use core::net::IpAddr;

use crate::{CauseId, Platform};

/// What a message complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Complaint {
    /// `EADDRNOTAVAIL`, "Cannot assign requested address", 10049.
    AddressNotAvailable,
    /// `EADDRINUSE`, "Address already in use", 10048, "Only one usage of each socket address…".
    AddressInUse,
    /// Windows' 10055 (`WSAENOBUFS`), "lacked sufficient buffer space".
    NoBufferSpace,
    /// Windows' 10013 (`WSAEACCES`), "forbidden by its access permissions".
    AccessForbidden,
    /// `EMFILE`, `ENFILE`, 10024: too many open files.
    TooManyFiles,
    /// `ECONNREFUSED`, 10061.
    Refused,
    /// `ETIMEDOUT`, 10060, a connect timeout.
    TimedOut,
    /// A program that counts for itself says that it has no source port left (HAProxy: "no free
    /// ports").
    NoFreePorts,
    /// Windows event 4227: the local endpoint was recently used to connect to the same remote
    /// endpoint.
    Event4227,
    /// Windows event 4231: no ephemeral port is left in the global TCP port space.
    Event4231,
    /// Windows event 4266: no ephemeral port is left in the global UDP port space.
    Event4266,
    /// Linux: `TCP: time wait bucket table overflow`.
    TimeWaitOverflow,
    /// Linux: `nf_conntrack: table full, dropping packet`.
    ConntrackFull,
    /// A NAT gateway (or the machine's own masquerading) has no port left for a flow.
    SnatExhausted,
    /// .NET's "The underlying connection was closed: An unexpected error occurred on a send.":
    /// may be a lack of ports, may be TLS.
    ClosedOnSend,
    /// .NET's "Unable to connect to the remote server" without an inner error.
    CannotConnect,
}

/// The system call behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// `connect()`.
    Connect,
    /// `bind()` by a client, or without a word whose.
    Bind,
    /// `listen()`, or a `bind()` by a server.
    Listen,
}

/// What one line (or a few lines that belong together) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it complains of.
    pub complaint: Complaint,
    /// The call that failed; `None` where nothing tells.
    pub call: Option<Call>,
    /// The port that a `bind()` asked for; `Some(0)`: any. `None` where nothing tells.
    pub local_port: Option<u16>,
    /// The own address that was to be bound, where the line names it.
    pub local_address: Option<IpAddr>,
    /// Where to, as written: `10.0.0.5:6379`, `db.example:5432`, printable.
    pub destination: Option<String>,
    /// The address of `destination`, where it is one.
    pub destination_address: Option<IpAddr>,
    /// The platform that such a message comes from; `None` where several have it.
    pub platform: Option<Platform>,
    /// The program or runtime whose wording it is: `Go`, `nginx`, …
    pub program: Option<&'static str>,
}

/// How a message is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meaning {
    /// Ports have run out.
    Exhausted,
    /// Something else, which looks alike.
    FalseAlarm,
    /// It can be either.
    Possible,
    /// A warning of the kernel, neither of them.
    Aside,
}

impl Message {
    /// A message that tells nothing but its complaint.
    #[must_use]
    pub const fn new(complaint: Complaint) -> Self {
        Self {
            complaint,
            call: None,
            local_port: None,
            local_address: None,
            destination: None,
            destination_address: None,
            platform: None,
            program: None,
        }
    }

    /// The cause it points to. `platform` is what the whole input says, where the message is
    /// silent.
    #[must_use]
    pub fn cause(&self, platform: Option<Platform>) -> (CauseId, Meaning) {
        use Complaint as C;
        let platform = self.platform.or(platform);
        let windows = platform.is_some_and(Platform::is_windows);
        match self.complaint {
            C::AddressNotAvailable => self.address_not_available(windows, platform),
            C::AddressInUse => self.address_in_use(windows),
            C::NoBufferSpace => (CauseId::WindowsRangeDry, Meaning::Exhausted),
            C::AccessForbidden if self.call == Some(Call::Connect) => {
                (CauseId::NotExhaustionRefusedOrTimeout, Meaning::FalseAlarm)
            }
            C::AccessForbidden => (CauseId::WindowsPortExcluded, Meaning::Exhausted),
            C::TooManyFiles => (CauseId::NotExhaustionDescriptorLimit, Meaning::FalseAlarm),
            C::Refused | C::TimedOut => {
                (CauseId::NotExhaustionRefusedOrTimeout, Meaning::FalseAlarm)
            }
            C::NoFreePorts => (CauseId::ConnectTupleDry, Meaning::Exhausted),
            C::Event4227 => (CauseId::WindowsTupleTimeWait, Meaning::Exhausted),
            C::Event4231 => (CauseId::WindowsRangeDry, Meaning::Exhausted),
            C::Event4266 => (CauseId::UdpRangeDry, Meaning::Exhausted),
            C::TimeWaitOverflow => (CauseId::ConnectTimeWaitOverflow, Meaning::Aside),
            C::ConntrackFull => (CauseId::NatTableFull, Meaning::Exhausted),
            C::SnatExhausted => (CauseId::NatTupleDry, Meaning::Exhausted),
            C::ClosedOnSend | C::CannotConnect => {
                (CauseId::WindowsTupleTimeWait, Meaning::Possible)
            }
        }
    }

    /// Linux and the BSDs: `connect()` without a port left, or an address that is not there.
    /// Windows' 10049 is only the latter.
    fn address_not_available(
        &self,
        windows: bool,
        platform: Option<Platform>,
    ) -> (CauseId, Meaning) {
        let bsd = matches!(platform, Some(Platform::MacOs | Platform::FreeBsd));
        let to_ipv6_loopback = self
            .destination_address
            .is_some_and(|address| address.is_ipv6() && address.is_loopback());
        match self.call {
            Some(Call::Listen) => (CauseId::NotExhaustionAddressNotLocal, Meaning::FalseAlarm),
            // The BSDs say it of bind(addr, 0) as well.
            Some(Call::Bind) if !(bsd && self.local_port == Some(0)) => {
                (CauseId::NotExhaustionAddressNotLocal, Meaning::FalseAlarm)
            }
            _ if to_ipv6_loopback => (CauseId::NotExhaustionIpv6Off, Meaning::FalseAlarm),
            _ if windows => (CauseId::NotExhaustionAddressNotLocal, Meaning::FalseAlarm),
            // A machine without an IPv6 address says the same.
            _ if self
                .destination_address
                .is_some_and(|to| to.to_canonical().is_ipv6()) =>
            {
                (CauseId::ConnectTupleDry, Meaning::Possible)
            }
            _ if bsd => (CauseId::ConnectRangeDry, Meaning::Exhausted),
            _ => (CauseId::ConnectTupleDry, Meaning::Exhausted),
        }
    }

    fn address_in_use(&self, windows: bool) -> (CauseId, Meaning) {
        let fixed = self.local_port.is_some_and(|port| port != 0);
        match (self.call, windows) {
            (Some(Call::Listen), _) => (CauseId::NotExhaustionFixedPortInUse, Meaning::FalseAlarm),
            _ if fixed => (CauseId::NotExhaustionFixedPortInUse, Meaning::FalseAlarm),
            (Some(Call::Connect) | None, true) => {
                (CauseId::WindowsTupleTimeWait, Meaning::Exhausted)
            }
            (Some(Call::Bind), true) if self.local_port == Some(0) => {
                (CauseId::WindowsRangeDry, Meaning::Exhausted)
            }
            (Some(Call::Connect), false) => (CauseId::BindRangeDry, Meaning::Exhausted),
            (Some(Call::Bind), false) if self.local_port == Some(0) => {
                (CauseId::BindRangeDry, Meaning::Exhausted)
            }
            // A server that starts twice is by far the most frequent reason.
            (Some(Call::Bind) | None, _) => {
                (CauseId::NotExhaustionFixedPortInUse, Meaning::FalseAlarm)
            }
        }
    }
}
