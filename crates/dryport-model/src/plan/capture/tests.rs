//! Plans for captures that are built row by row.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::capture::{End, Host, NatFlow, PortShown, Row};
use crate::explain::{Clue, FoundMessage, FoundRange, Given, Number, explain};
use crate::plan::{Change, ConflictKind, Setting};
use crate::{Call, CauseId, Complaint, Family, Message, Protocol, State, TimeWaitReuse};

/// What a test says of a capture.
struct Capture {
    findings: Findings,
    given: Given,
}

impl Capture {
    fn of(platform: Platform) -> Self {
        let mut findings = Findings::default();
        findings.clue(Clue::Version, platform);
        Self {
            findings,
            given: Given::default(),
        }
    }

    fn range(mut self, low: u16, high: u16) -> Self {
        let (platform, _) = (self.findings.clues[0].1, ());
        self.findings.range(FoundRange {
            protocol: platform.is_windows().then_some(Protocol::Tcp),
            family: platform.is_windows().then_some(Family::V4),
            range: PortRange::new(low, high).unwrap(),
            of_windows: platform.is_windows(),
        });
        self
    }

    fn number(mut self, number: Number, value: u64) -> Self {
        self.findings.set(number, value);
        self
    }

    fn row(&mut self, state: State, port: u16, remote: Option<(u8, u16)>) {
        let ip = |last| Host::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let remote = remote.map_or(End::NONE, |(last, port)| End {
            host: ip(last),
            port: PortShown::Number(port),
        });
        let row = Row {
            protocol: Protocol::Tcp,
            family: Family::V4,
            state: Some(state),
            local: End {
                host: ip(1),
                port: PortShown::Number(port),
            },
            remote,
            wait_left_ms: None,
        };
        let name = (state == State::Listen).then_some("httpd");
        let process = self.findings.processes.id(name.map(|_| 77), name);
        self.findings.tables.add(&row, process);
    }

    /// Connections to one destination, from a port on.
    fn connections(mut self, state: State, from: u16, count: u16) -> Self {
        (0..count).for_each(|n| self.row(state, from + n, Some((2, 443))));
        self
    }

    fn listeners(mut self, ports: &[u16]) -> Self {
        ports
            .iter()
            .for_each(|port| self.row(State::Listen, *port, None));
        self
    }

    fn udp(mut self, from: u16, count: u16) -> Self {
        for port in (0..count).map(|n| from + n) {
            let row = Row {
                protocol: Protocol::Udp,
                family: Family::V4,
                state: None,
                local: End {
                    host: Host::Any,
                    port: PortShown::Number(port),
                },
                remote: End::NONE,
                wait_left_ms: None,
            };
            self.findings.tables.add(&row, None);
        }
        self
    }

    fn plan(mut self, target: Target) -> Option<Plan> {
        self.findings.tables.close();
        let explanation = explain(&self.findings, &self.given);
        plan_for_capture(&self.findings, &explanation, &target)
    }

    fn twice(self) -> Plan {
        self.plan(Target::default()).unwrap()
    }

    fn rate(self, rate: f64, hold: f64) -> Plan {
        let target = Target {
            rate_per_second: Some(rate),
            hold_seconds: Some(hold),
        };
        self.plan(target).unwrap()
    }
}

fn to(plan: &Plan, setting: Setting) -> Option<&str> {
    let mut changes = plan.changes.iter();
    let change = changes.find(|change| change.setting == setting);
    change.map(|change| change.to.as_str())
}

fn change(plan: &Plan, setting: Setting) -> &Change {
    plan.changes
        .iter()
        .find(|change| change.setting == setting)
        .unwrap()
}

fn kinds(plan: &Plan) -> Vec<ConflictKind> {
    plan.conflicts
        .iter()
        .map(|conflict| conflict.kind)
        .collect()
}

const DYNAMIC: Setting = Setting::DynamicPorts(Family::V4, Protocol::Tcp);

#[test]
fn a_linux_full_of_time_waits_reuses_them_when_the_range_alone_does_not_suffice() {
    let plan = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .number(Number::TcpTwReuse, 2)
        .connections(State::TimeWait, 32768, 28232)
        .twice();
    assert!(plan.reaches, "{:?}", plan.refusals);
    assert_eq!(to(&plan, Setting::TcpTwReuse), Some("1"));
    assert_eq!(to(&plan, Setting::LocalPortRange), None);
    assert_eq!(kinds(&plan), [ConflictKind::Condition]);
    assert_eq!(plan.before.headroom.at_most, 0);
    assert_eq!(plan.after.headroom.at_least, 28232);
    assert_eq!(plan.limits_after.unwrap().tw_reuse, TimeWaitReuse::On);
}

