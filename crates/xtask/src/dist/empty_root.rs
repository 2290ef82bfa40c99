//! The proof that the binary runs on a machine without Rust and without a C library: it is run in
//! a root directory that holds nothing but itself and `/proc`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::workspace;

/// The exit codes that say a verdict was given: ok, warning, critical.
const VERDICTS: std::ops::RangeInclusive<i32> = 0..=2;

/// Runs the binary there, or says SKIPPED and why.
pub fn run(binary: &Path) -> Result<(), Failure> {
    let root = tempfile::tempdir().map_err(Failure::system("mkdtemp"))?;
    let copy = root.path().join("dryport");
    fs::copy(binary, &copy).map_err(Failure::file("copy to", &copy))?;
    let proc = root.path().join("proc");
    fs::create_dir(&proc).map_err(Failure::file("make", &proc))?;

    if let Err(why) = permitted() {
        println!("empty root: SKIPPED: {why}");
        return if workspace::required("netns") {
            Err(Failure::Required("netns", why))
        } else {
            Ok(())
        };
    }
    let version = enter(root.path(), &["--version"])?;
    if version.code != Some(0) {
        return Err(Failure::EmptyRoot(format!("--version: {version}")));
    }
    let check = enter(root.path(), &["check", "--json"])?;
    if !check.code.is_some_and(|code| VERDICTS.contains(&code)) {
        return Err(Failure::EmptyRoot(format!("check --json: {check}")));
    }
    println!("empty root: runs there: {}", version.stdout.trim());
    Ok(())
}

/// Whether this user may make the namespaces, asked with a program that surely runs.
fn permitted() -> Result<(), String> {
    let mut unshare = Command::new("unshare");
    unshare.args(NAMESPACES).arg("true");
    workspace::output(&mut unshare)
        .map(drop)
        .map_err(|failure| failure.to_string())
}

const NAMESPACES: [&str; 6] = [
    "--user",
    "--map-root-user",
    "--mount",
    "--pid",
    "--fork",
    "--mount-proc",
];

struct Ending {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {:?}: {}{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// `unshare` changes the root first and mounts `/proc` then, inside it.
fn enter(root: &Path, arguments: &[&str]) -> Result<Ending, Failure> {
    let mut unshare = Command::new("unshare");
    unshare
        .args(NAMESPACES)
        .arg("--root")
        .arg(root)
        .arg("/dryport")
        .args(arguments);
    unshare
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = workspace::capture(&mut unshare)?;
    Ok(Ending {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
