//! `--write`: the plan as files, to be carried to where it is needed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use dryport_model::plan::Recipe;

use crate::failure::{Failure, tell};

/// Writes what applies and what takes back into a new directory.
pub(super) fn write(directory: Option<&Path>, recipes: &[Recipe]) -> Result<(), Failure> {
    let Some(directory) = directory else {
        return Ok(());
    };
    let failed = |path: &Path| {
        let name = dryport_wire::procfs::printable(path.as_os_str().as_encoded_bytes());
        move |source| Failure::Output { name, source }
    };
    // A new one: files of another plan beside these could be applied by mistake.
    fs::create_dir(directory).map_err(failed(directory))?;
    for recipe in recipes {
        let mut texts = vec![(recipe.file_name, recipe.apply.as_str())];
        texts.extend(
            recipe
                .undo
                .as_deref()
                .map(|undo| (recipe.undo_file_name, undo)),
        );
        for (name, text) in texts {
            let path = directory.join(name);
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(failed(&path))?;
            file.write_all(text.as_bytes()).map_err(failed(&path))?;
            tell(&format!("wrote {}", path.display()));
        }
    }
    Ok(())
}
