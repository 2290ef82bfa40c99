//! Commands that act in the right network namespace.

use crate::{CheckedNamespace, Reach};

/// Where a command has to run.
pub(crate) struct Place<'a> {
    reach: &'a Reach,
    /// How reports name it.
    name: String,
}

impl<'a> Place<'a> {
    /// The place of a namespace that was looked at.
    pub(crate) fn of(checked: &'a CheckedNamespace<'_>) -> Self {
        Self {
            reach: &checked.reach,
            name: crate::text::namespace_of(checked),
        }
    }

    /// The command for that place. Where nothing that can be typed leads there, all of it is a remark:
    /// what is pasted then does nothing, and nothing elsewhere.
    pub(crate) fn command(&self, command: &str) -> String {
        match self.reach {
            Reach::Here => command.to_string(),
            Reach::Netns(word) if command.starts_with("dryport ") => {
                format!("{command} --netns {}", quoted(word))
            }
            Reach::Netns(word) => match word.strip_prefix("pid:") {
                Some(pid) => format!("nsenter --target {} --net {command}", quoted(pid)),
                None => format!("ip netns exec {} {command}", quoted(word)),
            },
            Reach::Nameless => format!("# inside {}: {command}", tame(&self.name)),
        }
    }
}

/// A name for a remark.
fn tame(name: &str) -> String {
    let is_tame = |c: char| c.is_ascii_alphanumeric() || "._-:[] ".contains(c);
    name.chars()
        .map(|c| if is_tame(c) { c } else { '_' })
        .collect()
}

/// A word as a shell takes it.
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
    fn a_remark_is_no_command() {
        assert_eq!(tame("net:[4026532290]"), "net:[4026532290]");
        assert_eq!(tame("a; $(reboot) & `x` | 漢"), "a_ __reboot_ _ _x_ _ _");
    }

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("web-1"), "web-1");
        assert_eq!(quoted("pid:12"), "pid:12");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
    }

    #[test]
    fn only_plain_names_get_into_a_command() {
        assert!(is_plain("web-1.prod"));
        for hostile in ["", "-x", "a b", "a;reboot", "$(reboot)", "`x`", "漢"] {
            assert!(!is_plain(hostile), "{hostile}");
        }
    }
}
