//! The terminal as far as a screen needs to know it, and what its colours mean.

use anstyle::{AnsiColor, Style};
use dryport_model::Level;

/// Where a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns; fewer than 40 are taken as 40.
    pub width: usize,
    /// Whether to colour.
    pub color: bool,
}

impl Default for Screen {
    /// 80 columns, no colour.
    fn default() -> Self {
        Self {
            width: 80,
            color: false,
        }
    }
}

/// What a piece of text is, so that it can be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Level(Level),
    Strong,
    Faint,
    Command,
    InUse,
    TimeWait,
    Locked,
    Uncertain,
}

impl Tone {
    fn style(self) -> Style {
        let of = |color: AnsiColor| Style::new().fg_color(Some(anstyle::Color::Ansi(color)));
        match self {
            Self::Level(Level::Ok) => of(AnsiColor::Green).bold(),
            Self::Level(Level::Warning) => of(AnsiColor::Yellow).bold(),
            Self::Level(Level::Critical) => of(AnsiColor::Red).bold(),
            Self::Level(Level::Unknown) => of(AnsiColor::Magenta).bold(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Command => of(AnsiColor::Cyan),
            Self::InUse => of(AnsiColor::Blue),
            Self::TimeWait => of(AnsiColor::Yellow),
            Self::Locked => of(AnsiColor::Red),
            Self::Uncertain => of(AnsiColor::Magenta),
        }
    }
}

impl Screen {
    /// Columns to fill.
    pub(super) fn columns(self) -> usize {
        self.width.max(40)
    }

    /// The text in its colour, or as it is.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if self.color && !text.is_empty() {
            let style = tone.style();
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
}
