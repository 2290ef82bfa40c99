//! The page of each cause: `docs/causes`, as part of the program.

use dryport_model::CauseId;

macro_rules! pages {
    ($($name:ident = $id:literal,)*) => {
        /// The page of a cause, in Markdown. A cause without a page does not compile.
        #[must_use]
        pub const fn page(id: CauseId) -> &'static str {
            match id {
                $(CauseId::$name => {
                    include_str!(concat!("../../../docs/causes/", $id, ".md"))
                })*
            }
        }
    };
}

pages! {
    ConnectTupleDry = "connect.tuple-dry",
    ConnectRangeLocked = "connect.range-locked",
    ConnectTimeWait = "connect.time-wait",
    BindRangeDry = "bind.range-dry",
    UdpRangeDry = "udp.range-dry",
    RangeNarrow = "range.narrow",
    RangeOddSize = "range.odd-size",
    RangeOverlapsListener = "range.overlaps-listener",
    ConnectSlow = "connect.slow",
    LeakCloseWait = "leak.close-wait",
    LeakBound = "leak.bound",
    ConnectRangeDry = "connect.range-dry",
    ConnectTimeWaitOverflow = "connect.time-wait-overflow",
    WindowsRangeDry = "windows.range-dry",
    WindowsTupleTimeWait = "windows.tuple-time-wait",
    WindowsPortExcluded = "windows.port-excluded",
    NatTupleDry = "nat.tuple-dry",
    NatTableFull = "nat.table-full",
    SettingNoEffect = "setting.no-effect",
    NotExhaustionAddressNotLocal = "not-exhaustion.address-not-local",
    NotExhaustionIpv6Off = "not-exhaustion.ipv6-off",
    NotExhaustionFixedPortInUse = "not-exhaustion.fixed-port-in-use",
    NotExhaustionDescriptorLimit = "not-exhaustion.descriptor-limit",
    NotExhaustionRefusedOrTimeout = "not-exhaustion.refused-or-timeout",
}

/// The first paragraph of a page: what the cause is, on one line.
#[must_use]
pub fn summary(id: CauseId) -> String {
    let mut paragraphs = page(id).split("\n\n");
    let paragraph = paragraphs
        .find(|paragraph| !paragraph.starts_with('#'))
        .unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_begins_with_its_id_and_tells_what_to_do() {
        for id in CauseId::ALL {
            let page = page(*id);
            assert_eq!(page.lines().next(), Some(&*format!("# {}", id.name())));
            for heading in [
                "## How it shows",
                "## What dryport shows",
                "## What to do",
                "## What not",
            ] {
                assert!(page.contains(heading), "{}: {heading}", id.name());
            }
            assert!(summary(*id).len() > 20, "{}", id.name());
        }
    }
}
