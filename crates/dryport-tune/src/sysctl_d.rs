//! The files that set sysctls at boot, read as they stand.
//!
//! Owns which directories are read and how far; what is in the files and who wins is
//! `dryport_wire::sysctl_conf`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use dryport_wire::procfs::printable;
use dryport_wire::sysctl_conf::{ConfFile, DIRECTORIES, LAST_OF_PROCPS, parse};

use crate::Error;
use crate::files::read_bounded;

/// Our own file, below the root. Its name sorts behind Debian's `99-sysctl.conf`.
pub const OUR_FILE: &str = "etc/sysctl.d/99-zz-dryport.conf";
/// Longer than a list of every second port, and a page of comments.
const LONGEST_BYTES: u64 = 1024 * 1024;
/// More than any machine has; a directory of a million files must not take an hour.
const MOST_FILES: usize = 1000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The files, with the paths that they have on the system (without the root).
    pub files: Vec<ConfFile>,
    /// What was not read, in words: the file and why.
    pub unread: Vec<String>,
}

/// Reads the files below a root: `/`, or that of a test. Nothing is an error: what cannot be read
/// is told in [`Tree::unread`]. Links are followed as they stand, an absolute one to the machine's
/// own files, also where the root is another.
#[must_use]
pub fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::default();
    for directory in DIRECTORIES {
        tree.read_directory(root, directory);
    }
    let last = below(root, LAST_OF_PROCPS);
    if fs::symlink_metadata(&last).is_ok() {
        tree.read_file(&last, LAST_OF_PROCPS.to_owned());
    }
    tree
}

impl Tree {
    fn read_directory(&mut self, root: &Path, directory: &str) {
        let on_disk = below(root, directory);
        let names = match names(&on_disk) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.unread.push(format!("{directory}: {error}")),
        };
        for name in names {
            if self.files.len() == MOST_FILES {
                return self.unread.push(format!(
                    "{directory}: more than {MOST_FILES} files, the others were not read"
                ));
            }
            let path = format!("{directory}/{}", printable(name.as_bytes()));
            self.read_file(&on_disk.join(name), path);
        }
    }

    /// A file that cannot be read is kept without lines: it still hides others of its name.
    fn read_file(&mut self, on_disk: &Path, path: String) {
        let parsed = match read_bounded(on_disk, LONGEST_BYTES) {
            Ok(bytes) => parse(&bytes),
            Err(Error::NotAFile { .. }) if is_character_device(on_disk) => parse(b""),
            // A directory is no file of settings for either reader.
            Err(Error::NotAFile { .. }) if on_disk.is_dir() => return,
            Err(error) => {
                self.unread.push(error.to_string());
                parse(b"")
            }
        };
        self.files.push(ConfFile {
            path,
            assignments: parsed.assignments,
            notes: parsed.notes,
        });
    }
}

/// The names that end in `.conf`, sorted, so that the same files are read each time where there
/// are too many.
fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name.as_bytes().ends_with(b".conf") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// `/dev/null`: a link to it takes a file away.
fn is_character_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
}

/// Where a path of the system is below the root.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use dryport_wire::sysctl_conf::{Applier, setters};

    use super::*;

    const KEY: &str = "net.ipv4.tcp_tw_reuse";

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn winner(tree: &Tree, applier: Applier) -> Option<&str> {
        setters(&tree.files, KEY, applier)
            .winner()
            .map(|setter| setter.path)
    }

    #[test]
    fn an_empty_system_has_no_files() {
        let root = root(&[]);
        assert_eq!(read_tree(root.path()), Tree::default());
    }

    #[test]
    fn our_file_is_the_last_of_a_debian_system() {
        let set = "net.ipv4.tcp_tw_reuse = 0\n";
        let root = root(&[
            (OUR_FILE, set),
            ("etc/sysctl.conf", set),
            ("etc/sysctl.d/10-a.conf", set),
            ("etc/sysctl.d/README.sysctl", set),
            ("etc/sysctl.d/.99-zz-dryport.conf.dryport-new", set),
            ("usr/lib/sysctl.d/99-protect-links.conf", set),
        ]);
        symlink(
            "../sysctl.conf",
            root.path().join("etc/sysctl.d/99-sysctl.conf"),
        )
        .unwrap();
        let tree = read_tree(root.path());
        assert_eq!(tree.unread, Vec::<String>::new());
        let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/etc/sysctl.d/10-a.conf",
                "/etc/sysctl.d/99-sysctl.conf",
                "/etc/sysctl.d/99-zz-dryport.conf",
                "/usr/lib/sysctl.d/99-protect-links.conf",
                "/etc/sysctl.conf",
            ]
        );
        let ours = below(Path::new("/"), OUR_FILE);
        assert_eq!(
            winner(&tree, Applier::SystemdSysctl).map(Path::new),
            Some(ours.as_path())
        );
        assert_eq!(winner(&tree, Applier::ProcpsSystem), Some(LAST_OF_PROCPS));
    }

    #[test]
    fn a_masked_and_an_unreadable_file_hide_those_of_their_name() {
        let set = "net.ipv4.tcp_tw_reuse = 0\n";
        let root = root(&[
            ("usr/lib/sysctl.d/a.conf", set),
            ("usr/lib/sysctl.d/b.conf", set),
            ("run/sysctl.d/c.conf/file", set),
        ]);
        let etc = root.path().join("etc/sysctl.d");
        fs::create_dir_all(&etc).unwrap();
        symlink("/dev/null", etc.join("a.conf")).unwrap();
        symlink("nowhere", etc.join("b.conf")).unwrap();
        let tree = read_tree(root.path());
        assert_eq!(tree.files.len(), 4, "a directory is no file");
        assert_eq!(tree.unread.len(), 1, "{:?}", tree.unread);
        assert!(tree.unread[0].contains("/etc/sysctl.d/b.conf"));
        assert_eq!(winner(&tree, Applier::SystemdSysctl), None);
    }

    #[test]
    fn what_is_too_much_is_told() {
        let root = root(&[("etc/sysctl.d/a.conf", "")]);
        let directory = root.path().join("etc/sysctl.d");
        let long = fs::File::create(directory.join("a.conf")).unwrap();
        long.set_len(LONGEST_BYTES + 1).unwrap();
        for number in 0..MOST_FILES {
            fs::write(directory.join(format!("b{number}.conf")), "").unwrap();
        }
        let tree = read_tree(root.path());
        assert_eq!(tree.files.len(), MOST_FILES);
        assert_eq!(tree.unread.len(), 2, "{:?}", tree.unread);
    }
}
