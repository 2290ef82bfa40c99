//! Completions and manual pages, from the same definitions as `--help`.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::Args;
use crate::failure::{Exit, Failure};

/// Writes completions for a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "dryport", &mut text);
    io::stdout().lock().write_all(&text)?;
    Ok(Exit::Ok)
}

/// Writes the manual: one page to standard output, or all of them to a directory.
pub fn man(directory: Option<&Path>) -> Result<Exit, Failure> {
    let command = Args::command().disable_help_subcommand(true);
    match directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            clap_mangen::generate_to(command, directory)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            io::stdout().lock().write_all(&page)?;
        }
    }
    Ok(Exit::Ok)
}
