//! Threads in namespaces of their own.

use std::ffi::CString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A network namespace.
pub const NETWORK: UnshareFlags = UnshareFlags::NEWNET;
/// A mount namespace.
pub const MOUNTS: UnshareFlags = UnshareFlags::NEWNS;

/// One scratch namespace at a time: the kernel gives the number of one that ended to the next.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `work` in a thread with namespaces of its own, which end with it. Where that is forbidden
/// it says so, and fails if it is required.
pub fn in_scratch(flags: UnshareFlags, work: impl FnOnce() + Send) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: namespaces only, never FILES, so no thread sees another's descriptors.
            match unsafe { unshare_unsafe(flags) } {
                Ok(()) => work(),
                // An ordinary user gets namespaces only in a user namespace, which a process with
                // several threads cannot enter. So it is root that these tests need.
                Err(error) => skip("root", &format!("no scratch namespace: {error}")),
            }
        });
        if let Err(payload) = thread.join() {
            std::panic::resume_unwind(payload);
        }
    });
}

/// Says that a test cannot run, and fails where `DRYPORT_REQUIRE` names what is missing.
pub fn skip(needed: &str, reason: &str) {
    eprintln!("SKIPPED: {reason}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    if required.split([',', ' ']).any(|word| word == needed) {
        panic!("but DRYPORT_REQUIRE names {needed}");
    }
}

/// Mounts as mount(2); the mount namespace must be the thread's own.
pub fn mount(source: &str, target: &Path, kind: &str, flags: libc::c_ulong, options: &str) {
    let [source, kind, options] = [source, kind, options].map(|text| CString::new(text).unwrap());
    let target = CString::new(target.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: all four are strings that end with NUL and live through the call.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    assert_eq!(
        result,
        0,
        "mount {target:?}: {}",
        std::io::Error::last_os_error()
    );
}

/// So that no mount of the thread reaches the machine.
pub fn keep_mounts_here() {
    mount(
        "none",
        Path::new("/"),
        "",
        libc::MS_REC | libc::MS_PRIVATE,
        "",
    );
}
