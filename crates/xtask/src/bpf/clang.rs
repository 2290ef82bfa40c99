//! Which clang and which `llvm-strip` this machine has, and what is asked of them.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::workspace;

/// `bpfel`: the bytes do not depend on the byte order of the builder. The kernel knows `v3` (32-bit
/// jumps) since 5.1. `-nostdinc`: kernel.h is all that the programs know of the kernel.
///
/// `-g` makes BTF, whose line table holds the name and the text of every source line. The text is
/// read from the named file, so the name must lead there from the working directory; a prefix that
/// is mapped to some other place would leave the text out.
const FLAGS: [&str; 10] = [
    "--target=bpfel",
    "-mcpu=v3",
    "-O2",
    "-g",
    "-ffile-compilation-dir=.",
    "-nostdinc",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-c",
];

/// A clang and an `llvm-strip` of the same major version, under the names that start them.
pub struct Clang {
    clang: String,
    strip: String,
    pub version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub major: u32,
    /// All that the program says of its version: `Debian clang version 14.0.6`.
    pub line: String,
}

impl Version {
    /// The first line of `text` that tells a version.
    pub fn parse(text: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let (_, number) = line.split_once("version ")?;
            let major = number.split('.').next()?.parse().ok()?;
            let line = line.trim().to_owned();
            Some(Self { major, line })
        })
    }
}

impl Clang {
    /// The clang that made the objects where there is one, else the one that this machine prefers.
    pub fn find(recorded: Option<&Version>) -> Result<Self, Failure> {
        let wanted = recorded.map(|version| version.major);
        let installed = ask("clang", wanted)?;
        let (clang, version) = choose(installed, wanted).ok_or(Failure::NoClang("clang"))?;
        let installed = ask("llvm-strip", Some(version.major))?;
        match choose(installed, Some(version.major)) {
            Some((strip, its)) if its.major == version.major => Ok(Self {
                clang,
                strip,
                version,
            }),
            Some((_, its)) => Err(Failure::UnlikeClang {
                clang: version.line,
                strip: its.line,
            }),
            None => Err(Failure::NoClang("llvm-strip")),
        }
    }

    /// Runs in `directory`, whose place leaves no trace in the object.
    pub fn compile(&self, directory: &Path, source: &str, object: &Path) -> Result<(), Failure> {
        let mut clang = Command::new(&self.clang);
        clang.current_dir(directory).args(FLAGS).arg(source);
        workspace::output(clang.arg("-o").arg(object))?;
        // Takes DWARF away and leaves BTF.
        workspace::output(Command::new(&self.strip).arg("-g").arg(object))?;
        Ok(())
    }
}

/// Name and version of what is installed: `clang` before `clang-14`.
fn ask(program: &str, major: Option<u32>) -> Result<Vec<(String, Version)>, Failure> {
    let suffixed = major.map(|major| format!("{program}-{major}"));
    let names = [program.to_owned()].into_iter().chain(suffixed);
    let mut installed = Vec::new();
    for name in names {
        match workspace::output(Command::new(&name).arg("--version")) {
            Ok(said) => match Version::parse(&said) {
                Some(version) => installed.push((name, version)),
                None => return Err(Failure::NoVersion { name, said }),
            },
            Err(Failure::Start { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(installed)
}

/// The first of the wanted major version, else the first.
fn choose(mut installed: Vec<(String, Version)>, wanted: Option<u32>) -> Option<(String, Version)> {
    let fits = |(_, version): &(String, Version)| Some(version.major) == wanted;
    let at = installed.iter().position(fits).unwrap_or(0);
    (at < installed.len()).then(|| installed.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(line: &str) -> Version {
        Version::parse(line).unwrap()
    }

    #[test]
    fn the_major_version_is_read_from_what_each_program_says() {
        assert_eq!(version("Debian clang version 14.0.6").major, 14);
        assert_eq!(
            version("Ubuntu clang version 18.1.3 (1ubuntu1)\nTarget: x\n").major,
            18
        );
        let strip = version("llvm-strip, compatible with GNU strip\nDebian LLVM version 14.0.6\n");
        assert_eq!(
            (strip.major, &*strip.line),
            (14, "Debian LLVM version 14.0.6")
        );
        assert_eq!(Version::parse("clang version next"), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn the_clang_that_made_the_objects_goes_before_the_plain_name() {
        let plain = ("clang".to_owned(), version("clang version 19.1.7"));
        let old = ("clang-14".to_owned(), version("clang version 14.0.6"));
        let both = vec![plain.clone(), old.clone()];
        assert_eq!(choose(both.clone(), Some(14)), Some(old));
        assert_eq!(choose(both.clone(), None), Some(plain.clone()));
        assert_eq!(choose(both, Some(16)), Some(plain));
        assert_eq!(choose(Vec::new(), Some(14)), None);
    }
}
