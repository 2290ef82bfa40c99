//! Files that set sysctls at boot, as `systemd-sysctl` and `sysctl --system` of procps read them,
//! and which of several files wins.
//!
//! Owns the text of the files and the order of precedence; opens nothing, and does not know what
//! a value means. What both readers take is taken the same. Where they differ, what the more
//! generous one takes is kept and a note tells it: a setter too many is seen, one too few is not.
//!
//! Held against systemd-sysctl 252 and procps 4.0.2 with thousands of random files; the tests
//! `boot` of dryport-tune do it where they are installed. One thing is known to differ: names with
//! repeated separators (`net//ipv4/x`), which the readers compare as written, are taken as the same
//! name, with a note.
//!
//! Not here: `sysctl.NAME=` on the kernel's command line (applied before any file, so every file
//! wins) and systemd's credential `sysctl.extra` (applied after all files).

mod glob;
mod precedence;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::str;

use crate::procfs::printable_up_to;

pub use precedence::{
    Applier, ConfFile, DIRECTORIES, LAST_OF_PROCPS, Setter, Setters, applied, is_disputed, setters,
};

/// `PATH_MAX`: no setting has a longer name, and no glob of a longer one is expanded.
const LONGEST_KEY_BYTES: usize = 4096;
/// Of a file that is no file of settings a few lines are enough.
const MOST_NOTES: usize = 20;
/// How much of a line stands in a note.
const SHOWN_CHARS: usize = 60;

/// One line that sets, or keeps others from setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its line, from 1.
    pub line: u32,
    /// The setting below `/proc/sys`, with slashes: `net/ipv4/tcp_tw_reuse`, or a glob of several.
    pub pattern: String,
    /// What is written: escaped where it could move a cursor, tabs as blanks. `None`: the line
    /// `-key`, which keeps globs from setting the key.
    pub value: Option<String>,
    /// Whether a failure is of no consequence (`-key = value`).
    pub ignore_errors: bool,
    /// Whether the pattern has `*`, `?` or `[`.
    pub is_glob: bool,
}

/// A line that was not understood, or that the two readers read differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its line, from 1.
    pub line: u32,
    /// What was wrong, for people.
    pub text: String,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The lines that were understood, in their order.
    pub assignments: Vec<Assignment>,
    /// The others, the first few of them.
    pub notes: Vec<Note>,
}

/// Reads a file. Nothing is an error: the readers at boot go on behind a bad line as well.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        // A lone CR and a NUL end a line for systemd (`read_line_full`). For procps a CR is a
        // blank and a NUL ends what is looked at.
        let mut pieces = line.split(|byte| matches!(byte, b'\r' | b'\0'));
        let first = pieces.next().unwrap_or_default();
        parsed.read_piece(number, first);
        for piece in pieces.filter(|piece| !piece.trim_ascii().is_empty()) {
            parsed.note(number, "a CR or NUL inside of the line: systemd-sysctl begins a new line there, procps does not", b"");
            parsed.read_piece(number, piece);
        }
    }
    parsed
}

/// A name with slashes, from one with dots or slashes. The first separator decides: behind a
/// slash dots stay, behind a dot each kind becomes the other (`net.ipv4.conf.eth0/7.forwarding`).
/// Repeated separators are one, as they are in a path, and one in front is left out unless a dot
/// would then be the first separator: so a name that is normalized stays as it is.
#[must_use]
pub fn normalize(key: &str) -> String {
    let is_swapped = key
        .find(['.', '/'])
        .is_some_and(|at| key.as_bytes()[at] == b'.');
    let mut path = String::with_capacity(key.len());
    for character in key.chars() {
        let character = match character {
            '.' if is_swapped => '/',
            '/' if is_swapped => '.',
            other => other,
        };
        if character != '/' || !(path.is_empty() || path.ends_with('/')) {
            path.push(character);
        }
    }
    if path
        .find(['.', '/'])
        .is_some_and(|at| path.as_bytes()[at] == b'.')
    {
        path.insert(0, '/');
    }
    path
}