#[test]
fn half_a_range_of_live_connections_widens_by_what_is_needed() {
    let plan = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .connections(State::Established, 32768, 20000)
        .twice();
    // 40,000 ports with the reserved ones; TIME_WAIT has nothing to do with it.
    assert!(plan.reaches);
    assert_eq!(plan.needed, 40000);
    assert_eq!(to(&plan, Setting::LocalPortRange), Some("24576\t65535"));
    assert_eq!(to(&plan, Setting::TcpTwReuse), None);
    assert_eq!(
        change(&plan, Setting::LocalPortRange).from.as_deref(),
        Some("32768\t60999")
    );
    let reserved = to(&plan, Setting::ReservedPorts).unwrap();
    assert!(
        reserved.starts_with("25672,26257,26379,27017-27019"),
        "{reserved}"
    );
    assert!(
        plan.assumptions
            .iter()
            .any(|text| text.contains("must be merged"))
    );
}

#[test]
fn what_is_reserved_stays_and_listeners_join_it() {
    let mut capture = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .connections(State::Established, 32768, 20000)
        .listeners(&[30080, 10250, 33000]);
    capture.findings.reserved = Some([40000, 31999].into_iter().collect());
    let plan = capture.twice();
    let reserved = &plan.limits_after.as_ref().unwrap().reserved;
    for port in [40000, 31999, 30080, 30000, 32767] {
        assert!(reserved.contains(port), "{port}");
    }
    // Not in the new part: it holds its own port.
    assert!(!reserved.contains(33000));
    assert_eq!(
        kinds(&plan),
        [
            ConflictKind::Service,
            ConflictKind::KnownPort,
            ConflictKind::NodePorts
        ]
    );
    assert!(
        plan.conflicts[0].text.contains("30080 (httpd)"),
        "{:?}",
        plan.conflicts
    );
    assert_eq!(
        change(&plan, Setting::ReservedPorts).from.as_deref(),
        Some("31999,40000")
    );
}

#[test]
fn a_linux_that_is_well_off_changes_nothing() {
    let plan = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .connections(State::Established, 32768, 100)
        .twice();
    assert!(plan.reaches && plan.changes.is_empty() && plan.conflicts.is_empty());
    assert_eq!(plan.before, plan.after);
}

#[test]
fn a_narrow_range_becomes_the_default_and_an_odd_one_even() {
    let narrow = Capture::of(Platform::Linux)
        .range(1024, 4999)
        .connections(State::Established, 1024, 100)
        .twice();
    assert_eq!(to(&narrow, Setting::LocalPortRange), Some("32768\t60999"));
    let odd = Capture::of(Platform::Linux)
        .range(15000, 65000)
        .connections(State::Established, 15000, 100)
        .twice();
    assert_eq!(to(&odd, Setting::LocalPortRange), Some("15000\t65001"));
}

#[test]
fn a_rate_decides_how_wide_and_then_reuse() {
    let idle = || {
        Capture::of(Platform::Linux)
            .range(32768, 60999)
            .connections(State::Established, 32768, 10)
    };
    let low = idle().rate(400.0, 0.0);
    assert_eq!((low.needed, low.changes.len()), (24000, 0));
    let middle = idle().rate(600.0, 1.0);
    assert_eq!(middle.needed, 36600);
    assert_eq!(to(&middle, Setting::LocalPortRange), Some("28672\t65535"));
    assert!(middle.after.sustainable_per_second.unwrap() >= 600.0);
    let high = idle().rate(20000.0, 0.0);
    assert_eq!(to(&high, Setting::TcpTwReuse), Some("1"));
    assert_eq!(to(&high, Setting::LocalPortRange), None);
    let too_high = idle().rate(100_000.0, 0.0);
    assert!(!too_high.reaches);
    let refusal = &too_high.refusals[0];
    assert_eq!(refusal.what, "100,000 connections per second");
    assert!(
        refusal.reason.contains("a second at the most"),
        "{}",
        refusal.reason
    );
    assert_eq!(refusal.page, CauseId::ConnectTimeWait);
}

#[test]
fn timestamps_that_are_off_leave_no_reuse() {
    let plan = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .number(Number::TcpTimestamps, 0)
        .connections(State::TimeWait, 32768, 28232)
        .twice();
    assert_eq!(to(&plan, Setting::TcpTwReuse), None);
    assert_eq!(to(&plan, Setting::LocalPortRange), Some("8192\t65535"));
    assert!(plan.reaches);
}

