//! Files replaced where there is no room, or no right to write.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dryport_tune::{Error, files};

use crate::scratch::{MOUNTS, in_scratch, keep_mounts_here, mount};

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    in_scratch(MOUNTS, || {
        keep_mounts_here();
        mount("tmpfs", scratch.path(), "tmpfs", 0, "size=64k");
        let path = scratch.path().join("a.conf");
        files::replace(&path, b"old", 0o640).unwrap();
        let error = files::replace(&path, &[b'x'; 1 << 20], 0o644).unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert_old_and_alone(&path);
        let error = files::replace(&scratch.path().join("b.conf"), &[b'x'; 1 << 20], 0o644);
        assert!(matches!(error, Err(Error::Full { .. })));
        assert_old_and_alone(&path);
    });
}

#[test]
fn a_read_only_disk_is_told_and_nothing_changes() {
    let scratch = tempfile::tempdir().unwrap();
    in_scratch(MOUNTS, || {
        keep_mounts_here();
        mount("tmpfs", scratch.path(), "tmpfs", 0, "");
        let path = scratch.path().join("a.conf");
        files::replace(&path, b"old", 0o640).unwrap();
        let made = files::create_directories(&scratch.path().join("made")).unwrap();
        mount(
            "",
            scratch.path(),
            "",
            libc::MS_REMOUNT | libc::MS_RDONLY,
            "",
        );
        let read_only = |result: dryport_tune::Result<()>| {
            assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
        };
        read_only(files::replace(&path, b"new", 0o644));
        read_only(files::remove(&path).map(drop));
        read_only(files::create_directories(&scratch.path().join("b/c")).map(drop));
        read_only(files::remove_empty_directories(&made).map(drop));
        assert_eq!(files::create_directories(&made[0]).unwrap().len(), 0);
        assert_eq!(
            files::read_optional(&path).unwrap().as_deref(),
            Some(&b"old"[..])
        );
    });
}

fn assert_old_and_alone(path: &Path) {
    assert_eq!(
        files::read_optional(path).unwrap().as_deref(),
        Some(&b"old"[..])
    );
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}
