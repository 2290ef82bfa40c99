//! Files of settings: what was read is shown safely and read again the same, and globs take no time.
#![no_main]

use dryport_wire::sysctl_conf::{
    Applier, Assignment, ConfFile, DIRECTORIES, LAST_OF_PROCPS, matches, normalize, parse, setters,
};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "net.ipv4.ip_local_port_range";

// Pieces that a form feed parts are files of one system.
fuzz_target!(|bytes: &[u8]| {
    let places = DIRECTORIES
        .iter()
        .map(|directory| format!("{directory}/a.conf"));
    let places = places.chain([LAST_OF_PROCPS.to_owned(), "/etc/sysctl.d/b.conf".to_owned()]);
    let files: Vec<ConfFile> = places
        .zip(bytes.split(|byte| *byte == b'\x0c'))
        .map(|(path, text)| file(path, text))
        .collect();
    for applier in Applier::ALL {
        let found = setters(&files, KEY, applier);
        assert!(
            found
                .all
                .iter()
                .all(|setter| matches(&setter.assignment.pattern, KEY))
        );
        assert_eq!(found.winner.is_some(), found.value().is_some());
        let named = found.all.iter().any(|setter| !setter.assignment.is_glob);
        assert!(
            found
                .winner()
                .is_none_or(|winner| winner.assignment.is_glob != named)
        );
    }
});

fn file(path: String, text: &[u8]) -> ConfFile {
    let parsed = parse(text);
    let mut line = 0;
    for assignment in &parsed.assignments {
        assert!(line <= assignment.line, "out of order");
        line = assignment.line;
        check(assignment);
    }
    let shown = |text: &str| !text.chars().any(char::is_control);
    assert!(parsed.notes.iter().all(|note| shown(&note.text)));
    ConfFile {
        path,
        assignments: parsed.assignments,
        notes: parsed.notes,
    }
}

fn check(assignment: &Assignment) {
    let Assignment {
        pattern,
        value,
        ignore_errors,
        is_glob,
        ..
    } = assignment;
    let shown = |text: &str| !text.chars().any(char::is_control);
    assert!(shown(pattern) && value.as_deref().is_none_or(shown));
    assert_eq!(&normalize(pattern), pattern);
    assert!(*is_glob || matches(pattern, pattern));
    // Written in the plainest form it says the same; a blank in front would be taken off.
    let mark = if *ignore_errors || value.is_none() {
        "-"
    } else {
        ""
    };
    let written = match value {
        Some(value) => format!("{mark}{pattern}={value}"),
        None => format!("{mark}{pattern}"),
    };
    let again = parse(written.as_bytes());
    let is_ordinary = pattern.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*');
    if is_ordinary && let [again] = &again.assignments[..] {
        assert_eq!(
            (&again.pattern, &again.value, again.ignore_errors),
            (pattern, value, *ignore_errors)
        );
    } else {
        assert!(!is_ordinary, "{written:?}");
    }
}
