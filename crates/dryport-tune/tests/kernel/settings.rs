//! What the kernel takes, refuses and gives back.

use std::fs;
use std::path::Path;
use std::thread;

use dryport_model::plan::Setting;
use dryport_model::{PortRange, PortSet};
use dryport_tune::{Error, sysctl};
use dryport_wire::sysctl::format_port_list;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::scratch::{MOUNTS, NETWORK, in_scratch, keep_mounts_here, mount};

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
        // A thread follows the one that started it.
        let there = thread::scope(|scope| {
            let follower = scope.spawn(|| text(Setting::ReservedPorts));
            follower.join().unwrap()
        });
        assert_eq!(there, "7-9,12345\n");
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
                ports.insert_range(PortRange::new(low, low.saturating_add(more)).unwrap());
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
    in_scratch(NETWORK | MOUNTS, || {
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
