//! Which runtime a process has: opens its files; `dryport_wire::procfs` reads them.

use std::fs::File;
use std::io::Read;

use dryport_model::plan::Runtime;
use dryport_wire::procfs;

/// Enough for thousands of mappings; the executable and its libraries come long before the end.
const MAPS_BYTES: usize = 1024 * 1024;

/// The runtime of a process; `None` where there is none that is known, or its files may not be
/// read. Costs two reads of the process's files: for the few processes that hold most ports.
#[must_use]
pub fn runtime_of(pid: u32) -> Option<Runtime> {
    let executable = head_of(pid, "exe", procfs::EXECUTABLE_HEAD_BYTES);
    let maps = head_of(pid, "maps", MAPS_BYTES);
    procfs::runtime(&executable, &maps)
}

/// The first bytes of a file of the process, as many as could be read.
fn head_of(pid: u32, file: &str, bytes: usize) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{pid}/{file}")) {
        // A process that ends meanwhile leaves what was read before: enough, or nothing.
        let _ = file.take(bytes as u64).read_to_end(&mut head);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_no_runtime() {
        assert_eq!(runtime_of(std::process::id()), None);
    }

    #[test]
    fn a_process_that_is_not_there_has_none() {
        assert_eq!(runtime_of(u32::MAX), None);
    }
}
