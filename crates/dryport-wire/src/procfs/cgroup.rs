//! `/proc/PID/cgroup`, and what a cgroup's path tells: the systemd unit, the container, the pod.
//!
//! Paths are conventions of the programs that made them, told beside each rule. A program that may
//! make cgroups may imitate any of them: good for showing, not for trusting.

use alloc::string::String;
use alloc::vec::Vec;

use super::printable;

/// The path of a process's cgroup: that of version 2; where that one is the root (hybrid set-ups)
/// or missing, that of version 1's `name=systemd`, then any. A path may end with ` (deleted)`.
///
/// One that names a container goes before those that name none: with version 1 and its own driver,
/// Docker makes no cgroup of version 2, so that its containers stay in `0::/system.slice/docker.service`
/// or `0::/system.slice/containerd.service`, beside `1:name=systemd:/docker/ID`.
#[must_use]
pub fn cgroup_path(bytes: &[u8]) -> Option<&[u8]> {
    let lines = || bytes.split(|byte| *byte == b'\n').filter_map(split_line);
    let deep = |path: &&[u8]| *path != b"/";
    let contained = |path: &&[u8]| deep(path) && CgroupName::of(path).container.is_some();
    let unified = || lines().filter(Line::is_unified).map(|line| line.path);
    let systemd = || {
        lines()
            .filter(|line| line.controllers == b"name=systemd")
            .map(|line| line.path)
    };
    let any = || lines().map(|line| line.path);
    let ordered = || unified().chain(systemd()).chain(any());
    let chosen = ordered().find(contained).or_else(|| ordered().find(deep));
    chosen.or_else(|| any().next())
}

/// The path in the version 2 hierarchy, which BPF programs hang on; `None` without that hierarchy.
#[must_use]
pub fn unified_cgroup_path(bytes: &[u8]) -> Option<&[u8]> {
    let mut lines = bytes.split(|byte| *byte == b'\n').filter_map(split_line);
    lines.find(Line::is_unified).map(|line| line.path)
}

/// One line: `hierarchy:controllers:path`.
struct Line<'a> {
    hierarchy: &'a [u8],
    controllers: &'a [u8],
    path: &'a [u8],
}

impl Line<'_> {
    fn is_unified(&self) -> bool {
        self.hierarchy == b"0" && self.controllers.is_empty()
    }
}

/// A path may hold colons, so only the first two split.
fn split_line(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    let (hierarchy, controllers) = (parts.next()?, parts.next()?);
    let path = parts.next().filter(|path| path.starts_with(b"/"))?;
    Some(Line {
        hierarchy,
        controllers,
        path,
    })
}

/// Who a cgroup belongs to. Names are escaped ([`printable`]); the innermost one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CgroupName {
    /// The systemd service or scope, unescaped (`\x2d` is `-`); not the scope of a container.
    pub unit: Option<String>,
    /// The container's id (64 hexadecimal digits, mostly) or name.
    pub container: Option<String>,
    /// What runs the container, where the path tells.
    pub runtime: Option<&'static str>,
    /// The Kubernetes pod's uid, with `-`.
    pub pod_uid: Option<String>,
}

/// Prefixes of a container's cgroup, with and without `.scope`.
const CONTAINER_PREFIXES: [(&[u8], &str); 7] = [
    (b"docker-", "docker"),
    (b"cri-containerd-", "containerd"),
    (b"nerdctl-", "containerd"),
    (b"crio-", "cri-o"),
    // Below the unit of a Quadlet (`--cgroups=split`).
    (b"libpod-payload-", "podman"),
    (b"libpod-", "podman"),
    (b"lxc.payload.", "lxc"),
];

