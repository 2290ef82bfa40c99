use alloc::format;
use core::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

const PAGE: &str = include_str!("../../../../../docs/clients.md");

fn traits(name: &str) -> ProgramTraits<'_> {
    ProgramTraits {
        name,
        executable: None,
        runtime: None,
    }
}

fn to(port: u16) -> Option<SocketAddr> {
    Some((Ipv4Addr::new(10, 0, 0, 9), port).into())
}

#[test]
fn programs_are_known_by_their_names() {
    let cases = [
        ("nginx", Client::Nginx),
        ("haproxy", Client::HaProxy),
        ("envoy", Client::Envoy),
        ("pilot-agent", Client::Envoy),
        ("apache2", Client::Apache),
        ("httpd.worker", Client::Apache),
        ("squid", Client::Squid),
        ("w3wp.exe", Client::DotNet),
        ("DOTNET.EXE", Client::DotNet),
        ("java", Client::Java),
        ("Tomcat9.exe", Client::Java),
        ("node", Client::Node),
        ("node-MainThread", Client::Node),
        ("PM2 v5.3.0: God", Client::Node),
        ("python3.11", Client::Python),
        ("gunicorn: worke", Client::Python),
        ("uwsgi", Client::Python),
        ("php-fpm8.2", Client::Php),
        ("php-fpm: pool w", Client::Php),
        ("ruby3.1", Client::Ruby),
        ("puma", Client::Ruby),
        ("ab", Client::LoadGenerator),
        ("h2load", Client::LoadGenerator),
        ("curl", Client::LoadGenerator),
    ];
    for (name, client) in cases {
        assert_eq!(recognise(&traits(name), None), [client], "{name}");
    }
    for name in [
        "",
        "abc",
        "nginxd",
        "mypython",
        "nodeagent",
        "...",
        "3",
        "\u{1f980}",
    ] {
        assert_eq!(recognise(&traits(name), None), [], "{name}");
    }
}

#[test]
fn programs_are_known_by_their_executables() {
    let of = |executable| {
        let program = ProgramTraits {
            executable: Some(executable),
            ..traits("worker")
        };
        recognise(&program, None)
    };
    assert_eq!(of("/usr/bin/python3.11"), [Client::Python]);
    assert_eq!(of("/usr/sbin/nginx (deleted)"), [Client::Nginx]);
    assert_eq!(of(r"C:\Program Files\nodejs\node.exe"), [Client::Node]);
    assert_eq!(of("/srv/app/target/release/app"), [Client::Rust]);
    assert_eq!(of("/srv/nginx/app"), []);
}

#[test]
fn what_it_talks_to_comes_before_its_language() {
    let java = traits("java");
    assert_eq!(recognise(&java, to(3306)), [Client::MySql, Client::Java]);
    assert_eq!(recognise(&java, to(443)), [Client::Java]);
    let ports = [
        (6379, Client::Redis),
        (33060, Client::MySql),
        (5432, Client::PostgreSql),
        (1433, Client::SqlServer),
        (1521, Client::Oracle),
        (27017, Client::MongoDb),
    ];
    for (port, client) in ports {
        assert_eq!(recognise(&traits("app"), to(port)), [client]);
    }
}

#[test]
fn a_proxy_is_not_the_client_of_what_it_talks_to() {
    assert_eq!(recognise(&traits("haproxy"), to(6379)), [Client::HaProxy]);
    let sidecar = ProgramTraits {
        runtime: Some(Runtime::Go),
        ..traits("pilot-agent")
    };
    assert_eq!(recognise(&sidecar, to(6379)), [Client::Envoy]);
}

#[test]
fn php_in_apache_is_both() {
    let program = ProgramTraits {
        runtime: Some(Runtime::Php),
        ..traits("apache2")
    };
    assert_eq!(
        recognise(&program, to(3306)),
        [Client::MySql, Client::Php, Client::Apache]
    );
}

#[test]
fn the_runtime_tells_what_a_name_does_not() {
    let program = ProgramTraits {
        runtime: Some(Runtime::Go),
        ..traits("checkout")
    };
    assert_eq!(recognise(&program, to(443)), [Client::Go]);
}

#[test]
fn every_kind_can_reuse_its_connections() {
    for client in Client::ALL {
        assert!(
            snippet(client, Measure::ReuseConnections).is_some(),
            "{client:?}"
        );
    }
}

#[test]
fn every_measure_has_a_snippet() {
    for measure in Measure::ALL {
        assert!(
            Client::ALL
                .iter()
                .any(|client| snippet(*client, measure).is_some()),
            "{measure:?}"
        );
    }
}

#[test]
fn snippets_are_short_and_plain() {
    for (client, measure, text) in entries() {
        let name = format!("{client:?} {measure:?}");
        assert!((2..=12).contains(&text.lines().count()), "{name}: lines");
        for line in text.lines() {
            assert!(line.chars().count() <= 96, "{name}: {line}");
            assert_eq!(line, line.trim_end(), "{name}: {line}");
        }
        let is_plain = |letter: char| letter == '\n' || (' '..='~').contains(&letter);
        assert!(text.chars().all(is_plain), "{name}");
    }
}

#[test]
fn no_kind_has_two_texts_for_a_measure() {
    for (client, measure, text) in entries() {
        assert_eq!(
            snippet(*client, *measure),
            Some(*text),
            "{client:?} {measure:?}"
        );
    }
}

#[test]
fn the_page_shows_every_snippet_under_the_name_of_its_program() {
    for (client, measure, text) in entries() {
        let heading = format!("\n## {}\n", client.name());
        let section = PAGE.split(heading.as_str()).nth(1).unwrap_or_default();
        let section = section.split("\n## ").next().unwrap_or_default();
        assert!(
            section.contains(&format!("\n{text}\n```\n")),
            "{client:?} {measure:?} is not in docs/clients.md"
        );
    }
    let shown = PAGE.lines().filter(|line| *line == "```").count();
    assert_eq!(shown, entries().count(), "the page shows something else");
    for measure in Measure::ALL {
        assert!(PAGE.contains(&format!("`{}`", measure.id())), "{measure:?}");
    }
}

#[test]
fn advice_is_one_piece_for_each_measure_with_few_snippets() {
    let measures = [
        Measure::ReuseConnections,
        Measure::Spread,
        Measure::ReuseConnections,
    ];
    let clients = [
        Client::Redis,
        Client::Python,
        Client::Redis,
        Client::Nginx,
        Client::Go,
    ];
    let advice = advice(&measures, &clients);
    let ids: Vec<_> = advice.iter().map(|piece| piece.id).collect();
    assert_eq!(ids, ["reuse-connections", "spread"]);
    let names = |piece: &Advice| -> Vec<_> { piece.snippets.iter().map(|s| s.client).collect() };
    assert_eq!(names(&advice[0]), ["Redis clients", "Python", "nginx"]);
    assert_eq!(names(&advice[1]), ["nginx", "Go"]);
}

#[test]
fn advice_without_a_known_program_still_says_what_to_do() {
    let advice = advice(&[Measure::UnixSocket], &[]);
    assert_eq!(advice.len(), 1);
    assert!(advice[0].snippets.is_empty());
    assert!(!advice[0].summary.is_empty());
}

proptest! {
    #[test]
    fn any_name_is_taken(name: String, path: String, port: u16) {
        let program = ProgramTraits {
            name: &name,
            executable: Some(&path),
            runtime: None,
        };
        prop_assert!(recognise(&program, to(port)).len() <= 3);
    }
}
