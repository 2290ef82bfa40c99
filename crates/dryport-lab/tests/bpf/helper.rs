//! What this program does instead of testing when it is started with `--helper`: be another process
//! that holds sockets, or one that reads ([`readers`]).

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};

use dryport_lab::Namespace;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid,
};
use rustix::thread::{UnshareFlags, set_name, unshare_unsafe};

mod readers;

/// A running helper; ends with this value.
pub struct Helper {
    child: Child,
    lines: BufReader<ChildStdout>,
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
            let name = CString::new(bytes(name)).unwrap();
            set_name(&name).unwrap();
            hold();
        }
        ["hold-in-a-thread"] => hold_in_a_thread(),
        ["brief"] => drop(sockets()),
        ["hoard"] => hoard(),
        ["half-read"] => readers::half_read(),
        ["read-and-drop"] => readers::read_and_drop(),
        ["no-types"] => readers::no_types(),
        ["few-files"] => readers::few_files(),
        ["signals"] => readers::signals(),
        ["other-pids"] => readers::other_pids(),
        ["owners"] => readers::owners(),
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
    bound(ipproto::TCP).unwrap()
}

/// The same of another protocol, if the kernel has it.
pub fn bound(protocol: rustix::net::Protocol) -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let made = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        flags,
        Some(protocol),
    )
    .ok()?;
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    bind(&made, &any).unwrap();
    Some(made)
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