impl CgroupName {
    /// Reads a path.
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        let mut name = Self::default();
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let mut parent: &[u8] = b"";
        for component in path.split(|byte| *byte == b'/') {
            name.take(component, parent);
            parent = component;
        }
        name
    }

    fn take(&mut self, component: &[u8], parent: &[u8]) {
        if let Some((id, runtime)) = container_of(component, parent) {
            self.container = Some(printable(id));
            self.runtime = runtime;
            // `kubepods-burstable-podUID.slice:cri-containerd:ID` is one component.
            let slice = component.split(|byte| *byte == b':').next();
            if let Some(uid) = slice.and_then(pod_of) {
                self.pod_uid = Some(uid);
            }
            // What was found so far is outside of the container, the pod excepted.
            self.unit = None;
        } else if let Some(uid) = pod_of(component) {
            self.pod_uid = Some(uid);
        } else if is_unit(component) {
            self.unit = Some(printable(&unescape(component)));
        }
    }
}

/// The container that a component stands for.
fn container_of<'a>(
    component: &'a [u8],
    parent: &[u8],
) -> Option<(&'a [u8], Option<&'static str>)> {
    let bare = component.strip_suffix(b".scope").unwrap_or(component);
    for (prefix, runtime) in CONTAINER_PREFIXES {
        // The monitor of a container (`crio-conmon-ID`, `libpod-conmon-ID`) is outside of it.
        match bare.strip_prefix(prefix) {
            Some(id) if !id.is_empty() && !id.starts_with(b"conmon-") => {
                return (runtime == "lxc" || is_id(id)).then_some((id, Some(runtime)));
            }
            _ => {}
        }
    }
    // containerd told to use systemd's driver by only one side: `SLICE:cri-containerd:ID`.
    if let Some(colon) = memchr::memrchr(b':', component) {
        let id = component.get(colon + 1..).filter(|id| is_id(id))?;
        let containerd = component.get(..colon)?.ends_with(b":cri-containerd");
        return Some((id, containerd.then_some("containerd")));
    }
    // Docker's and containerd's own driver: `/docker/ID`, `/kubepods/burstable/podUID/ID`.
    match parent {
        b"docker" if is_id(component) => Some((component, Some("docker"))),
        b"lxc" if !component.is_empty() => Some((component, Some("lxc"))),
        _ if component.len() == 64 && is_id(component) => Some((component, None)),
        _ => nspawn(component),
    }
}

/// `systemd-nspawn@NAME.service`.
fn nspawn(component: &[u8]) -> Option<(&[u8], Option<&'static str>)> {
    let name = component
        .strip_prefix(b"systemd-nspawn@")?
        .strip_suffix(b".service")?;
    Some((name, Some("systemd-nspawn")))
}

/// `kubepods-burstable-podUID.slice` (systemd's driver, `-` in the uid written `_`), or `podUID`.
fn pod_of(component: &[u8]) -> Option<String> {
    let uid = match component.strip_suffix(b".slice") {
        Some(slice) => {
            let at = memchr::memmem::rfind(slice, b"-pod")?;
            slice.get(at + 4..)?
        }
        None => component.strip_prefix(b"pod")?,
    };
    let dashed = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
    let plausible = matches!(uid.len(), 32 | 36)
        && uid
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'_' | b'-'));
    plausible.then(|| printable(&uid.iter().map(dashed).collect::<Vec<u8>>()))
}

fn is_unit(component: &[u8]) -> bool {
    [&b".service"[..], b".scope"]
        .iter()
        .any(|suffix| component.len() > suffix.len() && component.ends_with(suffix))
}

/// Containers' ids are 64 hexadecimal digits; shortened ones are taken from 12 on.
fn is_id(id: &[u8]) -> bool {
    (12..=64).contains(&id.len()) && id.iter().all(u8::is_ascii_hexdigit)
}

/// systemd's escapes (`unit_name_unescape`): `\x2d` for `-`.
fn unescape(mut name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    while let Some((first, rest)) = name.split_first() {
        let (byte, after) = match escape(name) {
            Some(escaped) => escaped,
            None => (*first, rest),
        };
        out.push(byte);
        name = after;
    }
    out
}

/// The byte that an escape at the front stands for, and what follows.
fn escape(name: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = name.strip_prefix(b"\\x")?.split_at_checked(2)?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match digits {
        [high, low] => Some(((digit(*high)? << 4 | digit(*low)?) as u8, rest)),
        _ => None,
    }
}
