//! `dryport explain` on files of its own: a million rows of `netstat`, and a log of a gigabyte
//! beside `grep`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Bench, Run};
use crate::failure::Failure;

/// What `grep` looks for, and what `explain` must find.
const MESSAGE: &str = "cannot assign requested address";
/// Peak memory may differ by this much between a log and one ten times as long.
const CONSTANT_MIB: f64 = 2.0;

impl Bench {
    /// Rows, and lines of a log.
    pub(super) fn explain(&mut self) -> Result<(), Failure> {
        let directory = tempfile::tempdir().map_err(Failure::file("make", Path::new("a file")))?;
        let (rows, bytes) = match self.smoke {
            true => (10_000, 10_000_000),
            false => (1_000_000, 1_000_000_000),
        };
        self.netstat(&netstat(directory.path(), rows)?, rows)?;
        let short = log(directory.path(), "short", bytes / 10)?;
        let long = log(directory.path(), "long", bytes)?;
        self.log(&short, &long, bytes)
    }

    fn netstat(&mut self, file: &Path, rows: u32) -> Result<(), Failure> {
        let size = size(file)?;
        self.table
            .state(&format!("netstat -ano, {rows} rows, {size}"));
        let [figures] = self.interleaved([self.explaining("explain", file)])?;
        self.table
            .at_most("explain, wall, s", figures.wall.as_secs_f64(), 1.0);
        self.table
            .at_most("peak memory, MiB", mib(figures.peak_kib), 128.0);
        Ok(())
    }

    fn log(&mut self, short: &Path, long: &Path, bytes: u64) -> Result<(), Failure> {
        let megabytes = bytes / 1_000_000;
        self.table.state(&format!(
            "a log of {megabytes} MB, one line in 20,000 of interest"
        ));
        let file = long.display().to_string();
        // It stops at the first match where its output goes to /dev/null.
        let count = long.with_extension("count").display().to_string();
        let script = "exec grep -c \"$0\" \"$1\" > \"$2\"";
        let grep = Run::new(
            "sh",
            "grep -c",
            &["-c", script, MESSAGE, &file, &count],
            self.runs,
        );
        let plans = [
            self.explaining("explain", long),
            grep,
            self.explaining("explain, a tenth of it", short),
        ];
        let [explain, grep, tenth] = self.interleaved(plans)?;
        self.table.at_least(
            "speed of explain / speed of grep -c",
            grep.ratio(&explain),
            0.5,
        );
        let more = mib(explain.peak_kib) - mib(tenth.peak_kib);
        self.table
            .at_most("more memory than for a tenth, MiB", more, CONSTANT_MIB);
        Ok(())
    }

    fn explaining(&self, name: &'static str, file: &Path) -> Run {
        let file = file.display().to_string();
        Run::new(
            &self.dryport,
            name,
            &["explain", "--quiet", &file],
            self.runs,
        )
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn size(file: &Path) -> Result<String, Failure> {
    let size = file
        .metadata()
        .map_err(Failure::file("look at", file))?
        .len();
    Ok(format!("{} MB", size / 1_000_000))
}

/// A table of Windows: every port of the default range to one destination after another.
fn netstat(directory: &Path, rows: u32) -> Result<PathBuf, Failure> {
    write(directory, "netstat", |out| {
        write!(
            out,
            "\r\nActive Connections\r\n\r\n  Proto  Local Address          Foreign Address        \
             State           PID\r\n"
        )?;
        for row in 0..rows {
            let local = format!("192.0.2.10:{}", 49_152 + row % 16_384);
            let remote = format!("198.51.100.{}:443", row / 16_384 % 250 + 1);
            let (state, pid) = match row % 3 {
                0 => ("ESTABLISHED", 1000 + row % 300),
                1 => ("TIME_WAIT", 0),
                _ => ("CLOSE_WAIT", 1000 + row % 300),
            };
            write!(
                out,
                "  TCP    {local:<22} {remote:<22} {state:<15} {pid}\r\n"
            )?;
        }
        Ok(())
    })
}

/// A log as services write it: about 130 bytes a line, with one message among 20,000 lines.
fn log(directory: &Path, name: &str, bytes: u64) -> Result<PathBuf, Failure> {
    const LINES: u32 = 20_000;
    let mut block = String::new();
    for line in 0..LINES {
        let (minute, second) = (line / 60 % 60, line % 60);
        let _ = if line == 777 {
            writeln!(
                block,
                "2026-11-24T10:12:57.777Z ERROR [worker-3] dial tcp 10.0.0.5:6379: connect: {MESSAGE}"
            )
        } else {
            writeln!(
                block,
                "2026-11-24T10:{minute:02}:{second:02}.{:03}Z INFO  [worker-{}] com.example.app.Handler - \
                 request {} completed status=200 bytes={} took={}ms host=10.0.{}.{}",
                line % 1000,
                line % 16,
                line.wrapping_mul(2_654_435_761) % 1_000_000_000,
                line * 37 % 90_000,
                line % 900,
                line % 250,
                line / 7 % 200
            )
        };
    }
    write(directory, name, |out| {
        let mut written = 0;
        while written < bytes {
            out.write_all(block.as_bytes())?;
            written += block.len() as u64;
        }
        Ok(())
    })
}

fn write(
    directory: &Path,
    name: &str,
    content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<PathBuf, Failure> {
    let path = directory.join(name);
    let failed = |source| Failure::file("write", &path)(source);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(failed)?);
    content(&mut out)
        .and_then(|()| out.flush())
        .map_err(failed)?;
    Ok(path)
}
