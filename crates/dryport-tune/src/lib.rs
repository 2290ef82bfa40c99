//! Writes one setting or one small file, and says what stood there before.
//!
//! It asks and writes; it decides nothing. Which value, in which order, and what is taken back
//! when a step fails is the business of the floor above. What it promises is that each step is
//! either done or not: a setting is written whole, a file is replaced by a rename, and an error
//! names the path and tells a refused value from a missing right.

mod error;
pub mod files;
#[cfg(target_os = "linux")]
pub mod identity;
pub mod lock;
#[cfg(target_os = "linux")]
pub mod signals;
#[cfg(target_os = "linux")]
pub mod sysctl;
pub mod sysctl_d;

pub use error::{Error, Result};
