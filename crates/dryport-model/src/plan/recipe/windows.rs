//! Windows: command files, PowerShell and registry files. Lines end in CRLF, and the text is ASCII:
//! `cmd` and `regedit` read it the same in every language.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::value::Value;
use super::{Edit, Recipe};
use crate::plan::Setting;
use crate::{Family, Protocol};

const KEY: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
const RESTART: &str = "Restart Windows for it to take effect.";

/// Vista, Server 2008 and later.
pub(super) fn recipes(edits: &[Edit]) -> Vec<Recipe> {
    let mut recipes = Vec::from([cmd(edits), powershell(edits)]);
    recipes.extend(registry_file(edits, "Windows Registry Editor Version 5.00"));
    recipes
}

/// 2000, XP, Server 2003. `REGEDIT4` is read by all of them.
pub(super) fn recipes_before_vista(edits: &[Edit]) -> Vec<Recipe> {
    let mut recipes: Vec<Recipe> = registry_file(edits, "REGEDIT4").into_iter().collect();
    let mut cmd = cmd(edits);
    cmd.note = Some(match cmd.note {
        Some(note) => format!("{note} Windows 2000 has reg.exe in its Support Tools only."),
        None => "Windows 2000 has reg.exe in its Support Tools only.".into(),
    });
    recipes.push(cmd);
    recipes
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn registry_name(setting: Setting) -> Option<&'static str> {
    match setting {
        Setting::MaxUserPort | Setting::TcpTimedWaitDelay => Some(setting.name()),
        _ => None,
    }
}

fn restart_note(edits: &[Edit]) -> Option<&'static str> {
    edits
        .iter()
        .any(|edit| edit.restart_needed)
        .then_some(RESTART)
}

/// What to put back, and whether it is only assumed.
fn before(edit: &Edit) -> (Option<Value>, bool) {
    match (&edit.from, edit.setting) {
        (Some(from), Setting::DynamicPorts(..)) => {
            let nearest = from.nearest_dynamic();
            let other = nearest != *from;
            (Some(nearest), other)
        }
        (Some(from), _) => (Some(from.clone()), false),
        (None, Setting::DynamicPorts(..)) => {
            (Value::read(edit.setting, "start=49152 num=16384"), true)
        }
        (None, _) => (None, false),
    }
}

/// The remark above a range that is not for certain what it was.
fn remark(edit: &Edit) -> &'static str {
    match edit.from {
        None => "What it was is not told: this is what Windows starts with.",
        Some(_) => "It began lower: netsh takes 1025 and above.",
    }
}

fn netsh(setting: Setting, value: &Value) -> Option<String> {
    let Setting::DynamicPorts(family, protocol) = setting else {
        return None;
    };
    let family = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    Some(format!(
        "netsh int {family} set dynamicport {protocol} {}",
        value.text()
    ))
}

fn cmd(edits: &[Edit]) -> Recipe {
    let mut apply = String::from("@echo off\nrem Written by dryport. Run as administrator.\n");
    for edit in edits {
        apply.push_str(&cmd_line(edit.setting, Some(&edit.to)));
        apply.push_str(" || exit /b 1\n");
    }
    let mut undo = String::from(
        "@echo off\nrem Written by dryport: takes its changes back. Run as administrator.\n",
    );
    for edit in edits.iter().rev() {
        let (value, assumed) = before(edit);
        if assumed {
            undo.push_str(&format!("rem {}\n", remark(edit)));
        }
        undo.push_str(&cmd_line(edit.setting, value.as_ref()));
        undo.push('\n');
    }
    if restart_note(edits).is_some() {
        apply.push_str("echo Restart Windows for it to take effect.\n");
        undo.push_str("echo Restart Windows for it to take effect.\n");
    }
    Recipe {
        id: "cmd",
        title: "A command file".into(),
        file_name: "dryport-apply.cmd",
        apply: crlf(&apply),
        undo: Some(crlf(&undo)),
        undo_file_name: "dryport-undo.cmd",
        note: Some(cmd_note(edits)),
    }
}

fn cmd_note(edits: &[Edit]) -> String {
    let ranges = edits
        .iter()
        .any(|edit| matches!(edit.setting, Setting::DynamicPorts(..)));
    match (ranges, restart_note(edits)) {
        (true, None) => {
            "Needs an administrator. A range counts at once and survives restarts.".into()
        }
        (true, Some(restart)) => format!(
            "Needs an administrator. A range counts at once and survives restarts; the wait is read \
             at start. {restart}"
        ),
        (false, _) => format!("Needs an administrator. {RESTART}"),
    }
}

