//! Containers, pods and units in words. Ids are shortened as their own tools take them.

use dryport_model::{GroupKind, Owner};

use super::layout::cut;

/// Names that others chose are cut at this many columns.
const LONGEST_NAME: usize = 24;
const LONGEST_UNIT: usize = 32;
/// What `docker ps` and `crictl ps` show, near enough.
const ID_DIGITS: usize = 12;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Wide,
    Narrow,
}

/// `docker 3f2a91b0c1de`, `pod 1c9b4c2e-77aa/3f2a91b0c1de`, `unit nginx.service`; empty for a process.
pub(super) fn home(owner: &Owner, kind: GroupKind, room: Room) -> String {
    let told = match kind {
        GroupKind::Container => container(owner, room),
        GroupKind::Pod => owner.pod.as_deref().map(pod),
        GroupKind::Unit => unit(owner, room).map(|unit| format!("unit {unit}")),
        GroupKind::Process => None,
    };
    told.unwrap_or_default()
}

/// In Kubernetes the pod is what people know, and the runtime is the same for all, so that it is the
/// first thing to be left out.
pub(super) fn container(owner: &Owner, room: Room) -> Option<String> {
    let id = short(owner.container.as_deref()?);
    Some(match (owner.pod.as_deref().map(pod), owner.runtime) {
        (None, runtime) => format!("{} {id}", runtime.unwrap_or("container")),
        (Some(pod), _) if room == Room::Narrow => format!("{pod}/{id}"),
        (Some(pod), None) => format!("{pod}, container {id}"),
        (Some(pod), Some(runtime)) => format!("{pod}, container {id} ({runtime})"),
    })
}

pub(super) fn pod(uid: &str) -> String {
    format!("pod {}", short(uid))
}

/// `nginx.service`, `redis.service (user 1000)`.
pub(super) fn unit(owner: &Owner, room: Room) -> Option<String> {
    let unit = owner.unit.as_deref()?;
    let unit = match room {
        Room::Wide => unit.to_string(),
        Room::Narrow => cut(unit, LONGEST_UNIT),
    };
    Some(match owner.unit_user() {
        Some(user) => format!("{unit} (user {user})"),
        None => unit,
    })
}

/// The first twelve digits of an id, dashes kept; a name is cut.
fn short(id: &str) -> String {
    let is_digit = |c: char| c.is_ascii_hexdigit() || c == '-';
    if id.len() < ID_DIGITS || !id.chars().all(is_digit) {
        return cut(id, LONGEST_NAME);
    }
    let mut digits = 0;
    let short: String = id
        .chars()
        .take_while(|c| {
            digits += usize::from(*c != '-');
            digits <= ID_DIGITS
        })
        .collect();
    short.trim_end_matches('-').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a91b0c1de55aa3f2a91b0c1de55aa3f2a91b0c1de55aa3f2a91b0c1de55aa";

    #[test]
    fn ids_are_shortened_and_names_are_not() {
        assert_eq!(short(ID), "3f2a91b0c1de");
        assert_eq!(
            short("1c9b4c2e-77aa-4d2f-9e01-0123456789ab"),
            "1c9b4c2e-77aa"
        );
        // A static pod's.
        assert_eq!(short("0123456789abcdef0123456789abcdef"), "0123456789ab");
        assert_eq!(short("web-server-of-the-shop"), "web-server-of-the-shop");
        assert_eq!(
            short("漢字漢字漢字漢字漢字漢字漢字"),
            "漢字漢字漢字漢字漢字漢…"
        );
    }

    #[test]
    fn a_container_is_told_by_what_is_known_of_it() {
        let owner = Owner {
            container: Some(ID.into()),
            ..Owner::default()
        };
        let told = |owner: &Owner, room| home(owner, GroupKind::Container, room);
        assert_eq!(told(&owner, Room::Wide), "container 3f2a91b0c1de");
        let pod = Owner {
            pod: Some("1c9b4c2e-77aa-4d2f-9e01-0123456789ab".into()),
            runtime: Some("containerd"),
            ..owner.clone()
        };
        assert_eq!(told(&pod, Room::Narrow), "pod 1c9b4c2e-77aa/3f2a91b0c1de");
        assert_eq!(
            told(&pod, Room::Wide),
            "pod 1c9b4c2e-77aa, container 3f2a91b0c1de (containerd)"
        );
        let machine = Owner {
            container: Some("web1".into()),
            runtime: Some("lxc"),
            ..owner
        };
        assert_eq!(told(&machine, Room::Wide), "lxc web1");
    }
}
