//! Machines to be reported on: each a set of sockets, judged by the model.

use std::net::{IpAddr, SocketAddr};

use dryport_model::{
    Census, Coverage, Fact, Family, HeadroomCount, Level, Limits, NamespaceFacts, Origin, Owner,
    Owners, PortRange, Protocol, Request, Socket, State, Thresholds, TimeWait, Verdict, judge,
};
use dryport_report::{Check, CheckedNamespace, NamespaceName, Reach};

/// A namespace with its sockets.
pub struct Scene {
    pub namespace: NamespaceName,
    pub reach: Reach,
    pub described: Option<String>,
    pub limits: Limits,
    pub sockets: Vec<Socket>,
    pub owners: Option<Owners>,
    pub coverage: Vec<Coverage>,
    pub verdict: Verdict,
}

pub fn host() -> NamespaceName {
    NamespaceName {
        inode: 4_026_531_840,
        name: Some("host".to_string()),
    }
}

pub fn all_seen() -> Vec<Coverage> {
    vec![
        Coverage::full(Fact::Sockets, "sock_diag"),
        Coverage::full(Fact::BoundIdle, "sock_diag"),
        Coverage::full(Fact::BindBuckets, "bpf"),
        Coverage::full(Fact::TimeWaitTimestamps, "bpf"),
        Coverage::full(Fact::Settings, "sysctl"),
        Coverage::full(Fact::Owners, "proc"),
    ]
}

impl Scene {
    fn new(
        limits: Limits,
        sockets: Vec<Socket>,
        owners: Option<Owners>,
        coverage: Vec<Coverage>,
    ) -> Self {
        let verdict = {
            let mut census = Census::new(&limits);
            sockets.iter().for_each(|socket| census.observe(socket));
            judge(&NamespaceFacts {
                census: &census,
                owners: owners.as_ref(),
                thresholds: Thresholds::default(),
            })
        };
        Self {
            namespace: host(),
            reach: Reach::Here,
            described: None,
            limits,
            sockets,
            owners,
            coverage,
            verdict,
        }
    }

    pub fn named(mut self, inode: u64, name: Option<&str>) -> Self {
        self.namespace = NamespaceName {
            inode,
            name: name.map(String::from),
        };
        self
    }

    /// Another namespace than the caller's: what names it on the command line, and whose it is.
    pub fn elsewhere(mut self, reach: &str, described: Option<&str>) -> Self {
        self.reach = match reach {
            "" => Reach::Nameless,
            word => Reach::Netns(word.to_string()),
        };
        self.described = described.map(String::from);
        self
    }

    pub fn checked(&self) -> CheckedNamespace<'_> {
        CheckedNamespace {
            namespace: self.namespace.clone(),
            reach: self.reach.clone(),
            described: self.described.clone(),
            processes: Some(1),
            limits: &self.limits,
            sockets: self.sockets.len() as u64,
            verdict: &self.verdict,
            owners: self.owners.as_ref(),
            coverage: &self.coverage,
            devices: &[],
        }
    }

    pub fn count(&self, request: Request) -> HeadroomCount<'_> {
        let mut count = HeadroomCount::new(request, &self.limits);
        self.sockets.iter().for_each(|socket| count.observe(socket));
        count
    }
}

pub fn check<'a>(scenes: &'a [Scene]) -> Check<'a> {
    let namespaces: Vec<CheckedNamespace<'a>> = scenes.iter().map(Scene::checked).collect();
    Check {
        level: scenes
            .iter()
            .map(|scene| scene.verdict.level)
            .max()
            .unwrap_or(Level::Unknown),
        namespaces,
        coverage: Vec::new(),
        assumptions: Vec::new(),
        process: None,
    }
}

/// A live client connection on an automatic port; its inode is its port.
pub fn client(local: IpAddr, port: u16, remote: SocketAddr) -> Socket {
    Socket {
        protocol: Protocol::Tcp,
        state: State::Established,
        family: Family::of(local),
        local: SocketAddr::new(local, port),
        remote,
        device: 0,
        v6only: Some(false),
        origin: Origin::Automatic,
        time_wait: None,
        inode: u32::from(port),
        uid: 33,
    }
}

pub fn waiting(local: IpAddr, port: u16, remote: SocketAddr, remaining_ms: u32) -> Socket {
    Socket {
        state: State::TimeWait,
        origin: Origin::Automatic,
        time_wait: Some(TimeWait {
            remaining_ms,
            age_ms: 60_000 - remaining_ms,
            timestamps: Some(true),
        }),
        inode: 0,
        uid: 0,
        ..client(local, port, remote)
    }
}