#[test]
fn the_hold_comes_from_littles_law() {
    let plan = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .connections(State::TimeWait, 32768, 6000)
        .connections(State::Established, 40000, 300)
        .twice();
    let told = plan
        .assumptions
        .iter()
        .find(|text| text.contains("connections live"));
    assert!(
        told.unwrap().contains("live 3.0 s"),
        "{:?}",
        plan.assumptions
    );
    let rate = plan.before.sustainable_per_second.unwrap();
    assert!((rate - 28232.0 / 63.0).abs() < 1e-6);
}

#[test]
fn windows_lowers_the_start_of_the_family_that_is_short() {
    let plan = Capture::of(Platform::Windows)
        .range(49152, 65535)
        .connections(State::Established, 49152, 16000)
        .listeners(&[40000, 3389])
        .twice();
    assert!(plan.reaches);
    assert_eq!(to(&plan, DYNAMIC), Some("start=32768 num=32768"));
    let range = change(&plan, DYNAMIC);
    assert_eq!(range.from.as_deref(), Some("start=49152 num=16384"));
    assert!(range.persists && !range.restart_needed);
    assert_eq!(plan.changes.len(), 1);
    let service = &plan.conflicts[0];
    assert_eq!(service.kind, ConflictKind::Service);
    assert!(service.text.contains("40000 (httpd)") && !service.text.contains("3389"));
    assert!(service.text.contains(
        "netsh int ipv4 add excludedportrange protocol=tcp startport=40000 numberofports=1"
    ));
    assert_eq!(plan.limits_after, None);
}

#[test]
fn excluded_ports_of_windows_do_not_count() {
    let mut capture = Capture::of(Platform::Windows)
        .range(49152, 65535)
        .connections(State::Established, 49152, 16000);
    capture.findings.exclude(FoundRange {
        protocol: Some(Protocol::Tcp),
        family: Some(Family::V4),
        range: PortRange::new(30000, 34999).unwrap(),
        of_windows: true,
    });
    let plan = capture.twice();
    assert_eq!(to(&plan, DYNAMIC), Some("start=27648 num=37888"));
    assert_eq!(plan.after.capacity, 37888 - 5000);
}

#[test]
fn windows_shortens_the_wait_last_and_says_that_it_needs_a_restart() {
    let idle = || {
        Capture::of(Platform::Windows)
            .range(49152, 65535)
            .connections(State::TimeWait, 49152, 100)
    };
    let comfortable = idle().rate(400.0, 0.0);
    assert_eq!(to(&comfortable, DYNAMIC), Some("start=17408 num=48128"));
    let deep = idle().rate(500.0, 0.0);
    assert_eq!(to(&deep, DYNAMIC), Some("start=5120 num=60416"));
    let wait = idle().rate(800.0, 0.0);
    assert_eq!(to(&wait, Setting::TcpTimedWaitDelay), Some("60"));
    assert_eq!(to(&wait, DYNAMIC), Some("start=17408 num=48128"));
    assert!(change(&wait, Setting::TcpTimedWaitDelay).restart_needed);
    assert_eq!(
        kinds(&wait),
        [ConflictKind::Condition, ConflictKind::Condition]
    );
    let never = idle().rate(3000.0, 0.0);
    assert!(!never.reaches);
    assert_eq!(never.refusals[0].page, CauseId::WindowsRangeDry);
    assert_eq!(to(&never, Setting::TcpTimedWaitDelay), Some("30"));
}

#[test]
fn windows_2003_raises_its_highest_port_and_then_shortens_the_wait() {
    let full = || Capture::of(Platform::Windows2003).connections(State::TimeWait, 1025, 3976);
    let plan = full().twice();
    assert_eq!(to(&plan, Setting::MaxUserPort), Some("10000"));
    let change = change(&plan, Setting::MaxUserPort);
    assert_eq!(
        (change.from.as_deref(), change.restart_needed),
        (None, true)
    );
    let rate = full().rate(1000.0, 0.0);
    assert_eq!(to(&rate, Setting::TcpTimedWaitDelay), Some("60"));
    assert_eq!(to(&rate, Setting::MaxUserPort), Some("65534"));
    assert!(rate.reaches);
}

