//! Every screen at 80 and 120 columns, plain and coloured.

use dryport_model::{
    Coverage, Fact, Headroom, Level, Owner, Owners, Request, State, Thresholds, Verdict,
};
use dryport_report::text::{self, Screen, SeeTable};
use dryport_report::{
    By, Check, Groups, HeadroomAnswer, OpenFilesLimit, ProcessFindings, ProcessRequest, SeenSocket,
};

use crate::scenes::{self, Scene, ip, remote};

/// Snapshots `screen` at every width and colour, and holds that no line is too long unless a
/// single word is.
fn look(name: &str, screen: impl Fn(Screen) -> String) {
    for width in [80, 120] {
        for color in [false, true] {
            let text = screen(Screen { width, color });
            let tint = if color { "color" } else { "plain" };
            insta::assert_snapshot!(format!("{name}-{width}-{tint}"), text);
            if !color {
                too_long(&text, width);
            }
        }
    }
}

fn too_long(text: &str, width: usize) {
    for line in text.lines() {
        let columns = unicode_width::UnicodeWidthStr::width(line);
        let unbreakable =
            line.contains("sysctl") || line.contains("2001:db8") || line.contains("--netns cni-");
        assert!(columns <= width || unbreakable, "{columns} columns: {line}");
    }
}

fn check_of(name: &str, scenes: &[Scene]) {
    let check = scenes::check(scenes);
    look(&format!("check-{name}"), |screen| {
        text::check(&check, screen)
    });
}

#[test]
fn check_of_a_healthy_machine() {
    check_of("idle", &[scenes::idle()]);
}

#[test]
fn check_of_a_dry_pair() {
    check_of("tuple-dry", &[scenes::tuple_dry()]);
}

#[test]
fn check_of_a_locked_range() {
    check_of("locked", &[scenes::locked()]);
}

#[test]
fn check_where_not_all_was_seen() {
    check_of("uncertain", &[scenes::uncertain()]);
}

#[test]
fn check_of_an_odd_range() {
    check_of("odd", &[scenes::odd()]);
}

#[test]
fn check_of_a_narrow_range() {
    check_of("narrow", &[scenes::narrow()]);
}

#[test]
fn check_with_hostile_names() {
    check_of("hostile", &[scenes::hostile()]);
}

#[test]
fn check_tells_containers_units_and_programs() {
    check_of("groups", &[scenes::groups()]);
}

#[test]
fn check_with_hostile_containers_and_units() {
    check_of("hostile-groups", &[scenes::hostile_groups()]);
}

#[test]
fn check_without_requests() {
    check_of("nothing", &[scenes::nothing()]);
}

#[test]
fn check_of_several_namespaces() {
    let mut scenes = vec![
        scenes::idle(),
        scenes::narrow().elsewhere("web", None),
        scenes::tuple_dry()
            .named(4_026_532_290, None)
            .elsewhere("pid:4711", Some("container 3f2a91b0c1de (docker)")),
    ];
    for pod in 0..15 {
        let number = 4_026_532_300 + pod;
        let word = format!("pid:{}", 5000 + pod);
        scenes.push(scenes::odd().named(number, None).elsewhere(&word, None));
    }
    let mut check = scenes::check(&scenes);
    check.coverage.push(forbidden());
    look("check-namespaces", |screen| text::check(&check, screen));
}

fn forbidden() -> Coverage {
    Coverage::partial(
        Fact::Namespaces,
        "setns",
        "3 other network namespaces may not be entered; root sees them".into(),
    )
}

/// More than anybody would read to the end.
#[test]
fn check_of_many_short_namespaces() {
    let mut scenes = vec![scenes::idle()];
    for index in 0..20 {
        let name = format!("cni-{index:02}a7c2d4e-5f60-4b1a-9c3d-2e1f0a9b8c7d");
        let dry = scenes::narrow().named(4_026_532_300 + index, Some(&name));
        let mut dry = dry.elsewhere(&name, Some("container 3f2a91b0c1de (containerd)"));
        dry.coverage.push(Coverage::partial(
            Fact::Owners,
            "proc",
            format!("{index} sockets belong to no process that is seen here"),
        ));
        scenes.push(dry);
    }
    for idle in 0..80 {
        let empty = scenes::empty().named(4_026_532_400 + idle, None);
        scenes.push(empty.elsewhere("", None));
    }
    check_of("many-namespaces", &scenes);
}

