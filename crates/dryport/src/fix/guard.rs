//! The guard of an unconfirmed change: a process of its own that takes it back in time, also when
//! the terminal, the connection or the shell that started it is gone.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use dryport_fix::{Entry, FixError, Place, Stage, milliseconds_since_start, take_back_ours};
use dryport_tune::signals;

use crate::args::FixArgs;
use crate::failure::{Exit, Failure};
use crate::state;

const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Starts the guard. It is in the namespace of the calling thread.
pub(super) fn start(args: &FixArgs, entry: &Entry) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let mut words: Vec<OsString> = vec!["fix".into(), "--guard".into(), entry.id.clone().into()];
    if let Some(directory) = &args.state.state_dir {
        words.extend(["--state-dir".into(), std::path::absolute(directory)?.into()]);
    }
    let nothing = Stdio::null;
    let mut guard = Command::new(program)
        .args(words)
        .current_dir("/")
        .stdin(nothing())
        .stdout(Stdio::piped())
        .stderr(nothing())
        .spawn()?;
    // Before it stands in a session of its own, a terminal that hangs up could end it.
    let mut ready = [0];
    match guard.stdout.take() {
        Some(mut out) => Ok(out.read_exact(&mut ready)?),
        None => Ok(()),
    }
}

/// Waits, and takes the change back unless it was confirmed.
pub(super) fn stand(args: &FixArgs, place: &Place, id: &str) -> Result<Exit, Failure> {
    // A session of its own: a terminal that hangs up takes its session's processes with it.
    let _ = rustix::process::setsid();
    // The change that started it was not to be interrupted; the guard is to end with the machine.
    signals::unblock();
    std::io::stdout().write_all(b".")?;
    std::io::stdout().flush()?;
    let kept = state::look(&args.state)?;
    let entry = kept
        .into_iter()
        .filter_map(|kept| kept.entry.ok())
        .find(|entry| entry.id == id);
    let Some(by) = entry.and_then(|entry| entry.confirm_by_ms) else {
        return Ok(Exit::Ok);
    };
    sleep(Duration::from_millis(
        by.saturating_sub(milliseconds_since_start()),
    ));
    // Whatever another run does with the journal ends some time.
    let journal = loop {
        match state::open(&args.state) {
            Err(FixError::Busy { .. }) => sleep(BETWEEN_TRIES),
            opened => break opened?,
        }
    };
    // Only its own entry: one that cannot be read is no reason to leave this change in force.
    let waiting = journal
        .find(id)?
        .filter(|entry| entry.stage == Stage::Unconfirmed && entry.place.is(place));
    if let Some(mut entry) = waiting {
        take_back_ours(&journal, &mut entry, &mut |_| {})?;
    }
    Ok(Exit::Ok)
}
