//! Changing settings so that they can be taken back.
//!
//! The order is: journal (the old bytes, on the disk) → write → read back → verify → make it last.
//! Whatever breaks in between is taken back at once, or by the next start that finds the entry.
//! What is planned is decided in `dryport_model::plan`; what is asked and written is
//! `dryport-tune`; this crate owns the order and the promise that nothing is lost.
#![forbid(unsafe_code)]

mod back;
mod change;
mod confirm;
mod entry;
mod error;
mod file;
mod journal;
mod progress;
mod repair;
mod undo;

pub use back::{ThreeValues, shown, take_back, take_back_ours};
pub use change::{Wanted, apply};
pub use confirm::{confirm, milliseconds_since_start};
pub use entry::{Bytes, Entry, EntryError, FileStep, Place, SettingStep, Stage, VERSION};
pub use error::{FixError, Result};
pub use file::{FileWanted, OUR_FILE, contents};
pub use journal::{Journal, Kept};
pub use progress::Progress;
pub use repair::{Repaired, repair};
pub use undo::{chosen, forget, undo};
