//! The texts are read back by simple readers: what they set is what the plan says.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::plan::Scope;
use crate::{Family, Protocol};

const DYNAMIC: Setting = Setting::DynamicPorts(Family::V4, Protocol::Tcp);
const DYNAMIC_UDP6: Setting = Setting::DynamicPorts(Family::V6, Protocol::Udp);

fn change(setting: Setting, from: Option<&str>, to: &str) -> Change {
    Change {
        setting,
        from: from.map(Into::into),
        to: to.into(),
        why: String::new(),
        scope: Scope::Machine,
        persists: false,
        restart_needed: matches!(setting, Setting::MaxUserPort | Setting::TcpTimedWaitDelay),
    }
}

fn recipe<'a>(recipes: &'a [Recipe], id: &str) -> &'a Recipe {
    recipes.iter().find(|recipe| recipe.id == id).unwrap()
}

/// A setting's name and its value; `None`: deleted.
type Set = (String, Option<String>);

fn set(name: &str, value: &str) -> Set {
    (name.into(), Some(value.trim_matches('"').to_string()))
}

/// What the lines of a shell script set.
fn read_shell(text: &str) -> Vec<Set> {
    let mut sets = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let line = line.replace("ip netns exec \"$ns\" ", "");
        if line.contains("printf '\\n' > /proc/sys/net/ipv4/ip_local_reserved_ports") {
            sets.push(set("net.ipv4.ip_local_reserved_ports", ""));
        } else if let Some(rest) = line.strip_prefix("sysctl ") {
            let (name, value) = rest.trim_start_matches("-w ").split_once('=').unwrap();
            sets.push(set(name, value));
        }
    }
    sets
}

/// What the lines of `netsh`, `reg` and PowerShell set.
fn read_windows(text: &str) -> Vec<Set> {
    let mut sets = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|other| *other == word);
            at.and_then(|at| words.get(at + 1)).map(ToString::to_string)
        };
        match words[..] {
            [
                "netsh",
                "int",
                family,
                "set",
                "dynamicport",
                protocol,
                start,
                num,
                ..,
            ] => {
                let name = format!("{family} dynamicport {protocol}");
                sets.push(set(&name, &format!("{start} {num}")));
            }
            ["reg", "add", ..] => sets.push((after("/v").unwrap(), after("/d"))),
            ["reg", "delete", ..] => sets.push((after("/v").unwrap(), None)),
            ["New-ItemProperty", ..] => sets.push((after("-Name").unwrap(), after("-Value"))),
            ["Remove-ItemProperty", ..] => sets.push((after("-Name").unwrap(), None)),
            _ => {}
        }
    }
    sets
}

/// What a registry file sets.
fn read_registry(text: &str) -> Vec<Set> {
    let mut lines = text.lines();
    assert!(["REGEDIT4", "Windows Registry Editor Version 5.00"].contains(&lines.next().unwrap()));
    let mut sets = Vec::new();
    for line in lines.filter(|line| line.starts_with('"')) {
        let (name, value) = line.split_once('=').unwrap();
        let value = value.strip_prefix("dword:").map(|hex| {
            assert_eq!(hex.len(), 8);
            u32::from_str_radix(hex, 16).unwrap().to_string()
        });
        sets.push((name.trim_matches('"').into(), value));
    }
    sets
}

/// `name: "value"` pairs of the two forms of YAML.
fn read_yaml(text: &str) -> Vec<Set> {
    let mut sets = Vec::new();
    let mut name = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("- name: ") {
            name = Some(rest.to_string());
        } else if let Some(value) = line.strip_prefix("value: ") {
            sets.push(set(&name.take().unwrap(), value));
        } else if let Some((key, value)) = line.split_once(": \"") {
            sets.push(set(key, value));
        }
    }
    sets
}

fn read_conf(text: &str) -> Vec<Set> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| set(name.trim(), value.trim()))
        .collect()
}

