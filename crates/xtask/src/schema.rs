//! `docs/schema`: the JSON schemas, written from the types, and the check that they are current.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::workspace;

#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail when a file differs from the types
    #[arg(long)]
    check: bool,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let directory = workspace::root().join("docs/schema");
    let wanted = files(dryport_report::json::schemas());
    if options.check {
        let stale = differences(&directory, &wanted)?;
        if !stale.is_empty() {
            return Err(Failure::StaleSchemas(stale));
        }
        println!("docs/schema: {} files, all as the types say", wanted.len());
        return Ok(());
    }
    write(&directory, &wanted)
}

/// File name and text.
fn files(schemas: Vec<(&'static str, Value)>) -> BTreeMap<String, String> {
    schemas
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), format!("{schema:#}\n")))
        .collect()
}

fn write(directory: &Path, wanted: &BTreeMap<String, String>) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(Failure::file("make", directory))?;
    for (name, text) in wanted {
        let path = directory.join(name);
        fs::write(&path, text).map_err(Failure::file("write", &path))?;
        println!("docs/schema/{name}");
    }
    for name in left_over(directory, wanted)? {
        let path = directory.join(&name);
        fs::remove_file(&path).map_err(Failure::file("remove", &path))?;
        println!("docs/schema/{name} removed");
    }
    Ok(())
}

fn differences(
    directory: &Path,
    wanted: &BTreeMap<String, String>,
) -> Result<Vec<String>, Failure> {
    let mut stale = Vec::new();
    for (name, text) in wanted {
        let path = directory.join(name);
        match fs::read_to_string(&path) {
            Ok(found) if found == *text => {}
            Ok(_) => stale.push(format!("{name}: differs")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                stale.push(format!("{name}: missing"));
            }
            Err(error) => return Err(Failure::file("read", &path)(error)),
        }
    }
    let left_over = left_over(directory, wanted)?;
    stale.extend(
        left_over
            .into_iter()
            .map(|name| format!("{name}: no type has this name")),
    );
    Ok(stale)
}

/// Files of schemas that no type has any more.
fn left_over(directory: &Path, wanted: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::file("list", directory)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Failure::file("list", directory))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".json") && !wanted.contains_key(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_changed_and_a_forgotten_schema_are_each_told() {
        let directory = tempfile::tempdir().unwrap();
        let wanted = files(vec![
            ("a-1.json", Value::Null),
            ("b-1.json", Value::Bool(true)),
        ]);
        write(directory.path(), &wanted).unwrap();
        assert_eq!(
            differences(directory.path(), &wanted).unwrap(),
            Vec::<String>::new()
        );

        fs::remove_file(directory.path().join("a-1.json")).unwrap();
        fs::write(directory.path().join("b-1.json"), "false\n").unwrap();
        fs::write(directory.path().join("c-1.json"), "").unwrap();
        assert_eq!(
            differences(directory.path(), &wanted).unwrap(),
            [
                "a-1.json: missing",
                "b-1.json: differs",
                "c-1.json: no type has this name"
            ]
        );
    }
}
