//! A tar.gz whose bytes depend on its content alone: sorted names, one time, owner 0, no name of
//! a user or a machine.

use std::collections::BTreeSet;
use std::io::{self, Write};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::failure::Failure;

/// One file: its path below the archive's top directory, its mode and what is in it.
pub struct Entry {
    pub path: String,
    pub mode: u32,
    pub bytes: Vec<u8>,
}

/// Packs the files below one directory `top`. `mtime` is in seconds since 1970.
pub fn pack(top: &str, mtime: u64, mut entries: Vec<Entry>) -> Result<Vec<u8>, Failure> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let gz = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let mut tar = Builder::new(gz);
    write_all(&mut tar, top, mtime, &entries)
        .and_then(|()| tar.into_inner()?.finish())
        .map_err(Failure::system("packing the archive"))
}

fn write_all<W: Write>(
    tar: &mut Builder<W>,
    top: &str,
    mtime: u64,
    entries: &[Entry],
) -> io::Result<()> {
    for directory in directories(top, entries) {
        let mut header = header(EntryType::Directory, 0o755, 0, mtime);
        tar.append_data(&mut header, format!("{directory}/"), io::empty())?;
    }
    for entry in entries {
        let mut header = header(EntryType::Regular, entry.mode, entry.bytes.len(), mtime);
        tar.append_data(
            &mut header,
            format!("{top}/{}", entry.path),
            &entry.bytes[..],
        )?;
    }
    Ok(())
}

/// Every directory that a file lies in, parents first.
fn directories(top: &str, entries: &[Entry]) -> BTreeSet<String> {
    let mut directories = BTreeSet::from([top.to_owned()]);
    for entry in entries {
        for (end, _) in entry.path.match_indices('/') {
            directories.insert(format!("{top}/{}", &entry.path[..end]));
        }
    }
    directories
}

fn header(kind: EntryType, mode: u32, size: usize, mtime: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn file(path: &str) -> Entry {
        Entry {
            path: path.into(),
            mode: 0o644,
            bytes: path.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_order_in_which_files_are_given_does_not_show() {
        let one = pack("top", 7, vec![file("b/c"), file("a")]).unwrap();
        let two = pack("top", 7, vec![file("a"), file("b/c")]).unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn every_file_comes_out_again_below_the_top_directory() {
        let packed = pack("top", 7, vec![file("b/c/d"), file("a")]).unwrap();
        let mut tar = tar::Archive::new(GzDecoder::new(&packed[..]));
        let mut found = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 7);
            assert_eq!(entry.header().uid().unwrap(), 0);
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["top/", "top/b/", "top/b/c/", "top/a", "top/b/c/d"]);
        assert_eq!(found[4].1, "b/c/d");
    }
}
