//! Random states: a scenario made from a seed, the same one each time.
//!
//! A state is built from what real machines hold: listeners, bound and automatic sockets, both
//! families, devices, TIME_WAITs old and young, orphans, children of closed listeners, binders that
//! came and went. Its request is random too. A failing state is printed as a scenario file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dryport_model::{Family, PortRange, SocketPortRange};

use crate::ask::{Ask, AskOptions, Local, Then, Transport};
use crate::scenario::{Scenario, Topology};
use crate::step::{Ends, Side, Step, TryOutcome};
use crate::topology::CLIENT_LINK;

/// Milliseconds after which a TIME_WAIT may be taken over in a random state; young ones must stay
/// below it until the state was measured, old ones are made to pass it.
pub const REUSE_DELAY_MS: u64 = 1500;

/// The random state of a seed.
#[must_use]
pub fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice(seed);
    let size = *dice.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 12, 13, 16, 17]);
    let low = 20_000 + dice.below(2) as u16;
    let range = PortRange::new(low, low + size - 1).unwrap_or(Scenario::RANGE);
    let twins = dice.one_in(5);
    let remote = dice.one_in(6);
    let mut maker = Maker {
        dice,
        range,
        twins,
        remote,
        steps: Vec::new(),
        groups: 0,
    };
    let udp = maker.dice.one_in(4);
    let has_old = !udp && maker.dice.one_in(2);
    if has_old {
        maker.tcp_steps(3);
        maker
            .steps
            .push(Step::Wait(Duration::from_millis(REUSE_DELAY_MS + 100)));
    }
    if udp {
        maker.udp_steps();
        if maker.dice.one_in(3) {
            maker.tcp_steps(2);
        }
    } else {
        maker.tcp_steps(6);
        if maker.dice.one_in(5) {
            maker.udp_steps();
        }
    }
    let request = if udp {
        maker.udp_request()
    } else {
        maker.tcp_request()
    };
    let mut state = Scenario::new(format!("R{seed}"), "a random state", Some(request));
    state.range = range;
    if remote {
        state.topology = Topology::Veth;
    }
    let mut set = |key: &str, value: String| state.sysctl.insert(key.into(), value);
    let dice = &mut maker.dice;
    set("net.ipv4.tcp_tw_reuse", dice.below(3).to_string());
    set("net.ipv4.tcp_tw_reuse_delay", REUSE_DELAY_MS.to_string());
    set(
        "net.ipv4.tcp_timestamps",
        u8::from(!dice.one_in(5)).to_string(),
    );
    set("net.ipv6.bindv6only", u8::from(dice.one_in(8)).to_string());
    let reserved: Vec<String> = range
        .ports()
        .filter(|_| dice.one_in(9))
        .map(|port| port.to_string())
        .collect();
    // Reserving comes last as often as first: sockets that hold a port keep it.
    if dice.one_in(2) {
        set("net.ipv4.ip_local_reserved_ports", reserved.join(","));
    } else if !reserved.is_empty() {
        maker.steps.push(Step::Sysctl {
            side: Side::Client,
            key: "net.ipv4.ip_local_reserved_ports".into(),
            value: reserved.join(","),
        });
    }
    state.setup = maker.steps;
    state
}

/// SplitMix64. Our own, so that a seed means the same state whatever the version of a library.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(from.len() as u64) as usize;
        // `from` is never empty here; the first stands in for an index that cannot be.
        from.get(index).unwrap_or_else(|| &from[0])
    }
}

struct Maker {
    dice: Dice,
    range: PortRange,
    /// The same 4-tuple may be held twice, with and without a device. Its connections then stay
    /// as they are: the lab could not tell the two servers' ends apart.
    twins: bool,
    /// The servers are behind a veth pair.
    remote: bool,
    steps: Vec<Step>,
    groups: u32,
}

impl Maker {
    fn source(&mut self) -> IpAddr {
        if self.remote {
            let last = *self.dice.pick(&[1, 1, 3]);
            return IpAddr::V4(Ipv4Addr::new(10, 77, 0, last));
        }
        // 127.0.0.6 is the kernel's stand-in for native IPv6 sockets.
        let last = *self.dice.pick(&[1, 1, 2, 2, 3, 3, 6]);
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }

