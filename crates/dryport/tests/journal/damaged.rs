//! Journals that a newer version wrote, that are damaged, or that somebody made up.

use std::fs;
use std::os::unix::fs::symlink;

use dryport_lab::Privilege;
use serde_json::{Value, json};

use crate::tree::Tree;
use crate::world::{CONFIRM, FIX, FIX_REUSE, UNDO, World};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "an entry of a newer version: told, and nothing is changed",
        newer,
    ),
    (
        "an entry cut off at any length: told, and nothing is changed",
        cut_off,
    ),
    ("a hostile entry: told, and nothing is changed", hostile),
    ("what is no file is no entry, and does not matter", no_file),
    ("a copy of an entry is not taken back twice", copied),
];

/// Sorts behind every entry of ours.
const ODD: &str = "99999999-000000000-1";
/// So many lengths are tried.
const CUTS: usize = 40;

struct Bench {
    world: World,
    /// Of the good entry.
    id: String,
    entry: Value,
}

impl Bench {
    /// A change in force, and its entry.
    fn new() -> Self {
        let world = World::with_files();
        world.run(FIX).is_done();
        let entry = world.read_entries().remove(0);
        let id = entry["id"].as_str().unwrap().to_owned();
        Self { world, id, entry }
    }

    /// With these bytes as another entry, nothing is changed, and the list still has the good one.
    #[track_caller]
    fn refuses(&self, bytes: &[u8], named: &[&str]) {
        let path = self.world.journal().join(format!("{ODD}.json"));
        fs::write(&path, bytes).unwrap();
        self.refuses_what_is_there(named);
        fs::remove_file(path).unwrap();
    }

    #[track_caller]
    fn refuses_what_is_there(&self, named: &[&str]) {
        let world = &self.world;
        let look = || (world.seen(), self.journal());
        let before = look();
        let named = [&[ODD], named].concat();
        let one = ["undo", "--yes", &self.id];
        for words in [UNDO, &one, FIX_REUSE, CONFIRM] {
            let answer = world.run(words);
            answer.is_refused(&named);
            assert_eq!(look(), before, "{words:?}: {answer:?}");
        }
        let list = world.run(&["undo", "--list"]);
        list.is_done();
        assert!(list.out.contains(&self.id), "{list:?}");
        assert!(list.out.contains(ODD), "{list:?}");
        world.run(&["undo", "--list", "--json"]).is_done();
    }

    /// The journal without the lock, which every run signs.
    fn journal(&self) -> Vec<(String, Vec<u8>)> {
        let read = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().unwrap().is_file();
            let bytes = is_file.then(|| fs::read(entry.path()).unwrap());
            (name, bytes.unwrap_or_default())
        };
        let entries = fs::read_dir(self.world.journal()).unwrap();
        let mut all: Vec<_> = entries.map(|entry| read(entry.unwrap())).collect();
        all.retain(|(name, _)| name != "lock");
        all.sort();
        all
    }

    /// The good entry under the odd id, with one thing changed.
    fn with(&self, pointer: &str, value: Value) -> Vec<u8> {
        let mut entry = self.entry.clone();
        entry["id"] = ODD.into();
        *entry.pointer_mut(pointer).unwrap() = value;
        serde_json::to_vec(&entry).unwrap()
    }

    /// Without the odd entry everything goes on.
    fn goes_on(&self) {
        self.world.run(UNDO).is_done();
        self.world.is_tidy();
    }
}

fn newer(_: Privilege) -> Result<(), Skipped> {
    let bench = Bench::new();
    bench.refuses(&bench.with("/version", 2.into()), &["version 2"]);
    bench.refuses(
        br#"{"version": 4294967295, "all": ["else", null]}"#,
        &["version 4294967295"],
    );
    bench.goes_on();
    Ok(())
}

fn cut_off(_: Privilege) -> Result<(), Skipped> {
    let bench = Bench::new();
    let whole = serde_json::to_vec_pretty(&bench.entry).unwrap();
    for cut in (0..whole.len()).step_by(whole.len() / CUTS) {
        bench.refuses(&whole[..cut], &["damaged"]);
    }
    bench.goes_on();
    Ok(())
}

fn hostile(_: Privilege) -> Result<(), Skipped> {
    let bench = Bench::new();
    let key = "/settings/0/key";
    let texts = [
        ("/id", json!("../../../../tmp/x")),
        ("/id", json!("a/b")),
        ("/id", json!("")),
        ("/id", json!(".")),
        ("/id", json!("x".repeat(65))),
        // Somebody else's file would be written when it is saved.
        ("/id", json!(format!("{ODD}2"))),
        (key, json!("net.ipv4.ip_forward")),
        (key, json!("../../../../etc/passwd")),
        (key, json!("net.ipv4.\u{1b}[31mred")),
        ("/settings/0/before", json!({"hex": "0g"})),
        ("/settings/0/before", json!({"hex": "\u{e9}1"})),
        ("/settings/0/after", json!({"else": "1"})),
        ("/settings/0/after", json!(null)),
        ("/settings", json!({})),
        ("/file/path", json!("etc/sysctl.d/99-zz-dryport.conf")),
        ("/file/path", json!("")),
        ("/file/before", json!({"hex": "zz"})),
        ("/file/directories", json!(["relative/directory"])),
        // Not above the file: removed where it is empty.
        ("/file/directories", json!(["/tmp/of/somebody/else"])),
        ("/stage", json!("\u{1b}[2J")),
        ("/stage", json!("finished")),
        ("/place", json!(null)),
        ("/place/inode", json!(-1)),
        ("/version", json!(-1)),
        ("/version", json!("1")),
        ("/confirm_by_ms", json!(1e300)),
    ];
    for (pointer, value) in texts {
        bench.refuses(&bench.with(pointer, value), &["damaged"]);
    }
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"version": 1, "id": "{}"}}"#, "x".repeat(5 << 20));
    for bytes in [
        &b"null"[..],
        b"",
        b"\0\0\0\0",
        b"\xff\xfe{\0}\0",
        b"{}",
        b"[]",
        b"{\"version\": 1}",
        b"\x1b[2J\x1b]0;title\x07",
        deep.as_bytes(),
        long.as_bytes(),
    ] {
        bench.refuses(bytes, &["damaged"]);
    }
    let mut twice = bench.with("/id", ODD.into());
    twice.extend_from_within(..);
    bench.refuses(&twice, &["damaged"]);
    bench.goes_on();
    Ok(())
}

fn no_file(_: Privilege) -> Result<(), Skipped> {
    let bench = Bench::new();
    let journal = bench.world.journal();
    fs::create_dir(journal.join(format!("{ODD}.json"))).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        journal.join(format!("{ODD}1.json")),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    fs::write(journal.join("README"), "?").unwrap();
    fs::write(journal.join("x.json.bak"), "?").unwrap();
    bench.goes_on();
    Ok(())
}

fn copied(_: Privilege) -> Result<(), Skipped> {
    let bench = Bench::new();
    let original = bench.world.entries().remove(0);
    for name in ["00000000.json", "backup.json"] {
        let copy = bench.world.journal().join(name);
        fs::copy(&original, &copy).unwrap();
        let before = (bench.world.seen(), Tree::of(&bench.world.root()));
        bench.world.run(UNDO).is_refused(&[name, "damaged"]);
        assert_eq!((bench.world.seen(), Tree::of(&bench.world.root())), before);
        fs::remove_file(copy).unwrap();
    }
    // A link that leads nowhere is no entry.
    symlink("nowhere", bench.world.journal().join("x.json")).unwrap();
    bench.goes_on();
    Ok(())
}
