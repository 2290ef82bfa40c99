//! bpf(2), as far as it is needed to load iterators and read them.
//!
//! aya's own loader parses the kernel's BTF anew whenever it is made and tries some twenty features:
//! 40 ms in which a whole census is done (measured once on 6.18).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::copy_instructions;
use aya_obj::generated::bpf_insn;

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
const ITER_CREATE: libc::c_int = 33;

/// `BPF_PROG_TYPE_TRACING` and `BPF_TRACE_ITER`.
const TRACING: u32 = 26;
const TRACE_ITER: u32 = 28;
const MAP_ARRAY: u32 = 2;

/// How often a program is loaded that a signal came in the way of; libbpf does it 5 times.
const LOAD_TRIES: u32 = 20;

/// Members of `union bpf_attr` (`include/uapi/linux/bpf.h`); later ones the kernel takes as 0.
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct MapUpdate {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

/// Runs a command that gives a number.
///
/// # Safety
/// `attributes` is what the command expects, and every address in it holds for the call.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's word for the attributes; their size is given, the kernel reads no more.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as libc::c_int)
    }
}

/// The same for a command that gives a descriptor.
///
/// # Safety
/// As [`bpf`]; the command gives a descriptor.
unsafe fn descriptor<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's word.
    let number = unsafe { bpf(command, attributes) }?;
    // SAFETY: the kernel has just opened it (with O_CLOEXEC) and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// An array of one value, which holds a program's variables.
pub(crate) fn create_array(value_size: u32) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        map_type: MAP_ARRAY,
        key_size: 4,
        value_size,
        max_entries: 1,
    };
    // SAFETY: these are the members of BPF_MAP_CREATE, without addresses.
    unsafe { descriptor(MAP_CREATE, &attributes) }
}

/// Writes the one value of an array that was created for as many bytes.
pub(crate) fn write_array(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let key = 0_u32;
    let attributes = MapUpdate {
        map_fd: number(map),
        padding: 0,
        key: std::ptr::from_ref(&key) as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the members of BPF_MAP_UPDATE_ELEM; key and value live through the call and have the
    // sizes that the map was created with.
    unsafe { bpf(MAP_UPDATE, &attributes) }.map(drop)
}

/// Loads an iterator. `log` is filled with the verifier's words where it is not empty.
pub(crate) fn load_iterator(
    name: &str,
    instructions: &[bpf_insn],
    target: u32,
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    let mut attributes = ProgLoad {
        prog_type: TRACING,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: TRACE_ITER,
        attach_btf_id: target,
        ..ProgLoad::default()
    };
    if !log.is_empty() {
        attributes.log_level = 1;
        attributes.log_size = log.len() as u32;
        attributes.log_buf = log.as_mut_ptr() as u64;
    }
    // The last byte stays 0.
    for (to, from) in attributes.prog_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    let load = || {
        // SAFETY: the members of BPF_PROG_LOAD; instructions, licence and log live through the call
        // and their sizes are given.
        unsafe { descriptor(PROG_LOAD, &attributes) }
    };
    // The verifier breaks off with EAGAIN where a signal waits for this thread (`do_check`).
    let mut tries = 1;
    loop {
        match load() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < LOAD_TRIES => {
                tries += 1;
            }
            loaded => return loaded,
        }
    }
}

/// Links an iterator. The link is in no file system: it goes with its descriptor.
pub(crate) fn link_iterator(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attributes = LinkCreate {
        prog_fd: number(program),
        target_fd: 0,
        attach_type: TRACE_ITER,
        flags: 0,
    };
    // SAFETY: the members of BPF_LINK_CREATE, without addresses.
    unsafe { descriptor(LINK_CREATE, &attributes) }
}

/// Opens a link for one reading, in the network namespace of the calling thread.
pub(crate) fn open_iterator(link: BorrowedFd<'_>) -> io::Result<File> {
    let attributes = IterCreate {
        link_fd: number(link),
        flags: 0,
    };
    // SAFETY: the members of BPF_ITER_CREATE, without addresses.
    let file = unsafe { descriptor(ITER_CREATE, &attributes) }?;
    Ok(File::from(file))
}

/// Whether this thread may load programs such as ours: asked with one instruction and nothing to
/// attach it to. The kernel looks at the rights first (`bpf_prog_load`), and making a map would not
/// do: for that everybody has the right where `kernel.unprivileged_bpf_disabled` is 0.
pub(crate) fn may_use() -> io::Result<()> {
    let exit = copy_instructions(&[0x95, 0, 0, 0, 0, 0, 0, 0]).unwrap_or_default();
    match load_iterator("may_use", &exit, 0, &mut []) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        answer => answer.map(drop),
    }
}