#[test]
fn check_where_a_namespace_could_not_be_judged() {
    let scenes = [scenes::idle()];
    let mut check = scenes::check(&scenes);
    let why = "1 other network namespace could not be judged: /proc/sys/net: not understood";
    check.coverage = vec![Coverage::partial(Fact::Namespaces, "setns", why.into())];
    check.level = Level::Unknown;
    insta::assert_snapshot!(text::check_line(&check, Screen::default()));
}

#[test]
fn a_name_that_a_shell_would_take_for_more_is_quoted() {
    let scenes = [
        scenes::idle(),
        scenes::tuple_dry()
            .named(4_026_532_290, Some("a; reboot"))
            .elsewhere("a; reboot", None),
    ];
    let text = text::check(&scenes::check(&scenes), Screen::default());
    assert!(text.contains("dryport fix --netns 'a; reboot'\n"), "{text}");
    let scenes = scenes.map(|scene| scene.elsewhere("", None));
    let text = text::check(&scenes::check(&scenes), Screen::default());
    assert!(text.contains("# inside a_ reboot: dryport fix\n"), "{text}");
}

#[test]
fn check_that_could_see_nothing() {
    let check = Check {
        namespaces: Vec::new(),
        level: Level::Unknown,
        assumptions: vec!["ip_local_port_range is 32768-60999, as Linux starts with.".into()],
        coverage: Vec::new(),
        process: None,
    };
    look("check-blind", |screen| text::check(&check, screen));
}

#[test]
fn check_of_one_process() {
    let scene = scenes::tuple_dry();
    let process = Owner {
        pid: 812,
        name: "nginx".into(),
        executable: Some("/usr/sbin/nginx".into()),
        cgroup: Some("/system.slice/nginx.service".into()),
        unit: Some("nginx.service".into()),
        ..Owner::default()
    };
    let check = Check {
        process: Some(ProcessFindings {
            process: &process,
            namespace: scene.namespace.clone(),
            limits: &scene.limits,
            coverage: &scene.coverage,
            open_files: Some(20_110),
            open_files_limit: Some(OpenFilesLimit {
                soft: 65_536,
                hard: 524_288,
            }),
            requests: scene.verdict.requests[..2]
                .iter()
                .map(|verdict| ProcessRequest {
                    sockets: 20_001,
                    verdict,
                })
                .collect(),
            connect_hooks: Err("reading cgroup programs takes CAP_NET_ADMIN.".into()),
            findings: vec![
                "nginx fails because no port is left from 10.0.0.1 to 10.0.0.2:443.".into(),
                "It may open 45,426 more descriptors: the descriptor limit is not the cause."
                    .into(),
            ],
        }),
        ..scenes::check(std::slice::from_ref(&scene))
    };
    look("check-process", |screen| text::check(&check, screen));
}

#[test]
fn quiet_is_one_line() {
    let scenes = [scenes::tuple_dry(), scenes::narrow()];
    let line = text::check_line(&scenes::check(&scenes), Screen::default());
    insta::assert_snapshot!(line);
    assert_eq!(line.lines().count(), 1);
}

fn headroom_of(name: &str, scene: &Scene, request: Request) {
    let count = scene.count(request);
    let classes = count.classes();
    let thresholds = Thresholds::default();
    let (ledger, headroom): (_, Headroom) = (classes.ledger(), classes.headroom());
    let level = thresholds.at_worst(&ledger, headroom);
    let holders = scene
        .owners
        .as_ref()
        .map(|owners| owners.holders(count.holders(&classes).into_iter()))
        .unwrap_or_default();
    let answer = HeadroomAnswer {
        request: &request,
        namespace: scene.namespace.clone(),
        classes: &classes,
        level,
        level_is_uncertain: level != thresholds.at_best(&ledger, headroom),
        time_wait_left_ms: count.time_wait_left_ms(&classes),
        device_name: None,
        holders: &holders,
        owners: scene.owners.as_ref(),
        coverage: &scene.coverage,
        notes: Vec::new(),
    };
    look(&format!("headroom-{name}"), |s| text::headroom(&answer, s));
}

