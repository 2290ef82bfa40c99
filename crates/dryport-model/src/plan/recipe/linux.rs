//! Linux: a shell, `sysctl.d`, network namespaces, containers, Kubernetes, systemd.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::value::Value;
use super::{Edit, Recipe};
use crate::plan::Setting;

const RESERVED_FILE: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const DROP_IN: &str = "/etc/sysctl.d/99-zz-dryport.conf";

pub(super) fn recipes(edits: &[Edit]) -> Vec<Recipe> {
    let own_start: Vec<&Edit> = edits
        .iter()
        // A new namespace begins with an empty list.
        .filter(|edit| !edit.to.is_empty_list())
        .collect();
    let mut recipes = Vec::from([shell(edits), sysctl_d(edits), netns(edits)]);
    if !own_start.is_empty() {
        recipes.extend([
            run(&own_start, "docker"),
            compose(&own_start),
            run(&own_start, "podman"),
            kubernetes(&own_start),
            systemd(&own_start),
        ]);
    }
    recipes
}

/// Where a command runs.
#[derive(Clone, Copy)]
enum Place {
    /// In the shell's own namespace.
    Here,
    /// In the namespace `$ns`.
    Netns,
}

impl Place {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Here => "",
            Self::Netns => "ip netns exec \"$ns\" ",
        }
    }

    fn set(self, setting: Setting, value: &Value) -> String {
        let prefix = self.prefix();
        if value.is_empty_list() {
            // The kernel empties the list at a newline and ignores an empty write, which is what
            // busybox's `sysctl -w NAME=` does (procps' works).
            return match self {
                Self::Here => format!("printf '\\n' > {RESERVED_FILE}\n"),
                Self::Netns => format!("{prefix}sh -c \"printf '\\n' > {RESERVED_FILE}\"\n"),
            };
        }
        format!(
            "{prefix}sysctl -w {}=\"{}\"\n",
            setting.name(),
            value.text()
        )
    }

    /// The list was not told: what is reserved on the machine stays so.
    fn add_to_list(self, setting: Setting, value: &Value) -> String {
        let prefix = self.prefix();
        format!(
            "reserved=$({prefix}cat {RESERVED_FILE})\n{prefix}sysctl -w \
             {}=\"${{reserved:+$reserved,}}{}\"\n",
            setting.name(),
            value.text()
        )
    }
}

fn apply_lines(edits: &[Edit], place: Place) -> String {
    let line = |edit: &Edit| match (edit.setting, &edit.from) {
        (Setting::ReservedPorts, None) if !edit.to.is_empty_list() => {
            place.add_to_list(edit.setting, &edit.to)
        }
        _ => place.set(edit.setting, &edit.to),
    };
    edits.iter().map(line).collect()
}

/// The opposite order: the range is narrow again before a port may be handed out.
fn undo_lines(edits: &[Edit], place: Place) -> String {
    let line = |edit: &Edit| match (&edit.from, starts_with(edit.setting)) {
        (Some(from), _) => place.set(edit.setting, from),
        (None, Some(default)) => format!(
            "# What it was is not told: this is what Linux starts with.\n{}",
            place.set(edit.setting, &default)
        ),
        (None, None) => format!(
            "# {}: what it was is not told, so that its ports stay reserved.\n",
            edit.setting.name()
        ),
    };
    edits.iter().rev().map(line).collect()
}

/// What Linux starts with. The list: whatever was reserved must not be lost.
fn starts_with(setting: Setting) -> Option<Value> {
    let text = match setting {
        Setting::LocalPortRange => "32768 60999",
        Setting::TcpTwReuse => "2",
        Setting::TcpTwReuseDelay => "1000",
        _ => return None,
    };
    Value::read(setting, text)
}

const HEAD: &str = "#!/bin/sh\n# Written by dryport. Run as root.\nset -eu\n";
const UNDO_HEAD: &str =
    "#!/bin/sh\n# Written by dryport: takes its changes back. Run as root.\nset -eu\n";

fn shell(edits: &[Edit]) -> Recipe {
    Recipe {
        id: "shell",
        title: "At once, until the next restart".into(),
        file_name: "dryport-apply.sh",
        apply: format!("{HEAD}{}", apply_lines(edits, Place::Here)),
        undo: Some(format!("{UNDO_HEAD}{}", undo_lines(edits, Place::Here))),
        undo_file_name: "dryport-undo.sh",
        note: Some(
            "Acts on the network namespace that it runs in: containers and pods have their own."
                .into(),
        ),
    }
}

fn sysctl_d(edits: &[Edit]) -> Recipe {
    let mut apply = String::from("# Written by dryport.\n");
    for edit in edits {
        if edit.setting == Setting::ReservedPorts && edit.from.is_none() {
            apply.push_str(
                "# Add what is reserved already, which the input did not tell: sysctl -n \
                 net.ipv4.ip_local_reserved_ports\n",
            );
        }
        let value = edit.to.text();
        let blank = if value.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = writeln!(apply, "{} ={blank}{value}", edit.setting.name());
    }
    Recipe {
        id: "sysctl.d",
        title: "At every start".into(),
        file_name: "99-zz-dryport.conf",
        apply,
        undo: Some(format!(
            "{UNDO_HEAD}rm -f {DROP_IN}\n{}",
            undo_lines(edits, Place::Here)
        )),
        undo_file_name: "dryport-undo-sysctl.d.sh",
        note: Some(format!(
            "Put it to {DROP_IN}, then run `sysctl --system`. Of two files that set one key the later \
             name wins, and /etc/sysctl.conf is read last by procps."
        )),
    }
}

