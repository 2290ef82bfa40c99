//! `fix`, `rehearse` and `undo`: what is planned, what the kernel then grants, and back.

use dryport_lab::{Ask, AskOptions, Policy, Privilege, Scenario, Stage, prepare};
use dryport_model::{PortRange, SocketPortRange};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Answer, dryport};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "fix cures connect.tuple-dry: the failing load succeeds, measured is predicted",
        tuple_dry,
    ),
    (
        "fix cures connect.time-wait by the range: the failing load succeeds, measured is predicted",
        time_wait_by_range,
    ),
    (
        "fix cures connect.time-wait by tcp_tw_reuse: the failing load succeeds, measured is predicted",
        time_wait_by_reuse,
    ),
    (
        "fix cures connect.range-locked: the failing load succeeds, measured is predicted",
        range_locked,
    ),
    (
        "fix cures bind.range-dry: the failing load succeeds, measured is predicted",
        bind_dry,
    ),
    (
        "fix cures udp.range-dry: the failing load succeeds, measured is predicted",
        udp_dry,
    ),
    ("fix cures connect.slow: measured is predicted", slow),
    ("fix cures range.narrow: measured is predicted", narrow),
    (
        "fix cures range.odd-size: no port is missed any more",
        odd_size,
    ),
    (
        "fix cures range.overlaps-listener: no client gets the port while the service is down",
        overlaps_listener,
    ),
    (
        "a listener present before a widening still can be restarted after it",
        listener_restarts,
    ),
    (
        "fix reaches a target rate or says what the most is",
        target_rate,
    ),
    (
        "a plan that cannot reach its target changes nothing and exits with 1",
        out_of_reach,
    ),
    ("where all is well nothing needs to change", nothing_to_do),
    (
        "an ordinary user is shown the plan and the command for root",
        as_an_ordinary_user,
    ),
    (
        "rehearse measures what is predicted, and that a myth gives nothing",
        rehearsals,
    ),
];

/// A namespace, and a journal that ends with the test.
struct Place {
    stage: Stage,
    state: TempDir,
}

impl Place {
    fn new(range: &str, sysctl: &[(&str, &str)], setup: &[&str]) -> Self {
        Self::of("loopback", range, sysctl, setup)
    }

