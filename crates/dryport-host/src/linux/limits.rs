//! The settings of the calling thread's network namespace.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dryport_model::{Coverage, Fact, Limits, TimeWaitReuse};
use dryport_wire::sysctl;

use super::features;
use crate::error::{Error, Result};

/// Settings, and what had to be assumed.
#[derive(Clone, Debug)]
pub struct LimitsRead {
    /// The settings.
    pub limits: Limits,
    /// What could not be read, and the value assumed instead, in words.
    pub assumptions: Vec<String>,
}

impl LimitsRead {
    /// How far the settings were seen.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        if self.assumptions.is_empty() {
            Coverage::full(Fact::Settings, "sysctl")
        } else {
            Coverage::partial(Fact::Settings, "sysctl", self.assumptions.join("; "))
        }
    }
}

/// Reads the settings. `need_bucket_recovery`: also find out how bind buckets recover, which costs
/// a look into the kernel's type information.
///
/// # Errors
/// A setting that is there but cannot be understood.
pub fn read_limits(need_bucket_recovery: bool) -> Result<LimitsRead> {
    read_limits_from(Path::new("/proc/sys"), need_bucket_recovery)
}

fn read_limits_from(root: &Path, need_bucket_recovery: bool) -> Result<LimitsRead> {
    let mut reader = Reader {
        root,
        assumptions: Vec::new(),
    };
    let default = Limits::linux_default();
    let delay = reader.optional("net/ipv4/tcp_tw_reuse_delay", number)?;
    let limits = Limits {
        range: reader.or_assume("net/ipv4/ip_local_port_range", default.range, |text| {
            sysctl::parse_range(text).map_err(|error| error.to_string())
        })?,
        reserved: reader.or_assume(
            "net/ipv4/ip_local_reserved_ports",
            default.reserved,
            |text| sysctl::parse_port_list(text).map_err(|error| error.to_string()),
        )?,
        tw_reuse: reader.or_assume("net/ipv4/tcp_tw_reuse", default.tw_reuse, |text| {
            Ok(match number(text)? {
                0 => TimeWaitReuse::Off,
                1 => TimeWaitReuse::On,
                _ => TimeWaitReuse::Loopback,
            })
        })?,
        tw_reuse_delay_ms: delay.unwrap_or(default.tw_reuse_delay_ms),
        tcp_timestamps: reader.flag("net/ipv4/tcp_timestamps", default.tcp_timestamps)?,
        // Absent where IPv6 is not built in; there is then nothing to assume.
        bindv6only: reader
            .optional("net/ipv6/bindv6only", number)?
            .is_some_and(|n| n != 0),
        // Absent before 5.7, when the rule did not exist.
        autobind_reuse: reader
            .optional("net/ipv4/ip_autobind_reuse", number)?
            .is_some_and(|n| n != 0),
        features: features::detect(delay.is_some(), need_bucket_recovery),
    };
    Ok(LimitsRead {
        limits,
        assumptions: reader.assumptions,
    })
}

fn number(text: &str) -> std::result::Result<u32, String> {
    sysctl::parse_u32(text).map_err(|error| error.to_string())
}

struct Reader<'a> {
    root: &'a Path,
    assumptions: Vec<String>,
}

impl Reader<'_> {
    /// `None` where the kernel has no such setting.
    fn optional<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Option<T>> {
        let path: PathBuf = self.root.join(key);
        match read_in_one_call(&path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                parse(&text)
                    .map(Some)
                    .map_err(|reason| Error::Setting { path, reason })
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::system(format!("read {}", path.display()), error)),
        }
    }

    /// The platform's default where the setting may not be read, told as an assumption.
    fn or_assume<T>(
        &mut self,
        key: &str,
        default: T,
        parse: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        Ok(match self.optional(key, parse)? {
            Some(value) => value,
            None => {
                let name = key.replace('/', ".");
                self.assumptions
                    .push(format!("{name} cannot be read: the default is assumed"));
                default
            }
        })
    }

    fn flag(&mut self, key: &str, default: bool) -> Result<bool> {
        self.or_assume(key, default, |text| Ok(number(text)? != 0))
    }
}

/// Longer than any setting: a list of every second port takes 190 KB.
const LONGEST_BYTES: usize = 256 * 1024;

/// Reads a setting in one call. `proc_do_large_bitmap` (the reserved ports) answers a second read
/// with the end of the file, so reading piece by piece, as `std::fs::read` does, loses all but the
/// first 32 bytes of a list without a word.
///
/// # Errors
/// What the system says.
pub fn read_in_one_call(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; LONGEST_BYTES];
    let length = File::open(path)?.read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root =
            std::env::temp_dir().join(format!("dryport-limits-{}-{name}", std::process::id()));
        for (key, text) in files {
            let path = root.join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn missing_settings_are_assumed_and_told() {
        let root = tree(
            "missing",
            &[("net/ipv4/ip_local_port_range", "1000\t1999\n")],
        );
        let read = read_limits_from(&root, false).unwrap();
        assert_eq!(read.limits.range.size(), 1000);
        assert!(read.limits.tcp_timestamps);
        assert_eq!(read.assumptions.len(), 3, "{:?}", read.assumptions);
        assert_eq!(read.limits.features.millisecond_time_wait, Some(false));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_malformed_setting_is_an_error_that_names_its_file() {
        let root = tree("malformed", &[("net/ipv4/ip_local_port_range", "lots\n")]);
        let error = read_limits_from(&root, false).unwrap_err().to_string();
        assert!(
            error.contains("ip_local_port_range") && error.contains("lots"),
            "{error}"
        );
        fs::remove_dir_all(root).unwrap();
    }
}
