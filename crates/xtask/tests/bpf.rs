//! `cargo xtask bpf` on copies of `crates/dryport-bpf`. Without clang these say SKIPPED, and fail
//! where `DRYPORT_REQUIRE` names `clang`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a file that is missing fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const ADDED: &str = "\nint added(void) { return 1; }\n";

#[test]
fn a_changed_program_fails_the_check_until_it_is_made_anew() {
    let Some(copy) = Copy::made() else { return };
    assert_eq!(copy.xtask(&["--check"]), Ok(()));

    copy.append("bpf/sockets.bpf.c", ADDED);
    let said = copy.complaint();
    assert!(said.contains("objects/sockets.bpf.o: differs"), "{said}");
    assert!(said.contains("(run cargo xtask bpf)"), "{said}");
    assert!(!said.contains("holders"), "{said}");

    assert_eq!(copy.xtask(&[]), Ok(()));
    assert_eq!(copy.xtask(&["--check"]), Ok(()));
}

#[test]
fn a_changed_record_fails_the_check() {
    let Some(copy) = Copy::made() else { return };
    copy.append("src/record.rs", "\n");
    let said = copy.complaint();
    assert!(said.contains("src/record.rs: differs"), "{said}");
    assert!(!said.contains("objects/"), "{said}");
}

#[test]
fn what_is_missing_and_what_is_too_much_is_told_by_name() {
    let Some(copy) = Copy::made() else { return };
    fs::remove_file(copy.path("objects/sockets.bpf.o")).unwrap();
    fs::remove_file(copy.path("src/record.rs")).unwrap();
    fs::write(copy.path("objects/old.bpf.o"), "").unwrap();
    fs::write(copy.path("objects/notes"), "").unwrap();
    let said = copy.complaint();
    for line in [
        "objects/sockets.bpf.o: missing",
        "src/record.rs: missing",
        "objects/old.bpf.o: no source has this name",
        "objects/notes: neither an object nor CLANG; remove it",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }

    assert_eq!(copy.xtask(&[]), Ok(()));
    assert!(!copy.path("objects/old.bpf.o").exists());
    assert!(copy.path("objects/notes").exists());
}

#[test]
fn a_source_that_does_not_compile_changes_nothing() {
    let Some(copy) = Copy::made() else { return };
    let before = copy.files();
    copy.append("bpf/sockets.bpf.c", "\nint unfinished(\n");
    let said = copy.xtask(&[]).unwrap_err();
    assert!(said.contains("sockets.bpf.c:"), "{said}");
    assert_eq!(copy.files(), before);
}

#[test]
fn a_header_that_is_not_understood_is_told_with_its_line_and_changes_nothing() {
    let Some(copy) = Copy::made() else { return };
    let before = copy.files();
    let header = fs::read_to_string(copy.path("bpf/record.h")).unwrap();
    let line = header.lines().count();
    let header = header.replace("#endif", "union odd { int x; };\n#endif");
    fs::write(copy.path("bpf/record.h"), header).unwrap();
    let said = copy.xtask(&[]).unwrap_err();
    let wanted = format!("crates/dryport-bpf/bpf/record.h:{line}: union where");
    assert!(said.contains(&wanted), "{said}");
    assert_eq!(copy.files(), before);
}

#[test]
fn the_directory_leaves_no_trace_in_the_objects() {
    let Some(copy) = Copy::made() else { return };
    let Some(another) = Copy::made() else { return };
    assert_ne!(copy.home(), another.home());
    assert_eq!(copy.files(), another.files());
}

#[test]
fn objects_of_another_clang_are_not_compared() {
    let Some(copy) = Copy::made() else { return };
    // Older than its way to BPF: nobody has it installed.
    fs::write(copy.path("objects/CLANG"), "Debian clang version 3.0.1\n").unwrap();
    copy.append("bpf/sockets.bpf.c", ADDED);
    let said = copy.complaint();
    assert!(said.contains("made by clang 3, and here is "), "{said}");
    assert!(said.contains("apt install clang-3 llvm-3"), "{said}");
    assert!(said.contains("cargo xtask bpf"), "{said}");

    assert_eq!(copy.xtask(&[]), Ok(()));
    assert_eq!(copy.xtask(&["--check"]), Ok(()));
}

#[test]
fn a_version_that_nobody_can_read_is_told() {
    let Some(copy) = Copy::made() else { return };
    fs::write(copy.path("objects/CLANG"), "\u{fffd}\n").unwrap();
    let said = copy.complaint();
    assert!(said.contains("objects/CLANG: names no version"), "{said}");
}

#[test]
fn without_clang_the_packages_are_named() {
    let copy = Copy::new();
    let empty = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["--check"]] {
        let output = copy.command(arguments).env("PATH", empty.path()).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(said.contains("needs clang"), "{said}");
        assert!(said.contains("apt install clang llvm"), "{said}");
    }
}

/// A copy of the crate where the workspace of a checkout would have it.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("dryport-bpf");
        fs::create_dir_all(copy.path("bpf")).unwrap();
        for entry in fs::read_dir(original.join("bpf")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path("bpf").join(entry.file_name())).unwrap();
        }
        copy
    }

    /// With its objects. `None` where there is no clang, which is said.
    fn made() -> Option<Self> {
        let copy = Self::new();
        match copy.xtask(&[]) {
            Ok(()) => Some(copy),
            Err(why) if why.contains("which is not installed") => {
                skip("clang", &why);
                None
            }
            Err(why) => panic!("{why}"),
        }
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("crates/dryport-bpf")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let before = fs::read_to_string(self.path(name)).unwrap();
        fs::write(self.path(name), before + text).unwrap();
    }

    /// All that was made.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let objects = fs::read_dir(self.path("objects")).unwrap();
        let mut paths: Vec<_> = objects.map(|entry| entry.unwrap().path()).collect();
        paths.push(self.path("src/record.rs"));
        let files = paths.into_iter().map(|path| {
            let name = path.strip_prefix(self.home()).unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        files.collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        // The workspace is found from here, as `cargo run` tells it.
        xtask.env("CARGO_MANIFEST_DIR", self.0.path().join("crates/xtask"));
        xtask.arg("bpf").args(arguments);
        xtask
    }

    /// What it says on stderr when it fails.
    fn xtask(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.command(arguments).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn complaint(&self) -> String {
        self.xtask(&["--check"]).unwrap_err()
    }
}

fn skip(needed: &str, why: &str) {
    eprintln!("SKIPPED: {why}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    if required.split([',', ' ']).any(|word| word == needed) {
        panic!("SKIPPED ({why}), but DRYPORT_REQUIRE names {needed}");
    }
}
