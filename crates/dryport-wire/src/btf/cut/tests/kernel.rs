//! The running kernel's own types: what is kept is as it was.

use std::collections::BTreeSet;
use std::string::ToString;

use super::*;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const STRUCTS: [&str; 10] = [
    "sock_common",
    "sock",
    "tcp_sock",
    "inet_timewait_sock",
    "inet_bind_bucket",
    "bpf_iter__tcp",
    "bpf_iter_meta",
    "in6_addr",
    // Not needed by anyone here: large, and a union.
    "task_struct",
    "bpf_attr",
];

/// The file, or `None` where it cannot be read, which is said, and fails where `DRYPORT_REQUIRE`
/// names `btf`.
fn vmlinux() -> Option<Vec<u8>> {
    let error = match std::fs::read(VMLINUX) {
        Ok(btf) => return Some(btf),
        Err(error) => error.to_string(),
    };
    std::eprintln!("SKIPPED: {VMLINUX}: {error}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    let is_required = required.split([',', ' ']).any(|word| word == "btf");
    assert!(!is_required, "DRYPORT_REQUIRE names btf");
    None
}

/// A BTF and where the structs of a name are.
struct Opened<'a> {
    index: Index<'a>,
    structs: Vec<u32>,
}

fn open<'a>(btf: &'a [u8], structs: &[&str]) -> Opened<'a> {
    let sections = Sections::of(btf).unwrap();
    let (index, found) = Index::of(sections, &wanted(structs), &[]).unwrap();
    let structs = found.structs;
    Opened { index, structs }
}

impl Opened<'_> {
    fn name(&self, offset: u32) -> &[u8] {
        let text = &self.index.sections.strings[offset as usize..];
        text.split(|byte| *byte == 0).next().unwrap()
    }
}

/// Asserts that two types are the same to a loader, and lists the pairs of types that they hold.
fn compare(whole: &Opened<'_>, kept: &Opened<'_>, ids: (u32, u32)) -> Vec<(u32, u32)> {
    if ids == (0, 0) {
        return Vec::new();
    }
    assert_ne!(ids.1, 0, "type {} was lost", ids.0);
    let of = whole.index.type_of(ids.0).unwrap();
    let is = kept.index.type_of(ids.1).unwrap();
    let (name, new_name) = (whole.name(of.name), kept.name(is.name));
    assert_eq!((of.kind, name), (is.kind, new_name));
    // An enumeration has lost its values.
    let counted = if matches!(of.kind, 6 | 19) {
        !0xffff
    } else {
        !0
    };
    assert_eq!(of.what & counted, is.what);
    let inner = (of.size_or_type, is.size_or_type);
    match of.kind {
        2 if inner.1 == 0 => return Vec::new(),
        2 | 8..=11 | 18 => return Vec::from([inner]),
        _ => assert_eq!(inner.0, inner.1),
    }
    match of.kind {
        1 => assert_eq!(of.more, is.more),
        3 => {
            let [element, index, count] = whole.index.sections.words(of.more);
            let [new_element, new_index, new_count] = kept.index.sections.words(is.more);
            assert_eq!(count, new_count);
            return Vec::from([(element, new_element), (index, new_index)]);
        }
        4 | 5 => return compare_members(whole, kept, of.more, is.more),
        _ => {}
    }
    Vec::new()
}

fn compare_members(whole: &Opened<'_>, kept: &Opened<'_>, of: &[u8], is: &[u8]) -> Vec<(u32, u32)> {
    assert_eq!(of.len(), is.len());
    let pairs = of.chunks_exact(12).zip(is.chunks_exact(12));
    let compare = |(of, is)| {
        let [name, inner, place] = whole.index.sections.words(of);
        let [new_name, new_inner, new_place] = kept.index.sections.words(is);
        assert_eq!((whole.name(name), place), (kept.name(new_name), new_place));
        (inner, new_inner)
    };
    pairs.map(compare).collect()
}

#[test]
fn what_is_kept_of_a_real_kernel_is_as_it_was() {
    let Some(btf) = vmlinux() else {
        return;
    };
    let cut = cut(&btf, &wanted(&STRUCTS)).unwrap();
    let (whole, kept) = (open(&btf, &STRUCTS), open(&cut.btf, &STRUCTS));
    assert_eq!(whole.structs.len(), kept.structs.len());
    assert!(whole.structs.len() >= STRUCTS.len());
    let mut todo: Vec<_> = whole.structs.into_iter().zip(kept.structs).collect();
    let (whole, kept) = (open(&btf, &[]), open(&cut.btf, &[]));
    let mut seen = BTreeSet::new();
    while let Some(ids) = todo.pop() {
        if seen.insert(ids) {
            todo.extend(compare(&whole, &kept, ids));
        }
    }
    // Nothing else was written.
    assert_eq!(
        kept.index.len(),
        seen.len() + usize::from(!seen.contains(&(0, 0)))
    );
    assert!(cut.btf.len() < btf.len() / 20, "{} bytes", cut.btf.len());
}

#[test]
fn members_of_a_real_kernel_are_found_in_the_cut_as_in_the_whole() {
    let Some(btf) = vmlinux() else {
        return;
    };
    let whole = cut(&btf, &wanted(&STRUCTS)).unwrap().btf;
    let without = [("sock_common", "skc_dport")];
    let older = cut_without(&btf, &wanted(&STRUCTS), &without).unwrap().btf;
    let members = [
        ("sock_common", "skc_dport"), // two anonymous levels down
        ("sock_common", "skc_family"),
        ("inet_bind_bucket", "fastreuse"),
        ("inet_timewait_sock", "tw_entry_stamp"),
        ("tcp_sock", "inet_conn"),
        ("task_struct", "absent"),
        ("bpf_attr", "map_type"),
    ];
    for (of, member) in members {
        let has = struct_has_member(&btf, of, member).unwrap();
        assert!(has.is_some(), "{of}");
        assert_eq!(
            struct_has_member(&whole, of, member),
            Ok(has),
            "{of}.{member}"
        );
        let has = has.map(|has| has && member != "skc_dport");
        assert_eq!(
            struct_has_member(&older, of, member),
            Ok(has),
            "{of}.{member}"
        );
    }
}

#[test]
fn functions_of_a_real_kernel_are_where_they_were() {
    let Some(btf) = vmlinux() else {
        return;
    };
    let functions = ["bpf_iter_tcp", "no_such_function"];
    let wanted = Wanted {
        structs: &[],
        functions: &functions,
    };
    let cut = cut(&btf, &wanted).unwrap();
    let whole = open(&btf, &[]);
    let [Some(id), None] = cut.function_ids[..] else {
        panic!("{:?}", cut.function_ids);
    };
    let of = whole.index.type_of(id).unwrap();
    assert_eq!((of.kind, whole.name(of.name)), (12, &b"bpf_iter_tcp"[..]));
}
