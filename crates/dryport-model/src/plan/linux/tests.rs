use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::plan::{ConflictKind, Setting};
use crate::{Class, HeadroomCount, Origin, PortSet, Socket, State, TimeWait};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 443);

/// How a port is held in these tests.
#[derive(Clone, Copy, Debug)]
enum Held {
    Live,
    Waiting,
    /// In TIME_WAIT without timestamps.
    Stuck,
    Bound,
}

fn socket(port: u16, held: Held) -> Socket {
    let (state, origin) = match held {
        Held::Live => (State::Established, Origin::Unknown),
        Held::Waiting | Held::Stuck => (State::TimeWait, Origin::Unknown),
        Held::Bound => (State::BoundInactive, Origin::Unknown),
    };
    Socket {
        protocol: Protocol::Tcp,
        family: crate::Family::V4,
        state,
        local: SocketAddr::new(SOURCE, port),
        remote: match held {
            Held::Bound => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            _ => SERVER,
        },
        device: 0,
        inode: 0,
        uid: 0,
        v6only: None,
        origin,
        time_wait: matches!(held, Held::Waiting | Held::Stuck).then_some(TimeWait {
            age_ms: 5000,
            remaining_ms: 55_000,
            timestamps: Some(matches!(held, Held::Waiting)),
        }),
    }
}

/// What a test is made from.
#[derive(Debug)]
struct World {
    limits: Limits,
    request: Request,
    views: PortViews,
    services: Vec<Service>,
    unprivileged_start: u16,
    is_kubernetes_node: bool,
}

fn range(low: u16, high: u16) -> PortRange {
    PortRange::new(low, high).unwrap()
}

fn world(limits: Limits, held: &[(u16, Held)]) -> World {
    let request = Request::tcp_connect(SOURCE, SERVER);
    let view = |reuse: TimeWaitReuse, delay_ms: u32| {
        let whole = Limits {
            range: range(1, u16::MAX),
            reserved: PortSet::new(),
            tw_reuse: reuse,
            tw_reuse_delay_ms: delay_ms,
            ..limits.clone()
        };
        let mut count = HeadroomCount::new(request, &whole);
        held.iter()
            .for_each(|(port, held)| count.observe(&socket(*port, *held)));
        for port in count.ports_to_probe() {
            count.prove(port, Some(true));
        }
        count.classes()
    };
    let views = PortViews {
        now: view(limits.tw_reuse, limits.tw_reuse_delay_ms),
        settled: view(limits.tw_reuse, 0),
        reuse: view(TimeWaitReuse::On, limits.tw_reuse_delay_ms),
        reuse_settled: view(TimeWaitReuse::On, 0),
    };
    World {
        limits,
        request,
        views,
        services: Vec::new(),
        unprivileged_start: 1024,
        is_kubernetes_node: false,
    }
}

fn linux(low: u16, high: u16) -> Limits {
    Limits {
        range: range(low, high),
        ..Limits::linux_default()
    }
}

impl World {
    fn plan(&self, target: Target) -> Plan {
        let requests = [PlannedRequest {
            request: &self.request,
            views: &self.views,
        }];
        plan_for_linux(
            &LinuxFacts {
                limits: &self.limits,
                unprivileged_start: self.unprivileged_start,
                requests: &requests,
                services: &self.services,
                is_kubernetes_node: self.is_kubernetes_node,
                thresholds: Thresholds::default(),
            },
            &target,
        )
    }

    fn enough(&self) -> Plan {
        self.plan(Target::default())
    }

    fn at(&self, rate: f64) -> Plan {
        self.plan(Target {
            rate_per_second: Some(rate),
            hold_seconds: None,
        })
    }
}

fn all(range: PortRange, held: Held) -> Vec<(u16, Held)> {
    range.ports().map(|port| (port, held)).collect()
}

fn after(plan: &Plan) -> &Limits {
    plan.limits_after.as_ref().unwrap()
}

fn changed(plan: &Plan) -> Vec<Setting> {
    plan.changes.iter().map(|change| change.setting).collect()
}

#[test]
fn where_all_is_well_nothing_changes() {
    let plan = world(linux(32768, 60999), &[]).enough();
    assert!(plan.reaches && plan.changes.is_empty());
    assert_eq!(plan.before, plan.after);
}

#[test]
fn a_narrow_range_becomes_at_least_the_default() {
    let plan = world(linux(20000, 20007), &all(range(20000, 20007), Held::Live)).enough();
    assert!(plan.reaches);
    assert_eq!(after(&plan).range, PortRange::LINUX_DEFAULT);
    assert_eq!(plan.before.headroom.at_most, 0);
}

