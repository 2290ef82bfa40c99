//! Processes in a container's cgroup are told as that container. No container runs: a cgroup of that
//! name is all that a runtime makes of it, as far as anybody can see from outside.

use std::fs;
use std::path::{Path, PathBuf};

use dryport_lab::Privilege;
use serde_json::Value;

use crate::helper::Helper;
use crate::program::{Place, dryport};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[(
    "processes in a container's cgroup are one group, told as that container",
    a_container_is_one_group,
)];

const ID: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904d0f1a2b3c4d5e6f708192a3b";
/// Version 2, beside version 1 and alone; the hierarchy of version 1 that systemd uses.
const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/systemd",
];

/// A cgroup called as Docker's are; gone with this value, if no process is in it any more.
struct Cgroup {
    own: PathBuf,
    container: PathBuf,
}

impl Cgroup {
    /// `None` where cgroups may not be made.
    fn make(hierarchy: &str) -> Option<Self> {
        let root = Path::new(hierarchy);
        // The mount point of version 1's hierarchies is none itself.
        if !root.join("cgroup.procs").exists() {
            return None;
        }
        let own = root.join(format!("dryport-test-{}", std::process::id()));
        let container = own.join(format!("docker-{ID}.scope"));
        fs::create_dir(&own).ok()?;
        let made = Self { own, container };
        fs::create_dir(&made.container).ok()?;
        Some(made)
    }

    fn take(&self, helper: &Helper) -> std::io::Result<()> {
        fs::write(
            self.container.join("cgroup.procs"),
            helper.pid().to_string(),
        )
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.container);
        let _ = fs::remove_dir(&self.own);
    }
}

fn a_container_is_one_group(_: Privilege) -> Result<(), Skipped> {
    let mut tried = false;
    for hierarchy in HIERARCHIES {
        tried |= is_told(hierarchy);
    }
    if tried {
        Ok(())
    } else {
        Err(Skipped {
            needed: "cgroup",
            why: "no cgroup may be made here".into(),
        })
    }
}

/// Whether it could be tried in this hierarchy.
fn is_told(hierarchy: &str) -> bool {
    let Some(cgroup) = Cgroup::make(hierarchy) else {
        return false;
    };
    let place = Place::new("20000 20099");
    // Dropped before the cgroup, which they keep.
    let holders = [place.holder(60), place.holder(60)];
    assert_eq!(holders[1].granted(), (40, "EADDRNOTAVAIL"));
    if !holders.iter().all(|holder| cgroup.take(holder).is_ok()) {
        return false;
    }

    let answer = dryport(&place.namespace, &["check", "--netns", ".", "--json"]);
    assert_eq!(answer.exit, 2, "{answer:?}");
    let document = answer.document();
    let dry = &document["causes"][0];
    assert_eq!(dry["id"], "connect.tuple-dry", "{hierarchy}: {dry:#}");
    let groups = dry["owner_groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{hierarchy}: {groups:#?}");
    for (field, value) in [
        ("kind", Value::from("container")),
        ("container", ID.into()),
        ("runtime", "docker".into()),
        ("unit", Value::Null),
        ("pid", Value::Null),
        ("processes", 2.into()),
        ("ports", 100.into()),
    ] {
        assert_eq!(groups[0][field], value, "{hierarchy}, {field}: {groups:#?}");
    }
    let owners = dry["owners"].as_array().unwrap();
    let pids: Vec<u64> = owners.iter().map(|o| o["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids, holders.each_ref().map(|h| u64::from(h.pid())));

    let text = dryport(&place.namespace, &["check", "--netns", "."]).out;
    let row = text.lines().find(|line| line.contains("held by")).unwrap();
    assert!(row.contains("docker 4b825dc642cb "), "{row}");
    assert!(row.contains(" ×2 ") && row.ends_with("100 ports"), "{row}");

    let by = ["see", "-t", "--by", "container", "--json"];
    let document = dryport(&place.namespace, &by).document();
    let groups = document["groups"].as_array().unwrap();
    // The server is this program, in no container.
    let told = groups.iter().find(|group| group["name"] == ID).unwrap();
    assert_eq!(
        (&told["ports"], &told["sockets"]),
        (&100.into(), &100.into())
    );
    drop(holders);
    true
}
