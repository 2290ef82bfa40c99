//! One entry of the journal: what a change found, what it wrote, and how far it came.
//!
//! The text is JSON, so that a person can read it when nothing else works any more. An entry holds
//! everything that is needed to take the change back, and it is written before anything else.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version that this program writes and reads.
pub const VERSION: u32 = 1;
/// Longer than any entry: two lists of every second port, and a file of ours.
const LONGEST_BYTES: usize = 4 * 1024 * 1024;

/// How far a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// About to be made; whoever finds it so was interrupted.
    Prepared,
    /// In force, and to be taken back unless it is confirmed in time.
    Unconfirmed,
    /// In force.
    Applied,
    /// Being taken back; whoever finds it so was interrupted.
    Undoing,
    /// Taken back.
    Undone,
    /// Its namespace is gone, or the machine was restarted: nothing is left to take back.
    Gone,
    /// A person has put things right by hand and said so.
    Forgotten,
}

impl Stage {
    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Unconfirmed => "unconfirmed",
            Self::Applied => "applied",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Gone => "gone",
            Self::Forgotten => "forgotten",
        }
    }

    /// Nothing is left to do or to take back.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Undone | Self::Gone | Self::Forgotten)
    }

    /// Something stopped in the middle of it.
    #[must_use]
    pub const fn is_interrupted(self) -> bool {
        matches!(self, Self::Prepared | Self::Undoing)
    }
}

/// Bytes as they were: as text where they are text, else in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// UTF-8.
    Text(String),
    /// Anything else, two digits a byte.
    Hex(String),
}

impl Bytes {
    /// Keeps `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }

    /// The bytes; `None` where the digits are damaged.
    #[must_use]
    pub fn get(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Hex(digits) => {
                let pairs = digits.as_bytes().chunks(2);
                pairs
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                    .collect()
            }
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Hex(digits) => write!(f, "0x{digits}"),
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingStep {
    /// Its name, with dots.
    pub key: String,
    /// What the kernel showed before.
    pub before: Bytes,
    /// What is written.
    pub after: Bytes,
}

/// The file that makes the change last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStep {
    /// Where it is, absolute.
    pub path: String,
    /// What stood there; `None`: no file.
    pub before: Option<Bytes>,
    /// What is written.
    pub after: Bytes,
    /// Mode, user and group of the file that stood there; `None`: no file.
    #[serde(default)]
    pub access: Option<Access>,
    /// Directories that are made for it, the outermost first.
    #[serde(default)]
    pub directories: Vec<String>,
}

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permissions.
    pub mode: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The namespace that a change was made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The kernel's number for this start of the machine.
    pub boot_id: String,
    /// `SO_NETNS_COOKIE`, unique for the boot; `None` before Linux 5.14.
    pub cookie: Option<u64>,
    /// Inode number, which is used again after the namespace is gone.
    pub inode: u64,
    /// Its name, `host` for the machine's own.
    pub name: Option<String>,
}

impl Place {
    /// Whether both are the same namespace of the same boot.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.boot_id == other.boot_id
            && self.inode == other.inode
            && (self.cookie == other.cookie || self.cookie.is_none() || other.cookie.is_none())
    }

    /// The machine's own namespace.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.name.as_deref() == Some("host")
    }
}

