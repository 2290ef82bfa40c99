//! Which rules this kernel follows: detected by what it has, not by its version.

use dryport_model::Features;
use dryport_wire::btf;

/// The kernel's own type information, readable by everybody where it is built in.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Detects the features. `has_reuse_delay`: the namespace has `tcp_tw_reuse_delay`.
///
/// The type information is 5 MB, so it is read only for what nothing cheaper tells:
/// `tcp_tw_reuse_delay` came with 6.14, after everything but the recovery of bind buckets.
pub(crate) fn detect(has_reuse_delay: bool, need_bucket_recovery: bool) -> Features {
    let types = if need_bucket_recovery || !has_reuse_delay {
        std::fs::read(BTF).ok()
    } else {
        None
    };
    let since_6_8 = if has_reuse_delay {
        Some(true)
    } else {
        types
            .as_deref()
            .map(|types| btf::contains_name(types, "TCP_BOUND_INACTIVE"))
    };
    Features {
        bucket_recovery: types.as_deref().and_then(|types| {
            btf::struct_has_member(types, "inet_bind2_bucket", "fastreuse")
                .ok()
                .flatten()
        }),
        shows_bound_idle: since_6_8,
        socket_range_full_walk: since_6_8,
        millisecond_time_wait: Some(has_reuse_delay),
    }
}
