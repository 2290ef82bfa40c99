//! Rows as programs write them.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dryport_model::capture::{End, Host, PortShown, Row};
use dryport_model::{Family, Protocol, State};
use proptest::prelude::*;

/// A socket to write.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    pub protocol: Protocol,
    pub state: State,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub pid: u32,
}

/// States that every format has.
const STATES: [State; 6] = [
    State::Established,
    State::TimeWait,
    State::CloseWait,
    State::SynSent,
    State::LastAck,
    State::Listen,
];

fn address(v6: bool) -> BoxedStrategy<IpAddr> {
    if v6 {
        any::<u64>()
            .prop_map(|low| {
                let bits = 0x2001_0db8_u128 << 96 | u128::from(low) | 1 << 64;
                IpAddr::V6(Ipv6Addr::from(bits))
            })
            .boxed()
    } else {
        any::<u16>()
            .prop_map(|low| IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + u32::from(low))))
            .boxed()
    }
}

/// Sockets, in the order of `netstat`: IPv4 before IPv6, TCP before UDP.
pub fn sockets() -> impl Strategy<Value = Vec<Socket>> {
    let socket = (any::<bool>(), any::<bool>()).prop_flat_map(|(v6, udp)| {
        let ports = (1_u16.., 1_u16.., 1_u32..99_999, 0..STATES.len());
        (address(v6), address(v6), ports).prop_map(
            move |(local, remote, (from, to, pid, state))| {
                let state = STATES[state];
                let none = SocketAddr::new(
                    if v6 {
                        IpAddr::from([0; 16])
                    } else {
                        [0; 4].into()
                    },
                    0,
                );
                let (protocol, state) = match udp {
                    true => (Protocol::Udp, State::Close),
                    false => (Protocol::Tcp, state),
                };
                let idle = udp || state == State::Listen;
                Socket {
                    protocol,
                    state,
                    local: SocketAddr::new(local, from),
                    remote: if idle {
                        none
                    } else {
                        SocketAddr::new(remote, to)
                    },
                    pid: if state == State::TimeWait { 0 } else { pid },
                }
            },
        )
    });
    prop::collection::vec(socket, 1..20).prop_map(|mut sockets| {
        sockets.sort_by_key(|s| (s.protocol, s.local.is_ipv6()));
        sockets
    })
}

/// The rows that the sockets are.
pub fn rows(sockets: &[Socket]) -> Vec<Row> {
    let end = |end: SocketAddr| End {
        host: match end.ip().is_unspecified() {
            true => Host::Any,
            false => Host::Ip(end.ip()),
        },
        port: match end.port() {
            0 => PortShown::Any,
            port => PortShown::Number(port),
        },
    };
    let row = |socket: &Socket| Row {
        protocol: socket.protocol,
        family: match socket.local.is_ipv6() {
            true => Family::V6,
            false => Family::V4,
        },
        state: Some(socket.state),
        local: end(socket.local),
        remote: end(socket.remote),
        wait_left_ms: None,
    };
    sockets.iter().map(row).collect()
}

/// A way to write sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitter {
    Windows,
    German,
    Ss,
    NetTools,
    ProcNet,
    Bsd,
    Lsof,
    Table,
    List,
    Csv,
    Json,
}

impl Emitter {
    pub const ALL: [Self; 11] = [
        Self::Windows,
        Self::German,
        Self::Ss,
        Self::NetTools,
        Self::ProcNet,
        Self::Bsd,
        Self::Lsof,
        Self::Table,
        Self::List,
        Self::Csv,
        Self::Json,
    ];

    /// Whether a row is one line of words, so that a mail program may break it anywhere.
    pub const fn can_be_wrapped(self) -> bool {
        matches!(
            self,
            Self::Windows | Self::German | Self::Ss | Self::NetTools
        )
    }

    /// Whether UDP rows can be told from TCP rows.
    pub const fn writes_udp(self) -> bool {
        !matches!(self, Self::Table | Self::Csv)
    }