/// One change, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of this form.
    pub version: u32,
    /// Unique, and in the order of time.
    pub id: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// How far it came.
    pub stage: Stage,
    /// Where.
    pub place: Place,
    /// Settings in the order in which they are written; they are taken back in the opposite one.
    pub settings: Vec<SettingStep>,
    /// The file, if the change is to last.
    pub file: Option<FileStep>,
    /// For [`Stage::Unconfirmed`]: when it is taken back, in milliseconds since the machine
    /// started (`CLOCK_BOOTTIME`).
    pub confirm_by_ms: Option<u64>,
}

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// A newer dryport wrote it.
    #[error("it is of version {0}, and this dryport reads version {VERSION}")]
    Newer(u32),
    /// It is not as dryport writes it.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// It is damaged, or of a newer version.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |error: serde_json::Error| EntryError::Damaged(error.to_string());
        if bytes.len() > LONGEST_BYTES {
            return Err(EntryError::Damaged("it is too long".into()));
        }
        // A newer form may differ in everything else.
        let versioned: Versioned = serde_json::from_slice(bytes).map_err(damaged)?;
        if versioned.version > VERSION {
            return Err(EntryError::Newer(versioned.version));
        }
        let entry: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        entry.check()?;
        Ok(entry)
    }

    /// A copy under another name would be taken back a second time, and never closed.
    pub(crate) fn named_as(self, path: &Path) -> Result<Self, EntryError> {
        if path
            .file_stem()
            .is_some_and(|stem| stem == self.id.as_str())
        {
            return Ok(self);
        }
        Err(EntryError::Damaged(
            "its id is not the name of its file".into(),
        ))
    }

    /// What a reader of the entry relies on.
    fn check(&self) -> Result<(), EntryError> {
        let damaged = |what: &str| Err(EntryError::Damaged(what.into()));
        let id_is_a_name = !self.id.is_empty()
            && self.id.len() <= 64
            && self
                .id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !id_is_a_name {
            return damaged("its id is no name");
        }
        let known = |step: &SettingStep| {
            dryport_model::plan::Setting::from_linux_name(&step.key).is_some()
                && step.before.get().is_some()
                && step.after.get().is_some()
        };
        if !self.settings.iter().all(known) {
            return damaged("it names a setting that dryport does not write");
        }
        let whole = |file: &FileStep| {
            // Nothing else is ever written back, whoever wrote the entry.
            file.path.starts_with('/')
                && file
                    .path
                    .ends_with(&format!("/{}", dryport_tune::sysctl_d::OUR_FILE))
                && !file.path.split('/').any(|part| part == "..")
                && file
                    .directories
                    .iter()
                    .all(|above| above.starts_with('/') && Path::new(&file.path).starts_with(above))
                && file.after.get().is_some()
                && file
                    .before
                    .as_ref()
                    .is_none_or(|bytes| bytes.get().is_some())
        };
        if !self.file.as_ref().is_none_or(whole) {
            return damaged("its file cannot be read");
        }
        Ok(())
    }

    /// Writes the entry.
    ///
    /// # Errors
    /// It could not be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| EntryError::Damaged(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            version: VERSION,
            id: "20261124-193012-42".into(),
            made: "2026-11-24T19:30:12Z".into(),
            stage: Stage::Applied,
            place: Place {
                boot_id: "b".into(),
                cookie: Some(7),
                inode: 4_026_531_840,
                name: Some("host".into()),
            },
            settings: vec![SettingStep {
                key: "net.ipv4.ip_local_reserved_ports".into(),
                before: Bytes::new(b"\n"),
                after: Bytes::new(b"8080"),
            }],
            file: None,
            confirm_by_ms: None,
        }
    }

    #[test]
    fn an_entry_is_read_back_as_it_was() {
        let bytes = entry().to_bytes().unwrap();
        assert_eq!(Entry::parse(&bytes).unwrap(), entry());
    }

    #[test]
    fn a_newer_entry_and_a_damaged_one_are_told_apart() {
        let newer = br#"{"version": 2, "everything": "else"}"#;
        assert_eq!(Entry::parse(newer), Err(EntryError::Newer(2)));
        let whole = entry().to_bytes().unwrap();
        for cut in 0..whole.len() - 2 {
            assert!(
                matches!(Entry::parse(&whole[..cut]), Err(EntryError::Damaged(_))),
                "{cut}"
            );
        }
        let foreign = String::from_utf8(whole)
            .unwrap()
            .replace("ip_local_reserved_ports", "ip_forward");
        assert!(Entry::parse(foreign.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_kept(bytes: Vec<u8>) {
            prop_assert_eq!(Bytes::new(&bytes).get().unwrap(), bytes);
        }
    }
}
