//! Where the benchmark plays: network namespaces of its own, entered by the whole process, which
//! has one thread. They have no name, so a crash leaves nothing behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use crate::failure::Failure;

/// The kernel's default.
pub const RANGE: (u16, u16) = (32_768, 60_999);

/// How many ports of the range clients get in [`on_few_ports`].
pub const FEW_PORTS: u16 = 15_000;

/// Takes the right to make network namespaces: as root, or as the root of a user namespace.
pub fn prepare() -> Result<(), Failure> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => become_root_of_user_namespace(),
        other => other.map_err(Failure::system("unshare(CLONE_NEWNET)")),
    }
}

fn become_root_of_user_namespace() -> Result<(), Failure> {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(Failure::system("unshare(CLONE_NEWUSER)"))?;
    // A user without privilege must give up setgroups() before mapping its group.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))
}

/// Leaves the namespace for a new one whose loopback interface is up and whose range is the
/// default.
pub fn enter_fresh_namespace() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(Failure::system("unshare(CLONE_NEWNET)"))?;
    loopback_up()?;
    set_range(RANGE)
}

/// Has clients made on 15,000 of the 28,232 ports, so that no level depends on whether those can be
/// shared, and no probe is needed. Tells how long it took.
pub fn on_few_ports(make: impl FnOnce() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let start = Instant::now();
    set_range((RANGE.0, RANGE.0 + FEW_PORTS - 1))?;
    make()?;
    set_range(RANGE)?;
    Ok(start.elapsed())
}

pub fn set_range((low, high): (u16, u16)) -> Result<(), Failure> {
    write(
        "/proc/sys/net/ipv4/ip_local_port_range",
        &format!("{low} {high}"),
    )
}

/// How many sockets the kernel counts in this namespace.
pub fn sockstat() -> Result<String, Failure> {
    let path = Path::new("/proc/self/net/sockstat");
    let text = fs::read_to_string(path).map_err(Failure::file("read", path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: "));
    let counts: Vec<&str> = line.unwrap_or_default().split(' ').collect();
    let count = |name| {
        let at = counts.iter().position(|word| *word == name);
        at.and_then(|at| counts.get(at + 1)).copied().unwrap_or("?")
    };
    Ok(format!(
        "the kernel counts {} in use, {} in TIME_WAIT",
        count("inuse"),
        count("tw")
    ))
}

/// One line about the machine, to be read beside the figures.
pub fn machine() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let (release, model) = (release.trim(), model.unwrap_or("processor unknown"));
    format!("machine: Linux {release}, {cores} cores, {model}")
}

/// How many others wanted the processor in the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("?").to_owned()
}

/// This program, to be run again as one of its hidden subcommands.
pub fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(Failure::system("finding this program"))
}

/// RTM_NEWLINK for interface 1, which is `lo` in every namespace: set IFF_UP.
fn loopback_up() -> Result<(), Failure> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 5;
    const IFF_UP: u32 = 1;

    let mut message = LENGTH.to_ne_bytes().to_vec();
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family and type, index, flags, and which of the flags to change.
    message.extend(0u32.to_ne_bytes());
    message.extend(1i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());

    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(Failure::system("socket(NETLINK_ROUTE)"))?;
    send(&kernel, &message, SendFlags::empty()).map_err(Failure::system("send"))?;
    let mut buffer = [0; 4096];
    let (length, _) = recv(&kernel, &mut buffer[..], RecvFlags::empty())
        .map_err(Failure::system("recv(NETLINK_ROUTE)"))?;
    match buffer.get(16..length).and_then(|body| body.first_chunk()) {
        Some(&error) if i32::from_ne_bytes(error) == 0 => Ok(()),
        Some(&error) => {
            let error = io::Error::from_raw_os_error(-i32::from_ne_bytes(error));
            Err(Failure::system("setting lo up")(error))
        }
        None => Err(Failure::Answer {
            program: "rtnetlink",
            said: "no answer".into(),
        }),
    }
}

fn write(path: &str, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::file("write", Path::new(path)))
}
