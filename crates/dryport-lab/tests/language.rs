//! The scenario language: what is written reads back, and mistakes are told by place and word.

use std::path::Path;

use dryport_lab::{Ask, LabError, Scenario, Step};

fn all() -> Result<Vec<Scenario>, LabError> {
    Scenario::load_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"))
}

#[test]
fn every_scenario_reads_back_from_its_own_text() {
    for scenario in all().unwrap() {
        let text = scenario.to_string();
        assert_eq!(
            Scenario::parse("written", &text).unwrap(),
            [scenario],
            "{text}"
        );
    }
}

#[test]
fn ids_are_unique() {
    let mut ids: Vec<String> = all()
        .unwrap()
        .into_iter()
        .map(|scenario| scenario.id)
        .collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn every_word_of_the_language_is_written_as_it_is_read() {
    let lines = [
        "listen 0.0.0.0:20003",
        "listen [::]:20003 v6only as web",
        "listen v6",
        "hold 3 listen",
        "hold 5 connect 127.0.0.1:9001 as a",
        "hold udp bind ::1 connect [::1]:9000 reuseaddr reuseport device lo range 20005-0",
        "hold mptcp connect 127.0.0.1:9000 from 127.0.0.2 mapped",
        "hold bind 0.0.0.0 mapped",
        "hold bind ::",
        "hold udp sendto 127.0.0.1:9000",
        "hold connect 127.0.0.1:9000 fastopen md5 no-wait linger2 -1",
        "try 50 connect 127.0.0.1:9009 expecting ECONNREFUSED",
        "try bind 127.0.0.1:20003 as b expecting ok",
        "try listen 127.0.0.1:20003",
        "close",
        "close a",
        "close no-wait",
        "close-client a no-wait",
        "close-server a",
        "reset a",
        "reset-server",
        "shutdown a",
        "disconnect a",
        "send a 1000",
        "link lo down",
        "server link vb up",
        "address lo 10.9.9.9/32",
        "route 10.77.0.2 device va source 10.77.0.3",
        "sysctl net.ipv4.ip_local_port_range=20000 20007",
        "server sysctl net.ipv4.tcp_timestamps=0",
        "wait 1500ms",
        "wait 3s",
    ];
    for line in lines {
        assert_eq!(
            line.parse::<Step>().map(|step| step.to_string()).as_deref(),
            Ok(line)
        );
    }
}

#[test]
fn a_mistake_is_told_with_scenario_line_and_word() {
    let text = "\n[[scenario]]\nid = \"A1\"\ntitle = \"t\"\nsetup = [\n  \"wait 1s\",\n  \"hold connect 127.0.0.1:9000 reuseadr\",\n]\n";
    let error = Scenario::parse("some.toml", text).unwrap_err();
    assert_eq!(
        (error.id.as_str(), error.line, error.word.as_str()),
        ("A1", 7, "reuseadr")
    );
    let shown = error.to_string();
    assert_eq!(
        shown,
        "some.toml:7: scenario A1: `reuseadr`: is one word too many"
    );
}

#[test]
fn a_line_that_ends_early_says_what_is_missing() {
    assert_eq!(
        "wait".parse::<Step>(),
        Err("`` the line ends where a time belongs".to_owned())
    );
    assert!("hold 3".parse::<Step>().is_err());
    assert!("connect 127.0.0.1".parse::<Ask>().is_err());
    assert!("server close a".parse::<Step>().is_err());
    assert!(
        "try connect 127.0.0.1:9000 expecting EWHAT"
            .parse::<Step>()
            .is_err()
    );
}

#[test]
fn a_table_that_is_not_known_is_refused() {
    let error = Scenario::parse(
        "f",
        "[[scenario]]\nid = \"A\"\ntitle = \"t\"\ngranted = 3\n",
    );
    assert_eq!(error.unwrap_err().line, 4);
}

#[test]
fn a_request_that_names_its_port_has_no_prediction() {
    let request = |text: &str| text.parse::<Ask>().unwrap().request(0);
    assert!(request("bind 127.0.0.1:20003 connect 127.0.0.1:9000").is_none());
    assert!(request("bind 127.0.0.1 connect 127.0.0.1:9000").is_some());
    assert_eq!(request("connect 127.0.0.1:9000").unwrap().source, None);
}
