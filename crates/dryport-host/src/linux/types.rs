//! The kernel's description of its own types (BTF), readable by everybody where it is built in.

use std::fs::File;
use std::io;
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap};

const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's types, read when first asked for and then kept. 5 MB: mapped where the kernel lets them be
/// (since 6.16), which touches only what is looked at; else read, page by page, in 4 ms.
///
/// # Errors
/// The kernel was built without, or hides them.
pub fn kernel_types() -> io::Result<&'static [u8]> {
    static READ: OnceLock<&'static [u8]> = OnceLock::new();
    // A failure (no descriptor left) may be over by the next time.
    match READ.get() {
        Some(types) => Ok(types),
        None => read().map(|types| *READ.get_or_init(|| types)),
    }
}

fn read() -> io::Result<&'static [u8]> {
    let path = Path::new(TYPES);
    let file = File::open(path)?;
    match map(&file) {
        Some(mapped) => Ok(mapped),
        None => Ok(Vec::leak(std::fs::read(path)?)),
    }
}

/// Maps a whole file for the rest of the process's life.
fn map(file: &File) -> Option<&'static [u8]> {
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
    if length == 0 {
        return None;
    }
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
    let start = unsafe {
        mmap(
            ptr::null_mut(),
            length,
            ProtFlags::READ,
            MapFlags::PRIVATE,
            file,
            0,
        )
    }
    .ok()?;
    // SAFETY: the mapping has that length, is never taken back, and shows a part of the running
    // kernel that does not change: sysfs gives no way to write it or to make it shorter.
    Some(unsafe { slice::from_raw_parts(start.cast(), length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_and_read_types_are_the_same() {
        let Ok(types) = kernel_types() else {
            eprintln!("SKIPPED: this kernel does not show its types");
            return;
        };
        assert!(types == std::fs::read(TYPES).unwrap());
    }
}