/// Whether a pattern stands for a key; both with dots or slashes. As in glob(7), `*`, `?` and
/// `[...]` do not reach over a separator, and a backslash takes a meaning away.
#[must_use]
pub fn matches(pattern: &str, key: &str) -> bool {
    matches_path(&normalize(pattern), &normalize(key))
}

/// The same for names that are normalized.
fn matches_path(pattern: &str, key: &str) -> bool {
    if is_glob(pattern) {
        pattern.len() <= LONGEST_KEY_BYTES
            && key.len() <= LONGEST_KEY_BYTES
            && glob::matches(pattern, key)
    } else {
        pattern == key
    }
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

impl Parsed {
    fn read_piece(&mut self, line: u32, text: &[u8]) {
        let text = text.trim_ascii();
        if text.is_empty() || matches!(text[0], b'#' | b';') {
            return;
        }
        let (text, is_marked) = match text.strip_prefix(b"-") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (key, value) = match text.iter().position(|byte| *byte == b'=') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None if is_marked => (text, None),
            None => return self.note(line, "not an assignment", text),
        };
        let pattern = match pattern(key.trim_ascii()) {
            Ok(pattern) => pattern,
            Err(reason) => return self.note(line, reason, key),
        };
        // The readers compare names as they are written, and open what they mean.
        if pattern.len() != key.trim_ascii().len() {
            self.note(
                line,
                "repeated separators: a glob and a name may both set this",
                key,
            );
        }
        self.assignments.push(Assignment {
            line,
            is_glob: is_glob(&pattern),
            pattern,
            value: value.map(shown),
            ignore_errors: is_marked && value.is_some(),
        });
    }

    fn note(&mut self, line: u32, reason: &str, text: &[u8]) {
        let text = match self.notes.len() {
            MOST_NOTES.. => return,
            // The last one tells that there may be more.
            at if at == MOST_NOTES - 1 => "and more lines that were not understood".to_owned(),
            _ if text.is_empty() => reason.to_owned(),
            _ => format!("{reason}: {}", printable_up_to(text, SHOWN_CHARS)),
        };
        self.notes.push(Note { line, text });
    }
}

fn pattern(key: &[u8]) -> Result<String, &'static str> {
    if key.len() > LONGEST_KEY_BYTES {
        return Err("the name is longer than any setting's");
    }
    let pattern = str::from_utf8(key).ok().filter(|text| {
        // Names of interfaces need not be ASCII, but no name has what cannot be shown.
        printable_up_to(key, LONGEST_KEY_BYTES) == **text
    });
    match pattern.map(normalize) {
        Some(path) if !path.is_empty() => Ok(path),
        Some(_) => Err("no name"),
        None => Err("no setting has such a name"),
    }
}

