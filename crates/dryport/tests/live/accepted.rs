//! Connections that a service in the range accepted are no requests of a client.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use dryport_lab::{Namespace, Privilege};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::Value;

use crate::program::{adds_up, dryport, headroom};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[(
    "accepted connections are not judged as client requests, also after their listener closed",
    accepted_connections_are_no_requests,
)];

const SERVICE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 20_050));
const CLIENTS: u16 = 90;

/// The clients' ports lie outside the range, so that only the accepted ends are inside.
fn accepted_connections_are_no_requests(_: Privilege) -> Result<(), Skipped> {
    let place = Namespace::new().unwrap();
    place
        .set("net.ipv4.ip_local_port_range", "20000 20099")
        .unwrap();
    let (listener, ends) = place.run(serve).unwrap();

    let with_listener = check(&place);
    assert_eq!(
        causes(&with_listener),
        ["range.narrow", "range.overlaps-listener"]
    );
    assert_eq!(
        destinations(&with_listener),
        [Value::Null],
        "with its listener"
    );

    drop(listener);
    let without = check(&place);
    assert_eq!(
        destinations(&without),
        [Value::Null],
        "after the listener closed"
    );
    assert_eq!(without["level"], "ok");
    // Its port is lost to clients as long as they live.
    assert_eq!(headroom(&without["namespaces"][0]["requests"][0]), (99, 99));
    drop(ends);
    Ok(())
}

fn check(place: &Namespace) -> Value {
    let answer = dryport(place, &["check", "--netns", ".", "--json"]);
    assert_eq!(answer.exit, 0, "{answer:?}");
    let document = answer.document();
    document["namespaces"][0]["requests"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(adds_up);
    document
}

fn causes(document: &Value) -> Vec<&str> {
    let mut causes: Vec<&str> = document["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].as_str().unwrap())
        .collect();
    causes.sort_unstable();
    causes
}

/// Of every request judged; null is "any new destination".
fn destinations(document: &Value) -> Vec<Value> {
    let requests = document["namespaces"][0]["requests"].as_array().unwrap();
    requests
        .iter()
        .map(|request| request["request"]["destination"].clone())
        .collect()
}

type Ends = (Vec<OwnedFd>, Vec<TcpStream>);

fn serve() -> (TcpListener, Ends) {
    let listener = TcpListener::bind(SERVICE).unwrap();
    let (clients, accepted) = (30_000..30_000 + CLIENTS)
        .map(|port| (client(port), listener.accept().unwrap().0))
        .unzip();
    (listener, (clients, accepted))
}

fn client(port: u16) -> OwnedFd {
    let kind = SocketType::STREAM;
    let client = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None).unwrap();
    bind(&client, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    connect(&client, &SERVICE).unwrap();
    client
}