#[test]
fn the_default_range_in_use_first_grows_upwards() {
    let taken = all(range(32768, 32768 + 15_999), Held::Live);
    let plan = world(linux(32768, 60999), &taken).enough();
    assert!(plan.reaches);
    assert_eq!(
        after(&plan).range,
        range(32768, 65535),
        "16,000 more fit above"
    );
    let full = all(range(32768, 60999), Held::Live);
    let plan = world(linux(32768, 60999), &full).enough();
    let limits = after(&plan);
    // Twice 28,232 does not fit above 10240, and live connections are not reused.
    assert!(plan.reaches && limits.range.high() == 65535);
    assert!(limits.range.low() < COMFORTABLE_LOW && limits.range.low().is_multiple_of(1024));
    assert!(!changed(&plan).contains(&Setting::TcpTwReuse));
    assert!(plan.after.headroom.at_least >= 28_232);
}

#[test]
fn waits_are_reused_only_where_the_range_is_not_enough() {
    let many = all(range(32768, 32768 + 25_999), Held::Waiting);
    let plan = world(linux(32768, 60999), &many).enough();
    assert_eq!(
        changed(&plan),
        [Setting::ReservedPorts, Setting::LocalPortRange]
    );
    assert!(after(&plan).range.low() >= COMFORTABLE_LOW);
    let full = all(range(32768, 60999), Held::Waiting);
    let plan = world(linux(32768, 60999), &full).enough();
    assert_eq!(
        changed(&plan),
        [Setting::TcpTwReuse],
        "safer than a range below 10240"
    );
    let plan = world(linux(32768, 60999), &full).at(2000.0);
    assert_eq!(
        changed(&plan),
        [Setting::TcpTwReuse],
        "2,000 ports a second"
    );
    assert!(
        plan.conflicts
            .iter()
            .any(|c| c.kind == ConflictKind::Condition)
    );
    let without = Limits {
        tcp_timestamps: false,
        ..linux(32768, 60999)
    };
    let plan = world(without, &full).at(2000.0);
    assert!(!plan.reaches, "without timestamps nothing is reused");
    assert!(!changed(&plan).contains(&Setting::TcpTwReuse));
}

#[test]
fn a_delay_is_shortened_only_for_a_rate_that_needs_it() {
    let plan = world(linux(32768, 60999), &[]).at(60_000.0);
    assert!(
        !changed(&plan).contains(&Setting::TcpTwReuseDelay),
        "{plan:?}"
    );
    let plan = world(linux(32768, 60999), &[]).at(200_000.0);
    assert!(plan.reaches && changed(&plan).contains(&Setting::TcpTwReuseDelay));
    assert!(plan.after.sustainable_per_second.unwrap() >= 200_000.0);
    let plan = world(linux(32768, 60999), &[]).at(9_000_000.0);
    assert!(!plan.reaches);
    let old = Limits {
        features: crate::Features {
            millisecond_time_wait: Some(false),
            ..crate::Features::LINUX_6_18
        },
        ..linux(32768, 60999)
    };
    assert!(
        !world(old, &[]).at(200_000.0).reaches,
        "the kernel has no such setting"
    );
}

#[test]
fn the_numbers_are_those_of_the_arithmetic() {
    let plan = world(linux(32768, 60999), &[]).at(1.0);
    let rate = plan.before.sustainable_per_second.unwrap();
    assert!((rate - 28_232.0 / 60.0).abs() < 1e-9);
    assert_eq!(plan.needed, 60);
    let held = Target {
        rate_per_second: Some(100.0),
        hold_seconds: Some(0.5),
    };
    assert_eq!(world(linux(32768, 60999), &[]).plan(held).needed, 6050);
    // 600 in TIME_WAIT are 10 a second; 200 live ones then live 20 s each.
    let mut held = all(range(32768, 33367), Held::Waiting);
    held.extend(all(range(40000, 40199), Held::Live));
    let plan = world(linux(32768, 60999), &held).at(10.0);
    assert_eq!(plan.needed, 800);
    assert!(
        plan.assumptions.iter().any(|text| text.contains("20.0 s")),
        "{plan:?}"
    );
}

#[test]
fn services_are_reserved_before_the_range_covers_them() {
    let mut world = world(linux(32768, 60999), &all(range(32768, 60999), Held::Live));
    world.services = [
        (61_000, Protocol::Tcp),
        (20_000, Protocol::Udp),
        (5000, Protocol::Tcp),
    ]
    .map(|(port, protocol)| Service {
        port,
        protocol,
        program: Some("service".into()),
    })
    .into();
    world.limits.reserved.insert(1);
    let plan = world.enough();
    assert_eq!(
        changed(&plan),
        [Setting::ReservedPorts, Setting::LocalPortRange]
    );
    let limits = after(&plan);
    assert!(limits.reserved.contains(61_000) && limits.reserved.contains(1));
    assert_eq!(
        limits.reserved.contains(20_000),
        limits.range.contains(20_000)
    );
    assert!(!limits.reserved.contains(5000), "outside the range");
    let service = plan
        .conflicts
        .iter()
        .find(|c| c.kind == ConflictKind::Service)
        .unwrap();
    assert!(service.text.contains("61000 (service)"), "{service:?}");
}

