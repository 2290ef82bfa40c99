//! Tests of the process files.

use std::format;

use proptest::prelude::*;

use super::*;

const ID: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904d0f1a2b3c4d5e6f708192a3b";

#[test]
fn a_name_with_parentheses_and_line_ends_does_not_shift_the_fields() {
    let name = b"a) R 1 (\n\x1b";
    let tail = " 42 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0";
    let bytes = [b"77 (", &name[..], b") S", tail.as_bytes()].concat();
    let wanted = Stat {
        pid: 77,
        name: "a) R 1 (\\x0a\\x1b".into(),
        state: 'S',
        parent: 42,
        start_ticks: 98765,
    };
    assert_eq!(parse_stat(&bytes), Ok(wanted));
    assert_eq!(parse_comm(b"a) R 1 (\n\x1b\n"), "a) R 1 (\\x0a\\x1b");
}

#[test]
fn a_stat_without_its_fields_says_which_is_missing() {
    for (text, field) in [
        ("", "name"),
        ("77 )(", "name"),
        ("x (a) S 1", "pid"),
        ("77 (a)", "parent"),
        ("77 (a) S 1 2", "start time"),
    ] {
        let error = ProcfsError::Missing {
            file: "stat",
            field,
        };
        assert_eq!(parse_stat(text.as_bytes()), Err(error), "{text}");
    }
}

#[test]
fn a_status_is_read_by_its_first_keys() {
    let text = b"Name:\tevil\\nUid:\xff\nUmask:\t0022\nTgid:\t9\nPid:\t9\nPPid:\t1\n\
        Uid:\t1000\t1001\t1000\t1000\nUid:\t0\t0\t0\t0\nNSpid:\t9\t2\n\
        CapEff:\t000001ffffffffff\nThreads:\t4\n";
    let wanted = Status {
        name: Some("evil\\nUid:\\xff".into()),
        pid: Some(9),
        parent: Some(1),
        real_uid: Some(1000),
        effective_uid: Some(1001),
        namespace_pids: Vec::from([9, 2]),
        effective_capabilities: Some(0x1ff_ffff_ffff),
        threads: Some(4),
    };
    assert_eq!(parse_status(text), wanted);
    assert_eq!(parse_status(b"nonsense\n:\n::"), Status::default());
}

#[test]
fn the_descriptor_limit_may_be_unlimited() {
    let limits = |soft: &str, hard: &str| {
        let text = format!(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max open files            {soft}                 {hard}               files     \n"
        );
        parse_open_files_limit(text.as_bytes())
    };
    let count = ResourceLimit::Count;
    assert_eq!(
        limits("1024", "524288"),
        Some(OpenFilesLimit {
            soft: count(1024),
            hard: count(524_288)
        })
    );
    let none = ResourceLimit::Unlimited;
    assert_eq!(
        limits("unlimited", "unlimited"),
        Some(OpenFilesLimit {
            soft: none,
            hard: none
        })
    );
    assert_eq!(limits("-1", "5"), None);
    assert_eq!(parse_open_files_limit(b"Max processes 1 1"), None);
}

#[test]
fn only_sockets_have_a_socket_inode() {
    assert_eq!(socket_inode(b"socket:[12345]"), Some(12345));
    for link in [
        "pipe:[1]",
        "socket:[]",
        "socket:[1",
        "socket:[+1]",
        "socket:[4294967296]",
        "/a",
    ] {
        assert_eq!(socket_inode(link.as_bytes()), None, "{link}");
    }
}

#[test]
fn the_deepest_hierarchy_tells_the_cgroup() {
    let path = |text: &'static str| {
        cgroup_path(text.as_bytes()).map(|path| core::str::from_utf8(path).unwrap())
    };
    assert_eq!(path("0::/user.slice/a:b\n"), Some("/user.slice/a:b"));
    assert_eq!(
        path("4:memory:/docker/x\n1:name=systemd:/system.slice\n"),
        Some("/system.slice")
    );
    assert_eq!(path("4:memory:/docker/x\n0::/\n"), Some("/docker/x"));
    assert_eq!(path("4:memory:/\n0::/\n"), Some("/"));
    assert_eq!(path("2:cpu,cpuacct:/a\n"), Some("/a"));
    assert_eq!(path("nonsense\n0:/\n"), None);
}