fn read_options(text: &str) -> Vec<Set> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--sysctl "));
    lines
        .filter_map(|line| line.trim_end_matches(" \\").split_once('='))
        .map(|(name, value)| set(name, value))
        .collect()
}

fn linux() -> Vec<Change> {
    Vec::from([
        change(Setting::TcpTwReuse, Some("2"), "1"),
        change(
            Setting::LocalPortRange,
            Some("32768\t60999"),
            "10240\t65535",
        ),
        change(Setting::ReservedPorts, Some(""), "11211,27017-27019"),
    ])
}

#[test]
fn ports_are_reserved_before_the_range_grows_and_freed_after_it_shrank() {
    let recipes = recipes(Platform::Linux, &linux());
    let expected = [
        set("net.ipv4.ip_local_reserved_ports", "11211,27017-27019"),
        set("net.ipv4.ip_local_port_range", "10240 65535"),
        set("net.ipv4.tcp_tw_reuse", "1"),
    ];
    let before = [
        set("net.ipv4.tcp_tw_reuse", "2"),
        set("net.ipv4.ip_local_port_range", "32768 60999"),
        set("net.ipv4.ip_local_reserved_ports", ""),
    ];
    for id in ["shell", "netns"] {
        let recipe = recipe(&recipes, id);
        assert_eq!(read_shell(&recipe.apply), expected, "{id}");
        assert_eq!(read_shell(recipe.undo.as_ref().unwrap()), before, "{id}");
    }
    let conf = recipe(&recipes, "sysctl.d");
    assert_eq!(read_conf(&conf.apply), expected);
    let undo = conf.undo.as_ref().unwrap();
    assert!(undo.contains("rm -f /etc/sysctl.d/99-zz-dryport.conf\n"));
    assert_eq!(read_shell(undo), before);
    for id in ["compose", "kubernetes"] {
        assert_eq!(read_yaml(&recipe(&recipes, id).apply), expected, "{id}");
    }
    for id in ["docker", "podman"] {
        assert_eq!(read_options(&recipe(&recipes, id).apply), expected, "{id}");
    }
    let unit = &recipe(&recipes, "systemd").apply;
    assert_eq!(unit.matches("ExecStartPre=+/sbin/ip netns exec").count(), 3);
}

#[test]
fn the_kubelet_has_to_allow_what_is_not_safe() {
    let all = recipes(Platform::Linux, &linux());
    let note = recipe(&all, "kubernetes").note.as_ref().unwrap();
    assert!(
        note.contains("--allowed-unsafe-sysctls=net.ipv4.tcp_tw_reuse "),
        "{note}"
    );
    assert!(note.contains("since Kubernetes 1.27"));
    let range = recipes(Platform::Linux, &linux()[1..2]);
    let note = recipe(&range, "kubernetes").note.as_ref().unwrap();
    assert!(!note.contains("unsafe") && !note.contains("1.27"));
}

#[test]
fn a_list_that_was_not_told_is_added_to_and_never_shortened() {
    let changes = [change(Setting::ReservedPorts, None, "11211")];
    let recipes = recipes(Platform::Linux, &changes);
    let shell = recipe(&recipes, "shell");
    assert!(
        shell
            .apply
            .contains("ip_local_reserved_ports=\"${reserved:+$reserved,}11211\"\n")
    );
    assert_eq!(read_shell(shell.undo.as_ref().unwrap()), []);
    assert!(
        recipe(&recipes, "sysctl.d")
            .apply
            .contains("# Add what is reserved already")
    );
}

