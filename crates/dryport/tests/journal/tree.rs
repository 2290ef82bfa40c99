//! A tree of files as a value: taken, compared, and put back.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Everything below a directory, with the directory itself as "". Empty: it is not there.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Node>);

#[derive(Clone, PartialEq, Eq)]
enum Node {
    Directory { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { to: PathBuf },
    Other,
}

impl Tree {
    /// Looks.
    pub fn of(directory: &Path) -> Self {
        let mut tree = Self(BTreeMap::new());
        tree.see(directory, Path::new(""));
        tree
    }

    fn see(&mut self, top: &Path, below: &Path) {
        let path = match below.as_os_str().is_empty() {
            true => top.to_owned(),
            false => top.join(below),
        };
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            return;
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = metadata.file_type();
        let node = if kind.is_symlink() {
            Node::Link {
                to: fs::read_link(&path).unwrap(),
            }
        } else if kind.is_dir() {
            for entry in fs::read_dir(&path).unwrap() {
                self.see(top, &below.join(entry.unwrap().file_name()));
            }
            Node::Directory { mode }
        } else if kind.is_file() {
            Node::File {
                mode,
                bytes: fs::read(&path).unwrap(),
            }
        } else {
            Node::Other
        };
        self.0.insert(below.to_owned(), node);
    }

    /// Makes `directory` what the tree was, whatever stands there.
    pub fn put_back(&self, directory: &Path) {
        if directory.exists() {
            fs::remove_dir_all(directory).unwrap();
        }
        for (below, node) in &self.0 {
            let path = directory.join(below);
            match node {
                Node::Directory { mode } => {
                    fs::create_dir(&path).unwrap();
                    fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
                }
                Node::File { mode, bytes } => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
                }
                Node::Link { to } => symlink(to, &path).unwrap(),
                Node::Other => panic!("{} cannot be put back", path.display()),
            }
        }
    }

    /// The names of all that is in it.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// The content of a file.
    pub fn file(&self, below: &str) -> Option<&[u8]> {
        match self.0.get(Path::new(below)) {
            Some(Node::File { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(path, node)| match node {
            Node::Directory { mode } => format!("{}/ {mode:o}", path.display()),
            Node::File { mode, bytes } => {
                let text = String::from_utf8_lossy(bytes);
                let text: String = text.chars().take(300).collect();
                format!("{} {mode:o} {} {text:?}", path.display(), bytes.len())
            }
            Node::Link { to } => format!("{} -> {}", path.display(), to.display()),
            Node::Other => format!("{} (other)", path.display()),
        });
        f.debug_list().entries(each).finish()
    }
}
