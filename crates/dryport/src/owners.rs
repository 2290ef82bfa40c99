//! How far owners were seen, in words.

use dryport_host::OwnerWalk;
use dryport_model::{Coverage, Fact};

/// What is to be said of `unowned` sockets that no process seen holds. A hidden `/proc` shows no
/// process that forbids anything, so the sockets are what is counted.
pub fn owners_coverage(walk: Option<&OwnerWalk>, unowned: u64) -> Coverage {
    let Some(walk) = walk else {
        return Coverage::none(Fact::Owners, "proc", "not asked for (--no-owners)".into());
    };
    let belong = match unowned {
        1 => "1 socket belongs".to_owned(),
        more => format!("{more} sockets belong"),
    };
    let why = match (unowned, walk.forbidden) {
        (0, _) => return Coverage::full(Fact::Owners, walk.how),
        (_, 0) => format!(
            "{belong} to no process that is seen here: it is hidden, in another pid \
             namespace, or the kernel itself"
        ),
        (_, forbidden) => format!(
            "{belong} to nobody that may be read here ({forbidden} processes forbid \
             it); root sees them"
        ),
    };
    Coverage::partial(Fact::Owners, walk.how, why)
}
