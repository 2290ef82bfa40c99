//! The file that makes a change last: ours alone, below `/etc/sysctl.d`.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use dryport_model::plan::Setting;
use dryport_tune::files;
use dryport_wire::sysctl_conf;

use crate::entry::FileStep;
use crate::error::Result;

/// Below the root. It sorts after Debian's `99-sysctl.conf`, the link to `/etc/sysctl.conf`.
pub const OUR_FILE: &str = dryport_tune::sysctl_d::OUR_FILE;

const HEAD: &str = "\
# Written by `dryport fix`; `dryport undo` takes it back. Lines of others are kept, and make undo
# refuse.
";

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWanted {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub contents: Vec<u8>,
}

/// Our file with these settings. Other lines of it stay as they are.
#[must_use]
pub fn contents(present: Option<&[u8]>, settings: &[(Setting, String)]) -> Vec<u8> {
    let present = present.unwrap_or(HEAD.as_bytes());
    let replaced: Vec<u32> = sysctl_conf::parse(present)
        .assignments
        .iter()
        .filter(|line| !line.is_glob && sets_one_of(settings, &line.pattern))
        .map(|line| line.line)
        .collect();
    let mut text = Vec::new();
    for (index, line) in present.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if !replaced.contains(&number) {
            text.extend_from_slice(line);
        }
    }
    if !text.is_empty() && text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
    for (setting, value) in settings {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let line = format!("{} = {value}", setting.name());
        text.extend_from_slice(line.trim_end().as_bytes());
        text.push(b'\n');
    }
    text
}

fn sets_one_of(settings: &[(Setting, String)], pattern: &str) -> bool {
    settings
        .iter()
        .any(|(setting, _)| sysctl_conf::matches(pattern, setting.name()))
}

impl FileStep {
    /// Writes the file, whole or not at all, with the access that it had.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        let path = Path::new(&self.path);
        let mode = self
            .access
            .map_or(files::DEFAULT_MODE, |access| access.mode);
        files::replace(path, bytes, mode)?;
        if let Some(access) = self.access {
            let _ = chown(path, Some(access.uid), Some(access.gid));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ours_is_replaced_and_others_stay() {
        let range = (Setting::LocalPortRange, "16384\t60999".to_string());
        let fresh = contents(None, std::slice::from_ref(&range));
        let text = String::from_utf8(fresh).unwrap();
        assert!(text.starts_with("# Written by"), "{text}");
        assert!(
            text.ends_with("\nnet.ipv4.ip_local_port_range = 16384 60999\n"),
            "{text}"
        );
        let present = b"# mine\nnet/ipv4/ip_local_port_range=1 2\nvm.swappiness = 1";
        let text = String::from_utf8(contents(Some(present), &[range])).unwrap();
        assert_eq!(
            text,
            "# mine\nvm.swappiness = 1\nnet.ipv4.ip_local_port_range = 16384 60999\n"
        );
    }

    #[test]
    fn an_empty_list_is_written_as_one() {
        let none = (Setting::ReservedPorts, String::new());
        let text = String::from_utf8(contents(Some(b""), &[none])).unwrap();
        assert_eq!(text, "net.ipv4.ip_local_reserved_ports =\n");
    }
}
