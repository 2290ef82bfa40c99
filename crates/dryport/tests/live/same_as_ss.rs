//! `see` beside `ss`, in a namespace with sockets of every kind.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dryport_lab::{Namespace, Privilege, Scenario, prepare};
use serde_json::Value;

use crate::helper::{Helper, KEPT};
use crate::program::{Place, dryport, myself};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "see tells the sockets that ss tells, and those bound and idle",
        see_tells_what_ss_tells,
    ),
    (
        "a process that opens and closes files all the time owns its sockets",
        busy_owners_are_found,
    ),
    ("the groups of see add up to its sockets", groups_add_up),
];

pub const MIXTURE: &str = r#"
[[scenario]]
id = "MIX"
title = "sockets of every kind"
range = "20000-20199"
setup = [
    "listen 127.0.0.1:20150",
    "listen [::]:20151 v6only",
    "listen [::]:20152",
    "listen 0.0.0.0:20153",
    "hold 5 connect 127.0.0.1:9000",
    "hold 4 connect [::1]:9000",
    "hold 3 connect 127.0.0.1:9001 mapped",
    "hold 2 connect 127.0.0.1:9000 device lo",
    "hold 2 bind 127.0.0.1:0 connect 127.0.0.1:9002",
    "hold 6 connect 127.0.0.1:9002 as waiting",
    "close waiting",
    "hold 3 connect [::1]:9002 as waiting6",
    "close waiting6",
    "hold 4 connect 127.0.0.1:9003 as leak",
    "close-server leak",
    "hold 3 connect 127.0.0.1:9003 as orphan",
    "close-client orphan",
    "hold 2 connect [::1]:9003 as half",
    "shutdown half",
    "hold 7 bind 127.0.0.1:0",
    "hold 1 bind [::]:0",
    "hold 1 bind 127.0.0.2:20160",
    "hold 3 udp bind 127.0.0.1:0",
    "hold 2 udp bind [::1]:0",
    "hold 2 udp bind [::]:0",
    "hold 4 udp connect 127.0.0.1:9",
    "hold 1 udp connect [::1]:9",
]
"#;
/// Of the mixture.
const BOUND_AND_IDLE: usize = 9;

/// Protocol, local end, remote end, state; and how often.
type Rows = BTreeMap<(String, String, String, String), usize>;

fn see_tells_what_ss_tells(_: Privilege) -> Result<(), Skipped> {
    let stage = prepare(&Scenario::parse("mixture", MIXTURE).unwrap()[0]).unwrap();
    let mut ss = Rows::new();
    for (protocol, option) in [("tcp", "-tanH"), ("udp", "-uanH")] {
        let output = stage.client().command("ss").unwrap().arg(option).output();
        let output = output.map_err(|error| Skipped {
            needed: "ss",
            why: format!("ss: {error}"),
        })?;
        assert!(output.status.success(), "{output:?}");
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            *ss.entry(ss_row(protocol, line)).or_default() += 1;
        }
    }
    let mut seen = see(stage.client(), &[]);
    // `ss` shows these only when asked for them by an option that older ones do not know.
    let idle: usize = seen
        .iter()
        .filter(|(row, _)| row.3 == "BOUND")
        .map(|(_, n)| n)
        .sum();
    assert_eq!(idle, BOUND_AND_IDLE, "{seen:#?}");
    seen.retain(|row, _| row.3 != "BOUND");
    assert_eq!(seen, ss);

    for (option, protocol) in [("-t", "tcp"), ("-u", "udp")] {
        let part = see(stage.client(), &[option]);
        let expected: Rows = see(stage.client(), &[])
            .into_iter()
            .filter(|(row, _)| row.0 == protocol)
            .collect();
        assert_eq!(part, expected, "{option}");
    }
    Ok(())
}

fn see(place: &Namespace, options: &[&str]) -> Rows {
    let document = dryport(place, &[&["see", "--json"], options].concat()).document();
    let mut rows = Rows::new();
    for socket in document["sockets"].as_array().unwrap() {
        let word = |name: &str| socket[name].as_str().unwrap_or("*").to_owned();
        let end = |address: &str, port: &str| match &socket[port] {
            Value::Null => "*".to_owned(),
            port => format!("{} {port}", word(address)),
        };
        let row = (
            word("protocol"),
            end("local", "local_port"),
            end("remote", "remote_port"),
            word("state"),
        );
        *rows.entry(row).or_default() += 1;
    }
    rows
}

/// `ESTAB 0 0 127.0.0.1%lo:20000 127.0.0.1:9000`
fn ss_row(protocol: &str, line: &str) -> (String, String, String, String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [state, _, _, local, remote, ..] = words[..] else {
        panic!("a line of ss: {line}");
    };
    let state = match state {
        "ESTAB" => "ESTABLISHED".to_owned(),
        other => other.replace("WAIT-", "WAIT").replace('-', "_"),
    };
    (protocol.into(), ss_end(local), ss_end(remote), state)
}

fn ss_end(end: &str) -> String {
    let (address, port) = end.rsplit_once(':').unwrap();
    if port == "*" {
        return port.into();
    }
    let address = address.split('%').next().unwrap().trim_matches(['[', ']']);
    let address: IpAddr = if address == "*" { "::" } else { address }.parse().unwrap();
    format!("{} {port}", address.to_canonical())
}

fn groups_add_up(_: Privilege) -> Result<(), Skipped> {
    let stage = prepare(&Scenario::parse("mixture", MIXTURE).unwrap()[0]).unwrap();
    for by in [
        "destination",
        "process",
        "state",
        "source",
        "namespace",
        "port",
    ] {
        let answer = dryport(stage.client(), &["see", "--json", "--by", by]);
        let document = answer.document();
        assert_eq!((answer.exit, &document["by"]), (0, &Value::from(by)));
        let count = document["count"].as_u64().unwrap();
        assert_eq!(document["sockets"].as_array().unwrap().len() as u64, count);
        let groups = document["groups"].as_array().unwrap();
        let sum = |key: &str| {
            groups
                .iter()
                .map(|group| group[key].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(sum("sockets"), count, "{by}");
        let text = dryport(stage.client(), &["see", "--by", by]);
        assert_eq!((text.exit, text.err.as_str()), (0, ""), "{by}");
        text.is_clean();
    }
    Ok(())
}

/// Its descriptors are looked at while they change.
fn busy_owners_are_found(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20999");
    let _busy = Helper::start(myself(&place.namespace), &["churn", "127.0.0.1:9000"]);
    for _ in 0..10 {
        let document = dryport(&place.namespace, &["check", "--netns", ".", "--json"]).document();
        let requests = document["namespaces"][0]["requests"].as_array().unwrap();
        let own = |request: &&Value| request["request"]["destination_port"] == 9000;
        let request = requests.iter().find(own).unwrap();
        assert_eq!(request["owners"][0]["ports"], KEPT, "{request}");
    }
    Ok(())
}
