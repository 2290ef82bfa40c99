//! Which runtime a process has, from the first bytes of its executable and from
//! `/proc/PID/maps`.
//!
//! It is a guess for choosing words, made from bytes that the process chose: nothing rests on it.

use dryport_model::plan::Runtime;
use memchr::memmem;

/// How many bytes of an executable are worth reading. Go's linker puts the note into the first
/// page of an ELF file (`cmd/link/internal/ld/elf.go`, `ELFRESERVE` is 4,096).
pub const EXECUTABLE_HEAD_BYTES: usize = 16 * 1024;

/// The runtime of a process; either part may be empty. Go shows in the executable, the others in
/// the libraries and files that are mapped. The lowest mapping counts, which is the program
/// itself: Python with a JVM inside is Python.
#[must_use]
pub fn runtime(executable_head: &[u8], maps: &[u8]) -> Option<Runtime> {
    if is_go(executable_head) {
        return Some(Runtime::Go);
    }
    maps.split(|byte| *byte == b'\n')
        .find_map(runtime_of_mapping)
}

/// The note `Go` with the build id (`readelf -n`), or the marks that stand before the build id and
/// the build information where there is no note.
fn is_go(head: &[u8]) -> bool {
    let marks: [&[u8]; 2] = [b"Go build ID: \"", b"\xff Go buildinf:"];
    has_go_note(head) || marks.iter().any(|mark| memmem::find(head, mark).is_some())
}

/// A note is three words (size of the name, size of the content, type), the name and the content.
/// Go's name is `Go` and two zeros, its type 4 (`ELF_NOTE_GOBUILDID_TAG`).
fn has_go_note(head: &[u8]) -> bool {
    const FOUR_LITTLE: [u8; 4] = [4, 0, 0, 0];
    const FOUR_BIG: [u8; 4] = [0, 0, 0, 4];
    if !head.starts_with(b"\x7fELF") {
        return false;
    }
    memmem::find_iter(head, b"Go\0\0").any(|name| {
        let words = name.checked_sub(12).and_then(|start| head.get(start..name));
        let name_size = words.and_then(|words| words.first_chunk::<4>());
        let kind = words.and_then(|words| words.last_chunk::<4>());
        name_size == kind && matches!(kind, Some(&FOUR_LITTLE | &FOUR_BIG))
    })
}

/// What one line of `maps` tells: `ADDRESSES MODE OFFSET DEVICE INODE NAME`.
fn runtime_of_mapping(line: &[u8]) -> Option<Runtime> {
    // Go 1.25 and later name their memory, where the kernel lets them.
    if memmem::find(line, b"[anon: Go: ").is_some() {
        return Some(Runtime::Go);
    }
    // No field before the path has a slash.
    let path = line.get(memchr::memchr(b'/', line)?..)?;
    let file = path.rsplit(|byte| *byte == b'/').next()?;
    runtime_of_file(file.strip_suffix(b" (deleted)").unwrap_or(file))
}

/// The first bytes of the names of files that a runtime is known by, with what may follow.
const FILES: [(&[u8], Runtime); 13] = [
    // The second is how .NET 7 and later map the code that they write, also in programs of a
    // single file, which have the runtime linked in.
    (b"libcoreclr.so", Runtime::DotNet),
    (b"memfd:doublemapper", Runtime::DotNet),
    (b"libjvm.so", Runtime::Java),
    (b"libpython", Runtime::Python),
    (b"python", Runtime::Python),
    (b"pypy", Runtime::Python),
    (b"libnode", Runtime::Node),
    (b"nodejs", Runtime::Node),
    (b"node", Runtime::Node),
    (b"libphp", Runtime::Php),
    (b"php", Runtime::Php),
    (b"libruby", Runtime::Ruby),
    (b"ruby", Runtime::Ruby),
];

fn runtime_of_file(file: &[u8]) -> Option<Runtime> {
    let known = FILES.iter().find(|(name, _)| {
        let rest = file.strip_prefix(*name);
        rest.is_some_and(is_version)
    });
    known.map(|(_, runtime)| *runtime)
}

