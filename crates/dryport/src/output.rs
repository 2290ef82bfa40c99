//! Where the answer goes, and how it looks there.

use std::io::{self, BufWriter, IsTerminal, Write};

use dryport_report::text::Screen;

use crate::args::{Color, OutputArgs};

/// Width where there is no terminal to ask.
const PLAIN_WIDTH: usize = 80;
/// Wider lines are hard to read, whatever the terminal.
const WIDEST: usize = 160;

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As JSON.
    pub json: bool,
    /// The first line only.
    pub quiet: bool,
    /// The screen that text is for.
    pub screen: Screen,
}

impl Output {
    /// From the arguments, the terminal and the environment.
    pub fn new(args: &OutputArgs) -> Self {
        let terminal = io::stdout().is_terminal();
        let color = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color() && !dumb_terminal(),
        };
        let width = if terminal {
            terminal_width()
        } else {
            PLAIN_WIDTH
        };
        Self {
            json: args.json,
            quiet: args.quiet,
            screen: Screen { width, color },
        }
    }

    /// Writes an answer to standard output and flushes it.
    pub fn write(&self, answer: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        answer(&mut out)?;
        out.flush()
    }
}

/// See no-color.org: present and not empty.
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

fn terminal_width() -> usize {
    let columns = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
    match usize::from(columns) {
        0 => PLAIN_WIDTH,
        columns => columns.min(WIDEST),
    }
}
