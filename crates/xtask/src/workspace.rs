//! What the chores ask of cargo and of the machine: where things are, building the binary, and
//! running programs.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use cargo_metadata::{Metadata, MetadataCommand};

use crate::failure::Failure;

/// The workspace as `cargo metadata` tells it, without the dependencies.
pub fn metadata() -> Result<Metadata, Failure> {
    Ok(MetadataCommand::new()
        .manifest_path(manifest())
        .no_deps()
        .exec()?)
}

/// The version of the package that users install.
pub fn version(metadata: &Metadata) -> Result<String, Failure> {
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "dryport");
    package
        .map(|package| package.version.to_string())
        .ok_or(Failure::NoPackage("dryport"))
}

/// `x86_64-unknown-linux-gnu` and the like: what this machine's compiler builds for itself.
pub fn host_triple() -> Result<String, Failure> {
    let said = output(Command::new(rustc()).arg("-vV"))?;
    let line = said.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or(Failure::Answer {
        program: "rustc -vV",
        said,
    })
}

/// Builds the program of a package as users get `dryport` from `cargo build --release`, and tells
/// where it is.
pub fn build_release(metadata: &Metadata, package: &str) -> Result<PathBuf, Failure> {
    let mut cargo = cargo();
    run(cargo.args(["build", "--release", "--locked", "--package", package]))?;
    Ok(metadata
        .target_directory
        .join("release")
        .join(package)
        .into())
}

/// `cargo` in the root of the workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs a program with its output shown.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command
        .status()
        .map_err(|source| start_failure(command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Program {
        command: format!("{command:?}"),
        status: status.to_string(),
        stderr: String::new(),
    })
}

/// Runs a program and takes what it prints on stdout.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let output = capture(command)?;
    if !output.status.success() {
        return Err(Failure::Program {
            command: format!("{command:?}"),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program and takes all that it prints and how it ended.
pub fn capture(command: &mut Command) -> Result<Output, Failure> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| start_failure(command, source))
}

/// Does `DRYPORT_REQUIRE` say that `what` may not be skipped?
pub fn required(what: &str) -> bool {
    let named = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    named.split([',', ' ']).any(|word| word == what)
}

/// The directory that holds the workspace. `cargo run` says it anew each time; two checkouts that
/// share a target directory may share the binary as well.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().nth(2).map(PathBuf::from).unwrap_or(here)
}

fn manifest() -> PathBuf {
    root().join("Cargo.toml")
}

fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn start_failure(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}
