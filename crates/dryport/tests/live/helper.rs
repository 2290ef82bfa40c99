//! What this program does instead of testing when it is started with `--helper`: other processes
//! that hold sockets, and a launcher that takes something away before it starts a program.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, stdin};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities,
    set_capabilities_secure_bits, set_name, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// `nobody`.
const NOBODY: u32 = 65_534;

/// A running helper; ends with this value.
pub struct Helper {
    child: Child,
    /// Its first line, which it writes once it is ready.
    pub said: String,
}

/// Starts a program. One that was just written is busy while another thread forks: its child has
/// the file open until it becomes its own program.
fn spawn(program: &mut Command) -> Child {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match program.spawn() {
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other.unwrap(),
        }
    }
}

impl Helper {
    /// Starts `program` (this one, from a place of the test's choice) as a helper and waits until
    /// it is ready.
    pub fn start(mut program: Command, words: &[&str]) -> Self {
        program
            .arg("--helper")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn(&mut program);
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert!(!said.is_empty(), "the helper {words:?} said nothing");
        Self {
            child,
            said: said.trim_end().into(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Of a helper that holds sockets: how many it was granted, and the error after the last.
    pub fn granted(&self) -> (u32, &str) {
        let (count, error) = self.said.split_once(' ').unwrap();
        (count.parse().unwrap(), error)
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
        ["hold", destination, most] => hold(destination, most.parse().unwrap()),
        ["hold", destination, most, name] => {
            set_name(&CString::new(name).unwrap()).unwrap();
            hold(destination, most.parse().unwrap())
        }
        ["churn", destination] => churn(destination),
        ["hoard", most] => hoard(most.parse().unwrap()),
        ["launch", ref words @ ..] => launch(words),
        _ => panic!("no such helper: {words:?}"),
    }
}

/// Connects until the kernel refuses or `most` is reached, tells how many and why it ended, and
/// keeps them until standard input ends.
fn hold(destination: &str, most: usize) -> ! {
    let destination: SocketAddr = destination.parse().unwrap();
    limit_descriptors(None);
    let mut held = Vec::new();
    let mut error = "-";
    while held.len() < most {
        match TcpStream::connect(destination) {
            Ok(connection) => held.push(connection),
            Err(refused) => {
                let errno = Errno::from_io_error(&refused);
                error = errno.map_or("unknown", dryport_lab::errno_name);
                break;
            }
        }
    }
    println!("{} {error}", held.len());
    wait_for_the_end()
}

/// Files that a busy process opens and closes all the time, and the connections that it keeps.
pub const CHURNED: usize = 300;
pub const KEPT: usize = 200;

/// Keeps connections on high descriptors, and opens and closes those below all the time.
fn churn(destination: &str) -> ! {
    let file = || File::open("/dev/null").unwrap();
    let mut low: Vec<File> = std::iter::repeat_with(file).take(CHURNED).collect();
    let kept: Vec<TcpStream> = (0..KEPT)
        .map(|_| TcpStream::connect(destination).unwrap())
        .collect();
    println!("{} kept", kept.len());
    std::thread::spawn(wait_for_the_end);
    loop {
        low.clear();
        low.extend(std::iter::repeat_with(file).take(CHURNED));
    }
}

/// Opens files until its own limit is reached.
fn hoard(most: u64) -> ! {
    limit_descriptors(Some(most));
    let files: Vec<File> = std::iter::repeat_with(|| File::open("/dev/null"))
        .map_while(Result::ok)
        .collect();
    println!("{} files", files.len());
    wait_for_the_end()
}

fn wait_for_the_end() -> ! {
    let _ = stdin().read_to_end(&mut Vec::new());
    std::process::exit(0)
}

/// `None`: as many as this process may have.
fn limit_descriptors(most: Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    let current = most.or(limit.maximum);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
}

/// Takes away what the words say, then becomes the program after `--`:
/// `ordinary`, `tmpfs DIRECTORY`, `bind FILE TARGET`, `hidepid`.
fn launch(words: &[&str]) -> ! {
    let end = words.iter().position(|word| *word == "--").unwrap();
    let (mut steps, program) = (&words[..end], &words[end + 1..]);
    let has_mounts = steps.iter().any(|word| *word != "ordinary");
    if has_mounts {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).unwrap();
    }
    while let Some((step, rest)) = steps.split_first() {
        steps = match (*step, rest) {
            ("ordinary", rest) => {
                become_ordinary();
                rest
            }
            ("tmpfs", [directory, rest @ ..]) => {
                mount_fresh(directory, "tmpfs", c"");
                rest
            }
            ("bind", [file, target, rest @ ..]) => {
                mount_bind(*file, *target).unwrap();
                rest
            }
            ("hidepid", rest) => {
                // A new instance is only given where the old one is not in the way.
                let _ = unmount("/proc/sys/fs/binfmt_misc", UnmountFlags::DETACH);
                mount_fresh("/proc", "proc", c"hidepid=2");
                rest
            }
            _ => panic!("cannot take away {step}"),
        };
    }
    let error = Command::new(program[0])
        .args(&program[1..])
        .current_dir("/")
        .exec();
    panic!("{}: {error}", program[0]);
}

fn mount_fresh(target: &str, kind: &str, options: &CStr) {
    mount(kind, target, kind, MountFlags::empty(), options).unwrap();
}

/// Gives up all rights, so that the program started next has none either.
fn become_ordinary() {
    // In a user namespace there is no other user to become; without this bit, its root gets all
    // capabilities back at exec.
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT).unwrap();
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    // Where setgroups() is denied there are no other users either.
    if set_thread_groups(&[]).is_ok() && set_thread_res_gid(group, group, group).is_ok() {
        set_thread_res_uid(user, user, user).unwrap();
    }
    let none = CapabilitySet::empty();
    let none = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, none).unwrap();
}
