//! Tests over small BTFs made here, in both byte orders, and over the running kernel's.

mod damage;
mod kernel;

use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::struct_has_member;
use super::super::tests::Maker;
use super::index::Index;
use super::*;

const STRUCT: u32 = 4;
const UNION: u32 = 5;
/// The flag of a struct with bit fields, or of an enumeration with signed values.
const FLAG: u32 = 1 << 31;

fn wanted<'a>(structs: &'a [&'a str]) -> Wanted<'a> {
    Wanted {
        structs,
        functions: &[],
    }
}

/// A kernel in small, with a type of every kind.
fn sample(big_endian: bool) -> Vec<u8> {
    let mut maker = Maker::new(big_endian);
    let char = maker.add(1, "char", 1, &[1 << 24 | 8]); // 1: signed
    let double = maker.add(16, "double", 8, &[]); // 2: FLOAT
    let forward = maker.add(7, "sock", 0, &[]); // 3: FWD
    let to_forward = maker.add(2, "", forward, &[]); // 4: PTR
    let colour = maker.name("colour");
    let red = maker.name("red");
    let colour = maker.raw(&[colour, 6 << 24 | FLAG | 1, 4, red, 7]); // 5: ENUM
    let wide = maker.name("wide");
    let wide = maker.raw(&[wide, 19 << 24 | 1, 8, red, 7, 1]); // 6: ENUM64
    let array = maker.add(3, "", 0, &[char, char, 16]); // 7: ARRAY
    let restrict = maker.add(11, "", array, &[]); // 8: RESTRICT
    let tag = maker.add(18, "user", restrict, &[]); // 9: TYPE_TAG
    let constant = maker.add(10, "", tag, &[]); // 10: CONST
    let volatile = maker.add(9, "", constant, &[]); // 11: VOLATILE
    let text = maker.add(8, "text_t", volatile, &[]); // 12: TYPEDEF
    let prototype = maker.raw(&[0, 13 << 24 | 1, 0, red, text]); // 13: FUNC_PROTO
    maker.add(12, "tcp_close", prototype, &[]); // 14: FUNC
    let variable = maker.add(14, "init_net", char, &[0]); // 15: VAR
    maker.raw(&[0, 15 << 24 | 1, 8, variable, 0, 8]); // 16: DATASEC
    maker.add(17, "tag", 14, &[u32::MAX]); // 17: DECL_TAG
    let inner = maker.composite(UNION, "", &[("narrow", char), ("broad", wide)]); // 18
    let common = [("family", char), ("", inner), ("ratio", double)];
    let common = maker.composite(STRUCT, "sock_common", &common); // 19
    let other = maker.composite(STRUCT, "other", &[("x", char)]); // 20
    let to_other = maker.add(2, "", other, &[]); // 21
    let constant = maker.add(10, "", common, &[]); // 22
    let to_common = maker.add(2, "", constant, &[]); // 23
    let name = maker.name("sock");
    let mut sock = Vec::from([name, 4 << 24 | FLAG | 7, 64]);
    let members = [
        ("common", common, 0),
        ("colour", colour, 3 << 24 | 64),
        ("text", text, 128),
        ("other", to_other, 256),
        ("parent", to_common, 320),
        ("forward", to_forward, 384),
        ("pointer_to_function", prototype, 448),
    ];
    for (member, of, place) in members {
        sock.extend([maker.name(member), of, place]);
    }
    maker.raw(&sock); // 24
    maker.add(12, "sock", prototype, &[]); // 25: a function of a struct's name
    maker.add(12, "tcp_close", prototype, &[]); // 26
    maker.finish()
}

/// Each type of a BTF in one line: id, kind with its flag, name, size or type, and the rest.
fn lines(btf: &[u8]) -> Vec<String> {
    let sections = Sections::of(btf).unwrap();
    let name = |offset: u32| {
        let text = &sections.strings[offset as usize..];
        let end = text.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(text[..end].to_vec()).unwrap()
    };
    let mut lines = Vec::new();
    let of_type = |id, _, of: super::super::Type<'_>| {
        let flag = if of.what & FLAG == 0 { "" } else { "!" };
        let mut line = format!(
            "{id}: {}{flag} {:?} {}",
            of.kind,
            name(of.name),
            of.size_or_type
        );
        if matches!(of.kind, 4 | 5) {
            for member in of.more.chunks_exact(12) {
                let [called, inner, place] = sections.words(member);
                line += &format!(" {:?}={inner}@{place:#x}", name(called));
            }
        } else {
            for word in of.more.chunks_exact(4) {
                let [word] = sections.words(word);
                line += &format!(" {word:#x}");
            }
        }
        lines.push(line);
    };
    sections.each_type(of_type).unwrap();
    lines
}