#[test]
fn headroom_of_every_kind() {
    let pair = |from: &str, to: &str| Request::tcp_connect(ip(from), remote(to));
    let (idle, dry) = (scenes::idle(), scenes::tuple_dry());
    headroom_of("idle", &idle, pair("10.0.0.5", "10.0.0.9:5432"));
    headroom_of("dry", &dry, pair("10.0.0.1", "10.0.0.2:443"));
    headroom_of("bind", &dry, Request::tcp_bind(ip("10.0.0.1")));
    let udp = Request::udp_any(dryport_model::Family::V4);
    headroom_of("udp", &idle, udp);
    let locked = scenes::locked();
    headroom_of("locked", &locked, Request::any_new_destination());
    let uncertain = scenes::uncertain();
    headroom_of(
        "uncertain",
        &uncertain,
        pair("192.168.100.100", "192.168.100.200:27017"),
    );
    let groups = scenes::groups();
    headroom_of("groups", &groups, pair("10.0.0.1", "10.0.0.2:443"));
    headroom_of("odd", &scenes::odd(), pair("10.0.0.1", "10.0.0.2:443"));
    let narrow = scenes::narrow();
    headroom_of(
        "narrow",
        &narrow,
        pair(
            "2001:db8:1234:5678:9abc:def0:1234:5678",
            "[2001:db8:ffff:eeee:dddd:cccc:bbbb:aaaa]:8443",
        ),
    );
}

fn seen<'a>(scene: &'a Scene) -> impl Iterator<Item = SeenSocket<'a>> {
    scene.sockets.iter().map(|socket| SeenSocket {
        socket: *socket,
        namespace: &scene.namespace,
        owners: scene.owners.as_ref(),
        device_name: None,
        remote_name: None,
    })
}

/// A few sockets of every kind.
fn mixture() -> Scene {
    let mut scene = scenes::narrow();
    let few = scene.sockets.split_off(64);
    scene.sockets.clear();
    scene.sockets.extend(few);
    let dry = scenes::tuple_dry();
    scene.sockets.extend_from_slice(&dry.sockets[..3]);
    scene.sockets.push(scenes::waiting(
        ip("10.0.0.1"),
        60_000,
        remote("10.0.0.2:443"),
        12_345,
    ));
    let mut listener = scenes::bound(ip("0.0.0.0"), 32_800, State::Listen);
    listener.device = 7;
    scene.sockets.push(listener);
    scene.sockets.push(scenes::bound(
        ip("127.0.0.53"),
        41_000,
        State::BoundInactive,
    ));
    let shared = Owners::new(
        dry.owners.as_ref().unwrap().processes.clone(),
        vec![
            (32_768, 0),
            (32_769, 1),
            (32_800, 0),
            (32_800, 1),
            (32_800, 2),
        ],
    );
    scene.owners = Some(shared);
    scene
}

fn table(scene: &Scene, screen: Screen, namespaces: bool) -> String {
    let mut table = SeeTable::new(Vec::new(), screen, namespaces);
    seen(scene).for_each(|socket| table.socket(&socket).unwrap());
    String::from_utf8(table.finish().unwrap()).unwrap()
}

#[test]
fn see_is_a_table() {
    let scene = mixture();
    look("see", |screen| table(&scene, screen, false));
    insta::assert_snapshot!("see-namespaces", table(&scene, Screen::default(), true));
    let nothing = scenes::nothing();
    insta::assert_snapshot!("see-nothing", table(&nothing, Screen::default(), false));
}

#[test]
fn see_streams_what_does_not_fit_the_measure() {
    let scene = scenes::tuple_dry();
    let text = table(&scene, Screen::default(), false);
    assert_eq!(text.lines().count(), scene.sockets.len() + 1);
}

#[test]
fn see_counts_by_group() {
    let (dry, mixed) = (scenes::tuple_dry(), mixture());
    for by in By::ALL {
        let mut groups = Groups::new(by);
        seen(&dry).for_each(|socket| groups.observe(&socket));
        seen(&mixed).for_each(|socket| groups.observe(&socket));
        let groups = groups.finish();
        look(&format!("see-by-{}", by.name()), |screen| {
            text::see_groups(by, &groups, 12, screen)
        });
    }
}

#[test]
fn see_counts_by_container_and_unit() {
    for (name, scene) in [
        ("groups", scenes::groups()),
        ("hostile", scenes::hostile_groups()),
    ] {
        for by in [By::Container, By::Unit] {
            let mut groups = Groups::new(by);
            seen(&scene).for_each(|socket| groups.observe(&socket));
            let groups = groups.finish();
            look(&format!("see-{name}-by-{}", by.name()), |screen| {
                text::see_groups(by, &groups, 12, screen)
            });
        }
    }
}

#[test]
fn an_unknown_verdict_says_why() {
    let mut scene = scenes::uncertain();
    scene.verdict = Verdict::unknown();
    insta::assert_snapshot!(text::check(
        &scenes::check(std::slice::from_ref(&scene)),
        Screen::default()
    ));
}
