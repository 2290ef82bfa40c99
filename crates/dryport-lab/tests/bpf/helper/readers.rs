//! Helpers that read by BPF themselves: to be killed meanwhile, or with something taken away.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;

use dryport_bpf::{BpfTable, Error, Kernel, read_owners};
use dryport_host::{SocketTable, kernel_types};
use dryport_model::Protocol;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::wait_for_the_end;
use crate::compare::ALL_PORTS;

/// The BPF links, programs and maps that this process has open: `link_id 7`.
fn own_parts() -> Vec<String> {
    let mut parts = Vec::new();
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else {
            continue;
        };
        for line in text.lines() {
            if let Some((word @ ("link_id" | "prog_id" | "map_id"), id)) = line.split_once(':') {
                parts.push(format!("{word} {}", id.trim()));
            }
        }
    }
    parts
}

fn tell(parts: &[String]) {
    parts.iter().for_each(|part| println!("{part}"));
    println!("all");
}

/// Stops in the middle of a reading, with more to come than the kernel gives at once.
pub fn half_read() {
    let _held: Vec<UdpSocket> = (0..2000)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let table = BpfTable::open(&Kernel::open().unwrap(), true).unwrap();
    tell(&own_parts());
    let mut rows = 0;
    let _ = table.read(Protocol::Udp, ALL_PORTS, &mut |_| {
        rows += 1;
        if rows == 10 {
            println!("reading");
            wait_for_the_end();
        }
    });
}

/// Uses everything and lets go of it, failures included.
pub fn read_and_drop() {
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let kernel = Kernel::open().unwrap();
    let table = BpfTable::open(&kernel, true).unwrap();
    let parts = own_parts();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        table.read(protocol, ALL_PORTS, &mut |_| {}).unwrap();
    }
    read_owners(&kernel).unwrap();
    let lacking = Kernel::without(&[("inet_connection_sock", "icsk_bind_hash")]).unwrap();
    assert!(BpfTable::open(&lacking, true).is_err());
    drop((kernel, table, lacking));
    assert_eq!(own_parts(), Vec::<String>::new());
    assert_eq!(open(), before);
    tell(&parts);
    wait_for_the_end();
}

/// The kernel's types are where nobody sees them.
pub fn no_types() {
    // SAFETY: a mount namespace; descriptors stay shared by all threads, of which there is one.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).unwrap();
    mount("tmpfs", "/sys", "tmpfs", MountFlags::empty(), c"").unwrap();
    match Kernel::open() {
        Ok(_) => println!("opened"),
        Err(error) => println!(
            "{error:?}\n{error}\n{}",
            error.remedy().unwrap_or("no remedy")
        ),
    }
}

/// Tries everything with one descriptor more each time: what it says and what helps.
pub fn few_files() {
    // Read once in a process's life, with one descriptor.
    kernel_types().unwrap();
    let free = File::open("/dev/null").unwrap();
    let free = free.as_raw_fd() as u64;
    let limit = getrlimit(Resource::Nofile);
    for spare in 0..12 {
        let current = Some(free + spare);
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
        match everything() {
            Ok(()) => println!("ok"),
            Err(said) => println!("{said}"),
        }
    }
}

/// While signals come, not so often that nothing would ever be done on a busy machine.
pub fn signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the handler does nothing, so it may run at any time.
    unsafe { libc::signal(libc::SIGALRM, nothing as *const () as libc::sighandler_t) };
    // SAFETY: a timer of this process, which the kernel only reads; nothing is to be told of the old one.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0);
    for _ in 0..20 {
        match everything() {
            Ok(()) => println!("ok"),
            Err(said) => println!("{said}"),
        }
    }
}

fn everything() -> Result<(), String> {
    let told = |error: Error| format!("{error} / {}", error.remedy().unwrap_or("no remedy"));
    let kernel = Kernel::open().map_err(told)?;
    let table = BpfTable::open(&kernel, true).map_err(told)?;
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        table
            .read(protocol, ALL_PORTS, &mut |_| {})
            .map_err(|error| format!("{error} / no remedy"))?;
    }
    read_owners(&kernel).map_err(told).map(drop)
}

/// Where process ids are others than the kernel's.
pub fn other_pids() {
    // SAFETY: a pid namespace, for children alone.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.unwrap();
    let program = std::env::current_exe().unwrap();
    let mut inside = Command::new(program);
    assert!(
        inside
            .args(["--helper", "owners"])
            .status()
            .unwrap()
            .success()
    );
}

pub fn owners() {
    match read_owners(&Kernel::open().unwrap()) {
        Ok(_) => println!("read"),
        Err(error) => println!("{error:?}\n{}", error.remedy().unwrap_or("no remedy")),
    }
}
