//! Screens for people: what is wrong, how much is left, who holds it and what to do.
//!
//! Every function returns text that fits the given width wherever words allow, with a newline at
//! the end. Addresses and commands are never cut or broken, because they get copied.

mod bar;
mod cause;
mod check;
mod doctor;
mod explain;
mod headline;
mod headroom;
mod holders;
mod home;
mod journal;
mod layout;
mod number;
mod paint;
mod phrase;
mod plan;
mod process;
mod rehearsal;
mod requests;
mod see;

pub use check::check;
pub use doctor::{doctor, doctor_line};
pub use explain::{cause_summary, explain, explain_line};
pub use headline::check_line;
pub use headroom::{headroom, headroom_line};
pub use journal::journal;
pub use paint::Screen;
pub(crate) use phrase::namespace_of;
pub use plan::{outcome, plan, plan_line};
pub use rehearsal::{rehearsal, rehearsal_line};
pub use see::{SeeTable, see_groups};
