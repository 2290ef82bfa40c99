//! What is broken is an error or gives less, and ends.

use proptest::prelude::*;
use std::string::ToString;

use super::*;

#[test]
fn a_type_that_is_not_in_the_file_is_an_error_only_where_it_is_needed() {
    for kind in [2, 8] {
        let mut maker = Maker::new(false);
        let astray = maker.add(kind, "", 99, &[]);
        maker.composite(STRUCT, "one", &[("member", astray)]);
        maker.composite(STRUCT, "two", &[]);
        let btf = maker.finish();
        let error = cut(&btf, &wanted(&["one"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "BTF type at byte 48 needs 12 bytes, 0 are left"
        );
        assert!(cut(&btf, &wanted(&["two"])).is_ok());
        let without = [("one", "member"), ("one", "")];
        assert!(cut_without(&btf, &wanted(&["one"]), &without).is_ok());
    }
}

#[test]
fn a_name_must_end_and_be_no_longer_than_the_kernel_allows() {
    let fits = "x".repeat(511);
    let mut maker = Maker::new(false);
    maker.composite(STRUCT, "one", &[(&fits, 0)]);
    maker.composite(STRUCT, "two", &[(&(fits.clone() + "x"), 0)]);
    let name = maker.name("three");
    maker.raw(&[name, 4 << 24 | 1, 8, u32::MAX, 0, 0]);
    let btf = maker.finish();
    assert!(lines(&cut(&btf, &wanted(&["one"])).unwrap().btf)[0].contains(&fits));
    let error = |name| cut(&btf, &wanted(&[name])).unwrap_err().to_string();
    assert_eq!(
        error("two"),
        "BTF name at byte 521 says it is 512 bytes long, which cannot be"
    );
    assert_eq!(
        error("three"),
        "BTF name at byte 4294967295 needs 1 bytes, 0 are left"
    );
}

#[test]
fn types_that_hold_themselves_are_written_once() {
    let mut maker = Maker::new(false);
    maker.add(10, "", 2, &[]); // 1
    maker.add(9, "", 1, &[]); // 2
    maker.add(2, "", 1, &[]); // 3
    maker.composite(
        STRUCT,
        "knot",
        &[("itself", 4), ("circle", 1), ("to", 3), ("", 4)],
    ); // 4
    let btf = maker.finish();
    let kept = cut(&btf, &wanted(&["knot"])).unwrap();
    assert_eq!(lines(&kept.btf).len(), 4);
    let without = cut_without(&btf, &wanted(&["knot"]), &[("knot", "circle")]).unwrap();
    assert_eq!(lines(&without.btf).len(), 2);
}

#[test]
fn offset_0_is_nameless_even_where_a_name_stands_there() {
    let mut maker = Maker::new(false);
    maker.composite(STRUCT, "", &[("", 1)]);
    let mut btf = maker.finish();
    // The section's NUL becomes a name.
    btf.pop();
    btf.extend(b"one\0");
    btf[20] = 4;
    assert_eq!(lines(&cut(&btf, &wanted(&["one"])).unwrap().btf), [""; 0]);
    assert_eq!(struct_has_member(&btf, "one", "one"), Ok(None));
}

#[test]
fn more_members_than_bytes_are_truncated() {
    let mut maker = Maker::new(false);
    let name = maker.name("huge");
    maker.raw(&[name, 4 << 24 | 0xffff, 8, 0, 0, 0]);
    let truncated = WireError::Truncated {
        what: "BTF type",
        offset: 0,
        need: 12 + 12 * 0xffff,
        have: 24,
    };
    assert_eq!(cut(&maker.finish(), &wanted(&["huge"])), Err(truncated));
    assert!(cut(b"\x7fELF", &wanted(&["huge"])).is_err());
}

/// What holds of the cut of any file that can be cut.
fn check(btf: &[u8]) {
    let structs = ["sock", "sock_common"];
    let wanted = Wanted {
        structs: &structs,
        functions: &["tcp_close"],
    };
    let Ok(kept) = cut(btf, &wanted) else {
        return;
    };
    let again = cut(&kept.btf, &wanted).unwrap();
    assert_eq!(again.btf, kept.btf);
    let without = cut_without(btf, &wanted, &[("sock_common", "broad")]).unwrap();
    for of in structs {
        for member in ["colour", "broad", "narrow", "absent"] {
            let has = |btf: &[u8]| struct_has_member(btf, of, member).unwrap();
            assert_eq!(has(&kept.btf), has(btf), "{of}.{member}");
            assert_eq!(has(&without.btf).is_some(), has(btf).is_some(), "{of}");
            if (of, member) == ("sock_common", "broad") {
                assert_ne!(has(&without.btf), Some(true));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_btf_is_cut_whole_or_not_at_all(
        damage in prop::collection::vec((24_usize..900, 0_u8..32), 0..4),
        end in 24_usize..1800,
        big_endian: bool,
    ) {
        let mut btf = sample(big_endian);
        for (at, value) in damage {
            if let Some(byte) = btf.get_mut(at) {
                *byte = value;
            }
        }
        btf.truncate(end);
        check(&btf);
    }

    #[test]
    fn any_bytes_end(mut bytes in prop::collection::vec(any::<u8>(), 4..200)) {
        bytes[..4].copy_from_slice(&[0x9f, 0xeb, 1, 0]);
        check(&bytes);
    }
}
