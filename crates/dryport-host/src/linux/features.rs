//! Which rules this kernel follows: detected by what it has, not by its version.

use std::sync::OnceLock;

use dryport_model::Features;
use dryport_wire::btf;

use super::types::kernel_types;

/// What holds for the whole kernel, so that many namespaces cost one look.
static KERNEL: Kernel = Kernel::new();

/// Detects the features. `has_reuse_delay`: the namespace has `tcp_tw_reuse_delay`.
///
/// The type information is 5 MB, so it is read once, and only for what nothing cheaper tells:
/// `tcp_tw_reuse_delay` came with 6.14, after everything but the recovery of bind buckets.
pub(crate) fn detect(has_reuse_delay: bool, need_bucket_recovery: bool) -> Features {
    KERNEL.detect(
        || kernel_types().ok(),
        has_reuse_delay,
        need_bucket_recovery,
    )
}

/// What the types told; empty where nobody asked yet.
struct Kernel {
    bucket_recovery: OnceLock<Option<bool>>,
    since_6_8: OnceLock<Option<bool>>,
}

impl Kernel {
    const fn new() -> Self {
        Self {
            bucket_recovery: OnceLock::new(),
            since_6_8: OnceLock::new(),
        }
    }

    fn detect<'a>(
        &self,
        types: impl Fn() -> Option<&'a [u8]>,
        has_reuse_delay: bool,
        need_bucket_recovery: bool,
    ) -> Features {
        let since_6_8 = if has_reuse_delay {
            Some(true)
        } else {
            *self
                .since_6_8
                .get_or_init(|| Some(btf::contains_name(types()?, "TCP_BOUND_INACTIVE")))
        };
        let bucket_recovery = if need_bucket_recovery {
            *self.bucket_recovery.get_or_init(|| {
                btf::struct_has_member(types()?, "inet_bind2_bucket", "fastreuse")
                    .ok()
                    .flatten()
            })
        } else {
            self.bucket_recovery.get().copied().flatten()
        };
        Features {
            bucket_recovery,
            shows_bound_idle: since_6_8,
            socket_range_full_walk: since_6_8,
            millisecond_time_wait: Some(has_reuse_delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No type information, but the name is in it.
    const TYPES: &[u8] = b"\0TCP_BOUND_INACTIVE\0";

    #[test]
    fn the_types_are_looked_at_once_and_only_where_needed() {
        let kernel = Kernel::new();
        let nowhere = || -> Option<&[u8]> { panic!("nobody needs them") };
        let modern = kernel.detect(nowhere, true, false);
        assert_eq!(modern.shows_bound_idle, Some(true));
        assert_eq!(modern.bucket_recovery, None);
        let first = kernel.detect(|| Some(TYPES), false, true);
        // What was told before holds.
        let later = kernel.detect(nowhere, false, true);
        assert_eq!(later.shows_bound_idle, first.shows_bound_idle);
        assert_eq!(later.bucket_recovery, None);
        let hidden = Kernel::new().detect(|| None, false, false);
        assert_eq!(hidden.shows_bound_idle, None);
    }
}