    fn of(topology: &str, range: &str, sysctl: &[(&str, &str)], setup: &[&str]) -> Self {
        let text = format!(
            "[[scenario]]\nid = 'S'\ntitle = '-'\nrange = '{range}'\ntopology = '{topology}'\n\
             setup = {setup:?}\nrequest = 'connect 127.0.0.1:9000'\n"
        );
        let mut scenario = Scenario::parse("fix", &text).unwrap().remove(0);
        let settings = sysctl.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        scenario.sysctl.extend(settings);
        Self {
            stage: prepare(&scenario).unwrap(),
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, words: &[&str]) -> Answer {
        let directory = self.state.path().to_str().unwrap();
        dryport(
            self.stage.client(),
            &[words, &["--state-dir", directory]].concat(),
        )
    }

    /// Applies the plan and looks at what was said of it.
    #[track_caller]
    fn fix(&self, more: &[&str]) -> Value {
        let answer = self.run(&[&["fix", "--yes", "--json"], more].concat());
        assert_eq!(answer.exit, 0, "{answer:?}");
        let document = answer.document();
        assert_eq!(document["outcome"]["state"], "applied", "{document:#}");
        let expected = &document["expected"];
        let rehearsal = &document["rehearsal"];
        // In an even range with all facts seen the two ends are one number.
        for (measured, ends) in [
            ("measured_before", "headroom_before"),
            ("measured_after", "headroom_after"),
        ] {
            let measured = rehearsal[measured].as_u64().unwrap();
            let end = |name: &str| expected[ends][name].as_u64().unwrap();
            assert!(
                end("at_least") <= measured && measured <= end("at_most"),
                "{document:#}"
            );
        }
        assert_eq!(
            document["outcome"]["headroom"], expected["headroom_after"],
            "{document:#}"
        );
        document
    }

    fn get(&self, key: &str) -> String {
        self.stage.client().get(key).unwrap()
    }

    fn settings(&self) -> Vec<String> {
        [
            "net.ipv4.ip_local_port_range",
            "net.ipv4.ip_local_reserved_ports",
            "net.ipv4.tcp_tw_reuse",
            "net.ipv4.tcp_tw_reuse_delay",
        ]
        .iter()
        .map(|key| self.get(key))
        .collect()
    }

    fn refuses(&mut self, ask: &Ask) {
        assert_eq!(self.grant(ask), 0, "it should have been dry");
    }

    fn grants(&mut self, ask: &Ask) {
        assert_eq!(self.grant(ask), 1, "it should be granted now");
    }

    fn grant(&mut self, ask: &Ask) -> u32 {
        let once = Policy {
            retries: 0,
            limit: Some(1),
        };
        self.stage.grant_all_of(ask, once).unwrap().count
    }

    /// How many ports the kernel grants, each that is not reserved asked for by itself.
    fn count(&mut self, ask: &Ask) -> u64 {
        let reserved = self.get("net.ipv4.ip_local_reserved_ports");
        let reserved = dryport_wire::sysctl::parse_port_list(&reserved).unwrap();
        let text = self.get("net.ipv4.ip_local_port_range");
        let ends: Vec<u16> = text
            .split_whitespace()
            .map(|end| end.parse().unwrap())
            .collect();
        let range = PortRange::new(ends[0], ends[1]).unwrap();
        let mut count = 0;
        for port in range.ports().filter(|port| !reserved.contains(*port)) {
            let confined = ask.clone().with(AskOptions {
                range: Some(SocketPortRange {
                    low: port,
                    high: port,
                }),
                ..ask.options.clone()
            });
            count += u64::from(self.grant(&confined));
        }
        count
    }

    /// `undo` brings back exactly what was there.
    #[track_caller]
    fn undo_restores(&self, before: &[String]) {
        let answer = self.run(&["undo", "--yes"]);
        assert_eq!(answer.exit, 0, "{answer:?}");
        assert!(answer.out.contains("read back"), "{answer:?}");
        assert_eq!(self.settings(), before);
    }
}

fn connect(to: &str) -> Ask {
    Ask::connect(to.parse().unwrap())
}

fn after(document: &Value) -> u64 {
    document["expected"]["headroom_after"]["at_least"]
        .as_u64()
        .unwrap()
}

/// Dry before; granted afterwards, as often as was predicted; and back.
#[track_caller]
fn cures(mut place: Place, ask: &Ask, setting: &str) -> Value {
    let before = place.settings();
    place.refuses(ask);
    let document = place.fix(&[]);
    let changes = document["changes"].as_array().unwrap();
    assert!(
        changes.iter().any(|change| change["setting"] == setting),
        "{document:#}"
    );
    assert_eq!(document["expected"]["headroom_before"]["at_most"], 0);
    let counted = place.count(ask);
    assert_eq!(counted, after(&document), "{document:#}");
    place.undo_restores(&before);
    document
}

const RANGE: &str = "net.ipv4.ip_local_port_range";
/// Leaves a hundred ports of the default range: the lab keeps every connection that is granted.
const MOST_RESERVED: &[(&str, &str)] = &[("net.ipv4.ip_local_reserved_ports", "32768-60899")];

fn tuple_dry(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new(
        "20000-20007",
        MOST_RESERVED,
        &["hold 8 connect 127.0.0.1:9000"],
    );
    let document = cures(place, &connect("127.0.0.1:9000"), RANGE);
    assert_eq!(document["changes"][0]["to"], "32768\t60999");
    let advice = &document["advice"][0];
    assert_eq!(advice["id"], "reuse-connections");
    Ok(())
}

fn time_wait_by_range(_: Privilege) -> Result<(), Skipped> {
    let setup = ["hold 8 connect 10.77.0.2:9000", "close"];
    let place = Place::of("veth", "20000-20007", MOST_RESERVED, &setup);
    cures(place, &connect("10.77.0.2:9000"), RANGE);
    Ok(())
}

/// Nothing can be had from the range: everything above it is reserved, everything below is not
/// allowed.
fn time_wait_by_reuse(_: Privilege) -> Result<(), Skipped> {
    let sysctl = [
        ("net.ipv4.ip_unprivileged_port_start", "20000"),
        ("net.ipv4.ip_local_reserved_ports", "20008-65535"),
    ];
    // The live connection tells that the peer uses timestamps.
    let setup = [
        "hold 8 connect 10.77.0.2:9000",
        "close",
        "wait 1200ms",
        "hold 1 connect 10.77.0.2:9001",
    ];
    let place = Place::of("veth", "20000-65535", &sysctl, &setup);
    let document = cures(place, &connect("10.77.0.2:9000"), "net.ipv4.tcp_tw_reuse");
    assert_eq!(document["changes"].as_array().unwrap().len(), 1);
    let sustained = |name: &str| document["expected"][name].as_f64().unwrap();
    // 8 ports, 60 s or 1 s each.
    assert!((sustained("sustainable_per_second_before") - 8.0 / 60.0).abs() < 1e-9);
    assert!((sustained("sustainable_per_second_after") - 8.0).abs() < 1e-9);
    let conflicts = document["conflicts"].as_array().unwrap();
    assert!(
        conflicts
            .iter()
            .any(|conflict| conflict["kind"] == "condition")
    );
    Ok(())
}

fn range_locked(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000-20007", MOST_RESERVED, &["hold 8 bind 127.0.0.9:0"]);
    let document = cures(place, &connect("127.0.0.1:9000"), RANGE);
    let ids = document["advice"].as_array().unwrap();
    assert!(
        ids.iter()
            .any(|advice| advice["id"] == "bind-address-no-port")
    );
    Ok(())
}

fn bind_dry(_: Privilege) -> Result<(), Skipped> {
    let setup = ["hold 8 bind 127.0.0.1:0 connect 127.0.0.1:9000"];
    let place = Place::new("20000-20007", MOST_RESERVED, &setup);
    cures(place, &Ask::bind("127.0.0.1:0".parse().unwrap()), RANGE);
    Ok(())
}

fn udp_dry(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new(
        "20000-20007",
        MOST_RESERVED,
        &["hold 8 udp connect 127.0.0.1:9"],
    );
    cures(place, &connect("127.0.0.1:9").udp(), RANGE);
    Ok(())
}

/// 600 of 1,024 ports are taken: nothing fails yet, but each connect() walks half of them in vain.
fn slow(_: Privilege) -> Result<(), Skipped> {
    let reserved = [("net.ipv4.ip_local_reserved_ports", "33792-60999")];
    let setup = ["hold 600 connect 127.0.0.1:9000"];
    let mut place = Place::new("32768-60999", &reserved, &setup);
    let before = place.settings();
    let document = place.fix(&[]);
    let capacity = document["expected"]["capacity_after"].as_u64().unwrap();
    assert!(capacity >= 1200, "{document:#}");
    assert_eq!(place.count(&connect("127.0.0.1:9000")), after(&document));
    // What was reserved stays so.
    let reserved = place.get("net.ipv4.ip_local_reserved_ports");
    assert!(reserved.contains("33792-60999"), "{reserved}");
    place.undo_restores(&before);
    Ok(())
}

fn narrow(_: Privilege) -> Result<(), Skipped> {
    let mut place = Place::new("20000-20999", MOST_RESERVED, &[]);
    let before = place.settings();
    let document = place.fix(&[]);
    assert_eq!(document["expected"]["headroom_before"]["at_least"], 1000);
    assert_eq!(place.get(RANGE), "32768\t60999");
    assert_eq!(place.count(&connect("127.0.0.1:9000")), after(&document));
    place.undo_restores(&before);
    Ok(())
}

fn odd_size(_: Privilege) -> Result<(), Skipped> {
    let reserved = [("net.ipv4.ip_local_reserved_ports", "20008-59999")];
    let mut place = Place::new("20000-60008", &reserved, &[]);
    let document = place.fix(&[]);
    assert_eq!(place.get(RANGE), "20000\t60009");
    assert_eq!(document["expected"]["headroom_after"]["at_least"], 18);
    // The kernel's own walk finds every one.
    let granted = place.stage.grant_all().unwrap();
    assert_eq!(granted.first_failure, 18);
    Ok(())
}

fn overlaps_listener(_: Privilege) -> Result<(), Skipped> {
    let reserved = [("net.ipv4.ip_local_reserved_ports", "32776-60999")];
    let setup = ["listen 127.0.0.5:32770 as service"];
    let mut place = Place::new("32768-60999", &reserved, &setup);
    let document = place.fix(&[]);
    let change = &document["changes"][0];
    assert_eq!(change["setting"], "net.ipv4.ip_local_reserved_ports");
    assert_eq!(change["to"], "32770,32776-60999");
    close(&mut place, "service");
    let granted = place.stage.grant_all().unwrap();
    assert!(!granted.ports.contains(&32770), "{granted:?}");
    assert_eq!(granted.count, 7);
    Ok(())
}

fn close(place: &mut Place, group: &str) {
    let text = format!(
        "[[scenario]]\nid = 'S'\ntitle = '-'\nsetup = ['close {group}']\n\
         request = 'connect 127.0.0.1:9000'\n"
    );
    let steps = Scenario::parse("step", &text).unwrap().remove(0).setup;
    place.stage.play_all(&steps).unwrap();
}

/// The six-hour outage of a blog's range: a service whose port a client took meanwhile.
fn listener_restarts(_: Privilege) -> Result<(), Skipped> {
    let sysctl = [(
        "net.ipv4.ip_local_reserved_ports",
        "32768-60991,61008-65535",
    )];
    let setup = [
        "listen 0.0.0.0:61003 as service",
        "hold 8 connect 127.0.0.1:9000",
    ];
    let mut place = Place::new("32768-60999", &sysctl, &setup);
    let document = place.fix(&[]);
    assert!(after(&document) >= 8, "{document:#}");
    close(&mut place, "service");
    // Every port that clients can get is taken by a client.
    let granted = place
        .stage
        .grant_all_of(&connect("127.0.0.1:9001"), Policy::default())
        .unwrap();
    assert!(!granted.ports.contains(&61003), "{granted:?}");
    place.grants(&Ask::listen("0.0.0.0:61003".parse().unwrap()));
    Ok(())
}

fn target_rate(_: Privilege) -> Result<(), Skipped> {
    let setup = ["hold 1 connect 10.77.0.2:9000"];
    let place = Place::of("veth", "32768-60999", &[], &setup);
    let plan = |words: &[&str]| {
        let words = [&["fix", "--dry-run", "--no-rehearsal", "--json"], words].concat();
        place.run(&words).document()
    };
    // 28,232 ports carry 470 connections a second for 60 s each.
    let enough = plan(&["--target-rate", "470/s"]);
    assert_eq!(enough["changes"].as_array().unwrap().len(), 0, "{enough:#}");
    let wider = plan(&["--target-rate", "800/s"]);
    assert_eq!(wider["reaches"], true);
    let rate = wider["expected"]["sustainable_per_second_after"].as_f64();
    assert!(rate.unwrap() >= 800.0, "{wider:#}");
    assert!(wider["needed"].as_u64().unwrap() >= 48_000);
    let reuse = plan(&["--target-rate", "5000/s"]);
    let changes = reuse["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{reuse:#}");
    assert_eq!(changes[0]["setting"], "net.ipv4.tcp_tw_reuse");
    let held = plan(&["--target-rate", "5000/s", "--hold", "600"]);
    assert_eq!(held["reaches"], false);
    assert!(held["refusals"][0]["page"].is_string());
    Ok(())
}

fn out_of_reach(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("32768-60999", &[], &[]);
    let before = place.settings();
    let answer = place.run(&["fix", "--yes", "--target-rate", "1000000/s", "--hold", "10"]);
    assert_eq!(answer.exit, 1, "{answer:?}");
    assert!(answer.out.contains("--best-effort"), "{answer:?}");
    assert_eq!(place.settings(), before);
    let answer = place.run(&[
        "fix",
        "--yes",
        "--target-rate",
        "1000000/s",
        "--hold",
        "10",
        "--best-effort",
        "--no-rehearsal",
    ]);
    assert_eq!(answer.exit, 0, "{answer:?}");
    assert_ne!(place.settings(), before);
    place.undo_restores(&before);
    Ok(())
}

fn nothing_to_do(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("32768-60999", &[], &[]);
    let answer = place.run(&["fix", "--yes", "--json"]);
    let document = answer.document();
    assert_eq!(answer.exit, 0);
    assert_eq!(document["outcome"]["state"], "nothing_to_do");
    assert_eq!(document["changes"].as_array().unwrap().len(), 0);
    let answer = place.run(&["undo", "--yes"]);
    answer.is_unknown("nothing in this namespace");
    Ok(())
}

fn as_an_ordinary_user(privilege: Privilege) -> Result<(), Skipped> {
    // In a user namespace there is no other user, and its root may write.
    crate::needs_root(privilege)?;
    let place = Place::new(
        "20000-20007",
        MOST_RESERVED,
        &["hold 8 connect 127.0.0.1:9000"],
    );
    let before = place.settings();
    let words = ["fix", "--yes", "--no-rehearsal"];
    let answer = crate::program::without(place.stage.client(), &["ordinary"], &words);
    assert_eq!(answer.exit, 3, "{answer:?}");
    assert!(answer.out.contains("32768 60999"), "{answer:?}");
    assert!(
        answer.out.contains("sudo dryport fix --yes --no-rehearsal"),
        "{answer:?}"
    );
    assert_eq!(place.settings(), before);
    Ok(())
}

fn rehearsals(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000-20007", &[], &["hold 5 connect 127.0.0.1:9000"]);
    let before = place.settings();
    let rehearse = |words: &[&str]| {
        let words = [&["rehearse", "--json", "--for", "100ms"], words].concat();
        dryport(place.stage.client(), &words).document()
    };
    let wider = rehearse(&[
        "--like-now",
        "--to",
        "127.0.0.1:9000",
        "--set",
        "net.ipv4.ip_local_port_range=20000 20015",
    ]);
    assert_eq!(wider["measured_before"], 3, "{wider:#}");
    assert_eq!(wider["measured_after"], 11);
    assert_eq!(wider["predicted_after"]["at_least"], 11);
    let myth = rehearse(&["--set", "net.ipv4.tcp_fin_timeout=5"]);
    assert_eq!(
        (&myth["measured_before"], &myth["measured_after"]),
        (&8.into(), &8.into())
    );
    let refused = dryport(
        place.stage.client(),
        &["rehearse", "--set", "net.ipv4.ip_local_port_range=9 8"],
    );
    assert_eq!(refused.exit, 64, "{refused:?}");
    let unknown = dryport(
        place.stage.client(),
        &["rehearse", "--set", "net.ipv4.nothing=1"],
    );
    unknown.is_unknown("net.ipv4.nothing");
    assert_eq!(place.settings(), before);
    Ok(())
}
