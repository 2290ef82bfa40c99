//! Reading while others come and go.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dryport_bpf::BpfTable;
use dryport_host::{SockDiag, SocketTable};
use dryport_lab::{Namespace, Stage};
use dryport_model::{Protocol, State};
use dryport_wire::btf::struct_has_member;
use rustix::net::sockopt::set_socket_linger;

use crate::owners::scopeguard;
use crate::{Test, compare, scenes, table};

pub const TESTS: &[(&str, Test)] = &[
    (
        "what_stays_is_told_once_while_others_come_and_go",
        in_the_machines_table,
    ),
    (
        "what_stays_is_told_once_in_a_crowded_table",
        in_a_small_table,
    ),
    ("a_namespace_may_end_while_it_is_read", ended_namespace),
];

const READINGS: usize = 50;
const STABLE: usize = 200;
/// Connections that come and go meanwhile.
const MADE: u64 = 2000;

type Tuple = (SocketAddr, SocketAddr);

fn in_the_machines_table() {
    let place = Namespace::new().unwrap();
    churn(&place);
}

/// Sixteen chains for a thousand sockets: readings break off in the middle of a chain and go on there
/// after it has changed. Before 6.17 the kernel then lost its place.
fn in_a_small_table() {
    let types = dryport_host::kernel_types().unwrap();
    let keeps_its_place = struct_has_member(types, "bpf_tcp_iter_batch_item", "cookie").unwrap();
    if keeps_its_place != Some(true) {
        return eprintln!("SKIPPED: this kernel's iterator may lose its place (needs Linux 6.17)");
    }
    let parent = Namespace::new().unwrap();
    parent
        .set("net.ipv4.tcp_child_ehash_entries", "16")
        .unwrap();
    let place = parent.run(Namespace::new).unwrap().unwrap();
    assert_eq!(place.get("net.ipv4.tcp_ehash_entries").unwrap(), "16");
    // As many as half the chains, unless said.
    place.set("net.ipv4.tcp_max_tw_buckets", "65536").unwrap();
    churn(&place);
}

fn churn(place: &Namespace) {
    place
        .set("net.ipv4.ip_local_port_range", "10000 60999")
        .unwrap();
    let began = Instant::now();
    let (_held, stable) = place.run(settle).unwrap();
    assert_eq!(stable.len(), 3 * STABLE);
    let (is_over, made) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for port in [9100, 9101] {
            let (is_over, made) = (&is_over, &made);
            scope.spawn(move || place.run(|| come_and_go(port, is_over, made)).unwrap());
        }
        let _stop = scopeguard(&is_over);
        place
            .run(|| {
                let table = table(true);
                let mut readings = 0;
                while readings < READINGS || made.load(Ordering::Relaxed) < MADE {
                    // The TIME_WAITs are about to end: a very slow machine has less to say.
                    if began.elapsed() > Duration::from_secs(40) {
                        break;
                    }
                    all_are_told(&table, &stable);
                    readings += 1;
                }
                assert!(readings >= 5, "{readings} readings");
            })
            .unwrap();
    });
}

/// Connections that stay, and as many TIME_WAITs.
fn settle() -> (Vec<OwnedFd>, HashMap<Tuple, State>) {
    let (mut held, mut stable) = (Vec::new(), HashMap::new());
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    for at in 0..2 * STABLE {
        let client = TcpStream::connect("127.0.0.1:9000").unwrap();
        let accepted = listener.accept().unwrap().0;
        let ends = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        if at % 2 == 0 {
            stable.insert(ends, State::Established);
            stable.insert((ends.1, ends.0), State::Established);
            held.extend([OwnedFd::from(client), accepted.into()]);
        } else {
            // In this order, and whoever has copies: a program that another test starts has, for a
            // moment.
            client.shutdown(Shutdown::Write).unwrap();
            accepted.shutdown(Shutdown::Write).unwrap();
            stable.insert(ends, State::TimeWait);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Some(untold) = untold(&SockDiag, &stable) {
        assert!(Instant::now() < deadline, "{untold}");
    }
    (held, stable)
}

/// Most of the connections end at once, some become TIME_WAITs.
fn come_and_go(port: u16, is_over: &AtomicBool, made: &AtomicU64) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut at = 0;
    while !is_over.load(Ordering::Relaxed) {
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let accepted = listener.accept().unwrap();
        // Few enough TIME_WAITs that the ports last.
        if at % 8 != 0 {
            set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        }
        drop(client);
        drop(accepted);
        at += 1;
        made.fetch_add(1, Ordering::Relaxed);
    }
}

#[track_caller]
fn all_are_told(table: &BpfTable, stable: &HashMap<Tuple, State>) {
    if let Some(untold) = untold(table, stable) {
        panic!("{untold}; sock_diag: {:?}", self::untold(&SockDiag, stable));
    }
}

/// What is not told exactly once, or as something else.
fn untold(table: &dyn SocketTable, stable: &HashMap<Tuple, State>) -> Option<String> {
    let mut seen: HashMap<Tuple, Vec<State>> = HashMap::new();
    for told in compare::read(table, Protocol::Tcp, compare::ALL_PORTS) {
        let ends = (told.socket.local, told.socket.remote);
        seen.entry(ends).or_default().push(told.socket.state);
    }
    let is_wrong =
        |(ends, state): &(&Tuple, &State)| seen.get(*ends).is_none_or(|told| told[..] != [**state]);
    let mut wrong = stable.iter().filter(is_wrong);
    let (first, state) = wrong.next()?;
    let told = seen.get(first);
    Some(format!(
        "{first:?}, {state:?}: {told:?}, and {} more",
        wrong.count()
    ))
}

/// The kernel keeps it for the reading, and shows what is left.
fn ended_namespace() {
    let stage = scenes::stage(
        r#"[[scenario]]
id = "end"
title = "a namespace that ends"
range = "20000-21999"
setup = [
    "hold 1000 connect 127.0.0.1:9000",
    "hold 200 connect 127.0.0.1:9000 as waiting", "close waiting",
]
"#,
    );
    let elsewhere = Namespace::new().unwrap();
    let reader = thread::spawn(move || read_while_it_ends(stage, &elsewhere));
    let (before, after) = reader.join().unwrap();
    assert_eq!(before, 10);
    assert!(after >= 1, "the rest was not told");
}

fn read_while_it_ends(stage: Stage, elsewhere: &Namespace) -> (u32, u32) {
    let mut stage = Some(stage);
    stage
        .as_ref()
        .unwrap()
        .client()
        .enter_current_thread()
        .unwrap();
    let (mut before, mut after) = (0, 0);
    rows_of(
        &table(true),
        &mut || match stage.take_if(|_| before == 10) {
            Some(stage) => {
                elsewhere.enter_current_thread().unwrap();
                drop(stage);
                after += 1;
            }
            None if before < 10 => before += 1,
            None => after += 1,
        },
    );
    (before, after)
}

fn rows_of(table: &BpfTable, each: &mut dyn FnMut()) {
    let tally = table
        .read(Protocol::Tcp, compare::ALL_PORTS, &mut |_| each())
        .unwrap();
    assert_eq!(tally.unreadable, 0);
}
