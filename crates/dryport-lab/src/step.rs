//! One line of a scenario's set-up. Owns the vocabulary; `stage` performs it, `step::text` spells
//! it.

use std::net::IpAddr;
use std::time::Duration;

use crate::Ask;

mod text;

/// One step of a set-up. A `group` names the sockets of the `hold` step with that name; `None`
/// means the last one held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes sockets and keeps them: `hold 5 connect 127.0.0.1:9001 as a`. All must succeed.
    Hold {
        /// How many.
        count: u32,
        /// What kind.
        ask: Ask,
        /// Name of the group.
        group: Option<String>,
    },
    /// Makes sockets whose fate is the point: `try connect 127.0.0.1:9009 expecting ECONNREFUSED`.
    /// Those that succeed are kept.
    Try {
        /// How many.
        count: u32,
        /// What kind.
        ask: Ask,
        /// Name of the group.
        group: Option<String>,
        /// What each must give.
        outcome: TryOutcome,
    },
    /// Closes connections: `close a`, `close-client a`, `close-server a`. Waits until the kernel
    /// has reached the state that follows (TIME_WAIT, FIN_WAIT2, CLOSE_WAIT), unless told not to.
    Close {
        /// Whose end. Both: the client's first, so that the client gets the TIME_WAIT.
        ends: Ends,
        /// Which sockets.
        group: Option<String>,
        /// False for `no-wait`.
        wait: bool,
    },
    /// Aborts connections with a RST (`SO_LINGER` 0): `reset a`, `reset-server a`.
    Reset {
        /// Whose end.
        side: Side,
        /// Which sockets.
        group: Option<String>,
    },
    /// `shutdown(SHUT_WR)` by the client: `shutdown a`. Waits for FIN_WAIT2.
    Shutdown {
        /// Which sockets.
        group: Option<String>,
    },
    /// `connect(AF_UNSPEC)` by the client: `disconnect a`.
    Disconnect {
        /// Which sockets.
        group: Option<String>,
    },
    /// The client sends that many bytes on each connection: `send a 1000`.
    Send {
        /// Which sockets.
        group: String,
        /// How many bytes.
        bytes: usize,
    },
    /// Sets an interface up or down: `link lo down`, `server link vb down`.
    Link {
        /// In which namespace.
        side: Side,
        /// The interface.
        device: String,
        /// Up or down.
        up: bool,
    },
    /// One more address in the client's namespace: `address lo 10.9.9.9/32`.
    Address {
        /// The interface.
        device: String,
        /// The address.
        address: IpAddr,
        /// Length of the prefix in bits.
        prefix_length: u8,
    },
    /// The client's source address towards a host: `route 10.77.0.2 device va source 10.77.0.3`.
    Route {
        /// The host.
        destination: IpAddr,
        /// The interface.
        device: String,
        /// The source address.
        source: IpAddr,
    },
    /// Changes a setting: `sysctl net.ipv4.tcp_timestamps=0`.
    Sysctl {
        /// In which namespace.
        side: Side,
        /// The setting, with dots.
        key: String,
        /// Its value.
        value: String,
    },
    /// Lets time pass: `wait 1500ms`.
    Wait(Duration),
}

/// One end of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where ports are asked for.
    Client,
    /// Where the servers are.
    Server,
}

/// Which ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ends {
    /// The client's, then the server's (each only if it is still open).
    Both,
    /// The client's only.
    Client,
    /// The server's only.
    Server,
}

/// What a `try` step expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TryOutcome {
    /// Whatever comes.
    Any,
    /// A socket.
    Granted,
    /// This error.
    Refused(&'static str),
}
