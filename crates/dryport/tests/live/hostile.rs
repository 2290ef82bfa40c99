//! Names that other users chose, made to harm whoever looks.

use std::fs;
use std::path::PathBuf;

use dryport_lab::Privilege;
use serde_json::Value;

use crate::helper::Helper;
use crate::program::{Place, dryport};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[(
    "a process name made of escapes and line breaks does no harm",
    hostile_names_do_no_harm,
)];

/// 15 bytes is all that the kernel keeps.
const NAME: &str = "\x1b[31m\n\r\x07\"}]\u{202e}x";
const FILE: &str = "\x1b]0;owned\x07\n\u{9b}2J\u{202e}gpj.exe";

fn hostile_names_do_no_harm(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("20000 20099");
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join(FILE);
    copy_of_myself(&program);
    let command = place.namespace.command(program.to_str().unwrap()).unwrap();
    let holder = Helper::start(command, &["hold", "127.0.0.1:9000", "100", NAME]);
    let pid = holder.pid().to_string();
    for words in [
        &["check", "--netns", "."][..],
        &["check", "--netns", ".", "--quiet"],
        &["check", "--pid", &pid],
        &["see"],
        &["see", "--by", "process"],
        &["headroom", "127.0.0.1:9000"],
    ] {
        let words = [words, &["--color", "never"]].concat();
        let answer = dryport(&place.namespace, &words);
        answer.is_clean();
        assert!(
            !answer.out.contains(['\u{202e}', '\u{9b}']),
            "{words:?}: {answer:?}"
        );
    }
    assert!(
        dryport(&place.namespace, &["check", "--netns", "."])
            .out
            .contains("\\x1b[31m")
    );
    for words in [
        &["check", "--netns", "."][..],
        &["see"],
        &["see", "--by", "process"],
        &["check", "--pid", &pid],
    ] {
        let answer = dryport(&place.namespace, &[words, &["--json"]].concat());
        answer.is_clean();
        texts(&answer.document(), &mut |text| {
            assert!(
                !text.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{text:?}"
            );
        });
    }
    // With colour, the only escapes are those of colours, and every line ends plain.
    let coloured = dryport(
        &place.namespace,
        &["check", "--netns", ".", "--color", "always"],
    );
    for part in coloured.out.split('\x1b').skip(1) {
        let (code, _) = part.split_once('m').unwrap();
        let is_colour = |c: char| matches!(c, '[' | ';' | '0'..='9');
        assert!(code.chars().all(is_colour), "{code:?}");
    }
    Ok(())
}

/// The link of `/proc/PID/exe` follows a hard link's name.
fn copy_of_myself(path: &PathBuf) {
    let myself = std::env::current_exe().unwrap();
    if fs::hard_link(&myself, path).is_err() {
        fs::copy(&myself, path).unwrap();
    }
}

/// Every string of a document.
fn texts(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => look(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, look)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, look)),
        _ => {}
    }
}
