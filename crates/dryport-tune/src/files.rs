//! Small files replaced as a whole, and directories made for them.
//!
//! After a crash or a full disk the old file or the new one stands there, never a part of it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::{Error, Result};

/// Everybody may read, the owner may write.
pub const DEFAULT_MODE: u32 = 0o644;
/// Longer than any file that is read here. A gigabyte under a known name must not be read into
/// memory.
pub const LONGEST_BYTES: u64 = 16 * 1024 * 1024;
/// Not `.conf`: no reader of a directory of settings may take the half-written file.
const TEMPORARY_SUFFIX: &str = ".dryport-new";

/// Replaces a file, or makes it. The bytes are on disk when this returns. Two at once on the same
/// path would meet in the temporary file: hold a [`crate::lock::Lock`].
///
/// # Errors
/// [`Error::Link`] or [`Error::NotAFile`] where something else has the name; otherwise what the
/// system said. The old file is then untouched and nothing is left beside it, unless the very last
/// step failed, the `fsync` of the directory: then the new file stands there, but not for sure
/// after a power cut.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    refuse_other_than_a_file(path)?;
    remove_leftover(path)?;
    let temporary = leftover(path);
    let done = write_whole(&temporary, bytes, mode)
        .and_then(|()| fs::rename(&temporary, path).map_err(Error::of("rename to", path)));
    if done.is_err() {
        // The first error is the one to tell; what stays behind is found by its name.
        let _ = fs::remove_file(&temporary);
    }
    done.and_then(|()| sync_parent(path))
}

/// Removes a file. `false`: it was not there.
///
/// # Errors
/// [`Error::Link`] or [`Error::NotAFile`] where something else has the name; otherwise what the
/// system said.
pub fn remove(path: &Path) -> Result<bool> {
    refuse_other_than_a_file(path)?;
    unlink(path)
}

/// The content of a regular file. `None`: it is not there. A symbolic link is followed.
///
/// # Errors
/// It cannot be read, is no regular file, or is longer than [`LONGEST_BYTES`].
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match read_bounded(path, LONGEST_BYTES) {
        Err(Error::Absent { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// Where [`replace`] writes before it renames. A file of that name is the rest of a crash.
#[must_use]
pub fn leftover(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(TEMPORARY_SUFFIX);
    path.with_file_name(name)
}

/// Whether a name is one that [`leftover`] gives.
#[must_use]
pub fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
}

/// Removes what a crash left beside `path`. `false`: there was nothing.
///
/// # Errors
/// It cannot be removed.
pub fn remove_leftover(path: &Path) -> Result<bool> {
    unlink(&leftover(path))
}

/// Makes a directory and those above it, readable by all, and tells which were made, outermost
/// first, so that [`remove_empty_directories`] can take them back.
///
/// # Errors
/// One cannot be made. Those made before it are removed again.
pub fn create_directories(path: &Path) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    // The outermost first; `ancestors` begins with the path itself and may end with "".
    let mut levels: Vec<&Path> = path.ancestors().collect();
    levels.reverse();
    for level in levels
        .into_iter()
        .filter(|level| level.components().next().is_some())
    {
        if let Err(error) = create_directory(level, &mut made) {
            // The first error is the one to tell.
            let _ = remove_empty_directories(&made);
            return Err(error);
        }
    }
    Ok(made)
}

/// Removes directories that [`create_directories`] made, innermost first, as far as they are
/// empty. Tells which were removed.
///
/// # Errors
/// One is empty and cannot be removed.
pub fn remove_empty_directories(made: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for path in made.iter().rev() {
        match fs::remove_dir(path) {
            Ok(()) => {
                sync_parent(path)?;
                removed.push(path.clone());
            }
            Err(error) if is_in_use_or_gone(&error) || is_absent(path) => {}
            Err(error) => return Err(Error::system("rmdir", path, error)),
        }
    }
    Ok(removed)
}

/// Reads a regular file up to a bound. A pipe or a device is not opened in a way that blocks.
pub(crate) fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)
        .map_err(Error::of("open", path))?;
    let metadata = file.metadata().map_err(Error::of("fstat", path))?;
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    // One byte more tells that there is more; the length in the metadata may be old.
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::of("read", path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::TooLong {
            path: path.to_owned(),
            limit_bytes,
        });
    }
    Ok(bytes)
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    // `create_new` follows no link and takes over no file of somebody else's.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::of("create", path))?;
    file.write_all(bytes).map_err(Error::of("write", path))?;
    // Set by a call of its own: the mode at creation is cut by the umask.
    file.set_permissions(Permissions::from_mode(mode))
        .map_err(Error::of("chmod", path))?;
    file.sync_all().map_err(Error::of("fsync", path))
}

fn create_directory(path: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => {
            made.push(path.to_owned());
            sync_parent(path)
        }
        // Asked only then, so that a directory made by somebody else in between is not ours. The
        // error need not be EEXIST: on a read-only file system it is EROFS for those that exist.
        Err(_) if fs::metadata(path).is_ok_and(|there| there.is_dir()) => Ok(()),
        Err(error) => Err(Error::system("mkdir", path, error)),
    }
}

fn unlink(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true),
        // Asked for only then: on a read-only file system the error is EROFS also for what is not
        // there.
        Err(_) if is_absent(path) => Ok(false),
        Err(error) => Err(Error::system("unlink", path, error)),
    }
}

fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A rename or removal is on disk only when its directory is.
fn sync_parent(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent.components().next().is_some() => parent,
        _ => Path::new("."),
    };
    let directory = File::open(parent).map_err(Error::of("open", parent))?;
    match directory.sync_all() {
        // Some file systems (FUSE, overlays) cannot; there is nothing better to ask of them.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(()),
        done => done.map_err(Error::of("fsync", parent)),
    }
}

/// Whether [`replace`] and [`remove`] would take what has this name: a regular file or nothing.
///
/// # Errors
/// [`Error::Link`] or [`Error::NotAFile`] where it is something else; otherwise what the system said.
pub fn refuse_other_than_a_file(path: &Path) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::system("lstat", path, error)),
    };
    let path = path.to_owned();
    if metadata.is_symlink() {
        let target = fs::read_link(&path).ok();
        return Err(Error::Link { path, target });
    }
    if metadata.is_file() {
        Ok(())
    } else {
        Err(Error::NotAFile { path })
    }
}

fn is_in_use_or_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::BUSY | Errno::NOTDIR)
    )
}

/// The standard library takes them signed.
pub(crate) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(directory: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_made_replaced_and_removed_without_a_trace() {
        let scratch = scratch();
        let path = scratch.path().join("a.conf");
        assert_eq!(read_optional(&path).unwrap(), None);
        for (bytes, mode) in [(&b"one"[..], DEFAULT_MODE), (b"", 0o600), (b"three", 0o666)] {
            replace(&path, bytes, mode).unwrap();
            assert_eq!(read_optional(&path).unwrap().as_deref(), Some(bytes));
            let is = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(is, mode, "whatever the umask");
        }
        assert_eq!(names(scratch.path()), ["a.conf"]);
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
        assert_eq!(names(scratch.path()).len(), 0);
    }

    #[test]
    fn the_temporary_file_is_no_file_of_settings_and_is_found_again() {
        let scratch = scratch();
        let path = scratch.path().join("a.conf");
        let temporary = leftover(&path);
        assert_eq!(temporary.parent(), path.parent());
        assert_ne!(temporary.extension().unwrap(), "conf");
        fs::write(&temporary, "half").unwrap();
        assert!(remove_leftover(&path).unwrap());
        assert!(!remove_leftover(&path).unwrap());
        // One that somebody laid there as a trap is neither followed nor written to.
        let victim = scratch.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, &temporary).unwrap();
        replace(&path, b"new", DEFAULT_MODE).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_link_is_neither_replaced_nor_removed() {
        let scratch = scratch();
        let path = scratch.path().join("a.conf");
        symlink("elsewhere", &path).unwrap();
        let error = replace(&path, b"new", DEFAULT_MODE).unwrap_err();
        assert!(
            matches!(&error, Error::Link { target: Some(to), .. } if to == Path::new("elsewhere"))
        );
        assert!(
            error
                .to_string()
                .ends_with("a.conf is a symbolic link to elsewhere"),
            "{error}"
        );
        assert!(matches!(remove(&path), Err(Error::Link { .. })));
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("elsewhere"));
        assert_eq!(names(scratch.path()).len(), 1);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let scratch = scratch();
        let path = scratch.path().join("a.conf");
        fs::create_dir(&path).unwrap();
        assert!(matches!(
            replace(&path, b"", DEFAULT_MODE),
            Err(Error::NotAFile { .. })
        ));
        assert!(matches!(remove(&path), Err(Error::NotAFile { .. })));
        assert!(matches!(read_optional(&path), Err(Error::NotAFile { .. })));
        // Opening it the usual way would wait for a writer.
        let pipe = scratch.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(read_optional(&pipe), Err(Error::NotAFile { .. })));
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let scratch = scratch();
        let path = scratch.path().join("long");
        File::create(&path)
            .unwrap()
            .set_len(LONGEST_BYTES + 1)
            .unwrap();
        assert!(matches!(read_optional(&path), Err(Error::TooLong { .. })));
        File::create(&path).unwrap().set_len(10).unwrap();
        assert!(matches!(read_bounded(&path, 9), Err(Error::TooLong { .. })));
        assert_eq!(read_bounded(&path, 10).unwrap().len(), 10);
    }

    #[test]
    fn directories_that_were_made_can_be_taken_back() {
        let scratch = scratch();
        let top = scratch.path().join("a");
        let path = top.join("b/c");
        let made = create_directories(&path).unwrap();
        assert_eq!(made, [top.clone(), top.join("b"), path.clone()]);
        assert_eq!(create_directories(&path).unwrap(), Vec::<PathBuf>::new());
        // One in use stays, and so do those around it.
        fs::write(top.join("b/kept"), "").unwrap();
        assert_eq!(remove_empty_directories(&made).unwrap(), [path]);
        fs::remove_file(top.join("b/kept")).unwrap();
        assert_eq!(
            remove_empty_directories(&made).unwrap(),
            [top.join("b"), top.clone()]
        );
        assert_eq!(
            remove_empty_directories(&made).unwrap(),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn directories_below_a_file_are_not_made_in_part() {
        let scratch = scratch();
        fs::write(scratch.path().join("file"), "").unwrap();
        assert!(create_directories(&scratch.path().join("file/b")).is_err());
        assert_eq!(names(scratch.path()), ["file"]);
    }
}