fn netns(edits: &[Edit]) -> Recipe {
    let head = |head: &str| format!("{head}ns=${{1:?usage: $0 NAMESPACE}}\n");
    Recipe {
        id: "netns",
        title: "In a named network namespace".into(),
        file_name: "dryport-apply-netns.sh",
        apply: format!("{}{}", head(HEAD), apply_lines(edits, Place::Netns)),
        undo: Some(format!(
            "{}{}",
            head(UNDO_HEAD),
            undo_lines(edits, Place::Netns)
        )),
        undo_file_name: "dryport-undo-netns.sh",
        note: Some(
            "Give the name that `ip netns list` shows. The settings are gone with the namespace."
                .into(),
        ),
    }
}

const OF_A_CONTAINER: &str = "The container needs a network namespace of its own: with --network=host \
                              the host's settings count, and these are refused.";

fn run(edits: &[&Edit], tool: &'static str) -> Recipe {
    let mut apply = format!("{tool} run \\\n");
    for edit in edits {
        let _ = writeln!(
            apply,
            "  --sysctl {}=\"{}\" \\",
            edit.setting.name(),
            edit.to.text()
        );
    }
    apply.push_str("  IMAGE\n");
    let (id, file_name) = match tool {
        "docker" => ("docker", "dryport-docker.sh"),
        _ => ("podman", "dryport-podman.sh"),
    };
    Recipe {
        id,
        title: format!("A container started by {tool}"),
        file_name,
        apply,
        undo: None,
        undo_file_name: "",
        note: Some(format!(
            "{OF_A_CONTAINER} Set when the container is made: make it again without these options to \
             take them back."
        )),
    }
}

fn compose(edits: &[&Edit]) -> Recipe {
    let mut apply = String::from("services:\n  SERVICE:\n    sysctls:\n");
    for edit in edits {
        let _ = writeln!(
            apply,
            "      {}: \"{}\"",
            edit.setting.name(),
            edit.to.text()
        );
    }
    Recipe {
        id: "compose",
        title: "A service of a compose file".into(),
        file_name: "compose.override.yaml",
        apply,
        undo: None,
        undo_file_name: "",
        note: Some(format!(
            "Put the service's name in place of SERVICE. {OF_A_CONTAINER} Take the lines out and run \
             `docker compose up -d` to take them back."
        )),
    }
}

fn kubernetes(edits: &[&Edit]) -> Recipe {
    let mut apply = String::from("spec:\n  securityContext:\n    sysctls:\n");
    for edit in edits {
        let _ = writeln!(
            apply,
            "    - name: {}\n      value: \"{}\"",
            edit.setting.name(),
            edit.to.text()
        );
    }
    Recipe {
        id: "kubernetes",
        title: "A pod".into(),
        file_name: "pod-sysctls.yaml",
        apply,
        undo: None,
        undo_file_name: "",
        note: Some(kubernetes_note(edits)),
    }
}

fn kubernetes_note(edits: &[&Edit]) -> String {
    let mut note = String::from(
        "For the pod template of a Deployment and the like; not with hostNetwork, where the node's \
         settings count.",
    );
    if edits
        .iter()
        .any(|edit| edit.setting == Setting::ReservedPorts)
    {
        note.push_str(
            " ip_local_reserved_ports is a safe sysctl since Kubernetes 1.27; before, the kubelet \
             has to allow it too.",
        );
    }
    let unsafe_ones: Vec<&str> = edits
        .iter()
        .filter(|edit| !is_safe_in_kubernetes(edit.setting))
        .map(|edit| edit.setting.name())
        .collect();
    if !unsafe_ones.is_empty() {
        let names = unsafe_ones.join(",");
        let _ = write!(
            note,
            " The kubelet of the node has to allow what is no safe sysctl: \
             --allowed-unsafe-sysctls={names} (allowedUnsafeSysctls of its configuration); else the \
             pod ends with SysctlForbidden."
        );
    }
    note.push_str(" Take the lines out and roll the pods out again to take them back.");
    note
}

/// The kubelet's list (`pkg/kubelet/sysctl/safe_sysctls.go`).
const fn is_safe_in_kubernetes(setting: Setting) -> bool {
    matches!(setting, Setting::LocalPortRange | Setting::ReservedPorts)
}

fn systemd(edits: &[&Edit]) -> Recipe {
    let mut apply = String::from("[Service]\nNetworkNamespacePath=/run/netns/NAMESPACE\n");
    for edit in edits {
        let _ = writeln!(
            apply,
            "ExecStartPre=+/sbin/ip netns exec NAMESPACE sysctl -w \"{}={}\"",
            edit.setting.name(),
            edit.to.text()
        );
    }
    Recipe {
        id: "systemd",
        title: "A systemd service in a network namespace of its own".into(),
        file_name: "dryport.conf",
        apply,
        undo: None,
        undo_file_name: "",
        note: Some(
            "Put it to /etc/systemd/system/UNIT.service.d/, with the namespace's name in place of \
             NAMESPACE; then `systemctl daemon-reload` and restart the unit (systemd 242 and later). \
             A service in the host's namespace has the host's settings: use sysctl.d there. Remove \
             the file and restart the unit to take it back."
                .into(),
        ),
    }
}