#[test]
fn what_was_not_told_goes_back_to_the_systems_default_and_says_so() {
    let undo = |platform, setting, to| {
        let recipes = recipes(platform, &[change(setting, None, to)]);
        recipes[0].undo.clone().unwrap()
    };
    let linux = undo(Platform::Linux, Setting::LocalPortRange, "10240 65535");
    assert!(linux.contains("# What it was is not told"));
    assert_eq!(
        read_shell(&linux),
        [set("net.ipv4.ip_local_port_range", "32768 60999")]
    );
    let windows = undo(Platform::Windows, DYNAMIC, "start=10000 num=55536");
    assert!(windows.contains("rem What it was is not told"));
    assert_eq!(
        read_windows(&windows),
        [set("ipv4 dynamicport tcp", "start=49152 num=16384")]
    );
    for (platform, setting, to, default) in [
        (Platform::MacOs, Setting::PortRangeFirst, "16384", "49152"),
        (Platform::MacOs, Setting::PortRangeHiFirst, "16384", "49152"),
        (Platform::FreeBsd, Setting::PortRangeFirst, "1024", "10000"),
        (Platform::MacOs, Setting::Msl, "5000", "15000"),
        (Platform::FreeBsd, Setting::Msl, "5000", "30000"),
    ] {
        assert_eq!(
            read_shell(&undo(platform, setting, to)),
            [set(setting.name(), default)]
        );
    }
}

#[test]
fn windows_files_apply_and_take_back_in_opposite_orders() {
    let changes = [
        change(
            DYNAMIC,
            Some("start=49152 num=16384"),
            "start=10000 num=55536",
        ),
        change(
            DYNAMIC_UDP6,
            Some("start=49152 num=16384"),
            "start=1025 num=64511",
        ),
        change(Setting::TcpTimedWaitDelay, None, "30"),
    ];
    let recipes = recipes(Platform::Windows, &changes);
    let applied = [
        set("ipv4 dynamicport tcp", "start=10000 num=55536"),
        set("ipv6 dynamicport udp", "start=1025 num=64511"),
        set("TcpTimedWaitDelay", "30"),
    ];
    let taken_back = [
        ("TcpTimedWaitDelay".to_string(), None),
        set("ipv6 dynamicport udp", "start=49152 num=16384"),
        set("ipv4 dynamicport tcp", "start=49152 num=16384"),
    ];
    for id in ["cmd", "powershell"] {
        let recipe = recipe(&recipes, id);
        assert_eq!(read_windows(&recipe.apply), applied, "{id}");
        assert_eq!(
            read_windows(recipe.undo.as_ref().unwrap()),
            taken_back,
            "{id}"
        );
        assert!(recipe.note.as_ref().unwrap().contains("Restart Windows"));
    }
    let reg = recipe(&recipes, "reg");
    assert_eq!(read_registry(&reg.apply), [set("TcpTimedWaitDelay", "30")]);
    assert!(
        reg.undo
            .as_ref()
            .unwrap()
            .contains("\"TcpTimedWaitDelay\"=-\r\n")
    );
}

#[test]
fn a_range_that_began_below_what_netsh_takes_goes_back_to_the_nearest() {
    let changes = [change(
        DYNAMIC,
        Some("start=1024 num=13977"),
        "start=1025 num=64511",
    )];
    let undo = recipes(Platform::Windows, &changes)[0]
        .undo
        .clone()
        .unwrap();
    assert_eq!(
        read_windows(&undo),
        [set("ipv4 dynamicport tcp", "start=1025 num=13976")]
    );
    assert!(undo.contains("rem It began lower"));
}

