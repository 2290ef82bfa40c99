//! The house stands on floors, and nothing reaches upwards. What ARCHITECTURE.md claims about the
//! crates is asked here of cargo and of the source files.
#![expect(
    clippy::unwrap_used,
    reason = "a file or an answer that is missing fails the test"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    /// Vocabulary, rules, readers of bytes and text: touches nothing.
    Pure,
    /// The operating system: the only floor with `unsafe` and `cfg(target_os)`.
    System,
    /// Features built on the two below.
    Feature,
    /// What a person or a program sees. Faces do not know each other.
    Face,
    /// Puts it all together: the binary and the chores.
    Roof,
}

use Floor::{Face, Feature, Pure, Roof, System};

/// Every crate has its floor here, also those that are planned.
const FLOORS: [(&str, Floor); 14] = [
    ("dryport-model", Pure),
    ("dryport-wire", Pure),
    ("dryport-host", System),
    ("dryport-bpf", System),
    ("dryport-tune", System),
    ("dryport-history", System),
    ("dryport-lab", Feature),
    ("dryport-watch", Feature),
    ("dryport-fix", Feature),
    ("dryport-report", Face),
    ("dryport-tui", Face),
    ("dryport-daemon", Face),
    ("dryport", Roof),
    ("xtask", Roof),
];

/// What floor 0 may lean on: each works without an operating system.
const PURE_PARTS: [&str; 6] = [
    "aho-corasick",
    "foldhash",
    "hashbrown",
    "memchr",
    "thiserror",
    "zerocopy",
];

const SYSTEM_WORDS: [&str; 2] = ["unsafe", "target_os"];

/// Where `unsafe` and `cfg(target_os)` may stand: the floor of the system, and the lab, which
/// changes namespaces.
fn may_touch_the_system(name: &str) -> bool {
    name == "dryport-lab" || floor(name) == Some(System)
}

#[test]
fn every_crate_has_a_floor() {
    let homeless: Vec<_> = house()
        .into_iter()
        .filter(|member| floor(&member.name).is_none())
        .collect();
    assert!(
        homeless.is_empty(),
        "give these a floor in FLOORS: {:?}",
        names(&homeless)
    );
}