#[test]
fn a_wanted_struct_comes_with_all_that_it_holds_by_value() {
    for big_endian in [false, true] {
        let cut = cut(&sample(big_endian), &wanted(&["sock"])).unwrap();
        assert_eq!(
            lines(&cut.btf),
            [
                "1: 4! \"sock\" 64 \"common\"=2@0x0 \"colour\"=3@0x3000040 \"text\"=4@0x80 \
                 \"other\"=5@0x100 \"parent\"=6@0x140 \"forward\"=7@0x180 \
                 \"pointer_to_function\"=0@0x1c0",
                "2: 4 \"sock_common\" 8 \"family\"=8@0x0 \"\"=9@0x0 \"ratio\"=10@0x0",
                "3: 6! \"colour\" 4",
                "4: 8 \"text_t\" 11",
                "5: 2 \"\" 0",
                "6: 2 \"\" 0",
                "7: 2 \"\" 0",
                "8: 1 \"char\" 1 0x1000008",
                "9: 5 \"\" 8 \"narrow\"=8@0x0 \"broad\"=12@0x0",
                "10: 16 \"double\" 8",
                "11: 9 \"\" 13",
                "12: 19 \"wide\" 8",
                "13: 10 \"\" 14",
                "14: 18 \"user\" 15",
                "15: 11 \"\" 16",
                "16: 3 \"\" 0 0x8 0x8 0x10",
            ]
        );
        assert_eq!(cut.btf[..2], sample(big_endian)[..2]);
    }
}

#[test]
fn a_pointer_leads_to_a_struct_only_where_that_is_wanted_too() {
    let structs = ["sock", "sock_common"];
    let cut = cut(&sample(false), &wanted(&structs)).unwrap();
    let lines = lines(&cut.btf);
    // In the order of the original.
    assert!(lines[0].starts_with("1: 4 \"sock_common\""), "{lines:#?}");
    assert!(
        lines[1].contains("\"other\"=8@0x100 \"parent\"=9@0x140"),
        "{lines:#?}"
    );
    assert_eq!(lines[7], "8: 2 \"\" 0");
    // Through the qualifier.
    assert_eq!(lines[8], "9: 2 \"\" 13");
    assert_eq!(lines[12], "13: 10 \"\" 1");
}

#[test]
fn structs_that_point_at_each_other_are_both_kept_once() {
    let mut maker = Maker::new(false);
    maker.add(2, "", 4, &[]); // 1
    maker.add(2, "", 3, &[]); // 2
    maker.composite(STRUCT, "one", &[("two", 1)]); // 3
    maker.composite(STRUCT, "two", &[("one", 2), ("again", 2)]); // 4
    let cut = cut(&maker.finish(), &wanted(&["two", "one", "two"])).unwrap();
    assert_eq!(
        lines(&cut.btf),
        [
            "1: 4 \"one\" 8 \"two\"=3@0x0",
            "2: 4 \"two\" 8 \"one\"=4@0x0 \"again\"=4@0x0",
            "3: 2 \"\" 2",
            "4: 2 \"\" 1",
        ]
    );
}

#[test]
fn every_struct_and_union_of_the_name_is_kept() {
    let mut maker = Maker::new(true);
    maker.composite(UNION, "twin", &[]);
    maker.add(7, "twin", 0, &[]);
    maker.composite(STRUCT, "twin", &[("x", 0)]);
    maker.composite(STRUCT, "twins", &[]);
    maker.composite(STRUCT, "twi", &[]);
    let cut = cut(&maker.finish(), &wanted(&["twin"])).unwrap();
    let kept = ["1: 5 \"twin\" 8", "2: 4 \"twin\" 8 \"x\"=0@0x0"];
    assert_eq!(lines(&cut.btf), kept);
}

#[test]
fn functions_keep_the_ids_of_the_original_in_the_order_asked() {
    let wanted = Wanted {
        structs: &[],
        functions: &["tcp_close", "tcp_open", "sock", "", "tcp_close"],
    };
    for big_endian in [false, true] {
        let cut = cut(&sample(big_endian), &wanted).unwrap();
        let ids = [Some(14), None, Some(25), None, Some(14)];
        assert_eq!(cut.function_ids, ids);
        assert_eq!(lines(&cut.btf), [""; 0]);
    }
}

#[test]
fn a_cut_of_a_cut_is_the_same() {
    let wanted = wanted(&["sock", "sock_common"]);
    let once = cut(&sample(true), &wanted).unwrap();
    assert_eq!(cut(&once.btf, &wanted), Ok(once));
}

#[test]
fn a_member_left_out_is_gone_with_its_types() {
    let without = [("sock", "text"), ("sock", "absent"), ("absent", "text")];
    let cut = cut_without(&sample(false), &wanted(&["sock"]), &without).unwrap();
    let has = |member| struct_has_member(&cut.btf, "sock", member);
    assert_eq!(has("text"), Ok(Some(false)));
    assert_eq!(has("other"), Ok(Some(true)));
    let lines = lines(&cut.btf);
    assert!(
        lines[0].contains("\"colour\"=3@0x3000040 \"other\"=4@0x100"),
        "{lines:#?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("text_t")),
        "{lines:#?}"
    );
}

#[test]
fn a_member_of_an_anonymous_union_can_be_left_out() {
    let without = [("sock_common", "broad"), ("sock_common", "family")];
    // Also where the struct is only part of a wanted one.
    let cut = cut_without(&sample(true), &wanted(&["sock"]), &without).unwrap();
    let has = |member| struct_has_member(&cut.btf, "sock_common", member);
    assert_eq!(has("broad"), Ok(Some(false)));
    assert_eq!(has("family"), Ok(Some(false)));
    assert_eq!(has("narrow"), Ok(Some(true)));
}
