//! What the tests read: namespaces full of sockets.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use dryport_lab::{Namespace, Scenario, Stage, Step, prepare};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

/// One scenario, as the files of `scenarios/` have it.
#[track_caller]
pub fn stage(text: &str) -> Stage {
    let parsed = Scenario::parse("scene", text).unwrap();
    prepare(&parsed[0]).unwrap()
}

/// Every kind of socket that a loopback interface makes. Ports with a number stand outside the range, so
/// that nobody else is given them.
pub fn mixture() -> Stage {
    stage(
        r#"[[scenario]]
id = "mixture"
title = "every kind of socket"
range = "20000-20999"
setup = [
    "listen 0.0.0.0:19000",
    "listen 127.0.0.1:19001",
    "listen [::]:19002",
    "listen [::]:19003 v6only",
    "listen [::1]:19007",
    "listen 127.0.0.1:19004 mapped",
    "listen 127.0.0.1:19005 device lo",
    "hold 3 connect 127.0.0.1:9000",
    "hold 3 connect 127.0.0.2:9000 from 127.0.0.3",
    "hold 2 connect 127.0.0.1:9001 mapped",
    "hold 2 connect [::1]:9000",
    "hold 2 bind 127.0.0.1 connect 127.0.0.1:9002",
    "hold bind 127.0.0.1:19500 connect 127.0.0.1:9002",
    "hold connect 127.0.0.1:9003 device lo",
    "hold 2 connect 127.0.0.1:9003 range 20700-20710",
    "try 2 mptcp connect 127.0.0.1:9000",
    "try mptcp listen 127.0.0.1:19006",
    "try 2 mptcp connect 127.0.0.1:19006",
    "try 2 connect 127.0.0.1:19006 as plain", "close-server plain", "close-client plain",
    "try 2 mptcp connect 127.0.0.1:9001 as active", "close active no-wait",
    "hold 2 bind 127.0.0.1",
    "hold bind 0.0.0.0:19501",
    "hold bind [::]:19502 v6only",
    "hold bind [::]:19503",
    "hold bind ::1",
    "hold bind 127.0.0.1 mapped",
    "hold bind 127.0.0.1:19504 device lo",
    "hold 3 connect 127.0.0.1:9000 as automatic", "close automatic",
    "hold 2 bind 127.0.0.1 connect 127.0.0.1:9000 as chosen", "close chosen",
    "hold bind 127.0.0.1:19505 connect 127.0.0.1:9001 as fixed", "close fixed",
    "hold 2 connect [::1]:9001 as v6", "close v6",
    "hold 2 connect 127.0.0.1:9001 mapped as mapped", "close mapped",
    "hold connect 127.0.0.1:9002 device lo as device", "close device",
    "hold 2 connect 127.0.0.1:9000 as orphan", "close-client orphan",
    "hold 2 connect [::1]:9000 as orphan6", "close-client orphan6",
    "hold 2 connect 127.0.0.1:9000 as half", "shutdown half",
    "hold 2 connect 127.0.0.1:9000 as left", "close-server left",
    "hold 2 udp bind 127.0.0.1",
    "hold udp bind 0.0.0.0:19800",
    "hold udp bind [::]:19801",
    "hold udp bind [::]:19802 v6only",
    "hold udp bind [::1]:19803",
    "hold udp bind 127.0.0.1:19804 mapped",
    "hold 2 udp connect 127.0.0.1:9000",
    "hold udp connect 127.0.0.1:9000 mapped",
    "hold udp connect [::1]:9000",
    "hold udp sendto 127.0.0.1:9000",
    "hold udp sendto [::1]:9000",
    "hold udp bind 127.0.0.1 connect 127.0.0.1:9000 device lo",
    "hold udp connect 127.0.0.1:9001 range 20900-20910",
]
"#,
    )
}

/// States that want a peer who does not answer: the cable is pulled in the middle.
pub fn cut_cable() -> Stage {
    stage(
        r#"[[scenario]]
id = "cable"
title = "the cable is pulled"
topology = "veth"
range = "20000-20999"
setup = [
    "hold 2 connect 10.77.0.2:9000",
    "hold 2 connect [fd77::2]:9000",
    "hold 2 connect 10.77.0.2:9000 from 10.77.0.3 device va",
    "hold 2 connect 10.77.0.2:9001 as done", "close done",
    "hold 2 connect 10.77.0.2:9000 as second", "close-server second",
    "hold 2 connect 10.77.0.2:9000 mapped as first",
    "hold 2 bind 10.77.0.1 connect 10.77.0.2:9000 as bound",
    "server link vb down",
    "close-client first no-wait",
    "close-client bound no-wait",
    "close-client second no-wait",
    "hold 2 connect 10.77.0.2:9001 no-wait",
]
"#,
    )
}

pub const REQUESTS: usize = 3;
pub const WAITING: usize = 2;

/// Connections that a listener has not accepted: those complete, and those that wait for data.
pub fn requests() -> (Namespace, Vec<OwnedFd>) {
    let place = Namespace::new().unwrap();
    let held = place.run(|| {
        let mut held: Vec<OwnedFd> = Vec::new();
        let patient = TcpListener::bind("127.0.0.1:19000").unwrap();
        let quick = TcpListener::bind("[::1]:19001").unwrap();
        defer_accept(&patient);
        for _ in 0..REQUESTS {
            held.push(TcpStream::connect("127.0.0.1:19000").unwrap().into());
        }
        for _ in 0..WAITING {
            held.push(TcpStream::connect("[::1]:19001").unwrap().into());
        }
        held.extend([patient.into(), quick.into()]);
        held
    });
    (place, held.unwrap())
}

/// The kernel passes over the ACK that would complete a connection and waits for data.
fn defer_accept(listener: &TcpListener) {
    let seconds: libc::c_int = 30;
    // SAFETY: the pointer and the length describe `seconds`, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of_val(&seconds) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}

pub const OTHER_USER: u32 = 4711;

/// Sockets that are not root's.
pub fn other_user(place: &Namespace) -> Vec<OwnedFd> {
    let held = place.run(|| {
        let user = Uid::from_raw(OTHER_USER);
        set_thread_res_uid(user, user, user).unwrap();
        let listener = TcpListener::bind("127.0.0.1:19100").unwrap();
        let client = TcpStream::connect("127.0.0.1:19100").unwrap();
        let accepted = listener.accept().unwrap().0;
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        vec![listener.into(), client.into(), accepted.into(), udp.into()]
    });
    held.unwrap()
}

/// Steps, to be played on a stage that stands already.
pub fn steps(lines: &[&str]) -> Vec<Step> {
    let text = format!("[[scenario]]\nid = \"steps\"\ntitle = \"steps\"\nsetup = {lines:?}\n");
    let parsed = Scenario::parse("steps", &text).unwrap();
    parsed
        .into_iter()
        .flat_map(|scenario| scenario.setup)
        .collect()
}
