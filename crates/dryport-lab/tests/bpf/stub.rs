//! What is told of a TIME_WAIT beyond its row: whether its connection had timestamps, and its age.

use std::time::{Duration, Instant};

use dryport_host::survey::{self, HeadroomSurvey, Means};
use dryport_host::{Sighting, read_limits, with_route_source};
use dryport_lab::Stage;
use dryport_model::{Protocol, Socket, State};

use crate::{Test, compare, scenes, table};

pub const TESTS: &[(&str, Test)] = &[
    ("timestamps_are_those_of_the_connection", timestamps),
    (
        "stubs_without_timestamps_are_not_counted_as_reusable",
        made_without_then_switched_on,
    ),
    (
        "stubs_with_timestamps_stay_reusable",
        made_with_then_switched_off,
    ),
    (
        "over_a_cable_the_stub_tells_what_no_one_else_does",
        over_a_cable,
    ),
    ("age_counts_from_the_state_that_counts", age),
];

/// Above `tcp_tw_reuse_delay` of these scenes.
const DELAY_MS: u64 = 300;

fn time_waits(stage: &Stage) -> Vec<Sighting> {
    let rows = stage
        .client()
        .run(|| compare::read(&table(false), Protocol::Tcp, compare::ALL_PORTS));
    let mut rows = rows.unwrap();
    rows.retain(|seen| seen.socket.is_time_wait_stub());
    rows
}

fn timestamps() {
    let stage = scenes::stage(
        r#"[[scenario]]
id = "stamps"
title = "timestamps come and go"
topology = "veth"
range = "20000-20099"
setup = [
    "sysctl net.ipv4.tcp_timestamps=0",
    "hold 3 connect 10.77.0.2:9000 as without", "close without",
    "hold 2 connect [fd77::2]:9000 as without6", "close without6",
    "hold 2 connect 10.77.0.2:9002 as orphan", "close-client orphan",
    "sysctl net.ipv4.tcp_timestamps=1",
    "hold 3 connect 10.77.0.2:9001 as with", "close with",
    "hold 2 connect [fd77::2]:9001 as with6", "close with6",
    "hold 2 connect 10.77.0.2:9003 as orphan1", "close-client orphan1",
    "server sysctl net.ipv4.tcp_timestamps=0",
    "hold 2 connect 10.77.0.2:9000 from 10.77.0.3 as refused", "close refused",
    "sysctl net.ipv4.tcp_timestamps=0",
]
"#,
    );
    let stubs = time_waits(&stage);
    assert_eq!(stubs.len(), 16);
    for seen in stubs {
        let Socket {
            local,
            remote,
            time_wait,
            ..
        } = seen.socket;
        let is_refused = local.ip().to_string() == "10.77.0.3";
        let expected = matches!(remote.port(), 9001 | 9003) && !is_refused;
        assert_eq!(time_wait.unwrap().timestamps, Some(expected), "{seen:?}");
    }
}

/// Predicts the scene's request by BPF, alone and with probes, and lets the kernel count.
#[track_caller]
fn is_exact(stage: &mut Stage) -> u32 {
    let request = stage.request().unwrap().unwrap();
    let predict = |probes| -> HeadroomSurvey {
        let predicted = stage.client().run(|| {
            let table = table(false);
            let request = with_route_source(request).unwrap();
            let means = Means {
                table: &table,
                probes,
            };
            survey::headroom(&request, &read_limits(true).unwrap(), means).unwrap()
        });
        predicted.unwrap()
    };
    let predicted = [predict(false), predict(true)];
    let granted = stage.grant_all().unwrap();
    for survey in predicted {
        let headroom = survey.classes.headroom();
        assert_eq!(
            (headroom.at_least, headroom.at_most),
            (granted.first_failure, granted.first_failure),
            "{:?} {:?} {granted:?}",
            survey.classes.ledger(),
            survey.coverage
        );
    }
    granted.first_failure
}

