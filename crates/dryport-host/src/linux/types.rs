//! The kernel's description of its own types (BTF), readable by everybody where it is built in.

use std::fs::File;
use std::io;
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap};

const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's types, read when first asked for. 5 MB: mapped where the kernel lets them be
/// (since 6.16), which touches only what is looked at; else read, page by page, in 4 ms.
///
/// # Errors
/// The kernel was built without, or hides them.
pub fn kernel_types() -> Result<&'static [u8], io::ErrorKind> {
    static READ: OnceLock<Result<&'static [u8], io::ErrorKind>> = OnceLock::new();
    *READ.get_or_init(|| {
        let path = Path::new(TYPES);
        let file = File::open(path).map_err(|error| error.kind())?;
        if let Some(mapped) = map(&file) {
            return Ok(mapped);
        }
        let bytes = std::fs::read(path).map_err(|error| error.kind())?;
        Ok(Vec::leak(bytes))
    })
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
