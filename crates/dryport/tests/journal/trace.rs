//! Runs the program and kills it as it enters the n-th system call that changes something.
//!
//! Only its main thread is followed, which is the one that writes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Skipped;
use crate::world::{PROGRAM, World};

/// Longer than any path here.
const LONGEST_PATH_BYTES: usize = 300;

/// How a run ended.
pub enum End {
    /// It was killed as it entered this call.
    Killed(String),
    /// By itself.
    Exit(i32),
}

/// A system call on entry.
struct Call {
    number: i64,
    arguments: [u64; 4],
}

/// Runs the program in a world, and kills it at its n-th step, counted from 1.
pub fn killed_at(world: &World, words: &[&str], nth: usize) -> Result<End, Skipped> {
    let pid = stopped_shell(world, words);
    let options =
        Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC;
    if let Err(error) = ptrace::seize(pid, options) {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
        return Err(Skipped {
            needed: "ptrace",
            why: format!("no process can be traced here: {error}"),
        });
    }
    kill(pid, Signal::SIGCONT).unwrap();
    Ok(follow(pid, nth))
}

/// A shell that stops itself and then becomes the program, so that it can be seized before.
#[expect(clippy::zombie_processes, reason = "waitpid() waits for it")]
fn stopped_shell(world: &World, words: &[&str]) -> Pid {
    let mut command: Command = world.namespace.command("/bin/sh").unwrap();
    command
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh", PROGRAM])
        .args(world.words(words))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    match waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap() {
        WaitStatus::Stopped(..) => pid,
        other => panic!("the shell did not stop: {other:?}"),
    }
}

fn follow(pid: Pid, nth: usize) -> End {
    let mut steps = 0;
    let mut killed = None;
    // `None` until the program runs; then whether the next stop is the entry of a call.
    let mut is_entry = None;
    loop {
        let signal = match waitpid(pid, None).unwrap() {
            WaitStatus::Exited(_, code) => return End::Exit(code),
            WaitStatus::Signaled(_, Signal::SIGKILL, _) if killed.is_some() => {
                return End::Killed(killed.unwrap_or_default());
            }
            WaitStatus::PtraceEvent(_, _, event) => {
                if event == libc::PTRACE_EVENT_EXEC {
                    // The next stop is the exit of execve().
                    is_entry = Some(false);
                }
                None
            }
            WaitStatus::PtraceSyscall(_) => {
                let entered = is_entry == Some(true);
                is_entry = is_entry.map(|entry| !entry);
                if let Some(step) = entered.then(|| step(pid)).flatten() {
                    steps += 1;
                    if steps == nth {
                        // At the entry, so that the call itself is not made any more.
                        killed = Some(step);
                        kill(pid, Signal::SIGKILL).unwrap();
                        continue;
                    }
                }
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            other => panic!("unexpected: {other:?}"),
        };
        let go_on = if is_entry.is_some() {
            ptrace::syscall(pid, signal)
        } else {
            ptrace::cont(pid, signal)
        };
        go_on.unwrap();
    }
}

/// The call that the process has entered, in words, if it changes something that outlives it.
fn step(pid: Pid) -> Option<String> {
    let call = call(pid);
    let path = |index: usize| path(pid, call.arguments[index]);
    let opened = || {
        let link = fs::read_link(format!("/proc/{pid}/fd/{}", call.arguments[0]));
        link.map_or_else(|_| "?".into(), |path| path.display().to_string())
    };
    let is_writing = |flags: u64| {
        let changing = libc::O_CREAT | libc::O_WRONLY | libc::O_RDWR | libc::O_TRUNC;
        flags & u64::from(changing.cast_unsigned()) != 0
    };
    let is_stdio = call.arguments[0] < 3;
    match call.number {
        libc::SYS_openat if is_writing(call.arguments[2]) => Some(format!("openat {}", path(1))),
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev if !is_stdio => {
            Some(format!("write {}", opened()))
        }
        libc::SYS_fsync | libc::SYS_fdatasync => Some(format!("fsync {}", opened())),
        libc::SYS_ftruncate => Some(format!("ftruncate {}", opened())),
        libc::SYS_fchmod => Some(format!("fchmod {}", opened())),
        libc::SYS_flock => Some(format!("flock {}", opened())),
        libc::SYS_renameat | libc::SYS_renameat2 => Some(format!("rename {}", path(1))),
        libc::SYS_unlinkat => Some(format!("unlink {}", path(1))),
        libc::SYS_mkdirat => Some(format!("mkdir {}", path(1))),
        libc::SYS_fchmodat | libc::SYS_fchownat => Some(format!("chmod {}", path(1))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open if is_writing(call.arguments[1]) => Some(format!("open {}", path(0))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => Some(format!("rename {}", path(0))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink => Some(format!("unlink {}", path(0))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir => Some(format!("mkdir {}", path(0))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rmdir => Some(format!("rmdir {}", path(0))),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_chmod => Some(format!("chmod {}", path(0))),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
fn call(pid: Pid) -> Call {
    let registers = ptrace::getregs(pid).unwrap();
    Call {
        number: registers.orig_rax.cast_signed(),
        arguments: [registers.rdi, registers.rsi, registers.rdx, registers.r10],
    }
}

#[cfg(target_arch = "aarch64")]
fn call(pid: Pid) -> Call {
    let registers = ptrace::getregs(pid).unwrap().regs;
    Call {
        number: registers[8].cast_signed(),
        arguments: [registers[0], registers[1], registers[2], registers[3]],
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn call(_: Pid) -> Call {
    Call {
        number: -1,
        arguments: [0; 4],
    }
}

/// Whether system calls can be told from each other on this machine.
pub fn needs_known_registers() -> Result<(), Skipped> {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Ok(());
    }
    Err(Skipped {
        needed: "ptrace",
        why: "which registers hold a system call's number is not known here".into(),
    })
}

/// The path at an address of another process.
fn path(pid: Pid, address: u64) -> String {
    let mut bytes = [0; LONGEST_PATH_BYTES];
    let read = File::open(format!("/proc/{pid}/mem")).and_then(|memory| {
        // What lies behind the string may not be mapped.
        let room = 4096 - usize::try_from(address % 4096).unwrap_or(0);
        memory.read_at(&mut bytes[..room.min(LONGEST_PATH_BYTES)], address)
    });
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match read {
        Ok(_) => String::from_utf8_lossy(text).into_owned(),
        Err(_) => "?".into(),
    }
}
