//! `dryport explain`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use dryport_model::explain::{Given, explain};
use dryport_model::{CauseId, Thresholds};
use dryport_report::{Explained, ExplainedInput, json, page, text};
use dryport_wire::paste::{Input, NotText, Paste, Piece, ScanError, Scanner};
use dryport_wire::procfs::printable;

use crate::args::ExplainArgs;
use crate::failure::{Exit, Failure, tell};
use crate::output::Output;

/// Pieces that the scanning thread may be ahead.
const AHEAD: usize = 2;

/// Answers the command.
pub fn run(args: &ExplainArgs, output: &Output) -> Result<Exit, Failure> {
    if args.list {
        no_document(output, "--list")?;
        return list(output);
    }
    if let [only] = args.inputs.as_slice()
        && let Some(id) = only.to_str().and_then(CauseId::from_name)
        && !only.exists()
    {
        no_document(output, "the page of a cause")?;
        output.write(|out| out.write_all(page::page(id).as_bytes()))?;
        return Ok(Exit::Ok);
    }
    let cause = |path: &PathBuf| {
        path.to_str()
            .and_then(CauseId::from_name)
            .filter(|_| !path.exists())
    };
    if args.inputs.iter().any(|path| cause(path).is_some()) {
        return Err(Failure::CommandLine {
            wrong: "the id of a cause stands alone".into(),
            hint: "`dryport explain CAUSE-ID` prints one page; `dryport explain FILE…` reads files"
                .into(),
        });
    }
    let (findings, inputs) = read_all(&args.inputs)?;
    let given = Given {
        platform: args.platform.map(Into::into),
        range: args.range,
        thresholds: Thresholds::from(args.thresholds),
    };
    let explanation = explain(&findings, &given);
    let explained = Explained {
        explanation: &explanation,
        inputs: inputs.iter().map(shown).collect(),
    };
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_explain(&mut out, &explained),
        (false, true) => out.write_all(text::explain_line(&explained, output.screen).as_bytes()),
        (false, false) => out.write_all(text::explain(&explained, output.screen).as_bytes()),
    })?;
    Ok(explanation.level.into())
}

/// Pages and lists are texts.
fn no_document(output: &Output, what: &str) -> Result<(), Failure> {
    if !output.json {
        return Ok(());
    }
    Err(Failure::CommandLine {
        wrong: format!("{what} has no --json"),
        hint: "it is text for people".into(),
    })
}

fn list(output: &Output) -> Result<Exit, Failure> {
    output.write(|out| {
        for id in CauseId::ALL {
            out.write_all(
                text::cause_summary(id.name(), &page::summary(*id), output.screen).as_bytes(),
            )?;
        }
        Ok(())
    })?;
    Ok(Exit::Ok)
}

/// Reads captures; none: standard input.
pub(crate) fn read_all(
    paths: &[PathBuf],
) -> Result<(dryport_model::explain::Findings, Vec<Input>), Failure> {
    let mut paste = Paste::new();
    let standard_input = [Path::new("-").to_path_buf()];
    let inputs = match paths {
        [] => &standard_input,
        inputs => inputs,
    };
    for path in inputs {
        read_one(path, &mut paste)?;
    }
    let (findings, inputs) = paste.finish();
    refuse_nothing(&inputs)?;
    Ok((findings, inputs))
}

fn read_one(path: &Path, paste: &mut Paste) -> Result<(), Failure> {
    if path.as_os_str() == OsStr::new("-") {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            tell("paste it here, then press Ctrl-D");
        }
        let is_terminal = stdin.is_terminal();
        read(stdin, "standard input", paste)?;
        if is_terminal {
            // What was pasted may not end its last line.
            tell("");
        }
        return Ok(());
    }
    let name = printable(path.as_os_str().as_encoded_bytes());
    let failed = |source| Failure::Input {
        name: name.clone(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Failure::Directory { name });
    }
    read(file, &name, paste)
}

/// Lines are cut and searched on a thread of its own, ahead of the reading of what they mean.
fn read(mut from: impl Read + Send, name: &str, paste: &mut Paste) -> Result<(), Failure> {
    paste.begin(name.into());
    let (ahead, pieces) = mpsc::sync_channel(AHEAD);
    let (back, used) = mpsc::channel();
    let scanned = thread::scope(|scope| {
        let scanning = scope.spawn(move || scan(&mut from, &ahead, &used));
        for piece in pieces {
            paste.take(&piece);
            // The thread that would use it again may have ended.
            let _ = back.send(piece);
        }
        scanning.join()
    });
    paste.end();
    match scanned {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ScanError::Read(source))) => Err(Failure::Input {
            name: name.into(),
            source,
        }),
        Ok(Err(ScanError::NotText(kind))) => Err(not_text(name, kind)),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn scan(
    from: &mut impl Read,
    ahead: &SyncSender<Piece>,
    used: &Receiver<Piece>,
) -> Result<(), ScanError<io::Error>> {
    let mut scanner = Scanner::new();
    loop {
        if let Ok(piece) = used.try_recv() {
            scanner.recycle(piece);
        }
        let piece = scanner.read(|room| {
            loop {
                match from.read(room) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => return read,
                }
            }
        })?;
        let is_last = piece.is_last();
        if ahead.send(piece).is_err() || is_last {
            return Ok(());
        }
    }
}

fn not_text(name: &str, kind: NotText) -> Failure {
    let (what, hint) = match kind {
        NotText::Compressed(program) => ("compressed", format!("unpack it first: {program}")),
        NotText::Picture => (
            "a picture",
            "copy the text out of it, or run the command again and save its output".into(),
        ),
        NotText::Document("Windows event log (.evtx)") => (
            "a binary Windows event log",
            "save it as text: wevtutil qe FILE /lf:true /f:text".into(),
        ),
        NotText::Document(_) => ("a document", "save it as plain text".into()),
        NotText::Packets => (
            "a capture of packets",
            "packets do not show ports that were refused; `ss -tanp` or `netstat -anob` does"
                .into(),
        ),
        NotText::Binary => (
            "binary data",
            "a text is wanted: a capture, a log, a message".into(),
        ),
    };
    Failure::NotText {
        name: name.into(),
        what,
        hint,
    }
}

/// An input without a known line is worth an error, not a verdict.
fn refuse_nothing(inputs: &[Input]) -> Result<(), Failure> {
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let name = names.join(", ");
    if inputs.iter().all(|input| input.bytes == 0) {
        return Err(Failure::Empty { name });
    }
    let silent = |input: &Input| input.formats.is_empty() && input.notes.is_empty();
    if inputs.iter().all(silent) {
        return Err(Failure::UnknownInput {
            name,
            lines: inputs.iter().map(|input| input.lines).sum(),
        });
    }
    Ok(())
}

fn shown(input: &Input) -> ExplainedInput {
    ExplainedInput {
        name: input.name.clone(),
        formats: input.formats.iter().map(|format| format.name()).collect(),
        language: input.language,
        rows: input.rows,
        lines: input.lines,
        notes: input
            .notes
            .iter()
            .map(|note| (note.line, note.note.clone()))
            .collect(),
        notes_omitted: input.notes_omitted,
    }
}