#[test]
fn macos_lowers_both_first_ports_and_then_the_lifetime() {
    let full = || Capture::of(Platform::MacOs).connections(State::TimeWait, 49152, 16384);
    let plan = full().twice();
    assert_eq!(to(&plan, Setting::PortRangeFirst), Some("32768"));
    assert_eq!(to(&plan, Setting::PortRangeHiFirst), Some("32768"));
    assert_eq!(to(&plan, Setting::Msl), None);
    let rate = full().rate(5000.0, 0.0);
    assert_eq!(to(&rate, Setting::Msl), Some("5000"));
    assert!(rate.reaches);
}

#[test]
fn freebsd_has_little_to_widen() {
    let plan = Capture::of(Platform::FreeBsd)
        .connections(State::TimeWait, 10000, 40000)
        .twice();
    assert_eq!(to(&plan, Setting::PortRangeHiFirst), None);
    assert_eq!(to(&plan, Setting::Msl), Some("15000"));
    assert!(plan.reaches);
}

#[test]
fn udp_has_no_time_wait() {
    let plan = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .udp(32768, 20000)
        .udp(5353, 1)
        .twice();
    assert_eq!(to(&plan, Setting::LocalPortRange), Some("24576\t65535"));
    assert_eq!(plan.after.sustainable_per_second, None);
    let rate = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .udp(32768, 20000)
        .rate(1000.0, 5.0);
    assert_eq!((rate.needed, rate.reaches), (5000, true));
}

#[test]
fn a_nat_is_not_helped_by_ranges() {
    let mut capture = Capture::of(Platform::Linux);
    for port in 1024..60000 {
        capture.findings.tables.add_flow(&NatFlow {
            protocol: Protocol::Tcp,
            outside: Ipv4Addr::new(192, 0, 2, 1).into(),
            port,
            destination: Ipv4Addr::new(198, 51, 100, 7).into(),
            destination_port: 443,
        });
    }
    let plan = capture.twice();
    assert!(plan.changes.is_empty() && !plan.reaches);
    assert_eq!(plan.refusals[0].page, CauseId::NatTupleDry);
    assert!(plan.refusals[0].reason.contains("198.51.100.7:443"));
}

fn message(complaint: Complaint) -> FoundMessage {
    FoundMessage {
        message: Message {
            call: Some(Call::Connect),
            ..Message::new(complaint)
        },
        count: 1,
        input: 0,
        line: 1,
    }
}

#[test]
fn without_anything_to_plan_from_there_is_no_plan() {
    assert_eq!(Capture::of(Platform::Linux).plan(Target::default()), None);
    let mut nowhere = Capture::of(Platform::Linux);
    nowhere.findings.clues.clear();
    assert_eq!(nowhere.plan(Target::default()), None);
    let contradicting = Capture::of(Platform::Linux)
        .range(32768, 60999)
        .range(1024, 65535)
        .connections(State::Established, 40000, 10);
    assert_eq!(contradicting.plan(Target::default()), None);
}

#[test]
fn a_message_alone_asks_for_half_as_many_again() {
    let mut capture = Capture::of(Platform::Windows);
    capture
        .findings
        .messages
        .push(message(Complaint::NoBufferSpace));
    let plan = capture.twice();
    assert_eq!(plan.before.headroom.at_most, 0);
    assert_eq!(to(&plan, DYNAMIC), Some("start=40960 num=24576"));
    assert!(
        plan.assumptions
            .iter()
            .any(|text| text.contains("no table of sockets"))
    );
    let mut false_alarm = Capture::of(Platform::Windows);
    false_alarm
        .findings
        .messages
        .push(message(Complaint::Refused));
    assert_eq!(false_alarm.plan(Target::default()), None);
}

#[test]
fn a_target_alone_is_enough() {
    let plan = Capture::of(Platform::Windows).rate(200.0, 0.0);
    assert_eq!(plan.needed, 24000);
    assert_eq!(to(&plan, DYNAMIC), Some("start=40960 num=24576"));
    let six = Setting::DynamicPorts(Family::V6, Protocol::Tcp);
    assert_eq!(to(&plan, six), Some("start=40960 num=24576"));
    assert_eq!(change(&plan, six).from, None);
}

#[derive(Debug, Clone)]
struct Made {
    platform: Platform,
    range: Option<(u16, u16)>,
    reserved: Vec<u16>,
    listeners: Vec<u16>,
    live: (u16, u16),
    waiting: (u16, u16),
    rate: Option<f64>,
    number: (Option<u64>, Option<u64>),
}