/// A line that sets a value, or deletes it where there is none.
fn cmd_line(setting: Setting, value: Option<&Value>) -> String {
    if let Some(line) = value.and_then(|value| netsh(setting, value)) {
        return line;
    }
    let name = setting.name();
    match value {
        Some(value) => format!(
            "reg add \"HKLM\\{KEY}\" /v {name} /t REG_DWORD /d {} /f",
            value.text()
        ),
        None => format!("reg delete \"HKLM\\{KEY}\" /v {name} /f"),
    }
}

fn powershell(edits: &[Edit]) -> Recipe {
    let mut apply = String::from("# Written by dryport. Run as administrator.\n");
    let mut undo =
        String::from("# Written by dryport: takes its changes back. Run as administrator.\n");
    for text in [&mut apply, &mut undo] {
        text.push_str("$ErrorActionPreference = 'Stop'\n");
    }
    for edit in edits {
        apply.push_str(&powershell_lines(edit.setting, Some(&edit.to)));
    }
    for edit in edits.iter().rev() {
        let (value, assumed) = before(edit);
        if assumed {
            undo.push_str(&format!("# {}\n", remark(edit)));
        }
        undo.push_str(&powershell_lines(edit.setting, value.as_ref()));
    }
    Recipe {
        id: "powershell",
        title: "A PowerShell script".into(),
        file_name: "dryport-apply.ps1",
        apply: crlf(&apply),
        undo: Some(crlf(&undo)),
        undo_file_name: "dryport-undo.ps1",
        note: Some(powershell_note(edits)),
    }
}

/// Why not `Set-NetTCPSetting`: it knows no family, and on Server 2012 and Windows 8 it takes only
/// the custom settings, which need not be the ones in force.
fn powershell_note(edits: &[Edit]) -> String {
    let mut note = String::from("Needs an administrator.");
    if edits
        .iter()
        .any(|edit| matches!(edit.setting, Setting::DynamicPorts(..)))
    {
        note.push_str(
            " netsh sets the range of each family exactly, on every version; Set-NetTCPSetting and \
             Set-NetUDPSetting (-DynamicPortRangeStartPort, -DynamicPortRangeNumberOfPorts) know no \
             family, and before Server 2016 only the custom TCP settings can be changed.",
        );
    }
    if let Some(restart) = restart_note(edits) {
        note.push(' ');
        note.push_str(restart);
    }
    note
}

fn powershell_lines(setting: Setting, value: Option<&Value>) -> String {
    if let Some(line) = value.and_then(|value| netsh(setting, value)) {
        return format!(
            "{line}\nif ($LASTEXITCODE -ne 0) {{ throw 'netsh did not set the range' }}\n"
        );
    }
    let name = setting.name();
    match value {
        // -Force: also where the value is there already.
        Some(value) => format!(
            "New-ItemProperty -Path 'HKLM:\\{KEY}' -Name {name} -PropertyType DWord -Value {} -Force \
             | Out-Null\n",
            value.text()
        ),
        None => format!(
            "Remove-ItemProperty -Path 'HKLM:\\{KEY}' -Name {name} -ErrorAction SilentlyContinue\n"
        ),
    }
}

fn registry_file(edits: &[Edit], head: &str) -> Option<Recipe> {
    let values: Vec<(&Edit, &str)> = edits
        .iter()
        .filter_map(|edit| registry_name(edit.setting).map(|name| (edit, name)))
        .collect();
    if values.is_empty() {
        return None;
    }
    let file = |value: &dyn Fn(&Edit) -> Option<Value>| {
        let mut text = format!("{head}\n\n[HKEY_LOCAL_MACHINE\\{KEY}]\n");
        for (edit, name) in &values {
            text.push_str(&match value(edit) {
                Some(Value::Number(number)) => format!("\"{name}\"=dword:{number:08x}\n"),
                _ => format!("\"{name}\"=-\n"),
            });
        }
        text.push('\n');
        crlf(&text)
    };
    let only_part = values.len() < edits.len();
    Some(Recipe {
        id: "reg",
        title: "A registry file".into(),
        file_name: "dryport-apply.reg",
        apply: file(&|edit| Some(edit.to.clone())),
        undo: Some(file(&|edit| edit.from.clone())),
        undo_file_name: "dryport-undo.reg",
        note: Some(match only_part {
            true => format!(
                "Open it, or run `regedit /s FILE`. {RESTART} The range is no registry value: netsh \
                 sets it."
            ),
            false => format!("Open it, or run `regedit /s FILE`. {RESTART}"),
        }),
    })
}
