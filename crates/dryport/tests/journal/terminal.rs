//! A terminal of its own, and a session on it that ends as soon as the program has.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Signal, ioctl_tiocsctty, kill_current_process_group, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::world::{PROGRAM, World};

/// How the session ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Its leader exits, and the terminal hangs up.
    HangUp,
    /// All of its process group is killed.
    Killed,
}

/// Runs the program on a terminal of its own, as a shell would, until the session has ended.
pub fn in_a_session(world: &World, words: &[&str], end: End) -> ExitStatus {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .map(OwnedFd::from)
        .unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = world.namespace.command(program.to_str().unwrap()).unwrap();
    command
        .args(["--session", &format!("{end:?}")])
        .args(world.words(words))
        .stdin(side.try_clone().unwrap())
        .stdout(side.try_clone().unwrap())
        .stderr(Stdio::null());
    let mut leader = command.spawn().unwrap();
    drop((command, side));
    let status = leader.wait().unwrap();
    drop(terminal);
    status
}

/// What this program does instead of testing when it is started with `--session`.
pub fn lead_a_session(words: &[String]) -> ! {
    let (end, words) = words.split_first().unwrap();
    setsid().unwrap();
    ioctl_tiocsctty(std::io::stdin()).unwrap();
    let status = Command::new(PROGRAM).args(words).status().unwrap();
    if end == &format!("{:?}", End::Killed) && status.success() {
        let _ = kill_current_process_group(Signal::KILL);
    }
    std::process::exit(status.code().unwrap_or(9));
}