#[test]
fn node_ports_are_reserved_on_a_node() {
    let mut world = world(linux(32768, 60999), &all(range(32768, 60999), Held::Live));
    world.is_kubernetes_node = true;
    let plan = world.enough();
    let limits = after(&plan);
    assert!(limits.range.low() < 30000);
    assert_eq!(limits.reserved.count_in(range(30000, 32767)), 2768);
    assert!(
        plan.conflicts
            .iter()
            .any(|c| c.kind == ConflictKind::NodePorts)
    );
}

#[test]
fn an_odd_range_becomes_even_by_one_port() {
    let plan = world(linux(20000, 60000), &[]).enough();
    assert_eq!(after(&plan).range, range(20000, 60001));
    let plan = world(linux(1024, 65534), &[]).enough();
    assert_eq!(after(&plan).range, range(1024, 65535));
    let plan = world(linux(1025, 65535), &[]).enough();
    assert_eq!(after(&plan).range, range(1024, 65535));
    let mut world = world(linux(2001, 65535), &[]);
    world.unprivileged_start = 2001;
    assert_eq!(after(&world.enough()).range, range(2002, 65535));
}

#[test]
fn what_cannot_be_reached_is_refused_with_the_most_there_is() {
    let full = all(range(1024, 65535), Held::Live);
    let plan = world(linux(1024, 65535), &full).enough();
    assert!(!plan.reaches && plan.changes.is_empty());
    assert_eq!(plan.refusals[0].page, CauseId::ConnectTupleDry);
    let held = Target {
        rate_per_second: Some(5000.0),
        hold_seconds: Some(60.0),
    };
    let plan = world(linux(32768, 60999), &[]).plan(held);
    assert!(
        !plan.reaches && !plan.changes.is_empty(),
        "the nearest is shown"
    );
    assert!(plan.refusals[0].reason.contains("at the most"));
}

#[test]
fn a_rate_that_fits_already_changes_nothing() {
    let plan = world(linux(50000, 65535), &[]).at(10.0);
    assert!(plan.reaches && plan.changes.is_empty(), "{plan:?}");
}

#[test]
fn a_wider_range_takes_no_port_away_where_the_two_overlap() {
    let full = all(range(50000, 65535), Held::Live);
    let plan = world(linux(50000, 65535), &full).enough();
    assert_eq!(after(&plan).range, range(32768, 65535));
    // Apart from the default it is replaced, and that is said.
    let plan = world(linux(20000, 20007), &[]).enough();
    assert!(
        plan.conflicts
            .iter()
            .any(|c| c.text.contains("leave the range")),
        "{plan:?}"
    );
}

#[test]
fn an_odd_beginning_is_widened_before_waits_are_reused() {
    let mut world = world(linux(60001, 60999), &[]);
    world.unprivileged_start = 60001;
    let plan = world.at(80.0);
    assert_eq!(after(&plan).range, range(60002, 65535));
    assert!(plan.reaches && !changed(&plan).contains(&Setting::TcpTwReuse));
}

#[test]
fn reuse_is_not_planned_where_it_is_seen_to_give_nothing() {
    let stuck = all(range(32768, 33767), Held::Stuck);
    let plan = world(linux(32768, 60999), &stuck).at(2000.0);
    assert!(
        !plan.reaches && !changed(&plan).contains(&Setting::TcpTwReuse),
        "{plan:?}"
    );
    // Clients that bind first: their ports stay locked, whatever tcp_tw_reuse says.
    let bound = all(range(32768, 42767), Held::Bound);
    let plan = world(linux(32768, 60999), &bound).at(2000.0);
    assert!(
        !plan.reaches && !changed(&plan).contains(&Setting::TcpTwReuse),
        "{plan:?}"
    );
    // A few listeners say nothing about the clients.
    let few = all(range(40000, 40004), Held::Bound);
    assert!(world(linux(32768, 60999), &few).at(2000.0).reaches);
}

#[test]
fn a_wanted_range_that_takes_ports_away_does_not_reach() {
    let world = world(linux(32768, 60999), &[]);
    let requests = [PlannedRequest {
        request: &world.request,
        views: &world.views,
    }];
    let facts = LinuxFacts {
        limits: &world.limits,
        unprivileged_start: 1024,
        requests: &requests,
        services: &[],
        is_kubernetes_node: false,
        thresholds: Thresholds::default(),
    };
    let plan = plan_with_limits(&facts, &Target::default(), linux(40000, 50001));
    assert!(!plan.reaches);
    assert!(
        plan.changes[0].why.starts_with("Takes ports away"),
        "{plan:?}"
    );
}

