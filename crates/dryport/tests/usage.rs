//! The command line, on the built program: wrong usage, closed pipes, help, colour and width.
//!
//! Nothing here needs a namespace of its own; what does is in `live`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of #[test] functions"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::{Command, Output, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

#[path = "usage/captures.rs"]
mod captures;
#[path = "usage/changes.rs"]
mod changes;

/// Above the largest pid that Linux gives (`PID_MAX_LIMIT`).
const NO_SUCH_PID: &str = "4194305";

/// The program without a terminal and with nothing of the caller's taste.
fn dryport(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dryport"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("DRYPORT_STATE_DIR")
        .env("TERM", "xterm")
        .env("COLUMNS", "100");
    command
}

fn run(arguments: &[&str]) -> Output {
    dryport(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Standard output of a run that succeeds and says nothing else.
fn stdout_of(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    text(&output.stdout).to_owned()
}

/// A failure is this exit code, nothing on standard output, and on standard error one line that
/// names the thing and one line with a hint.
#[track_caller]
fn fails(arguments: &[&str], exit: i32, named: &str) {
    let output = run(arguments);
    let told = format!("{arguments:?}: {output:?}");
    assert_eq!(output.status.code(), Some(exit), "{told}");
    assert_eq!(text(&output.stdout), "", "{told}");
    let lines: Vec<&str> = text(&output.stderr).lines().collect();
    let [error, hint] = lines[..] else {
        panic!("not an error and a hint: {told}");
    };
    assert!(
        error.starts_with("dryport: ") && error.contains(named),
        "{told}"
    );
    assert!(hint.starts_with("hint: ") && hint.len() > 10, "{told}");
    assert!(!error.contains("panicked") && error.len() < 200, "{told}");
    assert!(
        !output
            .stderr
            .iter()
            .any(|byte| *byte < b' ' && *byte != b'\n'),
        "{told}"
    );
}

#[track_caller]
fn is_wrong_usage(arguments: &[&str], named: &str) {
    fails(arguments, 64, named);
}

/// Right in itself, but not on this machine.
#[track_caller]
fn is_unknown_here(arguments: &[&str], named: &str) {
    fails(arguments, 3, named);
}

#[test]
fn a_destination_needs_an_address_and_a_port() {
    is_wrong_usage(&["headroom"], "<DEST:PORT>");
    is_wrong_usage(&["headroom", ""], "address is missing");
    for (destination, named) in [
        ("10.0.0.1", "port is missing"),
        ("10.0.0.1:", "port is missing"),
        ("db.example", "port is missing"),
        ("10.0.0.1:0", "port 0"),
        ("10.0.0.1:70000", "70000"),
        ("10.0.0.1:-1", "-1"),
        ("10.0.0.1:99999999999999999999", "99999999999999999999"),
        ("10.0.0.1:http", "http"),
        ("10.0.0.300:80", "10.0.0.300"),
        ("10.0.0.1.5:80", "10.0.0.1.5"),
        ("::1:80", "[::1:80]:PORT"),
        ("[::1]", "port is missing"),
        ("[::1:80", "] is missing"),
        ("[::1]:0", "port 0"),
        ("[10.0.0.1]:80", "10.0.0.1"),
        (":80", "address is missing"),
        ("http://example.com:80", "http://example.com"),
    ] {
        is_wrong_usage(&["headroom", destination], named);
    }
}

#[test]
fn a_name_that_does_not_resolve_is_told() {
    // `.invalid` never resolves (RFC 6761).
    is_unknown_here(
        &["headroom", "no-such-host.invalid:80"],
        "no-such-host.invalid",
    );
    is_unknown_here(
        &["headroom", "--json", "no-such-host.invalid:80"],
        "no-such-host.invalid",
    );
}

#[test]
fn a_namespace_that_does_not_exist_is_told() {
    let pid = format!("pid:{NO_SUCH_PID}");
    for command in [&["check"][..], &["see"], &["headroom", "127.0.0.1:80"]] {
        let with = |namespace| [command, &["--netns", namespace]].concat();
        is_unknown_here(&with("dryport-no-such-one"), "dryport-no-such-one");
        is_unknown_here(&with(&pid), NO_SUCH_PID);
        is_wrong_usage(&with("../etc/passwd"), "../etc/passwd");
        is_wrong_usage(&with("pid:0"), "pid:0");
        is_wrong_usage(&with("pid:me"), "pid:me");
        is_wrong_usage(&with(""), "--netns");
    }
}

#[test]
fn a_process_that_does_not_exist_is_told() {
    is_unknown_here(&["check", "--pid", NO_SUCH_PID], NO_SUCH_PID);
    is_wrong_usage(&["check", "--pid", "0"], "'0'");
    is_wrong_usage(&["check", "--pid", "-1"], "-1");
    is_wrong_usage(&["check", "--pid", "nginx"], "nginx");
    is_wrong_usage(&["check", "--pid", "99999999999"], "99999999999");
    is_wrong_usage(&["check", "--pid", "1", "--netns", "pid:1"], "--netns");
}

#[test]
fn a_port_range_that_is_none_is_wrong_usage() {
    for range in [
        "",
        "5",
        "9-5",
        "1-70000",
        "a-b",
        "1-2-3",
        "-",
        "40000:41000",
    ] {
        is_wrong_usage(
            &["headroom", &format!("--port-range={range}"), "127.0.0.1:80"],
            "--port-range",
        );
    }
}

#[test]
fn a_threshold_is_a_percentage() {
    for command in [&["check"][..], &["headroom", "127.0.0.1:80"]] {
        for option in ["--warn", "--crit"] {
            for value in ["101", "-1", "NaN", "inf", "many", ""] {
                is_wrong_usage(&[command, &[&format!("{option}={value}")]].concat(), option);
            }
            is_wrong_usage(&[command, &[option]].concat(), option);
        }
    }
}

#[test]
fn an_interface_that_does_not_exist_is_told() {
    is_unknown_here(
        &["headroom", "--device", "no-such-if0", "127.0.0.1:80"],
        "no-such-if0",
    );
    is_unknown_here(&["headroom", "[fe80::1%no-such-if0]:80"], "no-such-if0");
}

#[test]
fn a_source_must_fit_its_destination() {
    is_wrong_usage(&["headroom", "--from", "10.0.0", "127.0.0.1:80"], "10.0.0");
    is_wrong_usage(&["headroom", "--from", "::1", "127.0.0.1:80"], "::1");
    is_wrong_usage(
        &["headroom", "--from", "127.0.0.1", "[::1]:80"],
        "127.0.0.1",
    );
}

#[test]
fn what_is_no_command_or_option_is_wrong_usage() {
    is_wrong_usage(&["frobnicate"], "frobnicate");
    is_wrong_usage(&["help", "frobnicate"], "frobnicate");
    is_wrong_usage(&["--frobnicate"], "--frobnicate");
    is_wrong_usage(&["check", "--frobnicate"], "--frobnicate");
    is_wrong_usage(&["check", "too", "much"], "too");
    is_wrong_usage(&["see", "--by", "colour"], "colour");
    is_wrong_usage(&["see", "--by", "port", "--most", "few"], "few");
    is_wrong_usage(&["see", "--most", "3"], "--by");
    is_wrong_usage(&["--color", "sometimes", "check"], "sometimes");
    is_wrong_usage(&["completions"], "<SHELL>");
    is_wrong_usage(&["completions", "cmd.exe"], "cmd.exe");
    is_wrong_usage(
        &["headroom", "127.0.0.1:80", "127.0.0.1:81"],
        "127.0.0.1:81",
    );
}

#[test]
fn a_slip_of_the_finger_is_given_the_right_word() {
    let output = run(&["chekc"]);
    assert!(text(&output.stderr).ends_with("hint: a similar subcommand exists: 'check'\n"));
}

#[test]
fn the_hint_names_the_help_of_the_command_given() {
    let output = run(&["--json", "headroom"]);
    assert!(
        text(&output.stderr).contains("hint: `dryport headroom --help`"),
        "{output:?}"
    );
}

#[test]
fn control_characters_in_arguments_do_not_reach_the_terminal() {
    for hostile in ["a\x1b[31mb:80", "a\n\nhint: lie", "\x07", "a\rb"] {
        is_wrong_usage(&["headroom", hostile], "control character");
        is_wrong_usage(&["check", "--netns", hostile], "control character");
        is_wrong_usage(&[hostile], "control character");
    }
}

#[test]
fn arguments_that_are_no_text_are_wrong_usage() {
    use std::os::unix::ffi::OsStrExt;
    for command in ["headroom", "frobnicate", "check"] {
        let not_utf8 = std::ffi::OsStr::from_bytes(b"\xff\xfe:80");
        let output = dryport(&[command]).arg(not_utf8).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        assert_eq!(text(&output.stderr).lines().count(), 2, "{output:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for arguments in [
        &["check"][..],
        &["see"],
        &["headroom", "127.0.0.1:80"],
        &["man"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = dryport(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
        assert!(
            text(&output.stderr).contains("could not be written"),
            "{output:?}"
        );
        assert!(text(&output.stderr).contains("\nhint: "), "{output:?}");
    }
}

#[test]
fn a_failure_that_nobody_can_read_still_gives_its_exit_code() {
    for (arguments, exit) in [
        (["frobnicate", "--json"], 64),
        (["check", "--netns=none"], 3),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = dryport(&arguments).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(exit), "{arguments:?}");
    }
}

/// A pipe whose reading end is closed already.
fn closed_pipe() -> io::PipeWriter {
    io::pipe().unwrap().1
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    for arguments in [
        &[][..],
        &["check"],
        &["check", "--json"],
        &["see"],
        &["see", "--json"],
        &["see", "--by", "state"],
        &["headroom", "127.0.0.1:80"],
        &["headroom", "127.0.0.1:80", "--quiet"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ] {
        let output = dryport(arguments).stdout(closed_pipe()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        // What was not seen is no complaint about the pipe.
        let complaints = text(&output.stderr)
            .lines()
            .filter(|l| !l.starts_with("not seen: "));
        assert_eq!(complaints.count(), 0, "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_pipe_that_is_closed_after_the_first_byte_ends_it_quietly() {
    let mut child = dryport(&["man"]).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn without_a_command_it_checks() {
    // Namespaces of other programs come and go, and the level with them.
    for output in [run(&["--json", "--color=never"]), run(&["check", "--json"])] {
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schema"], "dryport.check/1");
        let levels = ["ok", "warning", "critical"];
        let level = levels.iter().position(|level| document["level"] == *level);
        assert_eq!(output.status.code(), level.map(|exit| exit as i32));
    }
}

#[test]
fn help_of_every_command_reads_well() {
    for command in [
        "",
        "check",
        "see",
        "headroom",
        "explain",
        "fix",
        "undo",
        "rehearse",
        "doctor",
        "collect",
        "completions",
        "man",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = stdout_of(&arguments);
        let name = format!(
            "help-{}",
            if command.is_empty() {
                "dryport"
            } else {
                command
            }
        );
        insta::assert_snapshot!(name, help);
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{help}"
        );
    }
}

#[test]
fn short_help_is_told_by_every_command() {
    for command in [
        "check",
        "see",
        "headroom",
        "explain",
        "fix",
        "undo",
        "rehearse",
        "doctor",
        "collect",
        "completions",
        "man",
    ] {
        let (short, by_word) = (stdout_of(&[command, "-h"]), stdout_of(&["help", command]));
        assert!(
            short.contains(&format!("Usage: dryport {command}")),
            "{short}"
        );
        assert!(
            by_word.contains(&format!("Usage: dryport {command}")),
            "{by_word}"
        );
    }
}

#[test]
fn every_number_in_the_help_has_a_unit_and_a_default() {
    for (command, flag, unit, default) in [
        ("check", "--warn <PERCENT>", "percent", "80"),
        ("check", "--crit <PERCENT>", "percent", "95"),
        ("headroom", "--warn <PERCENT>", "percent", "80"),
        ("headroom", "--crit <PERCENT>", "percent", "95"),
        ("see", "--most <N>", "groups", "50"),
        ("see", "--color <WHEN>", "terminal", "auto"),
        (
            "fix",
            "--target-rate <RATE>",
            "per second",
            "room for twice the present peak",
        ),
        ("fix", "--hold <SECONDS>", "in seconds", "estimated, or 0"),
        ("rehearse", "--for <TIME>", "seconds", "3s"),
    ] {
        let help = stdout_of(&[command, "--help"]);
        let (_, rest) = help
            .split_once(flag)
            .unwrap_or_else(|| panic!("{command}: no {flag}"));
        let next_flag = |line: &&str| line.starts_with("  -") || line.starts_with("      --");
        let about: String = rest
            .lines()
            .skip(1)
            .take_while(|line| !next_flag(line))
            .collect();
        assert!(about.contains(unit), "{command} {flag}: {about}");
        assert!(
            about.contains(&format!("[default: {default}]")),
            "{command} {flag}: {about}"
        );
    }
}

#[test]
fn the_exit_codes_are_told_where_a_level_is_given() {
    for arguments in [
        &["--help"][..],
        &["check", "--help"],
        &["headroom", "--help"],
    ] {
        let help = stdout_of(arguments);
        for code in ["  0   ", "  1   ", "  2   ", "  3   ", "  64  "] {
            assert!(help.contains(code), "{arguments:?} does not tell {code:?}");
        }
    }
    // These give no level.
    for command in ["fix", "undo", "rehearse", "collect"] {
        let help = stdout_of(&[command, "--help"]);
        for code in ["  0   ", "  3   ", "  64  "] {
            assert!(help.contains(code), "{command} does not tell {code:?}");
        }
    }
}

#[test]
fn the_manual_page_reads_well() {
    let page = stdout_of(&["man"]).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!("man", page);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(stdout_of(&["man", directory.path().to_str().unwrap()]), "");
    for page in [
        "dryport",
        "dryport-check",
        "dryport-see",
        "dryport-headroom",
        "dryport-explain",
        "dryport-fix",
        "dryport-undo",
        "dryport-rehearse",
        "dryport-collect",
    ] {
        let text = std::fs::read_to_string(directory.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH NAME"), "{page}: {text}");
    }
}

#[test]
fn completions_know_every_command_and_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout_of(&["completions", shell]);
        for word in [
            "check",
            "see",
            "headroom",
            "netns",
            "no-owners",
            "port-range",
            "v6only",
            "rehearse",
            "target-rate",
            "confirm-within",
            "like-now",
            "forget",
        ] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    insta::assert_snapshot!("completions-fish", stdout_of(&["completions", "fish"]));
}

#[test]
fn bash_takes_its_completions() {
    let script = stdout_of(&["completions", "bash"]);
    let bash = Command::new("bash")
        .args(["--norc", "-n"])
        .stdin(Stdio::piped())
        .spawn();
    let mut bash = match bash {
        Ok(bash) => bash,
        Err(error) => return skipped("bash", &error.to_string()),
    };
    bash.stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(bash.wait().unwrap().success());
}

/// Says so, and fails where `DRYPORT_REQUIRE` names what is missing.
fn skipped(needed: &str, why: &str) {
    eprintln!("SKIPPED: {needed}: {why}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    let is_required = required.split([',', ' ']).any(|word| word == needed);
    assert!(!is_required, "DRYPORT_REQUIRE names {needed}");
}

/// Commands whose answer has colour on a terminal.
const COLOURED: [&[&str]; 2] = [&["check"], &["headroom", "127.0.0.1:80"]];

/// Exit codes of a level: this machine may be in any state.
const LEVELS: [Option<i32>; 3] = [Some(0), Some(1), Some(2)];

fn is_coloured(text: &str) -> bool {
    text.contains("\x1b[")
}

#[test]
fn there_is_no_colour_off_a_terminal() {
    for arguments in COLOURED {
        let output = run(arguments);
        assert!(LEVELS.contains(&output.status.code()), "{output:?}");
        assert!(!is_coloured(text(&output.stdout)), "{output:?}");
    }
}

#[test]
fn colour_can_be_forced_and_forbidden() {
    for arguments in COLOURED {
        let always = run(&[arguments, &["--color", "always"]].concat());
        assert!(is_coloured(text(&always.stdout)), "{always:?}");
        // A flag says more than an environment that is there for all programs.
        let mut against = dryport(&[arguments, &["--color=always"]].concat());
        let against = against.env("NO_COLOR", "1").output().unwrap();
        assert!(is_coloured(text(&against.stdout)), "{against:?}");
        assert!(!is_coloured(&on_terminal(
            &[arguments, &["--color=never"]].concat(),
            &[],
            80
        )));
    }
}

#[test]
fn json_has_no_colour_even_where_it_is_forced() {
    let output = run(&["check", "--json", "--color", "always"]);
    assert!(!is_coloured(text(&output.stdout)), "{output:?}");
}

#[test]
fn a_terminal_has_colour_unless_no_color_or_dumb() {
    for arguments in COLOURED {
        assert!(is_coloured(&on_terminal(arguments, &[], 80)));
        assert!(is_coloured(&on_terminal(
            arguments,
            &[("NO_COLOR", "")],
            80
        )));
        assert!(!is_coloured(&on_terminal(
            arguments,
            &[("NO_COLOR", "1")],
            80
        )));
        assert!(!is_coloured(&on_terminal(
            arguments,
            &[("TERM", "dumb")],
            80
        )));
    }
}

fn widest(text: &str) -> usize {
    text.lines()
        .map(|line| line.trim_end().chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn an_answer_is_80_columns_wide_off_a_terminal() {
    for arguments in COLOURED {
        let output = dryport(arguments).env("COLUMNS", "200").output().unwrap();
        assert!(
            widest(text(&output.stdout)) <= 80,
            "{}",
            text(&output.stdout)
        );
    }
}

#[test]
fn an_answer_is_as_wide_as_its_terminal() {
    let arguments = ["headroom", "127.0.0.1:80", "--color=never"];
    let (narrow, wide) = (
        on_terminal(&arguments, &[], 80),
        on_terminal(&arguments, &[], 132),
    );
    assert!(widest(&narrow) <= 80, "{narrow}");
    assert!((81..=132).contains(&widest(&wide)), "{wide}");
    // A terminal that does not know its width, and ones that cannot be true.
    for columns in [0, 1, 7, u16::MAX] {
        assert!(
            on_terminal(&arguments, &[], columns).contains("127.0.0.1:80"),
            "{columns}"
        );
    }
}

/// What the program writes to a terminal with that many columns.
fn on_terminal(arguments: &[&str], environment: &[(&str, &str)], columns: u16) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let inside = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = dryport(arguments);
    command
        .envs(environment.iter().copied())
        .stdout(inside)
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Our copy of the inner end has to go, or the outer one never ends.
    drop(command);
    let mut written = Vec::new();
    match File::from(terminal).read_to_end(&mut written) {
        // Linux tells the end of a terminal as EIO.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {}
        result => {
            let _: usize = result.unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(LEVELS.contains(&status.code()), "{arguments:?}: {status}");
    String::from_utf8(written)
        .map_err(io::Error::other)
        .unwrap()
}
