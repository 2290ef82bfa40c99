//! `crates/dryport-bpf`: the committed objects of the BPF programs and `record.h` in Rust, made
//! from `bpf/`, and the check that they are what the sources say. Users need no clang that way.

mod clang;
mod header;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::failure::Failure;
use crate::workspace;
use clang::{Clang, Version};

#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail when an object or record.rs is not what the sources say
    #[arg(long)]
    check: bool,
}

const HOME: &str = "crates/dryport-bpf";
const HEADER: &str = "bpf/record.h";
const RECORD: &str = "src/record.rs";
/// First line of `clang --version` of the clang that made the objects. They do not say it
/// themselves, and another major version makes other bytes of the same source.
const MADE_BY: &str = "objects/CLANG";

pub fn run(options: &Options) -> Result<(), Failure> {
    let home = workspace::root().join(HOME);
    let recorded = recorded(&home)?;
    let clang = Clang::find(recorded.as_ref())?;
    if options.check {
        return check(&home, recorded.as_ref(), &clang);
    }
    write(&home, &make(&home, &clang)?)
}

/// `None` where the file is missing or names no version: `differences` tells that.
fn recorded(home: &Path) -> Result<Option<Version>, Failure> {
    let bytes = read_if_there(&home.join(MADE_BY))?;
    Ok(bytes.and_then(|bytes| Version::parse(&String::from_utf8_lossy(&bytes))))
}

fn check(home: &Path, recorded: Option<&Version>, clang: &Clang) -> Result<(), Failure> {
    if let Some(recorded) = recorded
        && recorded.major != clang.version.major
    {
        return Err(Failure::OtherClang {
            recorded: recorded.major,
            found: clang.version.line.clone(),
        });
    }
    let made = make(home, clang)?;
    let mut stale = differences(home, recorded, &made)?;
    if stale.is_empty() {
        println!("{HOME}: {} files, all as the sources say", made.len());
        return Ok(());
    }
    if let Some(recorded) = recorded
        && *recorded != clang.version
    {
        let (then, now) = (&recorded.line, &clang.version.line);
        stale.push(format!("(made by {then}; compared with {now})"));
    }
    Err(Failure::StaleBpf(stale))
}

/// Path below the crate, and what must stand there.
type Made = BTreeMap<String, Vec<u8>>;

fn make(home: &Path, clang: &Clang) -> Result<Made, Failure> {
    let directory = home.join("bpf");
    let scratch = tempfile::tempdir().map_err(Failure::system("mkdtemp"))?;
    let mut made = Made::new();
    for name in programs(&directory)? {
        let object = scratch.path().join(format!("{name}.bpf.o"));
        clang.compile(&directory, &format!("{name}.bpf.c"), &object)?;
        let bytes = fs::read(&object).map_err(Failure::file("read", &object))?;
        made.insert(format!("objects/{name}.bpf.o"), bytes);
    }
    let line = format!("{}\n", clang.version.line);
    made.insert(MADE_BY.to_owned(), line.into_bytes());
    made.insert(RECORD.to_owned(), record(home)?.into_bytes());
    Ok(made)
}

/// The sources, without `.bpf.c`.
fn programs(directory: &Path) -> Result<Vec<String>, Failure> {
    let names = names(directory)?.into_iter();
    let programs: Vec<_> = names
        .filter_map(|name| name.strip_suffix(".bpf.c").map(str::to_owned))
        .collect();
    if programs.is_empty() {
        return Err(Failure::NoSource(directory.to_owned()));
    }
    Ok(programs)
}

fn record(home: &Path) -> Result<String, Failure> {
    let path = home.join(HEADER);
    let text = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
    let header = header::parse(&text).map_err(|trouble| Failure::Header {
        path: format!("{HOME}/{HEADER}"),
        line: trouble.line,
        what: trouble.what,
    })?;
    Ok(record::write(&header))
}

fn write(home: &Path, made: &Made) -> Result<(), Failure> {
    for (name, bytes) in made {
        let path = home.join(name);
        let directory = path.parent().unwrap_or(home);
        fs::create_dir_all(directory).map_err(Failure::file("make", directory))?;
        fs::write(&path, bytes).map_err(Failure::file("write", &path))?;
        println!("{HOME}/{name}");
    }
    // What else stands there was not made here, so it is left to whoever put it there.
    for name in left_over(home, made)?.filter(|name| name.ends_with(".o")) {
        let path = home.join(&name);
        fs::remove_file(&path).map_err(Failure::file("remove", &path))?;
        println!("{HOME}/{name} removed");
    }
    Ok(())
}

fn differences(
    home: &Path,
    recorded: Option<&Version>,
    made: &Made,
) -> Result<Vec<String>, Failure> {
    let mut stale = Vec::new();
    for (name, bytes) in made {
        match read_if_there(&home.join(name))? {
            None => stale.push(format!("{name}: missing")),
            // The same bytes may come from another minor version: it need not be the same line.
            Some(_) if name == MADE_BY && recorded.is_some() => {}
            Some(_) if name == MADE_BY => stale.push(format!("{name}: names no version of clang")),
            Some(found) if found == *bytes => {}
            Some(_) => stale.push(format!("{name}: differs")),
        }
    }
    let left_over = left_over(home, made)?;
    stale.extend(left_over.map(|name| match name.ends_with(".o") {
        true => format!("{name}: no source has this name"),
        false => format!("{name}: neither an object nor CLANG; remove it"),
    }));
    Ok(stale)
}

/// What stands in `objects` and comes from no source.
fn left_over(home: &Path, made: &Made) -> Result<impl Iterator<Item = String>, Failure> {
    let names = names(&home.join("objects"))?.into_iter();
    Ok(names
        .map(|name| format!("objects/{name}"))
        .filter(|name| !made.contains_key(name)))
}

fn names(directory: &Path) -> Result<BTreeSet<String>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Failure::file("list", directory)(error)),
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()
        .map_err(Failure::file("list", directory))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("read", path)(error)),
    }
}

#[cfg(test)]
mod tests;