/// What follows a name: nothing, or a version and an ending (`3.11`, `-3.2.so.3.2.3`,
/// `3.12t.so.1.0`, `-fpm8.2`), but no further word (`python-proxy`, `node_exporter`).
fn is_version(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"-fpm").unwrap_or(rest);
    let rest = rest.strip_prefix(b"-cgi").unwrap_or(rest);
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
        return true;
    };
    let starts = first.is_ascii_digit() || rest.starts_with(b".so");
    starts && last.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// As in a `kubectl` for amd64, whose note stands at 3,996.
    fn go_program() -> Vec<u8> {
        let mut head = Vec::from(*b"\x7fELF\x02\x01\x01");
        head.resize(3996, 0);
        head.extend(b"\x04\0\0\0\x53\0\0\0\x04\0\0\0Go\0\0rOoLHoFyRLg86Awf8yXZ/");
        head
    }

    fn mapped(path: &str) -> Option<Runtime> {
        let line = [
            b"7f5835451000-7f5835477000 r--p 00000000 fe:00 326279                     ",
            path.as_bytes(),
            b"\n",
        ]
        .concat();
        runtime(b"\x7fELF", &line)
    }

    #[test]
    fn go_is_known_by_its_note() {
        assert_eq!(runtime(&go_program(), b""), Some(Runtime::Go));
        let cut = go_program();
        assert_eq!(runtime(&cut[..4008], b""), None);
    }

    #[test]
    fn the_word_go_alone_is_no_note() {
        assert_eq!(runtime(b"\x7fELF Go\0\0", b""), None);
        assert_eq!(runtime(b"\x7fELF 123456789012Go\0\0", b""), None);
        assert_eq!(runtime(b"Go\0\0", b""), None);
    }

    #[test]
    fn go_is_known_by_its_marks() {
        assert_eq!(runtime(b"MZ\xff Go build ID: \"x", b""), Some(Runtime::Go));
        assert_eq!(runtime(b"..\xff Go buildinf:\x08", b""), Some(Runtime::Go));
        let maps = b"c000000000-c000400000 rw-p 00000000 00:00 0       [anon: Go: heap]\n";
        assert_eq!(runtime(b"", maps), Some(Runtime::Go));
    }

    #[test]
    fn other_runtimes_are_known_by_what_they_map() {
        let cases = [
            (
                "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/libcoreclr.so",
                Runtime::DotNet,
            ),
            ("/memfd:doublemapper (deleted)", Runtime::DotNet),
            (
                "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
                Runtime::Java,
            ),
            ("/usr/lib/libpython3.11.so.1.0", Runtime::Python),
            ("/usr/bin/python3.11", Runtime::Python),
            ("/usr/bin/python3.12 (deleted)", Runtime::Python),
            ("/usr/lib/libpython3.13t.so.1.0", Runtime::Python),
            ("/usr/bin/node", Runtime::Node),
            ("/usr/lib/libnode.so.108", Runtime::Node),
            ("/usr/sbin/php-fpm8.2", Runtime::Php),
            ("/usr/lib/apache2/modules/libphp8.2.so", Runtime::Php),
            ("/usr/lib/apache2/modules/libphp.so", Runtime::Php),
            ("/usr/lib/libruby-3.1.so.3.1.2", Runtime::Ruby),
            ("/usr/bin/ruby3.1", Runtime::Ruby),
        ];
        for (path, expected) in cases {
            assert_eq!(mapped(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn names_that_only_begin_alike_are_something_else() {
        for path in [
            "/usr/bin/node_exporter",
            "/usr/bin/python-proxy",
            "/usr/lib/python3/dist-packages/x.so",
            "/usr/lib/libphpaw.so",
            "/usr/lib/nodes.so",
            "/usr/lib/libc.so.6",
            "[heap]",
            "",
        ] {
            assert_eq!(mapped(path), None, "{path}");
        }
    }

    #[test]
    fn the_lowest_mapping_counts() {
        let maps = b"1-2 r-xp 0 0:0 1 /usr/bin/python3\n3-4 r-xp 0 0:0 2 /jvm/libjvm.so\n";
        assert_eq!(runtime(b"", maps), Some(Runtime::Python));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(head: Vec<u8>, maps: Vec<u8>) {
            let _ = runtime(&head, &maps);
        }

        #[test]
        fn the_note_is_found_wherever_it_stands(at in 4_usize..9000, rest: Vec<u8>) {
            let mut head = Vec::from(*b"\x7fELF");
            head.resize(at, 0xaa);
            head.extend(b"\x04\0\0\0\x53\0\0\0\x04\0\0\0Go\0\0");
            head.extend(rest);
            prop_assert_eq!(runtime(&head, b""), Some(Runtime::Go));
        }
    }
}
