//! The guard of an unconfirmed change: a process of its own that takes it back in time, also when
//! the terminal, the connection or the shell that started it is gone.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use dryport_fix::{Entry, FixError, Place, Stage, milliseconds_since_start, undo};

use crate::args::FixArgs;
use crate::failure::{Exit, Failure};
use crate::state;

/// How long a guard waits for another run that holds the journal.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Starts the guard. It is in the namespace of the calling thread.
pub(super) fn start(args: &FixArgs, entry: &Entry) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let mut words: Vec<OsString> = vec!["fix".into(), "--guard".into(), entry.id.clone().into()];
    if let Some(directory) = &args.state.state_dir {
        words.extend(["--state-dir".into(), std::path::absolute(directory)?.into()]);
    }
    let nothing = Stdio::null;
    Command::new(program)
        .args(words)
        .current_dir("/")
        .stdin(nothing())
        .stdout(nothing())
        .stderr(nothing())
        .spawn()?;
    Ok(())
}

/// Waits, and takes the change back unless it was confirmed.
pub(super) fn stand(args: &FixArgs, place: &Place, id: &str) -> Result<Exit, Failure> {
    // A session of its own: a terminal that hangs up takes its session's processes with it.
    let _ = rustix::process::setsid();
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
    let began = std::time::Instant::now();
    let journal = loop {
        match state::open(&args.state) {
            Err(FixError::Busy { .. }) if began.elapsed() < PATIENCE => sleep(BETWEEN_TRIES),
            opened => break opened?,
        }
    };
    let waiting = journal
        .entries()?
        .into_iter()
        .find(|entry| entry.id == id && entry.stage == Stage::Unconfirmed);
    if let Some(mut entry) = waiting {
        undo(&journal, place, &mut entry, &mut |_| {})?;
    }
    Ok(Exit::Ok)
}
