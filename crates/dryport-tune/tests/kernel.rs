//! Settings and identities, asked of the running kernel in scratch namespaces; and files on file
//! systems that are full or read-only. What cannot run says SKIPPED, and fails where
//! `DRYPORT_REQUIRE` names what it needs.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a scratch namespace that does not work fails the test"
)]

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use dryport_model::PortSet;
use dryport_model::plan::Setting;
use dryport_tune::{Error, files, identity, sysctl};
use dryport_wire::sysctl::format_port_list;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::io::Errno;
use rustix::thread::{UnshareFlags, unshare_unsafe};

const NETWORK: UnshareFlags = UnshareFlags::NEWNET;

/// One scratch namespace at a time: the kernel gives the number of one that ended to the next.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `work` in a thread with namespaces of its own, which end with it. Where that is forbidden
/// it says so, and fails if it is required.
fn in_scratch(flags: UnshareFlags, work: impl FnOnce() + Send) {
    let _one = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poison| poison.into_inner());
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: namespaces only, never FILES, so no thread sees another's descriptors.
            match unsafe { unshare_unsafe(flags) } {
                Ok(()) => work(),
                Err(error) => skip(&error),
            }
        });
        if let Err(payload) = thread.join() {
            std::panic::resume_unwind(payload);
        }
    });
}