    /// The lines above the rows.
    pub fn head(self) -> &'static str {
        match self {
            Self::Windows => {
                "\nActive Connections\n\n  Proto  Local Address          Foreign Address        State           PID\n"
            }
            Self::German => {
                "\nAktive Verbindungen\n\n  Proto  Lokale Adresse         Remoteadresse          Status           PID\n"
            }
            Self::Ss => "Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n",
            Self::NetTools => {
                "Active Internet connections (servers and established)\nProto Recv-Q Send-Q Local Address Foreign Address State PID/Program name\n"
            }
            Self::ProcNet => {
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
            }
            Self::Bsd => {
                "Active Internet connections (including servers)\nProto Recv-Q Send-Q  Local Address          Foreign Address        (state)\n"
            }
            Self::Lsof => "COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME\n",
            Self::Table => {
                "\nLocalAddress                        LocalPort RemoteAddress                       RemotePort State       AppliedSetting OwningProcess\n------------                        --------- -------------                       ---------- -----       -------------- -------------\n"
            }
            Self::List => "\n",
            Self::Csv => {
                "\"LocalAddress\",\"LocalPort\",\"RemoteAddress\",\"RemotePort\",\"State\",\"OwningProcess\"\n"
            }
            Self::Json => "[\n",
        }
    }

    pub fn foot(self) -> &'static str {
        match self {
            Self::Json => "]\n",
            _ => "",
        }
    }

    /// One socket, with the end of its line.
    pub fn row(self, s: &Socket) -> String {
        match self {
            Self::Windows | Self::German => windows(s, self == Self::German),
            Self::Ss => ss(s),
            Self::NetTools => net_tools(s),
            Self::ProcNet => proc_net(s),
            Self::Bsd => bsd(s),
            Self::Lsof => lsof(s),
            Self::Table => table(s),
            Self::List => list(s),
            Self::Csv => format!(
                "\"{}\",\"{}\",\"{}\",\"{}\",\"{}\",\"{}\"\n",
                s.local.ip(),
                s.local.port(),
                s.remote.ip(),
                s.remote.port(),
                powershell(s.state).0,
                s.pid
            ),
            Self::Json => json(s),
        }
    }

    pub fn text(self, sockets: &[Socket]) -> String {
        let mut text = String::from(self.head());
        for (index, socket) in sockets.iter().enumerate() {
            let row = self.row(socket);
            let last = index + 1 == sockets.len();
            match (self, last) {
                (Self::Json, false) => writeln!(text, "{},", row.trim_end()).unwrap(),
                _ => text.push_str(&row),
            }
        }
        text + self.foot()
    }
}

fn windows(s: &Socket, german: bool) -> String {
    let state = match (s.state, german) {
        (State::Listen, false) => "LISTENING",
        (State::Listen, true) => "ABHÖREN",
        (State::Established, true) => "HERGESTELLT",
        (State::TimeWait, true) => "WARTEND",
        (State::CloseWait, true) => "SCHLIESSEN_WARTEN",
        (State::SynSent, true) => "SYN_GESENDET",
        (state, _) => state.name(),
    };
    match s.protocol {
        Protocol::Tcp => format!(
            "  TCP    {:<22} {:<22} {state:<15} {}\n",
            s.local, s.remote, s.pid
        ),
        Protocol::Udp => format!(
            "  UDP    {:<22} *:*                                    {}\n",
            s.local, s.pid
        ),
    }
}

fn star(end: SocketAddr) -> String {
    match (end.port(), end) {
        (0, SocketAddr::V4(_)) => "0.0.0.0:*".into(),
        (0, SocketAddr::V6(_)) => "[::]:*".into(),
        _ => end.to_string(),
    }
}

fn ss(s: &Socket) -> String {
    let (netid, state) = match (s.protocol, s.state) {
        (Protocol::Udp, _) => ("udp", "UNCONN"),
        (_, State::Established) => ("tcp", "ESTAB"),
        (_, State::TimeWait) => ("tcp", "TIME-WAIT"),
        (_, State::CloseWait) => ("tcp", "CLOSE-WAIT"),
        (_, State::SynSent) => ("tcp", "SYN-SENT"),
        (_, State::LastAck) => ("tcp", "LAST-ACK"),
        _ => ("tcp", "LISTEN"),
    };
    let users = match s.pid {
        0 => String::new(),
        pid => format!(" users:((\"program\",pid={pid},fd=3))"),
    };
    format!(
        "{netid} {state:<10} 0 0 {} {}{users}\n",
        star(s.local),
        star(s.remote)
    )
}

