//! Sysctl text: what was read can be written, and reads the same.
#![no_main]

use dryport_wire::sysctl::{
    SysctlError, format_port_list, parse_number, parse_port_list, parse_range, parse_u32,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse_port_list(text) {
        Ok(set) => {
            let written = format_port_list(&set);
            assert_eq!(parse_port_list(&written).as_ref(), Ok(&set));
            assert_eq!(parse_port_list(&format!("{written}\n")), Ok(set));
        }
        Err(error) => check_error(&error),
    }
    match parse_range(text) {
        Ok(range) => {
            assert!(range.low() <= range.high());
            assert_eq!(
                parse_range(&format!("{}\t{}\n", range.low(), range.high())),
                Ok(range)
            );
        }
        Err(error) => check_error(&error),
    }
    match (parse_number(text), parse_u32(text)) {
        (Ok(wide), Ok(narrow)) => assert_eq!(wide, i64::from(narrow)),
        (Ok(wide), Err(_)) => assert!(u32::try_from(wide).is_err()),
        (Err(error), narrow) => {
            check_error(&error);
            assert!(narrow.is_err());
        }
    }
});

/// Errors are shown to people: short, and without control characters.
fn check_error(error: &SysctlError) {
    let shown = error.to_string();
    assert!(shown.chars().count() < 80 && !shown.chars().any(char::is_control));
}
