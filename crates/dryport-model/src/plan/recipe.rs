//! Ready texts that apply a plan's changes and take them back: shell, `sysctl.d`, containers,
//! `netsh`, the registry. For machines where dryport is not, and for those who roll settings out
//! by other means.
//!
//! Values come from captures, which strangers wrote. None is put into a text as it stands: each is
//! read by the grammar of its setting and written anew from numbers; a change that cannot be read
//! is left out.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Change, Setting};
use crate::Platform;

mod bsd;
mod linux;
#[cfg(test)]
mod tests;
mod value;
mod windows;

use value::Value;

/// A text that applies changes, and one that takes them back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Stable id: `shell`, `sysctl.d`, `kubernetes`, `cmd`, …
    pub id: &'static str,
    /// What it is for, in a few words.
    pub title: String,
    /// What the file may be called.
    pub file_name: &'static str,
    /// The text that applies. Windows: lines end in CRLF.
    pub apply: String,
    /// The text that takes back; `None` where there is none: the note says how.
    pub undo: Option<String>,
    /// What the file that takes back may be called.
    pub undo_file_name: &'static str,
    /// Where to put it, what it needs, what it does not do.
    pub note: Option<String>,
}

/// Every way to apply changes on a platform, the plainest first. Changes that are not of the
/// platform, or whose values are not of their setting's grammar, are left out; where none remains,
/// there is no recipe.
#[must_use]
pub fn recipes(platform: Platform, changes: &[Change]) -> Vec<Recipe> {
    let mut edits: Vec<Edit> = changes
        .iter()
        .filter(|change| is_of(platform, change.setting))
        .filter_map(Edit::of)
        .collect();
    // In the order of `Setting`: a port must be reserved before the kernel may hand it out.
    edits.sort_by_key(|edit| edit.setting);
    edits.dedup_by_key(|edit| edit.setting);
    if edits.is_empty() {
        return Vec::new();
    }
    match platform {
        Platform::Linux => linux::recipes(&edits),
        Platform::Windows => windows::recipes(&edits),
        Platform::Windows2003 | Platform::WindowsXp => windows::recipes_before_vista(&edits),
        Platform::MacOs | Platform::FreeBsd => bsd::recipes(platform, &edits),
    }
}

/// A change whose values were read.
#[derive(Clone, Debug, PartialEq)]
struct Edit {
    setting: Setting,
    /// Before; `None`: absent, or not told.
    from: Option<Value>,
    /// After.
    to: Value,
    restart_needed: bool,
}

impl Edit {
    fn of(change: &Change) -> Option<Self> {
        let from = match &change.from {
            Some(text) => Some(Value::read(change.setting, text)?),
            None => None,
        };
        let to = Value::read(change.setting, &change.to)?;
        to.may_be_set(change.setting).then_some(Self {
            setting: change.setting,
            from,
            to,
            restart_needed: change.restart_needed,
        })
    }
}

const fn is_of(platform: Platform, setting: Setting) -> bool {
    match setting {
        Setting::ReservedPorts
        | Setting::LocalPortRange
        | Setting::TcpTwReuse
        | Setting::TcpTwReuseDelay => matches!(platform, Platform::Linux),
        Setting::DynamicPorts(..) => matches!(platform, Platform::Windows),
        Setting::MaxUserPort => platform.is_old_windows(),
        Setting::TcpTimedWaitDelay => platform.is_windows(),
        Setting::PortRangeFirst | Setting::PortRangeHiFirst | Setting::Msl => {
            matches!(platform, Platform::MacOs | Platform::FreeBsd)
        }
    }
}
