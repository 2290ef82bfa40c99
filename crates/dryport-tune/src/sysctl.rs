//! The settings of the calling thread's network namespace: their exact bytes, read and written.
//!
//! `/proc/sys/net` shows the namespace of the thread that opens it. Owns the calls, not the
//! meaning of the text (`dryport_wire::sysctl`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dryport_host::read_in_one_call;
use dryport_model::plan::Setting;
use dryport_wire::procfs::printable_up_to;
use dryport_wire::sysctl::parse_u32;
use rustix::io::Errno;

use crate::{Error, Result};

const UNPRIVILEGED_START: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
/// How much of a refused value is shown.
const SHOWN_CHARS: usize = 60;

/// Where a setting stands. Those of other systems have a path as well, and nothing is there.
#[must_use]
pub fn path(setting: Setting) -> PathBuf {
    Path::new("/proc/sys").join(setting.name().replace('.', "/"))
}

/// The bytes exactly as the kernel gives them, with the line's end. `None`: the kernel has no such
/// setting.
///
/// # Errors
/// It is there and cannot be read.
pub fn read(setting: Setting) -> Result<Option<Vec<u8>>> {
    optional(&path(setting))
}

/// Writes what [`read`] gave, or any other text. An empty value empties a list: then a line's end
/// is written, since a write of nothing changes nothing.
///
/// The kernel takes a value in one call and changes all of it or nothing, with one exception: of a
/// list of ports it takes at most a page at a time (`proc_do_large_bitmap`, `PAGE_SIZE - 1`), and
/// what follows on the same descriptor is added. A long list is therefore in force in part for a
/// moment.
///
/// # Errors
/// [`Error::Refused`] where the kernel does not take the value. For the port range that is also
/// the answer to a low end below [`ip_unprivileged_port_start`]. After an error in the midst of a
/// long list, what is in force has to be read.
pub fn write(setting: Setting, bytes: &[u8]) -> Result<()> {
    let path = path(setting);
    let mut file = open_to_write(&path)?;
    let bytes = if bytes.is_empty() { b"\n" } else { bytes };
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => {
                return Err(Error::Partial {
                    path,
                    written_bytes: written,
                });
            }
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refused(path, bytes, error)),
        }
    }
    Ok(())
}

/// Whether the setting may be written: opens it for writing, and writes nothing.
///
/// # Errors
/// What [`write()`] would say, but for the value.
pub fn can_write(setting: Setting) -> Result<()> {
    open_to_write(&path(setting)).map(drop)
}

/// The first port that a program without privilege may bind to. The range may not begin below it.
/// `None`: the kernel has no such setting (before 4.11), and the limit is 1024.
///
/// # Errors
/// It is there and cannot be read or understood.
pub fn ip_unprivileged_port_start() -> Result<Option<u32>> {
    let path = Path::new(UNPRIVILEGED_START);
    let Some(bytes) = optional(path)? else {
        return Ok(None);
    };
    let number = parse_u32(&String::from_utf8_lossy(&bytes));
    number.map(Some).map_err(|_| Error::Text {
        path: path.to_owned(),
        text: printable_up_to(&bytes, SHOWN_CHARS),
    })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match read_in_one_call(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::system("read", path, error)),
    }
}

fn open_to_write(path: &Path) -> Result<File> {
    // Neither created nor truncated: below /proc/sys there is nothing to create.
    OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(Error::of("open", path))
}

fn refused(path: PathBuf, value: &[u8], source: io::Error) -> Error {
    match Errno::from_io_error(&source) {
        Some(Errno::INVAL) => Error::Refused {
            path,
            value: printable_up_to(value.trim_ascii(), SHOWN_CHARS),
            source,
        },
        _ => Error::system("write", &path, source),
    }
}