#[test]
fn before_vista_there_are_registry_values_alone() {
    let changes = [
        change(Setting::MaxUserPort, None, "65534"),
        change(Setting::TcpTimedWaitDelay, Some("240"), "30"),
    ];
    let recipes = recipes(Platform::Windows2003, &changes);
    let reg = recipe(&recipes, "reg");
    assert!(
        reg.apply
            .starts_with("REGEDIT4\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\")
    );
    assert!(reg.apply.contains("\"MaxUserPort\"=dword:0000fffe\r\n"));
    assert!(recipes.iter().all(|recipe| !recipe.apply.contains("netsh")));
    assert!(recipes.iter().all(|recipe| recipe.id != "powershell"));
}

#[test]
fn hostile_values_and_other_systems_settings_are_left_out() {
    for (platform, setting, from, to) in [
        (
            Platform::Linux,
            Setting::LocalPortRange,
            None,
            "1024 65535\"; reboot; \"",
        ),
        (
            Platform::Linux,
            Setting::ReservedPorts,
            Some("`reboot`"),
            "8080",
        ),
        (
            Platform::Windows,
            DYNAMIC,
            None,
            "start=10000 num=55536 & del C:\\",
        ),
        (Platform::Windows, DYNAMIC, None, "start=1024 num=64511"),
        (Platform::Windows2003, Setting::MaxUserPort, None, "65535"),
        (Platform::Windows, Setting::MaxUserPort, None, "65534"),
        (
            Platform::Windows2003,
            DYNAMIC,
            None,
            "start=10000 num=55536",
        ),
        (Platform::MacOs, Setting::TcpTwReuse, None, "1"),
    ] {
        assert_eq!(recipes(platform, &[change(setting, from, to)]), []);
    }
    assert_eq!(recipes(Platform::Linux, &[]), []);
}

#[test]
fn macos_and_freebsd_have_their_own_files() {
    let changes = [
        change(Setting::PortRangeFirst, Some("49152"), "16384"),
        change(Setting::Msl, Some("15000"), "5000"),
    ];
    let mac = recipes(Platform::MacOs, &changes);
    let applied = [
        set("net.inet.ip.portrange.first", "16384"),
        set("net.inet.tcp.msl", "5000"),
    ];
    assert_eq!(read_shell(&recipe(&mac, "shell").apply), applied);
    let job = recipe(&mac, "launchd");
    assert!(
        job.apply
            .contains("<string>net.inet.ip.portrange.first=16384</string>")
    );
    assert_eq!(read_shell(job.undo.as_ref().unwrap()).len(), 2);
    let free = recipes(Platform::FreeBsd, &changes);
    assert!(
        recipe(&free, "shell")
            .apply
            .contains("\nsysctl net.inet.tcp.msl=5000\n")
    );
    assert_eq!(read_conf(&recipe(&free, "sysctl.conf").apply), applied);
}

fn dynamic() -> impl Strategy<Value = String> {
    (1025u32..=65000, 255u32..=64511).prop_map(|(start, num)| {
        let num = num.min(65536 - start).max(255);
        format!("start={} num={num}", start.min(65536 - num))
    })
}

proptest! {
    #[test]
    fn windows_texts_set_exactly_what_the_plan_says(
        from in proptest::option::of(dynamic()),
        to in dynamic(),
        wait_from in proptest::option::of(0u32..1000),
        wait in 30u32..=300,
    ) {
        let wait_from = wait_from.map(|wait| wait.to_string());
        let changes = [
            change(DYNAMIC, from.as_deref(), &to),
            change(Setting::TcpTimedWaitDelay, wait_from.as_deref(), &wait.to_string()),
        ];
        let default = "start=49152 num=16384".to_string();
        let range = set("ipv4 dynamicport tcp", &from.unwrap_or(default));
        let name = "TcpTimedWaitDelay".to_string();
        for recipe in recipes(Platform::Windows, &changes) {
            let undo = recipe.undo.unwrap();
            for text in [&recipe.apply, &undo] {
                prop_assert!(text.is_ascii());
                prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
            }
            let (apply, undo) = match recipe.id {
                "reg" => (read_registry(&recipe.apply), read_registry(&undo)),
                _ => (read_windows(&recipe.apply), read_windows(&undo)),
            };
            let waited = (name.clone(), wait_from.clone());
            prop_assert_eq!(apply.last(), Some(&set(&name, &wait.to_string())));
            prop_assert_eq!(undo.first(), Some(&waited));
            if recipe.id != "reg" {
                prop_assert_eq!(apply.first(), Some(&set("ipv4 dynamicport tcp", &to)));
                prop_assert_eq!(undo.last(), Some(&range));
            }
        }
    }

    #[test]
    fn linux_texts_set_exactly_what_the_plan_says(
        ends in (1u16..=65535, 1u16..=65535),
        old in (1u16..=65535, 1u16..=65535),
        ports in proptest::collection::btree_set(1u16..=65535, 0..40),
        old_ports in proptest::collection::btree_set(1u16..=65535, 0..40),
        reuse in (0u8..=2, 0u8..=2),
    ) {
        let range = |(a, b): (u16, u16)| format!("{} {}", a.min(b), a.max(b));
        let list = |ports: std::collections::BTreeSet<u16>| {
            ports.into_iter().collect::<crate::PortSet>().to_list()
        };
        let (ports, old_ports) = (list(ports), list(old_ports));
        let changes = [
            change(Setting::ReservedPorts, Some(&old_ports), &ports),
            change(Setting::LocalPortRange, Some(&range(old)), &range(ends)),
            change(Setting::TcpTwReuse, Some(&reuse.0.to_string()), &reuse.1.to_string()),
        ];
        let applied = [
            set("net.ipv4.ip_local_reserved_ports", &ports),
            set("net.ipv4.ip_local_port_range", &range(ends)),
            set("net.ipv4.tcp_tw_reuse", &reuse.1.to_string()),
        ];
        let taken_back = [
            set("net.ipv4.tcp_tw_reuse", &reuse.0.to_string()),
            set("net.ipv4.ip_local_port_range", &range(old)),
            set("net.ipv4.ip_local_reserved_ports", &old_ports),
        ];
        let recipes = recipes(Platform::Linux, &changes);
        for id in ["shell", "netns"] {
            let recipe = recipe(&recipes, id);
            prop_assert_eq!(read_shell(&recipe.apply), applied.clone());
            prop_assert_eq!(read_shell(recipe.undo.as_ref().unwrap()), taken_back.clone());
        }
        let conf = recipe(&recipes, "sysctl.d");
        prop_assert_eq!(read_conf(&conf.apply), applied.clone());
        prop_assert_eq!(read_shell(conf.undo.as_ref().unwrap()), taken_back);
    }

    #[test]
    fn no_text_reaches_a_file_as_it_came(from in ".{0,40}", to in ".{0,40}") {
        for (platform, setting) in [
            (Platform::Linux, Setting::ReservedPorts),
            (Platform::Windows, DYNAMIC),
            (Platform::Windows2003, Setting::MaxUserPort),
            (Platform::MacOs, Setting::Msl),
        ] {
            for recipe in recipes(platform, &[change(setting, Some(&from), &to)]) {
                prop_assert!(recipe.apply.is_ascii());
                prop_assert!(!recipe.apply.contains('`') && !recipe.apply.contains(';'));
            }
        }
    }
}

#[test]
fn no_two_files_of_a_platform_have_one_name() {
    let change = |setting, from, to| change(setting, Some(from), to);
    let changes = [
        change(Setting::ReservedPorts, "", "8080"),
        change(Setting::LocalPortRange, "32768\t60999", "16384\t60999"),
        change(DYNAMIC, "start=49152 num=16384", "start=10000 num=55536"),
        change(Setting::MaxUserPort, "5000", "65534"),
        change(Setting::TcpTimedWaitDelay, "240", "30"),
        change(Setting::PortRangeFirst, "49152", "16384"),
        change(Setting::Msl, "15000", "5000"),
    ];
    for platform in Platform::ALL {
        let recipes = recipes(platform, &changes);
        let undo = recipes.iter().map(|recipe| recipe.undo_file_name);
        let mut names: Vec<&str> = recipes.iter().map(|recipe| recipe.file_name).collect();
        names.extend(undo.filter(|name| !name.is_empty()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{platform:?}: {names:?}");
    }
}
