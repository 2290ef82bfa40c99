//! Log lines and error messages. (In the making.)

mod phrase;

use alloc::string::String;
use dryport_model::{Call, Message};

/// Finds the lines of a text that may hold a message.
pub struct Finder {}

impl Finder {
    /// A finder.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Calls `on_hit` with each offset.
    pub fn each_hit(&self, _text: &[u8], _on_hit: impl FnMut(usize)) {}
}

impl Default for Finder {
    fn default() -> Self {
        Self::new()
    }
}

/// What a following line tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// The call.
    pub call: Option<Call>,
    /// Where to.
    pub destination: Option<String>,
    /// The local port.
    pub local_port: Option<u16>,
}

/// What one line says.
#[must_use]
pub fn read_line(_line: &[u8]) -> Option<Message> {
    None
}

/// What a following line says.
#[must_use]
pub fn read_following(_line: &[u8]) -> Option<Follow> {
    None
}