pub fn bound(local: IpAddr, port: u16, state: State) -> Socket {
    let nowhere = SocketAddr::new("0.0.0.0".parse().unwrap(), 0);
    Socket {
        state,
        origin: Origin::Bound,
        ..client(local, port, nowhere)
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn remote(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn owner(pid: u32, name: &str, unit: Option<&str>, container: Option<&str>) -> Owner {
    Owner {
        pid,
        name: name.to_string(),
        executable: Some(format!("/usr/sbin/{name}")),
        cgroup: Some("/system.slice".to_string()),
        container: container.map(String::from),
        runtime: container.and(Some("docker")),
        unit: unit.map(String::from),
        ..Owner::default()
    }
}

/// Shares the inodes (= ports) of a range out among processes, the first `counts[0]` to the first.
fn shared_out(processes: Vec<Owner>, counts: &[u32], first: u32) -> Owners {
    let mut inode = first;
    let mut by_inode = Vec::new();
    for (process, count) in counts.iter().enumerate() {
        for _ in 0..*count {
            by_inode.push((inode, process as u32));
            inode += 1;
        }
    }
    Owners::new(processes, by_inode)
}

pub fn idle() -> Scene {
    let limits = Limits::linux_default();
    let local = ip("10.0.0.5");
    let mut sockets: Vec<Socket> = (32768..32918)
        .map(|port| client(local, port, remote("10.0.0.9:5432")))
        .collect();
    sockets.extend((40000..40012).map(|port| client(local, port, remote("10.0.0.12:6379"))));
    sockets.push(bound(ip("0.0.0.0"), 50051, State::Listen));
    let owners = shared_out(
        vec![owner(812, "api", Some("api.service"), None)],
        &[28_232],
        32768,
    );
    Scene::new(limits, sockets, Some(owners), all_seen())
}

pub fn tuple_dry() -> Scene {
    let limits = Limits::linux_default();
    let (local, full) = (ip("10.0.0.1"), remote("10.0.0.2:443"));
    let mut sockets: Vec<Socket> = (32768..59768)
        .map(|port| client(local, port, full))
        .collect();
    sockets.extend((59768..=60999).map(|port| {
        let left = 2_000 + u32::from(port - 59768) * 40;
        waiting(local, port, full, left)
    }));
    sockets.extend((32768..46_000).map(|port| client(local, port, remote("10.0.0.3:8080"))));
    for host in 1..=12_u16 {
        let to = SocketAddr::new(ip(&format!("10.1.0.{host}")), 9000);
        let ports = 32768..32768 + (13 - host) * 100;
        sockets.extend(ports.map(|port| client(local, port, to)));
    }
    let container = "3f2a91b0c1de55aa3f2a91b0c1de55aa3f2a91b0c1de55aa3f2a91b0c1de55aa";
    let processes = vec![
        owner(812, "nginx", Some("nginx.service"), None),
        owner(4711, "envoy", Some("docker.scope"), Some(container)),
        owner(990, "php-fpm8.2", Some("php8.2-fpm.service"), None),
        owner(991, "curl", None, None),
        owner(992, "wget", None, None),
    ];
    let owners = shared_out(processes, &[20_001, 5_000, 1_997, 1, 1], 32768);
    Scene::new(limits, sockets, Some(owners), all_seen())
}

pub fn locked() -> Scene {
    let limits = Limits::linux_default();
    let mut sockets: Vec<Socket> = (32768..58_500)
        .map(|port| bound(ip("10.0.0.1"), port, State::BoundInactive))
        .collect();
    sockets
        .extend((58_500..58_550).map(|port| client(ip("10.0.0.1"), port, remote("10.0.0.9:5432"))));
    let owners = shared_out(
        vec![owner(2001, "scanner", Some("scanner.service"), None)],
        &[28_232],
        32768,
    );
    Scene::new(limits, sockets, Some(owners), all_seen())
}

pub fn uncertain() -> Scene {
    let limits = Limits::linux_default();
    let local = ip("192.168.100.100");
    let sockets = (32768..56_000)
        .map(|port| Socket {
            origin: Origin::Unknown,
            ..client(local, port, remote("192.168.100.101:27017"))
        })
        .collect();
    let coverage = vec![
        Coverage::full(Fact::Sockets, "sock_diag"),
        Coverage::none(
            Fact::BindBuckets,
            "sock_diag",
            "whether other destinations can share these ports was not asked; CAP_BPF and \
             CAP_PERFMON, or Linux 6.3, would show it."
                .to_string(),
        ),
        Coverage::partial(
            Fact::Owners,
            "proc",
            "processes of other users: run as root, or give CAP_SYS_PTRACE.".to_string(),
        ),
    ];
    Scene::new(limits, sockets, Some(Owners::default()), coverage)
}

pub fn odd() -> Scene {
    let limits = Limits {
        range: PortRange::new(40000, 60000).unwrap(),
        ..Limits::linux_default()
    };
    let sockets = (40100..40900)
        .map(|port| client(ip("10.0.0.1"), port, remote("10.0.0.2:443")))
        .collect();
    Scene::new(limits, sockets, None, all_seen())
}

pub fn narrow() -> Scene {
    let mut limits = Limits {
        range: PortRange::new(20000, 20099).unwrap(),
        ..Limits::linux_default()
    };
    limits
        .reserved
        .insert_range(PortRange::new(20080, 20099).unwrap());
    let long = ip("2001:db8:1234:5678:9abc:def0:1234:5678");
    let to = SocketAddr::new(ip("2001:db8:ffff:eeee:dddd:cccc:bbbb:aaaa"), 8443);
    let mut sockets: Vec<Socket> = (20000..20045).map(|p| client(long, p, to)).collect();
    sockets.extend((20045..20066).map(|p| waiting(long, p, to, 31_000)));
    Scene::new(limits, sockets, None, all_seen()).named(4_026_532_281, Some("web"))
}

pub fn hostile() -> Scene {
    let limits = Limits::linux_default();
    let sockets = (32768..60_990)
        .map(|port| client(ip("127.0.0.1"), port, remote("127.0.0.1:9000")))
        .collect();
    let name = "\\x1b]0;owned\\x07 this name never ends 漢字漢字 and goes on and on and on";
    let processes = vec![
        owner(
            4_194_304,
            name,
            Some("a-unit-with-a-name-longer-than-any-line-should-have-to-bear.service"),
            None,
        ),
        owner(1, "", None, None),
    ];
    Scene::new(
        limits,
        sockets,
        Some(shared_out(processes, &[28_000, 222], 32768)),
        all_seen(),
    )
}

/// Not one socket.
pub fn empty() -> Scene {
    Scene::new(Limits::linux_default(), Vec::new(), None, all_seen())
}

const CONTAINER: &str = "3f2a91b0c1de55aa3f2a91b0c1de55aa3f2a91b0c1de55aa3f2a91b0c1de55aa";
const POD: &str = "1c9b4c2e-77aa-4d2f-9e01-0123456789ab";

/// A unit, a container of 200 workers, a pod's container with two shells beside its proxy, and three
/// programs of a login. Of each, the first process holds every port, and the others some of the same.
pub fn groups() -> Scene {
    let limits = Limits::linux_default();
    let (local, full) = (ip("10.0.0.1"), remote("10.0.0.2:443"));
    let sockets = (32768..61_000)
        .map(|port| client(local, port, full))
        .collect();
    let mut processes = vec![
        owner(4711, "java", Some("payments.service"), None),
        owner(900, "nginx", None, Some(CONTAINER)),
        Owner {
            pod: Some(POD.to_string()),
            runtime: Some("containerd"),
            ..owner(77, "envoy", None, Some(CONTAINER))
        },
        owner(99, "curl", Some("session-3.scope"), None),
    ];
    let counts = [12_000, 10_000, 6_000, 232];
    let (nginx, envoy, curl) = (32768 + 12_000, 32768 + 22_000, 32768 + 28_000);
    let mut by_inode: Vec<(u32, u32)> = Vec::new();
    let mut first = 32768;
    for (process, count) in (0..).zip(counts) {
        by_inode.extend((first..first + count).map(|inode| (inode, process)));
        first += count;
    }
    for worker in 1..200 {
        let process = processes.len() as u32;
        by_inode.extend([(nginx, process), (nginx + worker, process)]);
        processes.push(owner(900 + worker, "nginx", None, Some(CONTAINER)));
    }
    for (name, inode) in [("sh", envoy), ("sh", envoy + 1)] {
        by_inode.push((inode, processes.len() as u32));
        let pid = 1200 + inode;
        processes.push(Owner {
            pid,
            name: name.into(),
            ..processes[2].clone()
        });
    }
    for pid in [100, 101] {
        by_inode.push((curl, processes.len() as u32));
        processes.push(owner(pid, "curl", Some("session-3.scope"), None));
    }
    Scene::new(
        limits,
        sockets,
        Some(Owners::new(processes, by_inode)),
        all_seen(),
    )
}

/// Containers, units and programs called what no screen should have to bear.
pub fn hostile_groups() -> Scene {
    let limits = Limits::linux_default();
    let (local, full) = (ip("10.0.0.1"), remote("10.0.0.2:443"));
    let sockets = (32768..61_000)
        .map(|port| client(local, port, full))
        .collect();
    let wide = "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字";
    let processes = vec![
        Owner {
            runtime: Some("systemd-nspawn"),
            ..owner(1, wide, None, Some(wide))
        },
        Owner {
            cgroup: Some("/user.slice/user@4294967295.service/x.scope".into()),
            ..owner(
                4_194_304,
                wide,
                Some("docker 3f2a91b0c1de no port is left, all is well \\x1b[2J.scope"),
                None,
            )
        },
        Owner {
            pod: Some(POD.to_string()),
            ..owner(4_194_303, "(pid 1)  0 ports", None, Some(CONTAINER))
        },
        owner(7, "unit sshd.service", None, None),
    ];
    let owners = shared_out(processes, &[20_000, 8_000, 200, 32], 32768);
    Scene::new(limits, sockets, Some(owners), all_seen())
}

pub fn nothing() -> Scene {
    let mut scene = Scene::new(Limits::linux_default(), Vec::new(), None, all_seen());
    scene.verdict.requests.clear();
    scene
}
