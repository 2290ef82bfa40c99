//! macOS and FreeBSD: `sysctl`, `/etc/sysctl.conf`, and a launchd job.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::{Edit, Recipe};
use crate::Platform;
use crate::plan::Setting;

pub(super) fn recipes(platform: Platform, edits: &[Edit]) -> Vec<Recipe> {
    let mut recipes = Vec::from([shell(platform, edits)]);
    recipes.push(match platform {
        Platform::MacOs => launchd(edits),
        _ => sysctl_conf(edits),
    });
    recipes
}

fn shell(platform: Platform, edits: &[Edit]) -> Recipe {
    let mut apply = String::from("#!/bin/sh\n# Written by dryport. Run as root.\nset -eu\n");
    for edit in edits {
        apply.push_str(&line(platform, edit.setting, &edit.to.text()));
    }
    Recipe {
        id: "shell",
        title: "At once, until the next restart".into(),
        file_name: "dryport-apply.sh",
        apply,
        undo: Some(undo(platform, edits, "")),
        undo_file_name: "dryport-undo.sh",
        note: None,
    }
}

/// macOS wants `-w` in old versions and takes it in all; FreeBSD's is without.
fn line(platform: Platform, setting: Setting, value: &str) -> String {
    let write = match platform {
        Platform::MacOs => "-w ",
        _ => "",
    };
    format!("sysctl {write}{}={value}\n", setting.name())
}

fn undo(platform: Platform, edits: &[Edit], first: &str) -> String {
    let mut undo = format!(
        "#!/bin/sh\n# Written by dryport: takes its changes back. Run as root.\nset -eu\n{first}"
    );
    for edit in edits.iter().rev() {
        match &edit.from {
            Some(from) => undo.push_str(&line(platform, edit.setting, &from.text())),
            None => {
                let value = starts_with(platform, edit.setting);
                let system = platform.title();
                let _ = write!(
                    undo,
                    "# What it was is not told: this is what {system} starts with.\n{}",
                    line(platform, edit.setting, &value)
                );
            }
        }
    }
    undo
}

fn starts_with(platform: Platform, setting: Setting) -> String {
    match setting {
        Setting::PortRangeHiFirst => "49152".into(),
        // Twice the msl is the wait.
        Setting::Msl => (u64::from(platform.default_time_wait_seconds()) * 500).to_string(),
        _ => platform.default_range().low().to_string(),
    }
}

fn sysctl_conf(edits: &[Edit]) -> Recipe {
    let mut apply = String::from("# Written by dryport.\n");
    for edit in edits {
        let _ = writeln!(apply, "{}={}", edit.setting.name(), edit.to.text());
    }
    Recipe {
        id: "sysctl.conf",
        title: "At every start".into(),
        file_name: "sysctl.conf",
        apply,
        undo: None,
        undo_file_name: "",
        note: Some(
            "Add the lines to /etc/sysctl.conf, then run `service sysctl restart`. Take them out \
             again, and run the shell's undo, to take them back."
                .into(),
        ),
    }
}

const JOB: &str = "/Library/LaunchDaemons/dryport.sysctl.plist";

/// Recent versions of macOS do not read `/etc/sysctl.conf`.
fn launchd(edits: &[Edit]) -> Recipe {
    let mut apply = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n  <key>Label</key>\n  <string>dryport.sysctl</string>\n  \
         <key>ProgramArguments</key>\n  <array>\n    <string>/usr/sbin/sysctl</string>\n    \
         <string>-w</string>\n",
    );
    for edit in edits {
        let _ = writeln!(
            apply,
            "    <string>{}={}</string>",
            edit.setting.name(),
            edit.to.text()
        );
    }
    apply.push_str("  </array>\n  <key>RunAtLoad</key>\n  <true/>\n</dict>\n</plist>\n");
    let remove = format!("launchctl unload {JOB} || true\nrm -f {JOB}\n");
    Recipe {
        id: "launchd",
        title: "At every start".into(),
        file_name: "dryport.sysctl.plist",
        apply,
        undo: Some(undo(Platform::MacOs, edits, &remove)),
        undo_file_name: "dryport-undo-launchd.sh",
        note: Some(format!(
            "Put it to {JOB}, owned by root:wheel with mode 644, then run `launchctl load {JOB}`."
        )),
    }
}
