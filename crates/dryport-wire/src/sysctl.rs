//! The text of sysctls: numbers, `ip_local_port_range`, and lists of ports.
//!
//! Owns the shape of the text, not the names or places of the files.

use alloc::string::String;

use dryport_model::{PortRange, PortSet};
use thiserror::Error;

use crate::procfs::printable_up_to;

/// Why a sysctl's text could not be read. The text is cut and escaped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SysctlError {
    /// Not one whole number in the type's range.
    #[error("'{text}' is not a number that fits")]
    NotANumber {
        /// What stood there.
        text: String,
    },
    /// Not two numbers.
    #[error("'{text}' is not two ports")]
    NotARange {
        /// What stood there.
        text: String,
    },
    /// Not a number from 0 to 65,535.
    #[error("'{text}' is not a port")]
    NotAPort {
        /// What stood there.
        text: String,
    },
    /// The low end lies above the high end.
    #[error("the range {low}-{high} is upside down")]
    UpsideDown {
        /// The first number.
        low: u16,
        /// The second number.
        high: u16,
    },
}

/// Reads `ip_local_port_range`: `32768\t60999\n`.
///
/// # Errors
/// Not two ports, or the first above the second.
pub fn parse_range(text: &str) -> Result<PortRange, SysctlError> {
    let mut words = text.split_ascii_whitespace();
    let (Some(low), Some(high), None) = (words.next(), words.next(), words.next()) else {
        return Err(SysctlError::NotARange { text: shown(text) });
    };
    range(port(low)?, port(high)?)
}

/// Reads a list of ports such as `ip_local_reserved_ports`: `8080,9000-9010\n`; an empty line is
/// the empty set.
///
/// # Errors
/// An element is neither a port nor a range of ports.
pub fn parse_port_list(text: &str) -> Result<PortSet, SysctlError> {
    let mut set = PortSet::new();
    if text.trim_ascii().is_empty() {
        return Ok(set);
    }
    for element in text.split(',') {
        match element.split_once('-') {
            Some((low, high)) => set.insert_range(range(port(low)?, port(high)?)?),
            None => {
                set.insert(port(element)?);
            }
        }
    }
    Ok(set)
}

/// Writes a list of ports as the kernel shows it (`proc_do_large_bitmap`), without the line's end.
/// To empty a list, a line's end must be written: writing nothing changes nothing.
#[must_use]
pub fn format_port_list(ports: &PortSet) -> String {
    ports.to_list()
}

/// Reads one number, as in `tcp_tw_reuse` or `tcp_fin_timeout`.
///
/// # Errors
/// Not one whole number of 64 bits.
pub fn parse_number(text: &str) -> Result<i64, SysctlError> {
    text.trim_ascii()
        .parse()
        .map_err(|_| SysctlError::NotANumber { text: shown(text) })
}

/// Reads one number that is never negative.
///
/// # Errors
/// Not one whole number from 0 to 4,294,967,295.
pub fn parse_u32(text: &str) -> Result<u32, SysctlError> {
    let not_that = |_| SysctlError::NotANumber { text: shown(text) };
    parse_number(text).and_then(|number| number.try_into().map_err(not_that))
}

fn range(low: u16, high: u16) -> Result<PortRange, SysctlError> {
    PortRange::new(low, high).ok_or(SysctlError::UpsideDown { low, high })
}

/// Digits only: `parse` alone would take a `+`, which the kernel neither writes nor reads.
fn port(text: &str) -> Result<u16, SysctlError> {
    let digits = Some(text.trim_ascii()).filter(|text| !text.starts_with('+'));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| SysctlError::NotAPort { text: shown(text) })
}

fn shown(text: &str) -> String {
    printable_up_to(text.trim_ascii().as_bytes(), 40)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_own_lines_are_read() {
        let range = parse_range("32768\t60999\n").unwrap();
        assert_eq!(range, PortRange::LINUX_DEFAULT);
        let ports = parse_port_list("8080,9000-9010\n").unwrap();
        assert_eq!(ports.len(), 12);
        assert!(parse_port_list("\n").unwrap().is_empty());
        assert!(parse_port_list("").unwrap().is_empty());
        assert_eq!(parse_number("-1\n"), Ok(-1));
        assert_eq!(parse_u32("60\n"), Ok(60));
    }

    #[test]
    fn the_list_is_written_as_the_kernel_writes_it() {
        let ports: PortSet = [0, 1, 3, 65534, 65535].into_iter().collect();
        assert_eq!(format_port_list(&ports), "0-1,3,65534-65535");
        assert_eq!(format_port_list(&PortSet::new()), "");
    }

    #[test]
    fn an_error_shows_the_text_without_its_escapes() {
        let error = parse_port_list("80,\x1b[31m90\n").unwrap_err();
        assert_eq!(error.to_string(), "'\\x1b[31m90' is not a port");
        let error = parse_range(&"9".repeat(1000)).unwrap_err();
        assert!(error.to_string().chars().count() < 80);
    }

    #[test]
    fn what_is_no_port_or_range_is_refused() {
        for text in [
            "65536", "80,,90", "80,", "-5", "5-", "1-2-3", "80 90", "0x50",
        ] {
            let error = parse_port_list(text).unwrap_err();
            assert!(
                matches!(error, SysctlError::NotAPort { .. }),
                "{text}: {error}"
            );
        }
        assert_eq!(
            parse_port_list("9-8").err(),
            Some(SysctlError::UpsideDown { low: 9, high: 8 })
        );
        assert_eq!(
            parse_range("2 1").err(),
            Some(SysctlError::UpsideDown { low: 2, high: 1 })
        );
        for text in ["", "1", "1 2 3"] {
            assert!(
                matches!(parse_range(text), Err(SysctlError::NotARange { .. })),
                "{text}"
            );
        }
        assert!(parse_u32("-1").is_err());
        assert!(parse_number("9223372036854775808").is_err());
    }

    proptest! {
        #[test]
        fn a_list_that_was_written_is_read_back(
            ports in prop::collection::vec((any::<u16>(), 0_u16..300), 0..40),
        ) {
            let mut set = PortSet::new();
            for (low, more) in ports {
                if let Some(range) = PortRange::new(low, low.saturating_add(more)) {
                    set.insert_range(range);
                }
            }
            let text = format_port_list(&set);
            prop_assert_eq!(parse_port_list(&text), Ok(set));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9,\\- \t\n]{0,30}|\\PC{0,30}") {
            let _ = (parse_range(&text), parse_port_list(&text), parse_number(&text));
        }
    }
}
