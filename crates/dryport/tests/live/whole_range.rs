//! The promise with the largest number: the whole default range, to the last port.

use dryport_lab::Privilege;
use rustix::process::{Resource, getrlimit};

use crate::helper::Helper;
use crate::program::{Place, adds_up, dryport, headroom};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[(
    "the default range on loopback to one destination: predicts 28,232, the kernel grants 28,232",
    the_default_range_is_exact,
)];

const SIZE: u64 = 28_232;

fn the_default_range_is_exact(_: Privilege) -> Result<(), Skipped> {
    let place = Place::new("32768 60999");
    let ask = |command: &[&str]| dryport(&place.namespace, &[command, &["--json"]].concat());
    let before = ask(&["headroom", "127.0.0.1:9000"]);
    assert_eq!(before.exit, 0);
    assert_eq!(headroom(&before.document()), (SIZE, SIZE));

    let holders = hold_all(&place);
    let granted: u64 = holders
        .iter()
        .map(|holder| u64::from(holder.granted().0))
        .sum();
    assert_eq!(granted, SIZE);
    assert_eq!(holders.last().unwrap().granted().1, "EADDRNOTAVAIL");

    let after = ask(&["headroom", "127.0.0.1:9000"]);
    assert_eq!((after.exit, headroom(&after.document())), (2, (0, 0)));
    adds_up(&after.document());
    assert_eq!(after.document()["ledger"]["in_use"], SIZE);
    let other = ask(&["headroom", "127.0.0.2:9000"]);
    assert_eq!((other.exit, headroom(&other.document())), (0, (SIZE, SIZE)));

    let check = ask(&["check", "--netns", "."]);
    let document = check.document();
    assert_eq!(check.exit, 2);
    let cause = &document["causes"][0];
    assert_eq!(cause["id"], "connect.tuple-dry");
    let owners = cause["owners"].as_array().unwrap();
    for holder in holders.iter().filter(|holder| holder.granted().0 > 0) {
        let owner = owners
            .iter()
            .find(|owner| owner["pid"] == holder.pid())
            .unwrap();
        assert_eq!(owner["ports"], holder.granted().0);
    }
    Ok(())
}

/// As many processes as it takes, each within its limit of descriptors.
fn hold_all(place: &Place) -> Vec<Helper> {
    let own_limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let each = own_limit.saturating_sub(100).min(SIZE + 1) as usize;
    let mut holders = Vec::new();
    loop {
        let holder = place.holder(each);
        let is_last = holder.granted().1 != "-";
        holders.push(holder);
        if is_last {
            return holders;
        }
    }
}
