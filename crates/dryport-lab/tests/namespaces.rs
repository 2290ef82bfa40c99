//! The namespaces themselves: separate, cheap, reachable by other programs, gone when dropped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Instant;

use dryport_lab::{CLIENT_LINK, Lab, Namespace, Privilege};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    if let Err(unavailable) = Privilege::enter() {
        return unavailable.skip();
    }
    let trials = vec![
        Trial::test(
            "a_setting_stays_in_its_namespace",
            a_setting_stays_in_its_namespace,
        ),
        Trial::test("a_command_runs_inside", a_command_runs_inside),
        Trial::test(
            "the_path_leads_to_the_namespace",
            the_path_leads_to_the_namespace,
        ),
        Trial::test(
            "the_calling_thread_stays_outside",
            the_calling_thread_stays_outside,
        ),
        Trial::test(
            "both_families_cross_the_veth_pair",
            both_families_cross_the_veth_pair,
        ),
        Trial::test("a_veth_pair_can_be_cut", a_veth_pair_can_be_cut),
        Trial::test("fifty_namespaces_take_under_two_seconds", fifty_are_cheap),
        Trial::test(
            "a_missing_setting_is_told_by_path",
            a_missing_setting_is_told_by_path,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn a_setting_stays_in_its_namespace() -> Result<(), Failed> {
    let (one, other) = (Namespace::new()?, Namespace::new()?);
    one.set("net.ipv4.ip_local_port_range", "20000 20007")?;
    assert_eq!(one.get("net.ipv4.ip_local_port_range")?, "20000\t20007");
    assert_ne!(other.get("net.ipv4.ip_local_port_range")?, "20000\t20007");
    Ok(())
}

fn a_command_runs_inside() -> Result<(), Failed> {
    let namespace = Namespace::new()?;
    let output = namespace
        .command("readlink")?
        .arg("/proc/self/ns/net")
        .output()?;
    let inside = namespace.run(current)??;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), inside);
    Ok(())
}

fn the_path_leads_to_the_namespace() -> Result<(), Failed> {
    let namespace = Namespace::new()?;
    let link = fs::read_link(namespace.path())?
        .to_string_lossy()
        .into_owned();
    assert_eq!(link, namespace.run(current)??);
    Ok(())
}

fn the_calling_thread_stays_outside() -> Result<(), Failed> {
    let before = current()?;
    let namespace = Namespace::new()?;
    assert_ne!(namespace.run(current)??, before);
    assert_eq!(current()?, before);
    Ok(())
}

fn both_families_cross_the_veth_pair() -> Result<(), Failed> {
    let lab = Lab::veth()?;
    let listener = lab.server().run(|| TcpListener::bind("[::]:9000"))??;
    for server in ["10.77.0.2:9000", "[fd77::2]:9000"] {
        let client = lab.client().run(|| TcpStream::connect(server))??;
        let seen = listener.accept()?.1;
        assert_eq!(
            (client.local_addr()?.ip(), client.local_addr()?.port()),
            (seen.ip().to_canonical(), seen.port())
        );
    }
    Ok(())
}

fn a_veth_pair_can_be_cut() -> Result<(), Failed> {
    let lab = Lab::veth()?;
    lab.client().set_link(CLIENT_LINK, false)?;
    let refused = lab.client().run(|| TcpStream::connect("10.77.0.2:9000"))?;
    assert_eq!(
        refused.map_err(|error| error.raw_os_error()).err(),
        Some(Some(libc::ENETUNREACH))
    );
    Ok(())
}

fn fifty_are_cheap() -> Result<(), Failed> {
    let started = Instant::now();
    let all = (0..50)
        .map(|_| Namespace::new())
        .collect::<Result<Vec<_>, _>>()?;
    assert!(
        started.elapsed().as_secs() < 2,
        "{} took {:?}",
        all.len(),
        started.elapsed()
    );
    Ok(())
}

fn a_missing_setting_is_told_by_path() -> Result<(), Failed> {
    let error = Namespace::new()?.get("net.ipv4.no_such_thing").err();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(
        text.starts_with("read /proc/sys/net/ipv4/no_such_thing: "),
        "{text}"
    );
    Ok(())
}

/// The calling thread's namespace: `net:[4026531840]`.
fn current() -> std::io::Result<String> {
    Ok(fs::read_link("/proc/thread-self/ns/net")?
        .to_string_lossy()
        .into_owned())
}