fn made() -> impl Strategy<Value = Made> {
    (
        prop::sample::select(Platform::ALL.to_vec()),
        prop::option::of((1024u16..60000, 255u16..60000)),
        prop::collection::vec(1024u16..=65535, 0..20),
        prop::collection::vec(1024u16..=65535, 0..20),
        (1024u16..50000, 0u16..3000),
        (1024u16..50000, 0u16..15000),
        prop::option::of(0.1f64..5000.0),
        (prop::option::of(0u64..3), prop::option::of(20u64..400)),
    )
        .prop_map(
            |(platform, range, reserved, listeners, live, waiting, rate, number)| Made {
                platform,
                range,
                reserved,
                listeners,
                live,
                waiting,
                rate,
                number,
            },
        )
}

fn planned(made: &Made) -> Option<Plan> {
    let mut capture = Capture::of(made.platform);
    if let Some((low, size)) = made.range {
        let high = low.saturating_add(size);
        capture = match made.platform {
            Platform::Linux | Platform::Windows => capture.range(low, high),
            Platform::MacOs | Platform::FreeBsd => {
                capture.number(Number::PortRangeFirst, low.into())
            }
            _ => capture.number(Number::MaxUserPort, high.into()),
        };
    }
    if let Some(reuse) = made.number.0 {
        capture.findings.set(Number::TcpTwReuse, reuse);
    }
    if let Some(wait) = made.number.1 {
        capture.findings.set(Number::TcpTimedWaitDelay, wait);
    }
    if made.platform == Platform::Linux && !made.reserved.is_empty() {
        capture.findings.reserved = Some(made.reserved.iter().copied().collect());
    }
    let capture = capture
        .connections(State::Established, made.live.0, made.live.1)
        .connections(State::TimeWait, made.waiting.0, made.waiting.1)
        .listeners(&made.listeners);
    capture.plan(Target {
        rate_per_second: made.rate,
        hold_seconds: None,
    })
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_plan_keeps_every_limit_of_its_system(made in made()) {
        let Some(plan) = planned(&made) else { return Ok(()) };
        prop_assert_eq!(plan.reaches, plan.needed <= plan.after.capacity);
        prop_assert_eq!(plan.reaches, plan.refusals.is_empty());
        prop_assert!(plan.after.headroom.at_least <= plan.after.headroom.at_most);
        for change in &plan.changes {
            let told = numbers(&change.to);
            match change.setting {
                Setting::LocalPortRange => {
                    prop_assert!(told[0] >= 1024 && told[0].is_multiple_of(2));
                    prop_assert!(told[1] % 2 == 1 && told[1] <= 65535 && told[0] < told[1]);
                }
                Setting::DynamicPorts(..) => {
                    prop_assert!(told[0] >= 1025 && told[1] >= 255 && told[0] + told[1] <= 65536);
                }
                Setting::MaxUserPort => prop_assert!((5000..=65534).contains(&told[0])),
                Setting::TcpTimedWaitDelay => prop_assert!((30..=300).contains(&told[0])),
                Setting::PortRangeFirst | Setting::PortRangeHiFirst => {
                    prop_assert!(told[0] >= 1024);
                }
                Setting::Msl => prop_assert!(told[0] >= 5000),
                Setting::TcpTwReuse => prop_assert_eq!(told[0], 1),
                Setting::ReservedPorts => {}
                Setting::TcpTwReuseDelay => prop_assert!(false),
            }
            prop_assert!(change.from.as_deref() != Some(change.to.as_str()));
        }
        let recipes = crate::plan::recipes(made.platform, &plan.changes);
        prop_assert_eq!(recipes.is_empty(), plan.changes.is_empty());
    }

    #[test]
    fn no_reserved_port_is_dropped_and_no_listener_swallowed(made in made()) {
        let made = Made { platform: Platform::Linux, ..made };
        let Some(plan) = planned(&made) else { return Ok(()) };
        let limits = plan.limits_after.unwrap();
        for port in &made.reserved {
            prop_assert!(limits.reserved.contains(*port));
        }
        let old = made.range.map_or(PortRange::LINUX_DEFAULT, |(low, size)| {
            PortRange::new(low, low.saturating_add(size)).unwrap()
        });
        for port in made.listeners.iter().filter(|port| limits.range.contains(**port)) {
            prop_assert!(old.contains(*port) || limits.reserved.contains(*port));
        }
        let positions = |setting| plan.changes.iter().position(|c| c.setting == setting);
        if let (Some(list), Some(range)) =
            (positions(Setting::ReservedPorts), positions(Setting::LocalPortRange))
        {
            prop_assert!(list < range);
        }
    }
}
