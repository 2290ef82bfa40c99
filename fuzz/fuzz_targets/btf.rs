//! BTF: what is found stands in the bytes, and damage is an error.
#![no_main]

use dryport_wire::btf::{contains_name, struct_has_member};
use libfuzzer_sys::fuzz_target;

const STRUCT: &str = "inet_bind2_bucket";
const MEMBER: &str = "fastreuse";

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
        Err(error) => assert_eq!(struct_has_member(btf, "absent", MEMBER), Err(error)),
    }
});

/// Whether the name stands in the bytes with its NUL.
fn stands_in(btf: &[u8], name: &str) -> bool {
    btf.windows(name.len() + 1)
        .any(|window| window[..name.len()] == *name.as_bytes() && window[name.len()] == 0)
}