/// What `/proc/PID/cgroup` holds on real machines, with [`ID`] for the container and [`POD`] for the
/// pod: version, runtime and driver; the lines; container, runtime, pod, unit.
const MACHINES: &[(&str, &str, Named)] = &[
    (
        "v1, Docker with cgroupfs (Debian 10)",
        "12:pids:/docker/ID\n11:cpuset:/docker/ID\n4:rdma:/\n1:name=systemd:/docker/ID\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "hybrid, Docker with cgroupfs (Ubuntu 20.04): nothing of it in version 2",
        "9:memory:/docker/ID\n3:rdma:/\n1:name=systemd:/docker/ID\n\
         0::/system.slice/containerd.service\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v1, Docker with systemd (CentOS 7)",
        "10:devices:/system.slice/docker-ID.scope\n1:name=systemd:/system.slice/docker-ID.scope\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v2, Docker with systemd",
        "0::/system.slice/docker-ID.scope\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v2, Docker with cgroupfs",
        "0::/docker/ID\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v2, rootless Docker",
        "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v2, Docker inside of Docker: the inner one",
        "0::/docker/0000000000000000000000000000000000000000000000000000000000000000/docker/ID\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v2, read inside of another container, which sees no more of the path",
        "0::/../docker-ID.scope\n",
        Named(Some("ID"), Some("docker"), None, None),
    ),
    (
        "v2, the same with cgroupfs: who runs it is not told",
        "0::/../ID\n",
        Named(Some("ID"), None, None, None),
    ),
    (
        "v1, Kubernetes with cgroupfs: the path does not tell the runtime",
        "9:perf_event:/kubepods/burstable/podPOD/ID\n1:name=systemd:/kubepods/burstable/podPOD/ID\n\
         0::/system.slice/containerd.service\n",
        Named(Some("ID"), None, Some("POD"), None),
    ),
    (
        "v1, Kubernetes 1.23 with Docker and systemd",
        "3:cpu,cpuacct:/kubepods.slice/kubepods-podP_O_D.slice/docker-ID.scope\n",
        Named(Some("ID"), Some("docker"), Some("POD"), None),
    ),
    (
        "v2, Kubernetes with containerd and systemd",
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podP_O_D.slice/\
         cri-containerd-ID.scope\n",
        Named(Some("ID"), Some("containerd"), Some("POD"), None),
    ),
    (
        "v2, containerd with systemd told to the kubelet alone",
        "0::/system.slice/containerd.service/kubepods-besteffort-podP_O_D.slice:cri-containerd:ID\n",
        Named(Some("ID"), Some("containerd"), Some("POD"), None),
    ),
    (
        "v1, the same: version 2 has the daemon's own",
        "5:pids:/system.slice/containerd.service/kubepods-besteffort-podP_O_D.slice:cri-containerd:ID\n\
         0::/system.slice/containerd.service\n",
        Named(Some("ID"), Some("containerd"), Some("POD"), None),
    ),
    (
        "v2, kind: Kubernetes inside of Docker",
        "0::/system.slice/docker-0000000000000000000000000000000000000000000000000000000000000000.scope/\
         kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
         kubelet-kubepods-besteffort-podP_O_D.slice/cri-containerd-ID.scope\n",
        Named(Some("ID"), Some("containerd"), Some("POD"), None),
    ),
    (
        "v2, CRI-O with systemd",
        "0::/kubepods.slice/kubepods-podP_O_D.slice/crio-ID.scope/container\n",
        Named(Some("ID"), Some("cri-o"), Some("POD"), None),
    ),
    (
        "v1, CRI-O with cgroupfs",
        "8:memory:/kubepods/besteffort/podPOD/crio-ID\n1:name=systemd:/kubepods/besteffort/podPOD/crio-ID\n",
        Named(Some("ID"), Some("cri-o"), Some("POD"), None),
    ),
    (
        "v2, a process of the pod outside of its containers (Kata)",
        "0::/kubepods.slice/kubepods-podP_O_D.slice\n",
        Named(None, None, Some("POD"), None),
    ),
    (
        "v2, nerdctl with systemd",
        "0::/system.slice/nerdctl-ID.scope\n",
        Named(Some("ID"), Some("containerd"), None, None),
    ),
    (
        "v2, Podman with systemd",
        "0::/machine.slice/libpod-ID.scope/container\n",
        Named(Some("ID"), Some("podman"), None, None),
    ),
    (
        "v1, Podman with systemd",
        "4:memory:/machine.slice/libpod-ID.scope\n1:name=systemd:/machine.slice/libpod-ID.scope\n0::/\n",
        Named(Some("ID"), Some("podman"), None, None),
    ),
    (
        "v1, Podman with cgroupfs",
        "4:memory:/libpod_parent/libpod-ID\n",
        Named(Some("ID"), Some("podman"), None, None),
    ),
    (
        "v2, rootless Podman",
        "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container\n",
        Named(Some("ID"), Some("podman"), None, None),
    ),
    (
        "v1, rootless Podman makes no cgroup",
        "4:memory:/user.slice/user-1000.slice/session-2.scope\n\
         1:name=systemd:/user.slice/user-1000.slice/session-2.scope\n",
        Named(None, None, None, Some("session-2.scope")),
    ),
    (
        "v2, rootless Podman by a Quadlet",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service/libpod-payload-ID\n",
        Named(Some("ID"), Some("podman"), None, None),
    ),
    (
        "v2, what forwards the ports of that Quadlet",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service/runtime\n",
        Named(None, None, None, Some("redis.service")),
    ),
];

/// Container, runtime, pod and unit.
#[derive(Debug, PartialEq)]
struct Named<'a>(
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
);

