//! Tests over a small BTF made here, in both byte orders.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// A BTF being written.
pub(super) struct Maker {
    types: Vec<u8>,
    strings: Vec<u8>,
    big_endian: bool,
    /// The last type's id.
    last: u32,
}

impl Maker {
    pub(super) fn new(big_endian: bool) -> Self {
        Self {
            types: Vec::new(),
            strings: Vec::from([0]),
            big_endian,
            last: 0,
        }
    }

    fn word(&self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(super) fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        at
    }

    /// The id of a type written now.
    pub(super) fn raw(&mut self, words: &[u32]) -> u32 {
        for word in words {
            let bytes = self.word(*word);
            self.types.extend(bytes);
        }
        self.last += 1;
        self.last
    }

    /// A type of a kind, with a name, a size or an id, and what stands behind.
    pub(super) fn add(&mut self, kind: u32, name: &str, last: u32, more: &[u32]) -> u32 {
        let name = self.name(name);
        self.raw(&[&[name, kind << 24, last], more].concat())
    }

    /// A struct or union of 8 bytes.
    pub(super) fn composite(&mut self, kind: u32, name: &str, members: &[(&str, u32)]) -> u32 {
        let name = self.name(name);
        let mut words = Vec::from([name, kind << 24 | members.len() as u32, 8]);
        for (member, of) in members {
            words.extend([self.name(member), *of, 0]);
        }
        self.raw(&words)
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let magic = if self.big_endian {
            [0xeb, 0x9f]
        } else {
            [0x9f, 0xeb]
        };
        let mut out = Vec::from(magic);
        out.extend([1, 0]);
        let types = self.types.len() as u32;
        for word in [24, 0, types, types, self.strings.len() as u32] {
            out.extend(self.word(word));
        }
        out.extend(&self.types);
        out.extend(&self.strings);
        out
    }
}

fn sample(big_endian: bool) -> Vec<u8> {
    let mut maker = Maker::new(big_endian);
    maker.add(1, "int", 4, &[32]); // 1
    maker.add(3, "", 0, &[1, 1, 4]); // 2: an array
    maker.composite(6, "colour", &[]); // 3
    maker.composite(5, "", &[("deep", 1), ("", 5)]); // 4: anonymous union
    maker.composite(4, "", &[("deeper", 1)]); // 5: anonymous struct
    maker.composite(
        4,
        "inet_bind2_bucket",
        &[("port", 1), ("", 4), ("fastreuse", 1)],
    ); // 6
    maker.composite(4, "knot", &[("", 7)]); // 7: holds itself
    maker.finish()
}

#[test]
fn members_are_found_in_either_byte_order() {
    for btf in [sample(false), sample(true)] {
        let has = |member| struct_has_member(&btf, "inet_bind2_bucket", member).unwrap();
        assert_eq!(has("fastreuse"), Some(true));
        assert_eq!(has("port"), Some(true));
        assert_eq!(has("fastreus"), Some(false));
        assert_eq!(has(""), Some(false));
    }
}

#[test]
fn members_of_anonymous_structs_count() {
    let btf = sample(false);
    assert_eq!(
        struct_has_member(&btf, "inet_bind2_bucket", "deep"),
        Ok(Some(true))
    );
    assert_eq!(
        struct_has_member(&btf, "inet_bind2_bucket", "deeper"),
        Ok(Some(true))
    );
}

#[test]
fn a_struct_that_is_not_there_is_not_one_without_the_member() {
    let btf = sample(false);
    assert_eq!(
        struct_has_member(&btf, "inet_bind3_bucket", "port"),
        Ok(None)
    );
    assert_eq!(struct_has_member(&btf, "int", "port"), Ok(None));
    assert_eq!(struct_has_member(&btf, "", "deep"), Ok(None));
}

#[test]
fn a_struct_that_holds_itself_ends_the_search() {
    assert_eq!(
        struct_has_member(&sample(false), "knot", "x"),
        Ok(Some(false))
    );
}

#[test]
fn a_name_is_not_two_with_a_nul_between() {
    let btf = sample(false);
    assert_eq!(
        struct_has_member(&btf, "inet_bind2_bucket", "port\0fastreuse"),
        Ok(Some(false))
    );
}

#[test]
fn only_whole_names_are_contained() {
    let btf = sample(true);
    assert!(contains_name(&btf, "fastreuse"));
    assert!(contains_name(&btf, "knot"));
    for name in ["fastreus", "astreuse", "", "int\0colour", "absent"] {
        assert!(!contains_name(&btf, name), "{name}");
    }
}

#[test]
fn what_is_not_btf_is_refused() {
    let bad = |field, value| Err(WireError::BadBtfHeader { field, value });
    assert_eq!(
        struct_has_member(b"\x7fELF", "a", "b"),
        bad("magic", 0x457f)
    );
    let mut newer = sample(false);
    newer[2] = 2;
    assert_eq!(struct_has_member(&newer, "a", "b"), bad("version", 2));
    let mut strange = sample(false);
    strange[24 + 7] = 31;
    let unknown = WireError::UnknownBtfKind {
        offset: 0,
        kind: 31,
    };
    assert_eq!(struct_has_member(&strange, "a", "b"), Err(unknown));
}

proptest! {
    #[test]
    fn a_damaged_btf_never_panics(at in 0_usize..400, value: u8, cut in 0_usize..400) {
        let mut btf = sample(false);
        if let Some(byte) = btf.get_mut(at) {
            *byte = value;
        }
        btf.truncate(cut.max(4));
        let _ = struct_has_member(&btf, "inet_bind2_bucket", "absent");
        let _ = contains_name(&btf, "absent");
    }

    #[test]
    fn any_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 4..200)) {
        bytes[..4].copy_from_slice(&[0x9f, 0xeb, 1, 0]);
        let _ = struct_has_member(&bytes, "a", "b");
    }
}
