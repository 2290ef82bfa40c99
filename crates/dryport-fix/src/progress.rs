//! The steps of a change as they happen.

use std::fmt;

/// A step that was done. Shown to the user; a test ends the process after any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The journal holds the old bytes.
    Journaled,
    /// A setting was written and read back.
    Written {
        /// Its name.
        key: String,
        /// What it is now.
        value: String,
    },
    /// A fresh look at the namespace found the settings in force.
    Verified,
    /// The file that makes it last was written.
    Persisted {
        /// The file.
        path: String,
    },
    /// A setting has its old bytes again, and they were read back.
    Restored {
        /// Its name.
        key: String,
        /// What it is now.
        value: String,
    },
    /// The file is as it was before.
    FileRestored {
        /// The file.
        path: String,
    },
    /// The journal says how it ended.
    Closed,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &str| match value.split_ascii_whitespace().collect::<Vec<_>>() {
            words if words.is_empty() => "(empty)".to_string(),
            words => words.join(" "),
        };
        match self {
            Self::Journaled => f.write_str("the old values are in the journal"),
            Self::Written { key, value: v } => write!(f, "{key} is {}", value(v)),
            Self::Verified => f.write_str("verified by a fresh census"),
            Self::Persisted { path } => write!(f, "{path} makes it last"),
            Self::Restored { key, value: v } => write!(f, "{key} is {} again", value(v)),
            Self::FileRestored { path } => write!(f, "{path} is as it was"),
            Self::Closed => f.write_str("the journal says how it ended"),
        }
    }
}
