//! Making a change last: our file below `/etc/sysctl.d`, and what others set there.

use std::path::{Path, PathBuf};

use dryport_fix::{FileWanted, OUR_FILE, Place, contents};
use dryport_model::plan::{Conflict, ConflictKind, Plan, Setting};
use dryport_tune::{files, sysctl_d};
use dryport_wire::sysctl_conf::{Applier, ConfFile, Parsed, parse, setters};

use crate::args::FixArgs;
use crate::failure::Failure;

const ELSEWHERE: &str = "it ends with this namespace.";
const WRITE: &str = "It ends with this namespace: files below /etc/sysctl.d are for the machine's own. \
    `--dry-run --write DIR` writes how Docker, Kubernetes or systemd set it where this one is made.";

/// Whether, where and with what against it a change is made to last.
pub(super) struct Last {
    path: Option<PathBuf>,
    /// What others set of the same, and whether they win.
    others: Vec<Conflict>,
    loses: Option<String>,
}

impl Last {
    /// Looks for files that set what the plan changes.
    pub(super) fn look(args: &FixArgs, place: &Place, plan: &Plan) -> Result<Self, Failure> {
        // The journal names the file for whoever takes it back, from wherever that is.
        let root = std::path::absolute(args.root.as_deref().unwrap_or(Path::new("/")))?;
        // Files are applied to the machine's own namespace only.
        let has_files = place.is_host() || args.root.is_some();
        if args.live_only || !has_files {
            return Ok(Self {
                path: None,
                others: Vec::new(),
                loses: (!args.live_only).then(|| ELSEWHERE.into()),
            });
        }
        if root.to_str().is_none() {
            return Err(Failure::Usage(
                "--root is not UTF-8, as the journal has to be".into(),
            ));
        }
        let tree = sysctl_d::read_tree(&root);
        let mut last = Self {
            path: Some(root.join(OUR_FILE)),
            others: Vec::new(),
            loses: None,
        };
        for change in &plan.changes {
            last.look_for(change.setting, &change.to, &tree.files);
        }
        last.others
            .extend(tree.unread.into_iter().map(|text| Conflict {
                kind: ConflictKind::OtherFile,
                text: format!("Not read: {text}"),
            }));
        Ok(last)
    }

    fn look_for(&mut self, setting: Setting, value: &str, present: &[ConfFile]) {
        let ours = format!("/{OUR_FILE}");
        // As it will be with our file.
        let mut files: Vec<ConfFile> = present.iter().filter(|f| f.path != ours).cloned().collect();
        let Parsed { assignments, notes } =
            parse(format!("{} = {value}\n", setting.name()).as_bytes());
        files.push(ConfFile {
            path: ours.clone(),
            assignments,
            notes,
        });
        for applier in Applier::ALL {
            let found = setters(&files, setting.name(), applier);
            let Some(winner) = found.winner() else {
                continue;
            };
            if winner.path != ours {
                let place = format!("{}:{}", winner.path, winner.assignment.line);
                let text = format!(
                    "{place} sets {} to {} and wins over ours under {}: change it there.",
                    setting.name(),
                    winner.assignment.value.as_deref().unwrap_or("nothing"),
                    applier.name(),
                );
                if applier == Applier::SystemdSysctl {
                    self.loses = Some(format!("{place} wins at the next start."));
                }
                self.push(text);
            }
            for other in found.all.iter().filter(|other| other.path != ours) {
                if Some(*other) != found.winner() {
                    self.push(format!(
                        "{}:{} sets {} too; ours is read later and wins.",
                        other.path,
                        other.assignment.line,
                        setting.name()
                    ));
                }
            }
        }
    }

    fn push(&mut self, text: String) {
        let conflict = Conflict {
            kind: ConflictKind::OtherFile,
            text,
        };
        if !self.others.contains(&conflict) {
            self.others.push(conflict);
        }
    }

    /// Adds to a plan what is known of its lasting.
    pub(super) fn tell(&self, plan: &mut Plan) {
        let lasts = self.path.is_some() && self.loses.is_none();
        for change in &mut plan.changes {
            change.persists = lasts;
        }
        plan.conflicts.extend(self.others.iter().cloned());
        if self.path.is_none() && self.loses.is_some() && !plan.changes.is_empty() {
            plan.conflicts.push(Conflict {
                kind: ConflictKind::Condition,
                text: WRITE.into(),
            });
        }
    }

    /// The file to write.
    pub(super) fn file(&self, plan: &Plan) -> Result<Option<FileWanted>, Failure> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let present = files::read_optional(path).map_err(dryport_fix::FixError::from)?;
        let settings: Vec<(Setting, String)> = plan
            .changes
            .iter()
            .map(|change| (change.setting, change.to.clone()))
            .collect();
        Ok(Some(FileWanted {
            contents: contents(present.as_deref(), &settings),
            path: path.clone(),
        }))
    }

    /// Why it will not last, where it was meant to.
    pub(super) fn why_not(&self) -> Option<String> {
        self.loses.clone()
    }
}