    fn server(&mut self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, 9000 + self.dice.below(2) as u16)
    }

    fn v4_server(&mut self) -> SocketAddr {
        let last = 1 + self.dice.below(2) as u8;
        let address = match self.remote {
            true => Ipv4Addr::new(10, 77, 0, 2),
            false => Ipv4Addr::new(127, 0, 0, last),
        };
        self.server(IpAddr::V4(address))
    }

    fn v6_server(&mut self) -> SocketAddr {
        let address = match self.remote {
            true => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2),
            false => Ipv6Addr::LOCALHOST,
        };
        self.server(IpAddr::V6(address))
    }

    /// The client's own IPv6 address.
    fn v6_source(&self) -> IpAddr {
        IpAddr::V6(match self.remote {
            true => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
            false => Ipv6Addr::LOCALHOST,
        })
    }

    fn port(&mut self) -> u16 {
        self.range.low() + self.dice.below(u64::from(self.range.size())) as u16
    }

    fn options(&mut self) -> AskOptions {
        let link = if self.remote { CLIENT_LINK } else { "lo" };
        let dice = &mut self.dice;
        let (low, high) = (self.range.low(), self.range.high());
        AskOptions {
            reuseaddr: dice.one_in(6),
            device: dice.one_in(8).then(|| link.into()),
            range: dice.one_in(10).then(|| {
                let first = low + dice.below(u64::from(high - low) + 1) as u16;
                SocketPortRange { low: first, high }
            }),
            ..AskOptions::default()
        }
    }

    /// Makes sockets as far as the kernel grants them, and names the group.
    fn hold(&mut self, count: u32, ask: Ask) -> String {
        self.groups += 1;
        let group = format!("g{}", self.groups);
        self.steps.push(Step::Try {
            count,
            ask,
            group: Some(group.clone()),
            outcome: TryOutcome::Any,
        });
        group
    }

    fn count(&mut self) -> u32 {
        1 + self.dice.below(4) as u32
    }

    fn tcp_steps(&mut self, most: u64) {
        for _ in 0..self.dice.below(most + 1) {
            match self.dice.below(10) {
                0..=3 => self.connections(),
                4 => self.bound_connections(),
                5 => self.listener(),
                6 => self.idle(),
                7 => self.visitor(),
                8 => self.children(),
                _ => self.v6_connections(),
            }
        }
    }

    /// Where a socket with these options connects to.
    fn peer(&mut self, server: SocketAddr, options: &AskOptions) -> SocketAddr {
        match options.device {
            Some(_) if !self.twins => SocketAddr::new(server.ip(), server.port() + 2),
            _ => server,
        }
    }

    fn connect(&mut self) -> Ask {
        let (server, options) = (self.v4_server(), self.options());
        let ask = Ask::connect(self.peer(server, &options)).with(options);
        match self.dice.below(4) {
            0 => {
                let source = self.source();
                ask.from(source)
            }
            1 => ask.mapped(),
            _ => ask,
        }
    }

    fn connections(&mut self) {
        let (count, ask) = (self.count(), self.connect());
        let group = self.hold(count, ask);
        self.fate(group);
    }

    fn bound_connections(&mut self) {
        let (count, source) = (self.count(), self.source());
        let options = AskOptions {
            range: None,
            ..self.options()
        };
        let local = if self.dice.one_in(5) {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            source
        };
        let port = if self.dice.one_in(4) { self.port() } else { 0 };
        let server = self.v4_server();
        let ask = Ask::connect(self.peer(server, &options))
            .with(options)
            .bound(SocketAddr::new(local, port));
        let group = self.hold(count, ask);
        self.fate(group);
    }

    fn v6_connections(&mut self) {
        let count = self.count();
        let options = AskOptions {
            v6only: self.dice.one_in(4),
            ..self.options()
        };
        let server = self.v6_server();
        let ask = Ask::connect(self.peer(server, &options)).with(options);
        let ask = if self.dice.one_in(4) {
            ask.bound(SocketAddr::new(self.v6_source(), 0))
        } else {
            ask
        };
        let group = self.hold(count, ask);
        self.fate(group);
    }

    /// What becomes of connections: kept, or closed in one of the ways there are.
    fn fate(&mut self, group: String) {
        if self.twins {
            return;
        }
        let group = Some(group);
        let step = match self.dice.below(12) {
            0..=2 => Step::Close {
                ends: Ends::Both,
                group,
                wait: true,
            },
            // The server never closes: FIN_WAIT2, an orphan.
            3 => Step::Close {
                ends: Ends::Client,
                group,
                wait: true,
            },
            // The client never closes: CLOSE_WAIT.
            4 => Step::Close {
                ends: Ends::Server,
                group,
                wait: true,
            },
            5 => Step::Shutdown { group },
            6 => Step::Reset {
                side: Side::Client,
                group,
            },
            7 => Step::Disconnect { group },
            _ => return,
        };
        self.steps.push(step);
    }

    fn local_address(&mut self) -> (IpAddr, Family) {
        match self.dice.below(6) {
            0 => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), Family::V4),
            1 => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), Family::V6),
            2 => (self.v6_source(), Family::V6),
            _ => (self.source(), Family::V4),
        }
    }

    fn bound(&mut self, then: Then, fixed: bool) -> Ask {
        let (address, family) = self.local_address();
        let port = if fixed { self.port() } else { 0 };
        let options = AskOptions {
            v6only: family == Family::V6 && self.dice.one_in(2),
            ..self.options()
        };
        Ask {
            transport: Transport::Tcp,
            family,
            local: Local::Bind(SocketAddr::new(address, port)),
            then,
            options,
        }
    }

    fn listener(&mut self) {
        let fixed = !self.dice.one_in(4);
        let ask = self.bound(Then::Listen, fixed);
        self.hold(1, ask);
    }

    fn idle(&mut self) {
        let (count, fixed) = (self.count(), self.dice.one_in(2));
        let ask = self.bound(Then::Stay, fixed);
        self.hold(if fixed { 1 } else { count }, ask);
    }

    /// A binder that joins a bucket and leaves again.
    fn visitor(&mut self) {
        let mut ask = self.bound(Then::Stay, true);
        ask.options.reuseaddr = true;
        let group = self.hold(1, ask);
        self.steps.push(Step::Close {
            ends: Ends::Both,
            group: Some(group),
            wait: true,
        });
    }

    /// Connections accepted by a listener inside the range, which then closes.
    fn children(&mut self) {
        let port = self.port();
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
        let listener = self.hold(1, Ask::listen(SocketAddr::new(address, port)));
        // A client from outside the range, so that only the accepted end holds a port of it.
        let outside = SocketAddr::new(
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)),
            19_000 + port % 1000,
        );
        let client = self.hold(
            1,
            Ask::connect(SocketAddr::new(address, port)).bound(outside),
        );
        if self.dice.one_in(2) {
            self.steps.push(Step::Close {
                ends: Ends::Both,
                group: Some(listener),
                wait: true,
            });
        }
        if self.dice.one_in(3) {
            let ends = *self.dice.pick(&[Ends::Server, Ends::Client, Ends::Both]);
            self.steps.push(Step::Close {
                ends,
                group: Some(client),
                wait: true,
            });
        }
    }

    fn udp_steps(&mut self) {
        for _ in 0..1 + self.dice.below(4) {
            let (count, ask) = (self.count(), self.udp_ask());
            let group = self.hold(count, ask);
            if self.dice.one_in(8) {
                self.steps.push(Step::Disconnect { group: Some(group) });
            }
        }
    }

    fn udp_ask(&mut self) -> Ask {
        let v6 = self.dice.one_in(3);
        let server = if v6 {
            self.v6_server()
        } else {
            self.v4_server()
        };
        let options = AskOptions {
            reuseaddr: false,
            v6only: v6 && self.dice.one_in(3),
            ..self.options()
        };
        let ask = match self.dice.below(3) {
            0 => Ask::send_to(server),
            1 => Ask::connect(server).udp(),
            _ => {
                let (address, family) = self.local_address();
                let fixed = if self.dice.one_in(3) { self.port() } else { 0 };
                let local = Local::Bind(SocketAddr::new(address, fixed));
                let v6only = family == Family::V6 && self.dice.one_in(2);
                let options = AskOptions { v6only, ..options };
                return Ask {
                    transport: Transport::Udp,
                    family,
                    local,
                    then: Then::Stay,
                    options,
                };
            }
        };
        ask.with(options)
    }

    /// Requests are plain: with `SO_REUSEADDR` the kernel may hand out a port twice.
    fn request_options(&mut self) -> AskOptions {
        AskOptions {
            reuseaddr: false,
            ..self.options()
        }
    }

    fn tcp_request(&mut self) -> Ask {
        let options = self.request_options();
        match self.dice.below(10) {
            0..=3 => {
                let server = self.v4_server();
                let server = if self.dice.one_in(2) {
                    self.peer(server, &options)
                } else {
                    server
                };
                Ask::connect(server).with(options)
            }
            4 => {
                let source = self.source();
                Ask::connect(self.v4_server()).with(options).from(source)
            }
            5 => Ask::connect(self.v4_server()).with(options).mapped(),
            6 => Ask::connect(self.v6_server()).with(options),
            7 => {
                let local = SocketAddr::new(self.source(), 0);
                Ask::connect(self.v4_server()).with(options).bound(local)
            }
            8 => {
                let mut ask = self.bound(Then::Stay, false);
                ask.options.reuseaddr = false;
                ask
            }
            _ => {
                let mut ask = self.bound(Then::Listen, false);
                ask.options.reuseaddr = false;
                ask
            }
        }
    }

    fn udp_request(&mut self) -> Ask {
        let mut ask = self.udp_ask();
        if let Local::Bind(local) = ask.local {
            ask.local = Local::Bind(SocketAddr::new(local.ip(), 0));
        } else if ask.family == Family::V4 && self.dice.one_in(4) {
            ask.local = Local::From(self.source());
        }
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_state() {
        assert_eq!(scenario(7), scenario(7));
        assert_ne!(scenario(7), scenario(8));
    }

    #[test]
    fn a_state_can_be_written_and_read_back() {
        for seed in 0..200 {
            let state = scenario(seed);
            let text = state.to_string();
            let read =
                Scenario::parse("state", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, [state], "{text}");
        }
    }
}
