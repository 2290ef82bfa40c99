//! Commands that act in the right network namespace.

use crate::{Check, CheckedNamespace};

use super::phrase;

/// Where a command has to run.
pub(super) enum Place {
    /// In the caller's namespace: as it stands.
    Here,
    /// In another one.
    There {
        /// What `dryport` takes.
        option: String,
        /// How reports name it.
        name: String,
    },
}

impl Place {
    /// The place of one of the check's namespaces, of which the caller's is the first.
    pub(super) fn of(check: &Check<'_>, checked: &CheckedNamespace<'_>) -> Self {
        if let Some(given) = &check.given {
            return Self::There {
                option: format!("--netns {}", quoted(given)),
                name: phrase::namespace(&checked.namespace),
            };
        }
        let caller = check.namespaces.first();
        if caller.is_some_and(|first| first.namespace.inode == checked.namespace.inode) {
            return Self::Here;
        }
        let name = checked.namespace.name.as_deref();
        let option = match name.filter(|name| is_plain(name)) {
            Some(name) => format!("--netns {name}"),
            None => "--all".to_string(),
        };
        Self::There {
            option,
            name: phrase::namespace(&checked.namespace),
        }
    }

    /// The command for that place. For others than our own only a remark can be added, which a
    /// shell passes over.
    pub(super) fn command(&self, command: &str) -> String {
        match self {
            Self::Here => command.to_string(),
            Self::There { option, .. } if command.starts_with("dryport ") => {
                format!("{command} {option}")
            }
            Self::There { name, .. } => format!("{command}  # inside {name}"),
        }
    }
}

/// A word that the user wrote, as a shell takes it.
fn quoted(word: &str) -> String {
    if is_plain(&word.replacen(':', "", 1)) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether a name can be pasted into a shell and stays one word there. Names are hostile input.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_get_into_a_command() {
        assert!(is_plain("web-1.prod"));
        for hostile in ["", "-x", "a b", "a;reboot", "$(reboot)", "`x`", "漢"] {
            assert!(!is_plain(hostile), "{hostile}");
        }
    }
}