fn net_tools(s: &Socket) -> String {
    let bare = |end: SocketAddr| match end.port() {
        0 if end.is_ipv6() => ":::*".to_string(),
        0 => "0.0.0.0:*".to_string(),
        port => format!("{}:{port}", end.ip()),
    };
    let six = if s.local.is_ipv6() { "6" } else { "" };
    let owner = match s.pid {
        0 => "-".to_string(),
        pid => format!("{pid}/program"),
    };
    let state = match s.protocol {
        Protocol::Udp => "",
        Protocol::Tcp => s.state.name(),
    };
    format!(
        "{}{six:<4} 0 0 {} {} {state:<11} {owner}\n",
        s.protocol.name(),
        bare(s.local),
        bare(s.remote)
    )
}

fn proc_net(s: &Socket) -> String {
    let hex = |end: SocketAddr| {
        let address = match end.ip() {
            IpAddr::V4(address) => format!("{:08X}", u32::from(address).swap_bytes()),
            IpAddr::V6(address) => address
                .octets()
                .chunks(4)
                .map(|part| {
                    let part: [u8; 4] = part.try_into().unwrap();
                    format!("{:08X}", u32::from_le_bytes(part))
                })
                .collect(),
        };
        format!("{address}:{:04X}", end.port())
    };
    format!(
        "   0: {} {} {:02X} 00000000:00000000 00:00000000 00000000  1000        0 12345 1\n",
        hex(s.local),
        hex(s.remote),
        s.state as u8
    )
}

fn bsd(s: &Socket) -> String {
    let dotted = |end: SocketAddr| match end.port() {
        0 => "*.*".to_string(),
        port => format!("{}.{port}", end.ip()),
    };
    let family = if s.local.is_ipv6() { "6" } else { "4" };
    let state = match s.protocol {
        Protocol::Udp => "",
        Protocol::Tcp => s.state.name(),
    };
    format!(
        "{}{family}       0      0  {:<22} {:<22} {state}\n",
        s.protocol.name(),
        dotted(s.local),
        dotted(s.remote)
    )
}

fn lsof(s: &Socket) -> String {
    let kind = if s.local.is_ipv6() { "IPv6" } else { "IPv4" };
    let ends = match s.remote.port() {
        0 => s.local.to_string(),
        _ => format!("{}->{}", s.local, s.remote),
    };
    let state = match s.protocol {
        Protocol::Udp => String::new(),
        Protocol::Tcp => format!(" ({})", s.state.name()),
    };
    let node = s.protocol.name().to_uppercase();
    format!(
        "program {} root 3u {kind} 12345 0t0 {node} {ends}{state}\n",
        s.pid.max(1)
    )
}

fn powershell(state: State) -> (&'static str, u8) {
    match state {
        State::Established => ("Established", 5),
        State::TimeWait => ("TimeWait", 11),
        State::CloseWait => ("CloseWait", 8),
        State::SynSent => ("SynSent", 3),
        State::LastAck => ("LastAck", 10),
        _ => ("Listen", 2),
    }
}

fn table(s: &Socket) -> String {
    format!(
        "{:<35} {:<9} {:<35} {:<10} {:<11} {:<14} {}\n",
        s.local.ip().to_string(),
        s.local.port(),
        s.remote.ip().to_string(),
        s.remote.port(),
        powershell(s.state).0,
        if s.state == State::Established {
            "Internet"
        } else {
            ""
        },
        s.pid
    )
}

fn list(s: &Socket) -> String {
    let mut text = format!(
        "LocalAddress   : {}\nLocalPort      : {}\n",
        s.local.ip(),
        s.local.port()
    );
    if s.protocol == Protocol::Tcp {
        write!(
            text,
            "RemoteAddress  : {}\nRemotePort     : {}\nState          : {}\nAppliedSetting : \n",
            s.remote.ip(),
            s.remote.port(),
            powershell(s.state).0
        )
        .unwrap();
    }
    text + &format!(
        "OwningProcess  : {}\nCreationTime   : 11/22/2026 1:45:10 PM\n\n",
        s.pid
    )
}

fn json(s: &Socket) -> String {
    let remote = match s.protocol {
        Protocol::Udp => String::new(),
        Protocol::Tcp => format!(
            "\"RemoteAddress\":\"{}\",\"RemotePort\":{},\"State\":{},",
            s.remote.ip(),
            s.remote.port(),
            powershell(s.state).1
        ),
    };
    format!(
        "{{\"LocalAddress\":\"{}\",\"LocalPort\":{},{remote}\"OwningProcess\":{}}}\n",
        s.local.ip(),
        s.local.port(),
        s.pid
    )
}
