//! `dryport collect`: one text with everything that `dryport explain` can use, for another machine
//! or another person. It is laid out as the usual programs do, so it needs no reader of its own.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use dryport_wire::procfs::printable;

use crate::args::CollectArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;

mod file;
mod sockets;
mod system;

/// What stands above everything, for the one who looks through it before it is sent. No line of it
/// may look like a capture, hence the marks.
const HEAD: &str = "\
# Collected by dryport, for `dryport explain`: why do the TCP and UDP ports of a machine run out?
#
# It holds: the kernel's release; some settings of its network, each by name; counts of sockets;
# and every TCP and UDP socket of one network namespace, with the IP addresses and ports of both
# ends, its state, and the id and the short name of the processes that hold it.
# It does not hold: the machine's name, names of users, environment variables, arguments of
# commands, the content of any connection, or any other file.
#
# This is plain text: look through it before you send it, and replace what nobody is to see.
# If an address is replaced, let it be by the same one everywhere.
";

/// Answers the command.
pub fn run(args: &CollectArgs, output: &Output) -> Result<Exit, Failure> {
    refuse(output)?;
    let file = args.output.as_deref();
    let Some(path) = file.filter(|path| path.as_os_str() != OsStr::new("-")) else {
        let (text, _) = collect(args)?;
        output.write(|out| out.write_all(&text))?;
        return Ok(Exit::Ok);
    };
    // Known before the work as well: nobody waits for a failure.
    file::refuse_existing(path).map_err(|error| named(path, error))?;
    let (text, sockets) = collect(args)?;
    file::create(path, &text).map_err(|error| named(path, error))?;
    let name = shown(path);
    let noun = if sockets == 1 { "socket" } else { "sockets" };
    output.write(|out| {
        writeln!(
            out,
            "{name}: {sockets} {noun}. Look through it before you send it."
        )
    })?;
    Ok(Exit::Ok)
}

/// The options that every command has, where they mean nothing here.
fn refuse(output: &Output) -> Result<(), Failure> {
    let option = match (output.json, output.quiet) {
        (true, _) => "--json",
        (_, true) => "--quiet",
        (false, false) => return Ok(()),
    };
    Err(Failure::CommandLine {
        wrong: format!("collect has no {option}"),
        hint: "it writes text for people; dryport check --json and dryport see --json give \
               documents"
            .into(),
    })
}

/// The text, and how many sockets are in it. What could not be read is said in it.
fn collect(args: &CollectArgs) -> Result<(Vec<u8>, usize), Failure> {
    let mut text = HEAD.as_bytes().to_vec();
    system::write(&mut text)?;
    let sockets = sockets::write(&mut text, args.no_owners)?;
    Ok((text, sockets))
}

/// The beginning of a part: the command whose output looks like this.
fn section(out: &mut dyn Write, command: &str) -> io::Result<()> {
    writeln!(out, "\n## $ {command}")
}

fn named(path: &Path, error: io::Error) -> Failure {
    Failure::Output {
        name: shown(path),
        source: error,
    }
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}