#[test]
fn no_crate_imports_a_higher_floor() {
    let mut complaints = String::new();
    for (upper, lower, kind) in imports() {
        let (Some(from), Some(to)) = (floor(&upper), floor(&lower)) else {
            continue;
        };
        // A face may play scenarios in the lab, but that is downwards anyway: tests are no excuse.
        if to > from {
            let _ = writeln!(
                complaints,
                "{upper} ({from:?}) imports {lower} ({to:?}), {kind}"
            );
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn faces_do_not_import_each_other_and_nobody_imports_the_roof() {
    let mut complaints = String::new();
    for (upper, lower, kind) in imports() {
        let both_faces = floor(&upper) == Some(Face) && floor(&lower) == Some(Face);
        if both_faces || floor(&lower) == Some(Roof) {
            let _ = writeln!(complaints, "{upper} imports {lower}, {kind}");
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn only_the_roof_and_tests_import_the_lab() {
    let normal = imports()
        .into_iter()
        .filter(|(_, lower, kind)| lower == "dryport-lab" && *kind == DependencyKind::Normal);
    let users: Vec<_> = normal.map(|(upper, ..)| upper).collect();
    let strangers: Vec<_> = users
        .iter()
        .filter(|name| !matches!(floor(name), Some(Roof | Feature)))
        .collect();
    assert!(
        strangers.is_empty(),
        "{strangers:?} need the lab outside their tests"
    );
}

#[test]
fn the_pure_floor_leans_on_pure_parts_only() {
    let mut complaints = String::new();
    for member in house()
        .iter()
        .filter(|member| floor(&member.name) == Some(Pure))
    {
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            let pure = PURE_PARTS.contains(&name) || floor(name) == Some(Pure);
            if dependency.kind != DependencyKind::Development && !pure {
                let _ = writeln!(complaints, "{} depends on {name}", member.name);
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Without `std` there is no file, clock, socket or environment to touch: the compiler holds it.
#[test]
fn the_pure_floor_has_no_std_and_no_unsafe() {
    for member in house()
        .iter()
        .filter(|member| floor(&member.name) == Some(Pure))
    {
        let root = fs::read_to_string(member.directory.join("src/lib.rs")).unwrap();
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            let has = root.lines().any(|line| line.trim() == attribute);
            assert!(has, "{}: lib.rs lacks {attribute}", member.name);
        }
        for (path, text) in sources(&member.directory) {
            assert!(
                only_tests_take_std(&text),
                "{}: std outside of tests",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_floor_of_the_system_knows_which_system_it_is() {
    let mut complaints = String::new();
    for member in house()
        .iter()
        .filter(|member| !may_touch_the_system(&member.name))
    {
        for (path, text) in sources(&member.directory) {
            for word in system_words(&text) {
                let _ = writeln!(complaints, "{} holds {word}", path.display());
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn the_search_for_system_words_finds_them_in_code_alone() {
    let unsafe_block = format!("let a = {} {{ b() }};", "unsafe");
    assert_eq!(system_words(&unsafe_block), ["unsafe"]);
    let gate = format!("#[cfg(any(test, {}_os = \"linux\"))]", "target");
    assert_eq!(system_words(&gate), ["target_os"]);
    assert_eq!(system_words("// unsafe in words"), Vec::<&str>::new());
    assert_eq!(system_words("#![forbid(unsafe_code)]"), Vec::<&str>::new());
    assert_eq!(
        system_words("let s = \"an unsafe setting\";"),
        Vec::<&str>::new()
    );
}

#[test]
fn std_is_seen_unless_a_test_takes_it() {
    assert!(only_tests_take_std("#[cfg(test)]\nextern crate std;\n"));
    assert!(only_tests_take_std("extern crate alloc;\n"));
    assert!(!only_tests_take_std("extern crate std;\n"));
    assert!(!only_tests_take_std("#[cfg(unix)]\nextern crate std;\n"));
}

/// Users have no clang: what they build is what stands in `objects`. Whether its bytes are right is
/// what `cargo xtask bpf --check` asks.
#[test]
fn every_bpf_program_has_its_object_and_no_other_object_is_there() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("dryport-bpf");
    let sources = file_names(&home.join("bpf")).into_iter();
    let programs = sources.filter_map(|name| Some(name.strip_suffix(".bpf.c")?.to_owned()));
    let mut wanted: Vec<_> = programs.map(|name| format!("{name}.bpf.o")).collect();
    assert!(!wanted.is_empty(), "no source");
    wanted.push("CLANG".to_owned());
    wanted.sort();
    assert_eq!(file_names(&home.join("objects")), wanted);
}

fn file_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A crate of this workspace.
struct Member {
    name: String,
    directory: PathBuf,
    dependencies: Vec<cargo_metadata::Dependency>,
}

fn house() -> Vec<Member> {
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    metadata.packages.into_iter().map(member).collect()
}

fn member(package: Package) -> Member {
    let directory = package.manifest_path.parent().unwrap().into();
    Member {
        name: package.name.to_string(),
        directory,
        dependencies: package.dependencies,
    }
}

/// Who imports whom inside the house: normal, build and test dependencies.
fn imports() -> Vec<(String, String, DependencyKind)> {
    let house = house();
    let members: BTreeMap<_, _> = house
        .iter()
        .map(|member| (member.name.as_str(), &member.dependencies))
        .collect();
    let mut imports = Vec::new();
    for (name, dependencies) in &members {
        for dependency in *dependencies {
            if members.contains_key(dependency.name.as_str()) {
                imports.push(((*name).to_owned(), dependency.name.clone(), dependency.kind));
            }
        }
    }
    assert!(
        !imports.is_empty(),
        "cargo metadata told of no import at all"
    );
    imports
}

fn floor(name: &str) -> Option<Floor> {
    FLOORS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, floor)| *floor)
}

fn names(members: &[Member]) -> Vec<&str> {
    members.iter().map(|member| member.name.as_str()).collect()
}

/// Every Rust file of a crate, its tests and benches as well.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn only_tests_take_std(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().all(|(at, line)| {
        !line.starts_with("extern crate std") || (at > 0 && lines[at - 1] == "#[cfg(test)]")
    })
}

/// Which of the words that belong to the floor of the system stand in the code of a file. Comments
/// and quoted text may name them; a raw string over several lines would fool this, and no file
/// needs one.
fn system_words(text: &str) -> Vec<&'static str> {
    let mut words = Vec::new();
    for line in text.lines() {
        let unquoted = without_quotes(line);
        let code = unquoted.split("//").next().unwrap_or_default();
        // A word with a dash is no word of Rust: it stands in a string of several lines.
        let tokens = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
        words.extend(tokens.filter_map(|token| SYSTEM_WORDS.iter().find(|word| **word == token)));
    }
    words
}

fn without_quotes(line: &str) -> String {
    let line = line.replace("\\\"", "").replace("'\"'", "");
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}
