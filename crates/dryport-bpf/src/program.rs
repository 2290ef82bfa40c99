//! From an object to a running iterator.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya_obj::Object;

use crate::kernel::chain;
use crate::{Error, Kernel, Result, syscall};

/// An object fitted to the kernel, from which programs are loaded with variables of their own.
pub(crate) struct Template {
    object: Object,
}

/// A program in the kernel, ready to be read.
pub(crate) struct Iterator {
    link: OwnedFd,
    name: &'static str,
}

/// The variables of a loaded object.
pub(crate) struct Variables {
    map: OwnedFd,
}

const DATA: &str = ".data";
/// The kernel gives 32 KiB at a time (the buffer of a BPF iterator).
const BUFFER_BYTES: usize = 64 * 1024;
/// What is kept of the verifier's words.
const LOG_BYTES: usize = 64 * 1024;

impl Template {
    pub(crate) const fn new(object: Object) -> Self {
        Self { object }
    }

    #[cfg(test)]
    pub(crate) const fn object(&self) -> &Object {
        &self.object
    }

    /// Makes the maps and loads programs by name; the variables are shared by them. An object
    /// without variables gives `None`.
    pub(crate) fn load<const N: usize>(
        &self,
        kernel: &Kernel,
        names: [&'static str; N],
    ) -> Result<([Result<Iterator>; N], Option<Variables>)> {
        let mut object = self.object.clone();
        let maps = make_maps(&object)?;
        link(&mut object, &maps).map_err(|reason| Error::Unfit {
            program: names.first().copied().unwrap_or_default(),
            reason,
        })?;
        let iterators = names.map(|name| load(kernel, &object, name));
        let data = maps.into_iter().find(|(name, _)| name == DATA);
        Ok((iterators, data.map(|(_, map)| Variables { map })))
    }
}

fn make_maps(object: &Object) -> Result<Vec<(String, OwnedFd)>> {
    let failed = |what| move |source| Error::System { what, source };
    let mut maps = Vec::new();
    for (name, map) in &object.maps {
        let made = syscall::create_array(map.value_size()).map_err(failed("make a map"))?;
        if !map.data().is_empty() {
            syscall::write_array(made.as_fd(), map.data()).map_err(failed("write a map"))?;
        }
        maps.push((name.clone(), made));
    }
    Ok(maps)
}

/// Puts the maps' descriptors into the instructions.
fn link(object: &mut Object, made: &[(String, OwnedFd)]) -> std::result::Result<(), String> {
    let text: HashSet<usize> = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let definitions = object.maps.clone();
    let maps = made
        .iter()
        .filter_map(|(name, fd)| Some((name.as_str(), fd.as_raw_fd(), definitions.get(name)?)));
    object
        .relocate_maps(maps, &text)
        .map_err(|error| chain(&error))?;
    object.relocate_calls(&text).map_err(|error| chain(&error))
}

fn load(kernel: &Kernel, object: &Object, name: &'static str) -> Result<Iterator> {
    let target = kernel.target(name)?;
    let function = object
        .programs
        .get(name)
        .and_then(|program| object.functions.get(&program.function_key()))
        .ok_or_else(|| Error::Unfit {
            program: name,
            reason: "it is not in its object".into(),
        })?;
    let load = |log: &mut [u8]| syscall::load_iterator(name, &function.instructions, target, log);
    // The verifier's words are asked for only when there is something to say: they take time.
    let program = load(&mut []).map_err(|source| {
        let mut log = vec![0; LOG_BYTES];
        let _ = load(&mut log);
        Error::Refused {
            program: name,
            source,
            log: last_words(&log),
        }
    })?;
    let link = syscall::link_iterator(program.as_fd()).map_err(|source| Error::System {
        what: "link an iterator",
        source,
    })?;
    Ok(Iterator { link, name })
}

/// The line before the verifier's statistics.
fn last_words(log: &[u8]) -> String {
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let says = |line: &&str| !line.trim().is_empty() && !line.starts_with("processed ");
    let last = text.lines().rev().find(says).unwrap_or_default();
    last.chars().take(200).collect()
}

impl Iterator {
    /// Opens it for one reading in the calling thread's network namespace.
    pub(crate) fn open(&self) -> Result<File> {
        syscall::open_iterator(self.link.as_fd()).map_err(|source| Error::System {
            what: self.name,
            source,
        })
    }
}

/// Reads an open iterator to its end. `take` is handed the records that have come and tells how many
/// bytes of them were whole; `None` where they are no records.
///
/// # Errors
/// The kernel refuses; [`ErrorKind::InvalidData`] where the records do not fit this program.
pub(crate) fn read_records(
    mut file: File,
    mut take: impl FnMut(&[u8]) -> Option<usize>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut held = 0;
    loop {
        let read = match file.read(buffer.get_mut(held..).unwrap_or_default()) {
            Ok(0) if held == 0 => return Ok(()),
            Ok(0) => return Err(ErrorKind::InvalidData.into()),
            Ok(read) => read,
            // After a million objects of which none was told (`MAX_ITER_OBJECTS`) the kernel lets
            // others run and is to be asked to go on.
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        let end = held + read;
        let taken = take(buffer.get(..end).unwrap_or_default());
        let taken = taken.ok_or(ErrorKind::InvalidData)?;
        buffer.copy_within(taken..end, 0);
        held = end - taken;
    }
}

impl Variables {
    /// Sets them; the size is the object's own.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        syscall::write_array(self.map.as_fd(), bytes).map_err(|source| Error::System {
            what: "set what is asked for",
            source,
        })
    }
}
