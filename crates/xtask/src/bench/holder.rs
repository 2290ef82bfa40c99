//! One process that holds sockets for the benchmark: a listener, and clients connected to it. It
//! takes orders on stdin, a line each, answers `ready` on stdout, and ends with its
//! stdin, so that none outlives the benchmark.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use super::herd::Order;
use super::scene;
use crate::failure::Failure;

/// Each holder has an address block of its own: 127.16.INDEX.0/24.
pub const MOST_HOLDERS: u32 = 250;

/// Below the range (32768 and up), so that no port of the range is taken.
const FIRST_PORT: u16 = 10_000;
const PORTS_PER_ADDRESS: u32 = 250;
const SERVICE_PORT: u16 = 9_000;

#[derive(clap::Args)]
pub struct Options {
    /// Which of the holders this is
    #[arg(long)]
    index: u8,
    /// Let the kernel choose the clients' ports
    #[arg(long)]
    automatic: bool,
    /// Do all this in a network namespace of its own
    #[arg(long)]
    own_namespace: bool,
    /// Hold open files that are no sockets as well
    #[arg(long, value_name = "N", default_value_t = 0)]
    files: u32,
}

/// Descriptors of a holder beside its connections: a listener, pipes, one being made.
const SPARE_FILES: u64 = 16;

/// Whether so many processes can hold so many sockets.
pub fn check_room(sockets: u32, processes: u32) -> Result<(), Failure> {
    if !(2..=MOST_HOLDERS).contains(&processes) {
        let why = format!("--processes takes 2 to {MOST_HOLDERS}");
        return Err(Failure::Usage(why));
    }
    raise_open_files()?;
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE).map_err(Failure::system("getrlimit"))?;
    let most = most_sockets(files);
    if u64::from(sockets) <= most * u64::from(processes) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{processes} processes cannot hold {sockets} sockets here, {most} each at the most: more --processes"
    )))
}

/// What one process can hold: it may open so many files only, and has one destination, to which no
/// port serves twice.
fn most_sockets(files: u64) -> u64 {
    files
        .saturating_sub(SPARE_FILES)
        .min(2 * u64::from(scene::FEW_PORTS))
}

pub fn run(options: &Options) -> Result<(), Failure> {
    raise_open_files()?;
    if options.own_namespace {
        scene::enter_fresh_namespace()?;
    }
    let open_null = |_| File::open("/dev/null");
    let files: io::Result<Vec<File>> = (0..options.files).map(open_null).collect();
    let _files = files.map_err(Failure::system("open"))?;
    let service = SocketAddrV4::new(address(options.index, 254), SERVICE_PORT);
    let listener = TcpListener::bind(service).map_err(Failure::system("bind"))?;
    let mut held = Vec::new();
    for order in io::stdin().lock().lines() {
        let order = order.map_err(Failure::system("read"))?;
        let wanted: Order = order
            .parse()
            .map_err(|()| Failure::Usage(format!("no order: {order}")))?;
        while held.len() < wanted.connections as usize {
            let client = match options.automatic {
                true => None,
                false => Some(client_address(options.index, held.len() as u32)?),
            };
            let (near, far) = open(&listener, service, client)?;
            close_by_reset(&near, &far)?;
            held.push((near, far));
        }
        for _ in 0..wanted.time_waits {
            // The side that closes first remembers it, and the ends go in this order.
            let (near, far) = open(&listener, service, None)?;
            drop(near);
            drop(far);
        }
        let mut answer = io::stdout().lock();
        answer
            .write_all(b"ready\n")
            .and_then(|()| answer.flush())
            .map_err(Failure::system("write"))?;
    }
    Ok(())
}

/// Connects a client and accepts it.
fn open(
    listener: &TcpListener,
    service: SocketAddrV4,
    client: Option<SocketAddrV4>,
) -> Result<(OwnedFd, TcpStream), Failure> {
    let near = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(Failure::system("socket"))?;
    if let Some(client) = client {
        bind(&near, &client).map_err(Failure::system("bind"))?;
    }
    connect(&near, &service).map_err(Failure::system("connect"))?;
    let (far, _) = listener.accept().map_err(Failure::system("accept"))?;
    Ok((near, far))
}

/// Nothing is to stay behind in TIME_WAIT when they are closed.
fn close_by_reset(near: &OwnedFd, far: &TcpStream) -> Result<(), Failure> {
    for end in [near.as_fd(), far.as_fd()] {
        sockopt::set_socket_linger(end, Some(Duration::ZERO))
            .map_err(Failure::system("setsockopt(SO_LINGER)"))?;
    }
    Ok(())
}

fn client_address(index: u8, nth: u32) -> Result<SocketAddrV4, Failure> {
    let last = u8::try_from(1 + nth / PORTS_PER_ADDRESS)
        .ok()
        .filter(|last| *last < 254);
    let last = last.ok_or_else(|| Failure::Usage(format!("{nth} clients in one process")))?;
    let port = FIRST_PORT + (nth % PORTS_PER_ADDRESS) as u16;
    Ok(SocketAddrV4::new(address(index, last), port))
}

fn address(index: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 16, index, last)
}

/// To the kernel's ceiling where that is allowed, else as far as it goes.
fn raise_open_files() -> Result<(), Failure> {
    let ceiling = std::fs::read_to_string("/proc/sys/fs/nr_open").ok();
    let ceiling = ceiling.and_then(|text| text.trim().parse().ok());
    if ceiling.is_some_and(|n: u64| setrlimit(Resource::RLIMIT_NOFILE, n, n).is_ok()) {
        return Ok(());
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(Failure::system("getrlimit"))?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(Failure::system("setrlimit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_clients_of_a_holder_share_an_address_and_port() {
        let clients = (0..20_000).map(|nth| client_address(3, nth).unwrap());
        let distinct: std::collections::HashSet<_> = clients.collect();
        assert_eq!(distinct.len(), 20_000);
        assert!(distinct.iter().all(|client| client.port() < 32_768));
    }

    #[test]
    fn descriptors_and_ports_limit_what_one_process_holds() {
        assert_eq!(most_sockets(1_024), 1_008);
        assert_eq!(most_sockets(1 << 20), 30_000);
    }

    #[test]
    fn more_clients_than_addresses_are_refused() {
        assert!(client_address(3, 253 * PORTS_PER_ADDRESS).is_err());
    }
}
