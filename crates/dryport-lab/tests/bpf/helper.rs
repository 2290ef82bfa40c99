//! What this program does instead of testing when it is started with `--helper`: other processes
//! that hold sockets, and those that something was taken from for good.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use dryport_bpf::{BpfTable, Kernel, read_owners};
use dryport_host::SocketTable;
use dryport_lab::Namespace;
use dryport_model::Protocol;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process,
    set_parent_process_death_signal, setrlimit, waitpid,
};
use rustix::thread::{UnshareFlags, set_name, unshare_unsafe};

use crate::rows::ALL_PORTS;

/// A running helper; ends with this value.
pub struct Helper {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Helper {
    /// Starts this program as a helper, in a namespace or where this process is. It has `shared` open
    /// as well (as its standard error).
    #[track_caller]
    pub fn start(place: Option<&Namespace>, words: &[&str], shared: Option<OwnedFd>) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = match place {
            Some(place) => place.command(program.to_str().unwrap()).unwrap(),
            None => Command::new(program),
        };
        command
            .arg("--helper")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(shared) = shared {
            command.stderr(shared);
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line it says.
    #[track_caller]
    pub fn says(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the helper says nothing more");
        line.trim_end().to_owned()
    }

    /// All that it says until it ends well.
    #[track_caller]
    pub fn says_to_the_end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.lines.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the helper ended with {status}: {text}");
        text.lines().map(str::to_owned).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does what the words say.
pub fn run(words: &[String]) -> ! {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["hold"] => hold(),
        ["hold", name] => {
            let name = std::ffi::CString::new(bytes(name)).unwrap();
            set_name(&name).unwrap();
            hold()
        }
        ["hold-in-a-thread"] => hold_in_a_thread(),
        ["brief"] => drop(sockets()),
        ["hoard"] => hoard(),
        ["half-read"] => half_read(),
        ["read-and-drop"] => read_and_drop(),
        ["no-types"] => no_types(),
        ["few-files"] => few_files(),
        _ => panic!("no such helper: {words:?}"),
    }
    std::process::exit(0)
}

/// Bytes as an argument can hold them: `1b5b`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn wait_for_the_end() {
    let _ = stdin().read_to_end(&mut Vec::new());
}

/// One of each: a listener, both ends of a connection, UDP, bound and idle.
fn sockets() -> Vec<OwnedFd> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let accepted = listener.accept().unwrap().0;
    let udp = UdpSocket::bind("[::1]:0").unwrap();
    vec![
        listener.into(),
        client.into(),
        accepted.into(),
        udp.into(),
        idle(),
    ]
}

/// A TCP socket that is bound and nothing else.
pub fn idle() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let idle = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    bind(&idle, &any).unwrap();
    idle
}

fn hold() {
    let _held = sockets();
    println!("ready");
    wait_for_the_end();
}

/// The sockets are open in one thread alone, which has a table of descriptors of its own.
fn hold_in_a_thread() {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // SAFETY: this thread uses no descriptor of another one, and no other one those it opens.
        unsafe { unshare_unsafe(UnshareFlags::FILES) }.unwrap();
        let held = sockets();
        let inodes: Vec<u64> = held.iter().map(inode).collect();
        ready.send(inodes).unwrap();
        std::thread::park();
        drop(held);
    });
    for inode in is_ready.recv().unwrap() {
        println!("{inode}");
    }
    println!("ready");
    wait_for_the_end();
}

pub fn inode(fd: &OwnedFd) -> u64 {
    rustix::fs::fstat(fd).unwrap().st_ino
}

/// More open files than the kernel looks at in one go, twice (`MAX_ITER_OBJECTS`, a million), none a
/// socket: in processes of successive ids, and one behind them that has sockets. Tells its id.
fn hoard() {
    const MOST: u64 = 2_010_000;
    let file = File::open("/dev/null").unwrap();
    let mut copies: Vec<File> = std::iter::repeat_with(|| file.try_clone())
        .map_while(Result::ok)
        .take(20_000)
        .collect();
    // Room for the sockets.
    copies.truncate(copies.len() - 10);
    let processes = MOST.div_ceil(copies.len() as u64);
    if processes > 200 {
        println!("RLIMIT_NOFILE is {}", copies.len());
        return;
    }
    let children = loop {
        let mut children: Vec<Forked> = (0..processes).map(|_| Forked::new(|| {})).collect();
        children.push(Forked::new(move || {
            std::mem::forget(sockets());
        }));
        // Another process in between may have sockets.
        let is_next = |pair: &[Forked]| pair[0].0 + 1 == pair[1].0;
        if children.windows(2).all(is_next) {
            break children;
        }
    };
    println!("{}", children.last().unwrap().0);
    wait_for_the_end();
}

/// A copy of this process that does one thing and then nothing; it ends with this value.
struct Forked(libc::pid_t);

impl Forked {
    fn new(work: impl FnOnce()) -> Self {
        // SAFETY: this process has one thread, so the copy is whole.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
            work();
            loop {
                std::thread::park();
            }
        }
        Self(pid)
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0).unwrap();
        let _ = kill_process(pid, Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::empty());
    }
}

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
fn half_read() {
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
fn read_and_drop() {
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
fn no_types() {
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
fn few_files() {
    // Read once in a process's life, with one descriptor.
    dryport_host::kernel_types().unwrap();
    let free = File::open("/dev/null").unwrap();
    let free = std::os::fd::AsRawFd::as_raw_fd(&free) as u64;
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

fn everything() -> Result<(), String> {
    let told =
        |error: dryport_bpf::Error| format!("{error} / {}", error.remedy().unwrap_or("no remedy"));
    let kernel = Kernel::open().map_err(told)?;
    let table = BpfTable::open(&kernel, true).map_err(told)?;
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        table
            .read(protocol, ALL_PORTS, &mut |_| {})
            .map_err(|error| format!("{error} / no remedy"))?;
    }
    read_owners(&kernel).map_err(told).map(drop)
}