fn made_without_then_switched_on() {
    let mut stage = scenes::stage(&format!(
        r#"[[scenario]]
id = "gap"
title = "made without timestamps, judged with"
range = "20000-20007"
sysctl = {{ "net.ipv4.tcp_tw_reuse" = "1", "net.ipv4.tcp_tw_reuse_delay" = "{DELAY_MS}" }}
setup = [
    "sysctl net.ipv4.tcp_timestamps=0",
    "hold 3 connect 127.0.0.1:9000 as without", "close without",
    "sysctl net.ipv4.tcp_timestamps=1",
    "hold 2 connect 127.0.0.1:9000 as with", "close with",
    "wait 500ms",
]
request = "connect 127.0.0.1:9000"
"#
    ));
    assert_eq!(is_exact(&mut stage), 5);
}

fn made_with_then_switched_off() {
    let mut stage = scenes::stage(&format!(
        r#"[[scenario]]
id = "gap"
title = "made with timestamps, judged without"
range = "20000-20007"
sysctl = {{ "net.ipv4.tcp_tw_reuse" = "1", "net.ipv4.tcp_tw_reuse_delay" = "{DELAY_MS}" }}
setup = [
    "hold 3 connect 127.0.0.1:9000 as with", "close with",
    "sysctl net.ipv4.tcp_timestamps=0",
    "hold 2 connect 127.0.0.1:9000 as without", "close without",
    "wait 500ms",
]
request = "connect 127.0.0.1:9000"
"#
    ));
    assert_eq!(is_exact(&mut stage), 6);
}

/// To a peer elsewhere to whom no connection is alive.
fn over_a_cable() {
    let mut stage = scenes::stage(&format!(
        r#"[[scenario]]
id = "gap"
title = "a remote peer with and without timestamps"
topology = "veth"
range = "20000-20007"
sysctl = {{ "net.ipv4.tcp_tw_reuse" = "1", "net.ipv4.tcp_tw_reuse_delay" = "{DELAY_MS}" }}
setup = [
    "server sysctl net.ipv4.tcp_timestamps=0",
    "hold 3 connect 10.77.0.2:9000 as without", "close without",
    "server sysctl net.ipv4.tcp_timestamps=1",
    "hold 2 connect 10.77.0.2:9000 as with", "close with",
    "wait 500ms",
]
request = "connect 10.77.0.2:9000"
"#
    ));
    assert_eq!(is_exact(&mut stage), 5);
}

/// An orphan's FIN_WAIT2 becomes a TIME_WAIT when the peer closes at last; from then on it counts. Its
/// timer alone would tell that it is old.
fn age() {
    let mut stage = scenes::stage(
        r#"[[scenario]]
id = "age"
title = "an orphan whose peer closes late"
range = "20000-20007"
sysctl = { "net.ipv4.tcp_fin_timeout" = "20" }
setup = [
    "hold connect 127.0.0.1:9000 as soon", "close soon",
    "hold connect 127.0.0.1:9001 as late", "close-client late",
    "wait 700ms",
]
"#,
    );
    let of = |stage: &Stage, port: u16| {
        let stubs = time_waits(stage);
        let found = stubs.iter().find(|seen| seen.socket.remote.port() == port);
        let socket = found.unwrap().socket;
        (socket.state, socket.time_wait.unwrap())
    };
    let (state, orphan) = of(&stage, 9001);
    assert_eq!(state, State::FinWait2);
    assert!((700..30_000).contains(&orphan.age_ms), "{orphan:?}");
    let began = Instant::now();
    stage
        .play_all(&scenes::steps(&["close-server late"]))
        .unwrap();
    let deadline = began + Duration::from_secs(5);
    let late = loop {
        match of(&stage, 9001) {
            (State::TimeWait, stub) => break stub,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
    };
    assert!(
        u128::from(late.age_ms) <= began.elapsed().as_millis(),
        "{late:?}"
    );
    let (_, soon) = of(&stage, 9000);
    assert!(soon.age_ms >= late.age_ms + 690, "{soon:?} {late:?}");
}
