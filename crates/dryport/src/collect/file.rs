//! A file that is there whole or not at all, and never in the place of another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Fails where there is something of this name.
pub fn refuse_existing(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(exists()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a new file: beside its place first, then there under its name.
pub fn create(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let done = write(&beside, text).and_then(|()| rename(&beside, path));
    if done.is_err() {
        // It may not be there; the failure is told either way.
        let _ = fs::remove_file(&beside);
    }
    done
}

fn exists() -> io::Error {
    let text = "it exists already, and is not overwritten; remove it or give another name";
    io::Error::new(io::ErrorKind::AlreadyExists, text)
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "this is no name of a file"));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// A plain rename() would replace what came there meanwhile.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Err(exists()),
        // Not every file system can do that (NFS: EINVAL), nor every kernel (before 3.15).
        Err(Errno::INVAL | Errno::NOSYS) => {
            refuse_existing(to)?;
            fs::rename(from, to)
        }
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced_and_nothing_is_left_beside_it() {
        let place = std::env::temp_dir().join(format!("dryport-collect-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        let path = place.join("collected.txt");
        create(&path, b"one").unwrap();
        let error = create(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
        fs::remove_dir_all(place).unwrap();
    }
}