fn skip(reason: &Errno) {
    eprintln!("SKIPPED: no scratch namespace: {reason}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    // An ordinary user gets namespaces only in a user namespace, which a process with several
    // threads, as this one, cannot enter. So it is root that these tests need.
    if required.split([',', ' ']).any(|word| word == "root") {
        panic!("but DRYPORT_REQUIRE names root");
    }
}

/// Mounts as mount(2); the mount namespace must be the thread's own.
fn mount(source: &str, target: &Path, kind: &str, flags: libc::c_ulong, options: &str) {
    let [source, kind, options] = [source, kind, options].map(|text| CString::new(text).unwrap());
    let target = CString::new(target.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: all four are strings that end with NUL and live through the call.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    assert_eq!(
        result,
        0,
        "mount {target:?}: {}",
        std::io::Error::last_os_error()
    );
}

/// So that no mount of the thread reaches the machine.
fn keep_mounts_here() {
    mount(
        "none",
        Path::new("/"),
        "",
        libc::MS_REC | libc::MS_PRIVATE,
        "",
    );
}

fn text(setting: Setting) -> String {
    String::from_utf8(sysctl::read(setting).unwrap().unwrap()).unwrap()
}

#[test]
fn what_is_read_can_be_written_and_reads_the_same() {
    in_scratch(NETWORK, || {
        for setting in Setting::LINUX {
            let Some(bytes) = sysctl::read(setting).unwrap() else {
                eprintln!("this kernel has no {}", setting.name());
                continue;
            };
            assert!(bytes.ends_with(b"\n"));
            sysctl::can_write(setting).unwrap();
            sysctl::write(setting, &bytes).unwrap();
            assert_eq!(sysctl::read(setting).unwrap(), Some(bytes));
        }
    });
}

#[test]
fn a_setting_belongs_to_the_threads_namespace() {
    let here = sysctl::read(Setting::ReservedPorts).unwrap();
    in_scratch(NETWORK, || {
        sysctl::write(Setting::ReservedPorts, b"7-9,12345").unwrap();
        assert_eq!(text(Setting::ReservedPorts), "7-9,12345\n");
        let outside = thread::scope(|scope| {
            // A thread follows the one that started it, so this is the same namespace.
            scope.spawn(|| text(Setting::ReservedPorts)).join().unwrap()
        });
        assert_eq!(outside, "7-9,12345\n");
    });
    assert_eq!(sysctl::read(Setting::ReservedPorts).unwrap(), here);
}

#[test]
fn an_empty_value_empties_the_list() {
    in_scratch(NETWORK, || {
        for nothing in [&b""[..], b"\n"] {
            sysctl::write(Setting::ReservedPorts, b"7-9").unwrap();
            sysctl::write(Setting::ReservedPorts, nothing).unwrap();
            assert_eq!(text(Setting::ReservedPorts), "\n");
        }
        // The quirk that this is for.
        sysctl::write(Setting::ReservedPorts, b"7-9").unwrap();
        fs::write(sysctl::path(Setting::ReservedPorts), b"").unwrap();
        assert_eq!(text(Setting::ReservedPorts), "7-9\n");
    });
}

#[test]
fn any_list_of_reserved_ports_is_written_whole() {
    // Sparse ones are longer than the page that the kernel takes at a time; dense ones are short.
    let sparse = prop::collection::vec(any::<u16>(), 0..9000);
    let ranges = prop::collection::vec((any::<u16>(), 0_u16..500), 0..30);
    in_scratch(NETWORK, || {
        let mut runner = TestRunner::new(Config::with_cases(100));
        let result = runner.run(&(sparse, ranges), |(sparse, ranges)| {
            let mut ports: PortSet = sparse.into_iter().collect();
            for (low, more) in ranges {
                (low..=low.saturating_add(more)).for_each(|port| drop(ports.insert(port)));
            }
            let list = format!("{}\n", format_port_list(&ports));
            sysctl::write(Setting::ReservedPorts, list.as_bytes()).unwrap();
            prop_assert_eq!(&text(Setting::ReservedPorts), &list);
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

#[test]
fn the_longest_list_is_written_whole() {
    in_scratch(NETWORK, || {
        let ports: PortSet = (0..=u16::MAX).filter(|port| port % 2 == 1).collect();
        let list = format!("{}\n", format_port_list(&ports));
        assert!(list.len() > 180_000);
        sysctl::write(Setting::ReservedPorts, list.as_bytes()).unwrap();
        assert_eq!(text(Setting::ReservedPorts), list);
        sysctl::write(Setting::ReservedPorts, b"").unwrap();
        assert_eq!(text(Setting::ReservedPorts), "\n");
    });
}

#[test]
fn any_range_that_may_be_is_written_and_any_other_refused() {
    in_scratch(NETWORK, || {
        let start = sysctl::ip_unprivileged_port_start().unwrap().unwrap();
        let mut runner = TestRunner::new(Config::with_cases(500));
        let result = runner.run(&any::<[u16; 2]>(), |[low, high]| {
            let before = text(Setting::LocalPortRange);
            let written =
                sysctl::write(Setting::LocalPortRange, format!("{low} {high}").as_bytes());
            if low <= high && u32::from(low) >= start {
                written.unwrap();
                prop_assert_eq!(text(Setting::LocalPortRange), format!("{low}\t{high}\n"));
            } else {
                prop_assert!(
                    matches!(written, Err(Error::Refused { .. })),
                    "{:?}",
                    written
                );
                prop_assert_eq!(text(Setting::LocalPortRange), before);
            }
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

#[test]
fn the_low_end_may_not_lie_below_the_unprivileged_ports() {
    in_scratch(NETWORK, || {
        let start = Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        fs::write(start, "2000").unwrap();
        assert_eq!(sysctl::ip_unprivileged_port_start().unwrap(), Some(2000));
        let error = sysctl::write(Setting::LocalPortRange, b"1999 60999").unwrap_err();
        assert!(
            matches!(&error, Error::Refused { value, .. } if value == "1999 60999"),
            "{error}"
        );
        sysctl::write(Setting::LocalPortRange, b"2000 60999").unwrap();
        // And the other way round.
        assert!(fs::write(start, "2001").is_err());
    });
}

#[test]
fn values_that_are_no_values_are_refused_and_change_nothing() {
    in_scratch(NETWORK, || {
        for (setting, value) in [
            (Setting::LocalPortRange, "lots"),
            (Setting::LocalPortRange, "70000 80000"),
            (Setting::ReservedPorts, "5-4"),
            (Setting::ReservedPorts, "1,2,x"),
            (Setting::TcpTwReuse, "3"),
            (Setting::TcpTwReuse, "\x1b[2J"),
        ] {
            let before = text(setting);
            let error = sysctl::write(setting, value.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{value:?}: {error}");
            assert!(!error.to_string().contains('\x1b'));
            assert_eq!(text(setting), before, "{value:?}");
        }
    });
}

#[test]
fn settings_of_other_systems_are_absent() {
    assert_eq!(sysctl::read(Setting::Msl).unwrap(), None);
    assert!(matches!(
        sysctl::write(Setting::MaxUserPort, b"1"),
        Err(Error::Absent { .. })
    ));
    assert!(matches!(
        sysctl::can_write(Setting::PortRangeFirst),
        Err(Error::Absent { .. })
    ));
}

#[test]
fn a_read_only_proc_is_told_from_a_missing_right() {
    in_scratch(NETWORK | UnshareFlags::NEWNS, || {
        keep_mounts_here();
        // As runtimes of containers do it.
        let settings = Path::new("/proc/sys");
        mount("/proc/sys", settings, "", libc::MS_BIND, "");
        mount(
            "",
            settings,
            "",
            libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY,
            "",
        );
        assert!(sysctl::read(Setting::TcpTwReuse).unwrap().is_some());
        for result in [
            sysctl::can_write(Setting::TcpTwReuse),
            sysctl::write(Setting::TcpTwReuse, b"1"),
        ] {
            assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
        }
    });
}

#[test]
fn an_ordinary_user_may_not_write() {
    in_scratch(NETWORK, || {
        let keep = -1_i64;
        // SAFETY: three numbers; the raw call changes this thread alone, which ends soon.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, keep, 65534_i64, keep) };
        assert_eq!(result, 0);
        for result in [
            sysctl::can_write(Setting::TcpTwReuse),
            sysctl::write(Setting::TcpTwReuse, b"1"),
        ] {
            assert!(
                matches!(result, Err(Error::NotPermitted { .. })),
                "{result:?}"
            );
        }
    });
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    in_scratch(UnshareFlags::NEWNS, || {
        keep_mounts_here();
        mount("tmpfs", scratch.path(), "tmpfs", 0, "size=64k");
        let path = scratch.path().join("a.conf");
        files::replace(&path, b"old", 0o640).unwrap();
        let error = files::replace(&path, &[b'x'; 1 << 20], 0o644).unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert_old_and_alone(&path);
        let error = files::replace(&scratch.path().join("b.conf"), &[b'x'; 1 << 20], 0o644);
        assert!(matches!(error, Err(Error::Full { .. })));
        assert_old_and_alone(&path);
    });
}

#[test]
fn a_read_only_disk_is_told_and_nothing_changes() {
    let scratch = tempfile::tempdir().unwrap();
    in_scratch(UnshareFlags::NEWNS, || {
        keep_mounts_here();
        mount("tmpfs", scratch.path(), "tmpfs", 0, "");
        let path = scratch.path().join("a.conf");
        files::replace(&path, b"old", 0o640).unwrap();
        let made = files::create_directories(&scratch.path().join("made")).unwrap();
        mount(
            "",
            scratch.path(),
            "",
            libc::MS_REMOUNT | libc::MS_RDONLY,
            "",
        );
        let read_only = |result: dryport_tune::Result<()>| {
            assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
        };
        read_only(files::replace(&path, b"new", 0o644));
        read_only(files::remove(&path).map(drop));
        read_only(files::create_directories(&scratch.path().join("b/c")).map(drop));
        read_only(files::remove_empty_directories(&made).map(drop));
        assert_eq!(files::create_directories(&made[0]).unwrap().len(), 0);
        assert_eq!(
            files::read_optional(&path).unwrap().as_deref(),
            Some(&b"old"[..])
        );
    });
}

fn assert_old_and_alone(path: &Path) {
    assert_eq!(
        files::read_optional(path).unwrap().as_deref(),
        Some(&b"old"[..])
    );
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_namespace_has_a_cookie_of_its_own() {
    let boot = identity::boot_id().unwrap();
    assert_eq!(identity::boot_id().unwrap(), boot);
    let Some(here) = identity::netns_cookie().unwrap() else {
        eprintln!("this kernel tells no cookies");
        return;
    };
    assert_eq!(identity::netns_cookie().unwrap(), Some(here));
    let mut cookies = vec![here];
    for _ in 0..2 {
        in_scratch(NETWORK, || {
            cookies.extend(identity::netns_cookie().unwrap())
        });
    }
    let count = cookies.len();
    cookies.sort_unstable();
    cookies.dedup();
    assert_eq!(cookies.len(), count, "given twice");
}

#[test]
fn a_namespace_is_found_while_it_lives() {
    let inode = || fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
    assert_eq!(
        identity::namespaces().unwrap().is_gone(inode()),
        Some(false)
    );
    let mut scratch = None;
    in_scratch(NETWORK, || {
        scratch = Some(inode());
        assert_eq!(
            identity::namespaces().unwrap().is_gone(inode()),
            Some(false)
        );
    });
    let Some(scratch) = scratch else { return };
    // Another test's namespace may have the number by now, for a moment.
    let deadline = Instant::now() + Duration::from_secs(20);
    while identity::namespaces().unwrap().is_gone(scratch) == Some(false) {
        assert!(Instant::now() < deadline, "still there");
        thread::yield_now();
    }
}

#[test]
fn a_namespace_that_only_a_descriptor_holds_is_found() {
    let mut held = None;
    in_scratch(NETWORK, || {
        held = Some(fs::File::open("/proc/thread-self/ns/net").unwrap())
    });
    if let Some(held) = held {
        let inode = held.metadata().unwrap().ino();
        assert_eq!(identity::namespaces().unwrap().is_gone(inode), Some(false));
    }
}