#[test]
fn a_wanted_range_still_reserves_what_it_swallows() {
    let mut world = world(linux(32768, 60999), &[]);
    world.services.push(Service {
        port: 18_080,
        protocol: Protocol::Tcp,
        program: None,
    });
    let requests = [PlannedRequest {
        request: &world.request,
        views: &world.views,
    }];
    let facts = LinuxFacts {
        limits: &world.limits,
        unprivileged_start: 1024,
        requests: &requests,
        services: &world.services,
        is_kubernetes_node: false,
        thresholds: Thresholds::default(),
    };
    let wanted = Limits {
        range: range(16384, 60999),
        ..world.limits.clone()
    };
    let plan = plan_with_limits(&facts, &Target::default(), wanted);
    assert!(after(&plan).reserved.contains(18_080));
    assert_eq!(after(&plan).range, range(16384, 60999));
}

fn some_world() -> impl Strategy<Value = (World, Option<f64>)> {
    let ends = (1024_u16..65_000, 1_u16..65_535)
        .prop_map(|(low, more)| range(low, low.saturating_add(more)));
    let held = proptest::collection::vec((1024_u16..=65_535, 0_u8..3), 0..60);
    let reserved = proptest::collection::vec(1024_u16..=65_535, 0..20);
    let services = proptest::collection::vec(1024_u16..=65_535, 0..10);
    let rate = proptest::option::of(1.0_f64..100_000.0);
    let start = prop_oneof![Just(0_u16), Just(1024), 1024_u16..60_000];
    (ends, held, reserved, services, rate, start, any::<bool>()).prop_map(
        |(ends, held, reserved, services, rate, start, node)| {
            let limits = Limits {
                range: ends,
                reserved: reserved.into_iter().collect(),
                ..Limits::linux_default()
            };
            let kind = |kind| [Held::Live, Held::Waiting, Held::Bound][usize::from(kind)];
            let held: Vec<_> = held.into_iter().map(|(port, k)| (port, kind(k))).collect();
            let mut world = world(limits, &held);
            world.services = services
                .into_iter()
                .map(|port| Service {
                    port,
                    protocol: Protocol::Tcp,
                    program: None,
                })
                .collect();
            world.unprivileged_start = start.min(ends.low());
            world.is_kubernetes_node = node;
            (world, rate)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_plan_keeps_the_kernels_rules((world, rate) in some_world()) {
        let plan = match rate {
            Some(rate) => world.at(rate),
            None => world.enough(),
        };
        let (now, limits) = (&world.limits, after(&plan));
        // The kernel takes it.
        prop_assert!(limits.range.low() >= world.unprivileged_start.max(1));
        if limits.range != now.range {
            prop_assert!(limits.range.size().is_multiple_of(2), "{:?}", limits.range);
            prop_assert!(limits.range.low() >= 1024);
        }
        // Nothing reserved is dropped, and nothing served is handed out.
        prop_assert!(now.reserved.iter().all(|port| limits.reserved.contains(port)));
        if plan.reaches {
            for service in world.services.iter().filter(|s| limits.range.contains(s.port)) {
                prop_assert!(limits.reserved.contains(service.port));
            }
        }
        // What is told is what the ledger gives.
        let told = world.views.under(&world.request, limits);
        prop_assert_eq!(plan.after.headroom, told.headroom());
        prop_assert_eq!(plan.reaches, plan.refusals.is_empty());
        if plan.reaches && let Some(rate) = rate {
            prop_assert!(plan.after.sustainable_per_second.unwrap() >= rate * 0.999);
        }
        if plan.reaches && rate.is_none() {
            let settled = world.views.settled_under(&world.request, limits);
            let taken = world.views.settled_under(&world.request, now).ledger().taken();
            prop_assert!(settled.headroom().at_least >= taken);
        }
        // The first that suffices is taken.
        let chosen: Vec<_> = plan.considered.iter().filter(|one| one.is_chosen).collect();
        prop_assert_eq!(chosen.len(), 1, "{:?}", plan.considered);
        prop_assert_eq!(chosen[0].suffices, plan.reaches);
        if plan.reaches {
            let mut safer = plan.considered.iter().take_while(|one| !one.is_chosen);
            prop_assert!(safer.all(|one| !one.suffices), "{:?}", plan.considered);
        }
        // Applied, it needs nothing more.
        prop_assert_eq!(plan.changes.is_empty(), limits == now);
        let count = |class| told.ledger().count(class);
        prop_assert_eq!(plan.after.capacity, told.ledger().capacity() - count(Class::Locked));
        let names: Vec<_> = plan.changes.iter().map(|c| c.to.to_string()).collect();
        prop_assert_eq!(names.len(), changed(&plan).len());
    }
}
