//! BTF: what is found stands in the bytes, and damage is an error. What is cut out reads as before.
#![no_main]

use dryport_wire::btf::{Wanted, contains_name, cut, cut_without, struct_has_member};
use libfuzzer_sys::fuzz_target;

const STRUCT: &str = "inet_bind2_bucket";
const MEMBER: &str = "fastreuse";
/// A member by value, so that structs hold one another.
const OTHER: &str = "sock";
const FUNCTION: &str = "bpf_iter_tcp";

fuzz_target!(|btf: &[u8]| {
    for name in [STRUCT, MEMBER] {
        assert!(!contains_name(btf, name) || stands_in(btf, name));
    }
    match struct_has_member(btf, STRUCT, MEMBER) {
        Ok(Some(has)) => {
            assert!(stands_in(btf, STRUCT));
            assert!(!has || stands_in(btf, MEMBER));
        }
        Ok(None) => {}
        // A file that cannot be read as a whole is not read in part.
        Err(error) => {
            assert_eq!(struct_has_member(btf, "absent", MEMBER), Err(error));
            assert_eq!(cut(btf, &Wanted::default()), Err(error));
        }
    }
    check_cut(btf, &[STRUCT]);
    check_cut(btf, &[STRUCT, OTHER]);
});

fn check_cut(btf: &[u8], structs: &[&str]) {
    let functions = &[FUNCTION];
    let wanted = Wanted { structs, functions };
    let Ok(kept) = cut(btf, &wanted) else {
        return;
    };
    assert!(kept.function_ids[0].is_none() || stands_in(btf, FUNCTION));
    // A cut holds no functions, and nothing that a second cut would leave out.
    let again = cut(&kept.btf, &wanted).expect("a cut is BTF");
    assert_eq!(again.btf, kept.btf);
    assert_eq!(again.function_ids, [None]);
    let without = cut_without(btf, &wanted, &[(STRUCT, MEMBER)]).expect("less is no harder");
    for of in structs {
        let has = struct_has_member(btf, of, MEMBER);
        assert_eq!(struct_has_member(&kept.btf, of, MEMBER), has);
        let has_less = struct_has_member(&without.btf, of, MEMBER);
        assert_eq!(
            has_less.map(|has| has.is_some()),
            has.map(|has| has.is_some())
        );
    }
    assert_ne!(
        struct_has_member(&without.btf, STRUCT, MEMBER),
        Ok(Some(true))
    );
}

/// Whether the name stands in the bytes with its NUL.
fn stands_in(btf: &[u8], name: &str) -> bool {
    btf.windows(name.len() + 1)
        .any(|window| window[..name.len()] == *name.as_bytes() && window[name.len()] == 0)
}
