//! Threads that keep the stand-in's sockets.
//!
//! The limit of open files counts for each table of descriptors, and a thread may have one of its
//! own. So 64,000 sockets need no privilege, only more threads where the limit is low.

use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rustix::process::{Resource, getrlimit};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::bench::{Bench, Means};
use super::{RehearsedRequest, Stand};
use crate::LabError;
use crate::namespace::enter;
use crate::socket::Held;

/// Room for what a thread inherits and for what the libraries open.
const SPARE: u64 = 64;
/// Where the limit is none.
const MOST: u64 = 1 << 17;

/// A thread with its sockets. Dropping it closes them.
#[derive(Debug)]
pub(super) struct Keeper {
    release: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a keeper is to hold.
struct Task {
    request: RehearsedRequest,
    means: Means,
    ports: Vec<(u16, Stand)>,
}

/// How many sockets one thread can hold.
pub(super) fn descriptors() -> u32 {
    let limit = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(MOST)
        .min(MOST);
    u32::try_from(limit.saturating_sub(SPARE).max(1)).unwrap_or(u32::MAX)
}

impl Keeper {
    /// Starts a thread and waits until it holds its sockets.
    pub fn start(bench: &Bench, ports: &[(u16, Stand)]) -> Result<Self, LabError> {
        let namespace = bench
            .client()
            .as_fd()
            .try_clone_to_owned()
            .map_err(LabError::Thread)?;
        let task = Task {
            request: bench.request,
            means: bench.means,
            ports: ports.to_vec(),
        };
        let (release, released) = channel();
        let (ready, told) = channel();
        let body = move || {
            let entered = enter(&namespace);
            // Before the table is left in which it is open.
            drop(namespace);
            let held = entered
                .and_then(|()| own_table())
                .and_then(|()| hold(&task));
            keep(held, &ready, &released);
        };
        let thread = thread::Builder::new()
            .spawn(body)
            .map_err(LabError::Thread)?;
        let keeper = Self {
            release: Some(release),
            thread: Some(thread),
        };
        match told.recv() {
            Ok(result) => result.map(|()| keeper),
            Err(_) => Err(LabError::Thread(std::io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.release.take());
        if let Some(thread) = self.thread.take() {
            // A keeper that panicked has no sockets any more, and was told as an error.
            let _ = thread.join();
        }
    }
}

fn keep(
    held: Result<Vec<Held>, LabError>,
    ready: &Sender<Result<(), LabError>>,
    released: &Receiver<()>,
) {
    let (held, result) = match held {
        Ok(held) => (held, Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    };
    if ready.send(result).is_ok() {
        // Ends when the keeper is dropped.
        let _ = released.recv();
    }
    drop(held);
}

/// Gives the calling thread a table of descriptors of its own, with nothing in it but 0 to 2.
///
/// `close_range` (5.9) copies nothing else. A copy would delay what other threads close: the kernel
/// sends no FIN while any table has the socket.
fn own_table() -> Result<(), LabError> {
    const CLOSE_RANGE_UNSHARE: libc::c_uint = 2;
    const FIRST: libc::c_uint = 3;
    // SAFETY: the thread was started for this and holds no descriptor: what it opens later is
    // closed by itself, and what other threads own stays open in their table.
    let closed = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            CLOSE_RANGE_UNSHARE,
        )
    };
    if closed == 0 {
        return Ok(());
    }
    // SAFETY: as above.
    unsafe { unshare_unsafe(UnshareFlags::FILES) }
        .map_err(LabError::system("unshare", "CLONE_FILES"))?;
    for copy in 3..=getrlimit(Resource::Nofile)
        .current
        .unwrap_or(MOST)
        .min(MOST)
    {
        // SAFETY: the table is this thread's own by now; nobody else knows these numbers in it.
        unsafe { libc::close(copy as libc::c_int) };
    }
    Ok(())
}

fn hold(task: &Task) -> Result<Vec<Held>, LabError> {
    let quietly = task.request.is_connection();
    let Means { aim, server_port } = task.means;
    let mut held = Vec::with_capacity(task.ports.len());
    for (port, stand) in &task.ports {
        let Some(mut ask) = task.request.standing(*port, *stand, server_port) else {
            continue;
        };
        let result = match ask.options.range {
            Some(_) => aim.open(&mut ask, *port, quietly)?,
            None => crate::socket::open(&ask),
        };
        held.push(result.map_err(LabError::system("ask", ask.to_string()))?);
    }
    Ok(held)
}
