//! Lines of the world and what they say; the list is in `said`.

use std::string::String;
use std::vec::Vec;

use dryport_model::{CauseId, Complaint, Message, Platform};
use proptest::prelude::*;

use super::*;

mod said;

fn all() -> impl Iterator<Item = &'static said::Said> {
    [
        said::DOTNET,
        said::JAVA,
        said::GO,
        said::SCRIPTS,
        said::PROGRAMS,
        said::KERNEL_AND_CLOUD,
        said::TRANSLATED,
    ]
    .into_iter()
    .flatten()
}

fn read(line: &str) -> Message {
    read_line(line.as_bytes()).unwrap_or_else(|| panic!("nothing read from {line:?}"))
}

#[test]
fn every_wording_is_read() {
    let mut wrong = String::new();
    for (line, complaint, call, local_port, destination, cause) in all() {
        let message = read_line(line.as_bytes());
        let got = message.as_ref().map(|message| {
            (
                message.complaint,
                message.call,
                message.local_port,
                message.destination.as_deref(),
                message.cause(None).0.name(),
            )
        });
        let expected = Some((*complaint, *call, *local_port, *destination, *cause));
        if got != expected {
            wrong += &std::format!("{line}\n  expected {expected:?}\n  got      {got:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn innocent_lines_say_nothing() {
    let loud: Vec<_> = said::SILENT
        .iter()
        .filter_map(|line| Some((line, read_line(line.as_bytes())?)))
        .collect();
    assert!(loud.is_empty(), "{loud:#?}");
}

#[test]
fn the_finder_finds_every_line_that_can_be_read() {
    let finder = Finder::new();
    for (line, ..) in all() {
        let mut hits = Vec::new();
        finder.each_hit(line.as_bytes(), |at| hits.push(at));
        assert!(!hits.is_empty(), "{line}");
    }
}

#[test]
fn every_phrase_holds_an_anchor() {
    let finder = Finder::new();
    let without: Vec<_> = complaint::phrases()
        .chain(translated::fragments())
        .filter(|phrase| {
            let mut hits = 0;
            // Those in which ASCII is all stand in sentences that have other letters, or are
            // anchors themselves.
            let text = std::format!("{phrase} ÿ");
            finder.each_hit(text.as_bytes(), |_| hits += 1);
            hits == 0
        })
        .collect();
    assert_eq!(without, [] as [&str; 0]);
}

#[test]
fn hits_come_in_ascending_order_and_lie_in_their_lines() {
    let mut text = String::new();
    let mut starts = Vec::new();
    for (line, ..) in all() {
        text += "nothing of interest\n";
        starts.push((text.len(), text.len() + line.len()));
        text += line;
        text.push('\n');
    }
    let mut hits = Vec::new();
    Finder::new().each_hit(text.as_bytes(), |at| hits.push(at));
    assert!(hits.is_sorted_by(|one, other| one < other));
    for (start, end) in &starts {
        assert!(hits.iter().any(|at| (start..end).contains(&at)));
    }
    let strays = hits
        .iter()
        .filter(|at| !starts.iter().any(|(start, end)| (start..end).contains(at)));
    assert_eq!(strays.count(), 0);
}

#[test]
fn wording_and_numbers_tell_the_platform() {
    let platform = |line| read(line).platform;
    assert_eq!(
        platform("Cannot assign requested address"),
        Some(Platform::Linux)
    );
    assert_eq!(
        platform("Can't assign requested address"),
        Some(Platform::MacOs)
    );
    assert_eq!(platform("Address already in use"), None);
    assert_eq!(
        platform("[Errno 98] Address already in use"),
        Some(Platform::Linux)
    );
    assert_eq!(
        platform("[Errno 48] Address already in use"),
        Some(Platform::MacOs)
    );
    assert_eq!(
        platform("Address already in use (os error 98)"),
        Some(Platform::Linux)
    );
    assert_eq!(platform("connect EADDRINUSE 10.0.0.5:80"), None);
    assert_eq!(
        platform("WSAEADDRINUSE in connect"),
        Some(Platform::Windows)
    );
    assert_eq!(
        platform("java.net.BindException: Address already in use: connect"),
        Some(Platform::Windows)
    );
    assert_eq!(platform("SNAT port exhaustion"), None);
}

#[test]
fn the_program_is_known_by_its_words() {
    let program = |line| read(line).program;
    assert_eq!(
        program("dial tcp 10.0.0.5:80: connect: connection refused"),
        Some("Go")
    );
    assert_eq!(
        program("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"),
        Some("nginx")
    );
    assert_eq!(
        program("java.net.BindException: Address already in use: connect"),
        Some("Java")
    );
    assert_eq!(
        program("Connect() failed for backend b: no free ports."),
        Some("HAProxy")
    );
    assert_eq!(program("Address already in use"), None);
}

#[test]
fn a_secret_in_an_address_is_not_shown() {
    let message = read(
        "Unable to connect to redis://user:geheim@10.0.0.5:6379/0: Cannot assign requested address",
    );
    assert_eq!(message.destination.as_deref(), Some("10.0.0.5:6379"));
}

#[test]
fn the_weightiest_complaint_of_a_line_counts() {
    let line = "connection refused (10061), later: connect: cannot assign requested address";
    assert_eq!(read(line).complaint, AddressNotAvailable);
}

#[test]
fn a_line_of_a_mebibyte_is_read_at_its_complaint() {
    let mut line = "connect to 192.0.2.1:1 ".repeat(40_000);
    line += "dial tcp 10.0.0.5:80: connect: cannot assign requested address";
    line += &" 10048 bind: err".repeat(20_000);
    let message = read(&line);
    assert_eq!(message.destination.as_deref(), Some("10.0.0.5:80"));
    assert_eq!(message.cause(None).0, CauseId::ConnectTupleDry);
}

#[test]
fn frames_and_details_tell_the_call() {
    use dryport_model::Call::{Bind, Connect, Listen};
    let call = |line: &str| read_following(line.as_bytes()).map(|follow| follow.call);
    for (line, expected) in [
        (
            "   at System.Net.Sockets.Socket.Bind(EndPoint localEP)",
            Some(Bind),
        ),
        (
            "   at System.Net.Sockets.Socket.DoConnect(EndPoint endPointSnapshot, SocketAddress socketAddress)",
            Some(Connect),
        ),
        (
            "   at System.Net.HttpListener.AddAllPrefixes()",
            Some(Listen),
        ),
        (
            "   at System.Net.Http.HttpConnectionPool.ConnectToTcpHostAsync(String host, Int32 port)",
            Some(Connect),
        ),
        (
            "   at System.Net.Sockets.TcpListener.Start(Int32 backlog)",
            Some(Listen),
        ),
        (
            "   bei System.Net.Sockets.Socket.Connect(EndPoint remoteEP)",
            Some(Connect),
        ),
        (
            "\tat java.net.PlainSocketImpl.socketConnect(Native Method)",
            Some(Connect),
        ),
        (
            "\tat java.net.ServerSocket.bind(ServerSocket.java:390)",
            Some(Listen),
        ),
        (
            "\tat java.base/sun.nio.ch.Net.bind0(Native Method)",
            Some(Bind),
        ),
        ("\tat com.example.App.main(App.java:5)", None),
        ("\t... 12 more", None),
        (
            "  File \"/usr/lib/python3/socket.py\", line 833, in create_connection",
            Some(Connect),
        ),
        ("    sock.bind(sa)", Some(Bind)),
        (
            "  File \"/usr/lib/python3/socketserver.py\", line 466, in server_bind",
            Some(Listen),
        ),
        (
            "    at Server.setupListenHandle [as _listen2] (node:net:1817:16)",
            Some(Listen),
        ),
        (
            "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)",
            Some(Connect),
        ),
        ("  syscall: 'connect',", Some(Connect)),
        ("  syscall: 'listen',", Some(Listen)),
        (
            "\tfrom /usr/lib/ruby/3.0.0/socket.rb:64:in `connect'",
            Some(Connect),
        ),
        (
            "#1 /srv/www/db.php(6): mysqli->__construct('127.0.0.1')",
            Some(Connect),
        ),
    ] {
        assert_eq!(call(line), Some(expected), "{line}");
    }
    for line in [
        "",
        "2026-07-01 10:00:00 INFO started",
        "at last",
        "port: high",
        "address of the day: unknown",
        "port: 70000",
        "Connection from 10.0.0.5 port 5000",
    ] {
        assert_eq!(read_following(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn details_of_an_error_complete_its_message() {
    let mut message = Message::new(AddressNotAvailable);
    for line in [
        "  errno: -99,",
        "  code: 'EADDRNOTAVAIL',",
        "  syscall: 'connect',",
        "  address: '10.0.0.5',",
        "  port: 6379",
    ] {
        read_following(line.as_bytes())
            .unwrap()
            .add_to(&mut message);
    }
    assert_eq!(message.destination.as_deref(), Some("10.0.0.5:6379"));
    assert_eq!(
        message.cause(Some(Platform::Linux)).0,
        CauseId::ConnectTupleDry
    );

    let mut message = Message::new(Complaint::AddressInUse);
    for line in ["  syscall: 'listen',", "  address: '::',", "  port: 3000"] {
        read_following(line.as_bytes())
            .unwrap()
            .add_to(&mut message);
    }
    assert_eq!(
        (message.local_port, message.destination),
        (Some(3000), None)
    );
}

/// Bytes, and pieces of real messages between them.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..all().count(), any::<(u8, u8)>()).prop_map(|(row, (from, length))| {
        let line = all().nth(row).map_or(&[][..], |said| said.0.as_bytes());
        let from = usize::from(from).min(line.len());
        line[from..line.len().min(from + usize::from(length))].to_vec()
    });
    let noise = proptest::collection::vec(any::<u8>(), 0..24);
    proptest::collection::vec(prop_oneof![piece, noise], 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_print_harmlessly(line in any_line()) {
        let harmless = |text: &Option<String>| text.iter().all(|text| !text.chars().any(char::is_control));
        let message = read_line(&line);
        prop_assert!(message.iter().all(|message| harmless(&message.destination)));
        let follow = read_following(&line);
        prop_assert!(follow.iter().all(|follow| harmless(&follow.destination)));
        if let (Some(mut message), Some(follow)) = (message, follow) {
            follow.add_to(&mut message);
            prop_assert!(harmless(&message.destination));
        }
        Finder::new().each_hit(&line, |_| {});
    }
}