const POD: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn every_runtime_is_known_in_both_versions_of_cgroups() {
    for (machine, lines, Named(container, runtime, pod, unit)) in MACHINES {
        let lines = lines
            .replace("P_O_D", &POD.replace('-', "_"))
            .replace("podPOD", &format!("pod{POD}"))
            .replace("ID", ID);
        let name = CgroupName::of(cgroup_path(lines.as_bytes()).unwrap());
        assert_eq!(
            Named(
                name.container.as_deref(),
                name.runtime,
                name.pod_uid.as_deref(),
                name.unit.as_deref()
            ),
            Named(container.map(|_| ID), *runtime, pod.map(|_| POD), *unit),
            "{machine}: {lines}"
        );
    }
}

fn named(path: &str) -> CgroupName {
    CgroupName::of(path.as_bytes())
}

#[test]
fn systemd_units_are_unescaped() {
    let unit = |path| named(path).unit;
    assert_eq!(
        unit("/system.slice/nginx.service"),
        Some("nginx.service".into())
    );
    assert_eq!(
        unit("/system.slice/dbus\\x2dbroker.service/sub"),
        Some("dbus-broker.service".into())
    );
    assert_eq!(
        unit("/user.slice/user@1000.service/app.slice/run-u7.scope"),
        Some("run-u7.scope".into())
    );
    assert_eq!(
        unit("/system.slice/nginx.service (deleted)"),
        Some("nginx.service".into())
    );
    assert_eq!(
        unit("/system.slice/a\\x1b[2Jb.service"),
        Some("a\\x1b[2Jb.service".into())
    );
    assert_eq!(unit("/user.slice/.service"), None);
}

#[test]
fn containers_are_known_by_what_their_runtimes_write() {
    for (path, runtime) in [
        (format!("/docker/{ID}"), Some("docker")),
        (format!("/system.slice/docker-{ID}.scope"), Some("docker")),
        (
            format!("/system.slice/containerd.service/x.slice:cri-containerd:{ID}"),
            Some("containerd"),
        ),
        (
            format!("/kubepods.slice/a.slice/cri-containerd-{ID}.scope"),
            Some("containerd"),
        ),
        (
            format!("/kubepods.slice/a.slice/crio-{ID}.scope/container"),
            Some("cri-o"),
        ),
        (
            format!("/machine.slice/libpod-{ID}.scope/container"),
            Some("podman"),
        ),
        (format!("/libpod_parent/libpod-{ID}"), Some("podman")),
        (format!("/ecs/task/{ID}"), None),
    ] {
        let name = named(&path);
        assert_eq!(name.container.as_deref(), Some(ID), "{path}");
        assert_eq!((name.runtime, name.unit), (runtime, None), "{path}");
    }
    assert_eq!(
        named("/lxc.payload.web1/x").container.as_deref(),
        Some("web1")
    );
    assert_eq!(named("/lxc/web1").runtime, Some("lxc"));
    let machine = named("/machine.slice/systemd-nspawn@box.service/payload");
    assert_eq!(
        (machine.container.as_deref(), machine.runtime),
        (Some("box"), Some("systemd-nspawn"))
    );
}

#[test]
fn a_service_inside_a_container_is_its_unit() {
    let name = named(&format!(
        "/system.slice/docker-{ID}.scope/system.slice/sshd.service"
    ));
    assert_eq!(
        (name.container.as_deref(), name.unit.as_deref()),
        (Some(ID), Some("sshd.service"))
    );
}

#[test]
fn a_monitor_is_not_in_its_container() {
    for path in [
        format!("/machine.slice/libpod-conmon-{ID}.scope"),
        format!("/kubepods.slice/crio-conmon-{ID}.scope"),
        "/system.slice/docker-compose.scope".into(),
        "/lxc.monitor.web1".into(),
    ] {
        assert_eq!(named(&path).container, None, "{path}");
    }
}

#[test]
fn a_pod_is_known_in_both_drivers() {
    let uid = "01234567-89ab-cdef-0123-456789abcdef";
    let systemd = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/crio-{ID}.scope",
        uid.replace('-', "_")
    );
    for path in [systemd, format!("/kubepods/besteffort/pod{uid}/{ID}")] {
        let name = named(&path);
        assert_eq!(name.pod_uid.as_deref(), Some(uid), "{path}");
        assert_eq!(name.container.as_deref(), Some(ID), "{path}");
    }
    assert_eq!(named("/podman").pod_uid, None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (parse_stat(&bytes), parse_status(&bytes), parse_open_files_limit(&bytes));
        let _ = (socket_inode(&bytes), parse_sockstat(&bytes), parse_sockstat6(&bytes));
        let name = CgroupName::of(cgroup_path(&bytes).unwrap_or(&bytes));
        for text in [name.unit, name.container, name.pod_uid].into_iter().flatten() {
            prop_assert!(!text.chars().any(char::is_control));
        }
    }

    #[test]
    fn any_name_leaves_the_other_fields_alone(name in prop::collection::vec(any::<u8>(), 0..64)) {
        let tail = b") S 42 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n";
        let stat = parse_stat(&[b"77 (", &name[..], tail].concat()).unwrap();
        prop_assert_eq!((stat.pid, stat.state, stat.parent, stat.start_ticks), (77, 'S', 42, 98765));
        prop_assert_eq!(stat.name, printable(&name));
    }
}
