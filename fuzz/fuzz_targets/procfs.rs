//! Files of `/proc` and names: nothing that can move a cursor comes out.
#![no_main]

use dryport_wire::procfs::{
    CgroupName, cgroup_path, parse_comm, parse_open_files_limit, parse_sockstat, parse_sockstat6,
    parse_stat, parse_status, printable, printable_up_to, socket_inode,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_printable(bytes);
    check_stat(bytes);
    check_cgroup(bytes);
    let status = parse_status(bytes);
    check_shown(status.name.as_deref());
    assert!(status.effective_uid.is_none() || bytes.windows(4).any(|word| word == b"Uid:"));
    check_shown(Some(&parse_comm(bytes)));
    if let Some(inode) = socket_inode(bytes) {
        assert_eq!(
            socket_inode(format!("socket:[{inode}]").as_bytes()),
            Some(inode)
        );
    }
    let _ = (
        parse_open_files_limit(bytes),
        parse_sockstat(bytes),
        parse_sockstat6(bytes),
    );
});

fn check_shown(text: Option<&str>) {
    assert!(!text.unwrap_or_default().chars().any(char::is_control));
}

fn check_printable(bytes: &[u8]) {
    for limit in [0, 1, 5, 64] {
        let once = printable_up_to(bytes, limit);
        check_shown(Some(&once));
        assert!(once.chars().count() <= limit);
        assert_eq!(printable_up_to(once.as_bytes(), limit), once);
    }
}

/// Any bytes as a name leave the fields behind it alone.
fn check_stat(bytes: &[u8]) {
    if let Ok(stat) = parse_stat(bytes) {
        check_shown(Some(&stat.name));
    }
    let tail = b") S 42 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n";
    let stat = parse_stat(&[b"77 (", bytes, tail].concat()).expect("a whole line reads");
    assert_eq!((stat.pid, stat.parent, stat.start_ticks), (77, 42, 98765));
    assert_eq!(stat.name, printable(bytes));
}

fn check_cgroup(bytes: &[u8]) {
    let path = cgroup_path(bytes);
    assert!(path.is_none_or(|path| path.starts_with(b"/") && !path.contains(&b'\n')));
    for path in [path.unwrap_or(b"/"), bytes] {
        let name = CgroupName::of(path);
        check_shown(name.unit.as_deref());
        check_shown(name.container.as_deref());
        check_shown(name.pod_uid.as_deref());
        assert!(name.runtime.is_none() || name.container.is_some());
    }
}