fn shown(value: &[u8]) -> String {
    let blanks: Vec<u8> = value
        .trim_ascii()
        .iter()
        .map(|byte| if *byte == b'\t' { b' ' } else { *byte })
        .collect();
    printable_up_to(&blanks, usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::time::{Duration, Instant};
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    const RANGE: &str = "net/ipv4/ip_local_port_range";

    fn set(line: u32, pattern: &str, value: &str) -> Assignment {
        Assignment {
            line,
            pattern: pattern.to_string(),
            value: Some(value.to_string()),
            ignore_errors: false,
            is_glob: false,
        }
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let text = b"# comment\n; comment\n\n  net.ipv4.tcp_tw_reuse=1\nnet/ipv4/ip_local_port_range = 1024\t65000  \n\
            -net.core.somaxconn = 9\n-net.ipv4.conf.all.rp_filter\nnet.ipv4.conf.*.rp_filter = 2\nkernel.domainname = a = b # c\nempty=";
        let parsed = parse(text);
        assert_eq!(parsed.notes, []);
        assert_eq!(
            parsed.assignments,
            [
                set(4, "net/ipv4/tcp_tw_reuse", "1"),
                set(5, RANGE, "1024 65000"),
                Assignment {
                    ignore_errors: true,
                    ..set(6, "net/core/somaxconn", "9")
                },
                Assignment {
                    value: None,
                    ..set(7, "net/ipv4/conf/all/rp_filter", "")
                },
                Assignment {
                    is_glob: true,
                    ..set(8, "net/ipv4/conf/*/rp_filter", "2")
                },
                set(9, "kernel/domainname", "a = b # c"),
                set(10, "empty", ""),
            ]
        );
    }

    #[test]
    fn the_first_separator_decides() {
        for (written, path) in [
            (
                "net.ipv4.conf.enp3s0/200.forwarding",
                "net/ipv4/conf/enp3s0.200/forwarding",
            ),
            (
                "net/ipv4/conf/enp3s0.200/forwarding",
                "net/ipv4/conf/enp3s0.200/forwarding",
            ),
            ("/net//ipv4/x", "net/ipv4/x"),
            ("net..ipv4.x", "net/ipv4/x"),
            ("alone", "alone"),
            ("/a.b/c", "/a.b/c"),
            (".a.b", "a/b"),
        ] {
            assert_eq!(normalize(written), path);
            assert_eq!(normalize(path), path, "twice is once");
        }
    }

    #[test]
    fn repeated_separators_are_read_and_noted() {
        let parsed = parse(b"net//ipv4/tcp_tw_reuse = 1\n-/vm/swappiness = 5\n");
        assert_eq!(parsed.assignments[0].pattern, "net/ipv4/tcp_tw_reuse");
        assert_eq!(parsed.assignments[1].pattern, "vm/swappiness");
        assert_eq!(parsed.notes.len(), 2);
    }

    #[test]
    fn lines_that_are_no_assignment_are_noted_and_the_others_read() {
        let parsed = parse(b"hello\n= 5\n-\n\x1b[31m = 1\n\xff\xfe = 1\nvm.swappiness = 5\n");
        assert_eq!(parsed.assignments, [set(6, "vm/swappiness", "5")]);
        let lines: Vec<u32> = parsed.notes.iter().map(|note| note.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5]);
        assert_eq!(parsed.notes[0].text, "not an assignment: hello");
        assert_eq!(
            parsed.notes[3].text,
            "no setting has such a name: \\x1b[31m "
        );
    }

    #[test]
    fn line_ends_of_other_systems_and_nul_bytes_lose_no_line() {
        let parsed = parse(b"a.b = 1\r\nc.d = 2\r\n");
        assert_eq!(parsed.assignments, [set(1, "a/b", "1"), set(2, "c/d", "2")]);
        assert_eq!(parsed.notes, []);
        let parsed = parse(b"a.b = 1\rc.d = 2\0e.f = 3\n");
        assert_eq!(parsed.assignments.len(), 3);
        assert_eq!(parsed.notes.len(), 2);
    }

    #[test]
    fn values_cannot_move_a_cursor_and_are_never_cut() {
        let parsed = parse(b"kernel.hostname = a\x1b[2J\xffz");
        assert_eq!(
            parsed.assignments[0].value.as_deref(),
            Some("a\\x1b[2J\\xffz")
        );
        let list = vec![b'7'; 190_000];
        let parsed = parse(&[b"a.b=".as_slice(), &list].concat());
        assert_eq!(
            parsed.assignments[0].value.as_ref().map(String::len),
            Some(190_000)
        );
    }

    #[test]
    fn globs_match_as_glob_does() {
        let key = "net.ipv4.conf.eth0.rp_filter";
        for pattern in [
            "net.ipv4.conf.*.rp_filter",
            "net/ipv4/conf/*/rp_filter",
            "net.*.*.*.*",
            "net.ipv[46].conf.et?0.*",
            "net.ipv[!6].conf.[a-e]th[[:digit:]].rp*er",
            "net.ipv[^6].conf.eth\\0.**r",
        ] {
            assert!(matches(pattern, key), "{pattern}");
        }
        for pattern in [
            "net.*",
            "*",
            "net.ipv4.conf.*",
            "net.ipv4.conf.*.*.rp_filter",
            "net.ipv[5-6].conf.eth0.rp_filter",
            "net.ipv4.conf.\\*.rp_filter",
            "net.ipv4.conf.[[:upper:]]th0.rp_filter",
            "net.ipv4.conf.eth0?.rp_filter",
            "net.ipv4.conf.[e-.rp_filter",
        ] {
            assert!(!matches(pattern, key), "{pattern}");
        }
        assert!(matches("a.[]x]", "a.]") && matches("a.[", "a.[") && matches("a.[b*", "a.[bc"));
        assert!(matches("a.[a-]", "a.-") && matches("a.[\\]]", "a.]"));
        assert!(matches("?", "x") && !matches("?", "") && matches("a.*", "a."));
    }

    #[test]
    fn hostile_files_take_no_time() {
        let start = Instant::now();
        let key = "a".repeat(200);
        for piece in ["*a", "[", "[!b", "a?*", "[a-"] {
            let pattern = piece.repeat(4000 / piece.len());
            assert!(!matches(&std::format!("{pattern}.b"), &key));
            let _ = matches(&std::format!("*{pattern}*b"), &key);
        }
        let mut file = "net.ipv4.*a*a*a*a*a*a*a*b=1\n".repeat(20_000);
        file.push_str(&"[".repeat(1 << 20));
        file.push_str("=1\n");
        file.push_str(&"=".repeat(1 << 20));
        let parsed = parse(file.as_bytes());
        assert_eq!(parsed.assignments.len(), 20_000);
        let file = ConfFile {
            path: "/etc/sysctl.d/a.conf".to_string(),
            assignments: parsed.assignments,
            notes: parsed.notes,
        };
        let key = std::format!("net.ipv4.{key}");
        assert_eq!(setters(&[file], &key, Applier::SystemdSysctl).all.len(), 0);
        // A second would do; machines that test may be slow.
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn notes_are_few_and_say_so() {
        let parsed = parse("hello\n".repeat(1000).as_bytes());
        assert_eq!(parsed.notes.len(), MOST_NOTES);
        assert!(parsed.notes[MOST_NOTES - 1].text.starts_with("and more"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_lines_are_read(text in "([-#;]?[a-z*?\\[\\].\\\\/!-]{0,12} ?=?[ \\ta-z0-9=]{0,5}[\\r\\n\\x00])*") {
            let parsed = parse(text.as_bytes());
            for assignment in parsed.assignments {
                let pattern = &assignment.pattern;
                prop_assert_eq!(&normalize(pattern), pattern);
                prop_assert!(assignment.is_glob || matches(pattern, pattern));
            }
        }

        #[test]
        fn a_star_stands_for_any_part(parts in prop::collection::vec("[a-z0-9_]{1,8}", 1..6), at in any::<prop::sample::Index>()) {
            let key = parts.join(".");
            let mut pattern = parts.clone();
            pattern[at.index(parts.len())] = "*".to_string();
            prop_assert!(matches(&pattern.join("/"), &key));
            pattern.push("*".to_string());
            prop_assert!(!matches(&pattern.join("/"), &key));
        }

        #[test]
        fn the_glob_agrees_with_the_plain_definition(pattern in "[ab*?]{0,8}", key in "[ab]{0,8}") {
            prop_assert_eq!(
                glob::matches(&pattern, &key),
                plainly(pattern.as_bytes(), key.as_bytes())
            );
        }
    }

    /// Exponential, and beyond doubt.
    fn plainly(pattern: &[u8], key: &[u8]) -> bool {
        match (pattern.first(), key.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                plainly(&pattern[1..], key) || (!key.is_empty() && plainly(pattern, &key[1..]))
            }
            (Some(b'?'), Some(_)) => plainly(&pattern[1..], &key[1..]),
            (Some(a), Some(b)) => a == b && plainly(&pattern[1..], &key[1..]),
            _ => false,
        }
    }
}
