//! The release archive: one static binary that runs on a machine without Rust, its manual, its
//! completions, its licences and their checksums. The same commit gives the same bytes.

mod archive;
mod elf;
mod empty_root;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::workspace;
use archive::Entry;

/// The shells that get completions, and the name under which each looks for them.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "dryport.bash"),
    ("zsh", "_dryport"),
    ("fish", "dryport.fish"),
    ("powershell", "_dryport.ps1"),
    ("elvish", "dryport.elv"),
];

const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

#[derive(clap::Args)]
pub struct Options {
    /// Where the archive and its checksum go
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let metadata = workspace::metadata()?;
    let target = workspace::host_triple()?;
    let name = format!("dryport-{}-{target}", workspace::version(&metadata)?);
    let out = workspace::root().join(&options.out);
    let mtime = source_date()?;

    let binary = build(&target, metadata.target_directory.as_std_path())?;
    let bytes = read(&binary)?;
    elf::check_static(&bytes).map_err(|why| Failure::NotStatic {
        path: binary.clone(),
        why,
    })?;
    println!(
        "{name}: static, {} KiB, needs no interpreter and no library",
        bytes.len() / 1024
    );
    empty_root::run(&binary)?;

    let packed = archive::pack(&name, mtime, entries(&binary, bytes)?)?;
    fs::create_dir_all(&out).map_err(Failure::file("make", &out))?;
    let file = format!("{name}.tar.gz");
    write(&out.join(&file), &packed)?;
    let sums = format!("{}  {file}\n", hex(&Sha256::digest(&packed)));
    write(&out.join("SHA256SUMS"), sums.as_bytes())?;
    print!("{sums}");
    Ok(())
}

/// glibc links into a static position-independent binary. `--target` keeps the flag away from
/// build scripts and procedural macros, which must stay dynamic.
fn build(target: &str, target_directory: &Path) -> Result<PathBuf, Failure> {
    let mut cargo = workspace::cargo();
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "dryport",
            "--target",
            target,
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", flags().join("\u{1f}"))
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    workspace::run(&mut cargo)?;
    Ok(target_directory.join(target).join("release/dryport"))
}

/// The remapping keeps the builder's directories out of panic messages, so that two machines get
/// the same bytes.
fn flags() -> Vec<String> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    if let Some(cargo_home) = cargo_home {
        flags.push(format!(
            "--remap-path-prefix={}=/cargo",
            cargo_home.display()
        ));
    }
    flags.push(format!(
        "--remap-path-prefix={}=/dryport",
        workspace::root().display()
    ));
    flags
}

fn entries(binary: &Path, bytes: Vec<u8>) -> Result<Vec<Entry>, Failure> {
    let mut entries = vec![Entry {
        path: "dryport".into(),
        mode: 0o755,
        bytes,
    }];
    for document in DOCUMENTS {
        let bytes = read(&workspace::root().join(document))?;
        entries.push(Entry {
            path: document.into(),
            mode: 0o644,
            bytes,
        });
    }
    for (shell, file) in COMPLETIONS {
        let text = workspace::output(Command::new(binary).args(["completions", shell]))?;
        let path = format!("completions/{file}");
        entries.push(Entry {
            path,
            mode: 0o644,
            bytes: text.into_bytes(),
        });
    }
    entries.extend(manual(binary)?);
    Ok(entries)
}

fn manual(binary: &Path) -> Result<Vec<Entry>, Failure> {
    let directory = tempfile::tempdir().map_err(Failure::system("mkdtemp"))?;
    workspace::output(Command::new(binary).arg("man").arg(directory.path()))?;
    let listing = fs::read_dir(directory.path());
    let mut pages = Vec::new();
    for page in listing.map_err(Failure::file("list", directory.path()))? {
        let page = page.map_err(Failure::file("list", directory.path()))?;
        let path = format!("man/man1/{}", page.file_name().to_string_lossy());
        pages.push(Entry {
            path,
            mode: 0o644,
            bytes: read(&page.path())?,
        });
    }
    if pages.is_empty() {
        return Err(Failure::Answer {
            program: "dryport man DIR",
            said: "no page".into(),
        });
    }
    Ok(pages)
}

/// Seconds since 1970 that every file of the archive carries: `SOURCE_DATE_EPOCH`, else the last
/// commit's time.
fn source_date() -> Result<u64, Failure> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            git.current_dir(workspace::root())
                .args(["log", "-1", "--format=%ct"]);
            workspace::output(&mut git)?
        }
    };
    text.trim().parse().map_err(|_| Failure::SourceDate(text))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(Failure::file("read", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(Failure::file("write", path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
