//! `dryport undo`.

use dryport_fix::{Bytes, Entry, FixError, Kept, Place, Progress, Stage, chosen, forget, undo};
use dryport_host::Namespace;
use dryport_report::{JournalAnswer, JournalLine, NamespaceName, json, text};
use dryport_tune::signals::Uninterrupted;
use dryport_wire::procfs::{printable, printable_up_to};

use crate::args::UndoArgs;
use crate::failure::{Exit, Failure, tell};
use crate::fix::ask;
use crate::output::Output;
use crate::state;

/// Longer than any list of ports.
const LONGEST_VALUE: usize = 512 * 1024;

/// Answers the command.
pub fn run(args: &UndoArgs, output: &Output) -> Result<Exit, Failure> {
    if let Some(spec) = &args.netns {
        Namespace::enter(spec)?;
    }
    let place = state::place()?;
    if args.list {
        return list(args, output, &place);
    }
    let journal = state::open(&args.state)?;
    if let Some(id) = &args.forget {
        let entry = forget(&journal, &journal.entries()?, id)?;
        return show(
            output,
            format!("{id} is closed; nothing else was changed."),
            &entry,
            &place,
        );
    }
    let repaired = state::repaired(&journal, &place)?;
    if let (Some(entry), None) = (repaired.taken_back.first(), &args.id) {
        return show(output, done(entry), entry, &place);
    }
    let mut entry = chosen(&repaired.entries, &place, args.id.as_deref())?;
    // A guard of another change must not wait for a person who thinks.
    let mut journal = journal;
    if !args.yes {
        drop(journal);
        let answer = JournalAnswer {
            done: None,
            entries: vec![line(&entry, &place)],
        };
        tell(text::journal(&answer, output.screen).trim_end());
        if !ask("Take this back?")? {
            return Ok(Exit::Unknown);
        }
        journal = state::open(&args.state)?;
        entry = chosen(&journal.entries()?, &place, Some(&entry.id))?;
    }
    let _change = Uninterrupted::begin();
    undo(&journal, &place, &mut entry, &mut |progress: &Progress| {
        if !output.json && !output.quiet {
            tell(&format!("  {progress}"));
        }
    })?;
    show(output, done(&entry), &entry, &place)
}

/// Said only after everything was read back.
fn done(entry: &Entry) -> String {
    let settings = entry.settings.len();
    let s = if settings == 1 { " has" } else { "s have" };
    format!("Taken back: {settings} setting{s} the old value again, read back from the kernel.")
}

/// Tells what became of an entry.
pub(crate) fn show(
    output: &Output,
    done: String,
    entry: &Entry,
    place: &Place,
) -> Result<Exit, Failure> {
    let answer = JournalAnswer {
        done: Some(done),
        entries: vec![line(entry, place)],
    };
    // It is done, whether it can be told or not.
    if write(output, &answer).is_err() {
        tell(answer.done.as_deref().unwrap_or_default());
    }
    Ok(Exit::Ok)
}

fn write(output: &Output, answer: &JournalAnswer) -> Result<(), Failure> {
    output.write(|mut out| {
        if output.json {
            json::write_journal(&mut out, answer)
        } else {
            out.write_all(text::journal(answer, output.screen).as_bytes())
        }
    })?;
    Ok(())
}

fn list(args: &UndoArgs, output: &Output, place: &Place) -> Result<Exit, Failure> {
    let kept = state::look(&args.state)?;
    let entries = kept
        .iter()
        .rev()
        .map(|kept| kept_line(kept, place))
        .collect();
    write(
        output,
        &JournalAnswer {
            done: None,
            entries,
        },
    )?;
    Ok(Exit::Ok)
}

fn kept_line(kept: &Kept, place: &Place) -> JournalLine {
    match &kept.entry {
        Ok(entry) => line(entry, place),
        Err(error) => JournalLine {
            id: printable(kept.path.as_os_str().as_encoded_bytes()),
            made: None,
            stage: error.to_string(),
            namespace: None,
            is_here: false,
            settings: Vec::new(),
            file: None,
        },
    }
}

fn line(entry: &Entry, place: &Place) -> JournalLine {
    let value = |bytes: &Bytes| {
        let bytes = bytes.get().unwrap_or_default();
        let words = bytes
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        printable_up_to(&words.collect::<Vec<_>>().join(&b' '), LONGEST_VALUE)
    };
    JournalLine {
        id: entry.id.clone(),
        made: Some(printable(entry.made.as_bytes())),
        stage: entry.stage.name().into(),
        namespace: Some(NamespaceName {
            inode: entry.place.inode,
            name: entry
                .place
                .name
                .as_ref()
                .map(|name| printable(name.as_bytes())),
        }),
        is_here: entry.place.is(place),
        settings: entry
            .settings
            .iter()
            .map(|step| (step.key.clone(), value(&step.before), value(&step.after)))
            .collect(),
        // Before it is confirmed, the file is only meant to be written.
        file: entry
            .file
            .as_ref()
            .filter(|_| entry.stage != Stage::Unconfirmed)
            .map(|file| printable(file.path.as_bytes())),
    }
}

impl From<FixError> for Failure {
    fn from(error: FixError) -> Self {
        Self::Fix(Box::new(error))
    }
}
