//! One pass over all types: where each one is, and which have the names that are wanted.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::super::{KIND_STRUCT, KIND_UNION, MEMBER, Sections, Type, starts_with_name, u32_at};
use super::Wanted;
use crate::WireError;

pub(super) const KIND_FUNC: u8 = 12;

/// Where each type starts.
pub(super) struct Index<'a> {
    pub(super) sections: Sections<'a>,
    /// By id. Void's, the first, is never looked at.
    offsets: Vec<u32>,
}

/// What has one of the names.
pub(super) struct Found {
    /// Ids of structs and unions.
    pub(super) structs: Vec<u32>,
    /// The id of each function asked for.
    pub(super) functions: Vec<Option<u32>>,
    /// Structs that lose a member.
    pub(super) losing: Losing,
}

/// A struct's id, and the place in the caller's list of a member that it loses.
pub(super) type Losing = BTreeSet<(u32, usize)>;

impl<'a> Index<'a> {
    pub(super) fn of(
        sections: Sections<'a>,
        wanted: &Wanted<'_>,
        without: &[(&str, &str)],
    ) -> Result<(Self, Found), WireError> {
        let asked = Asked {
            structs: Names::of(wanted.structs.iter().copied()),
            functions: Names::of(wanted.functions.iter().copied()),
            owners: Names::of(without.iter().map(|(owner, _)| *owner)),
        };
        let mut found = Found {
            structs: Vec::new(),
            functions: vec![None; wanted.functions.len()],
            losing: Losing::new(),
        };
        // A type of the kernel has 25 bytes on average.
        let mut offsets = Vec::with_capacity(sections.types.len() / 24);
        offsets.push(0);
        sections.each_type(|id, offset, of| {
            // A section's length is a u32.
            offsets.push(offset as u32);
            found.note(&asked, &sections, id, of);
        })?;
        Ok((Self { sections, offsets }, found))
    }

    /// How many ids there are, void's included.
    pub(super) const fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn type_of(&self, id: u32) -> Result<Type<'a>, WireError> {
        // One past the last id would stand behind the section, and is reported there.
        let end = self.sections.types.len();
        let offset = self.offsets.get(id as usize);
        self.sections
            .type_at(offset.map_or(end, |offset| *offset as usize))
    }

    /// Adds the anonymous structs and unions inside those that lose a member.
    pub(super) fn losing(&self, named: &Losing) -> Losing {
        let mut losing = named.clone();
        let mut open: Vec<_> = named.iter().copied().collect();
        while let Some((id, at)) = open.pop() {
            // One that is not in the file is reported by the writer, if it is kept at all.
            let Ok(of) = self.type_of(id) else {
                continue;
            };
            if !matches!(of.kind, KIND_STRUCT | KIND_UNION) {
                continue;
            }
            for member in of.more.chunks_exact(MEMBER) {
                let [name, inner, _] = self.sections.words(member);
                if name == 0 && inner != 0 && losing.insert((inner, at)) {
                    open.push((inner, at));
                }
            }
        }
        losing
    }
}

/// The names to look for.
struct Asked<'a> {
    structs: Names<'a>,
    functions: Names<'a>,
    /// Structs that lose a member.
    owners: Names<'a>,
}

impl Found {
    /// Notes a type if its name is asked for.
    #[inline]
    fn note(&mut self, asked: &Asked<'_>, sections: &Sections<'_>, id: u32, of: Type<'_>) {
        match of.kind {
            KIND_STRUCT | KIND_UNION => {
                self.structs
                    .extend(asked.structs.places(sections, of.name).map(|_| id));
                let places = asked.owners.places(sections, of.name);
                self.losing.extend(places.map(|at| (id, at)));
            }
            KIND_FUNC => {
                for at in asked.functions.places(sections, of.name) {
                    if let Some(slot) = self.functions.get_mut(at) {
                        slot.get_or_insert(id);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Sections<'_> {
    /// The words that a member or an array is made of.
    pub(super) fn words<const N: usize>(&self, bytes: &[u8]) -> [u32; N] {
        core::array::from_fn(|at| u32_at(bytes, at * 4, self.big_endian).unwrap_or_default())
    }
}

/// Names to look for. The first eight bytes of each are compared as one number, which is all that
/// most of 75,000 functions and structs cost (searching the strings for each name costs twice it).
struct Names<'a>(Vec<Name<'a>>);

struct Name<'a> {
    text: &'a str,
    start: u64,
    /// The bits of `start` that count: fewer where the name and its NUL are shorter.
    mask: u64,
}

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let name = |text: &'a str| {
            let start = start_of(text.as_bytes());
            let counted = (text.len() + 1).min(8) as u32 * 8;
            let mask = u64::MAX >> (64 - counted);
            Name { text, start, mask }
        };
        Self(names.map(name).collect())
    }

    /// The places in the list of the name at an offset.
    #[inline]
    fn places(&self, sections: &Sections<'_>, offset: u32) -> impl Iterator<Item = usize> {
        // Where nobody asks, the string is not fetched.
        let offset = if self.0.is_empty() { 0 } else { offset };
        let text = sections.text_at(offset);
        let start = start_of(text);
        let is_it = move |name: &Name<'_>| {
            start & name.mask == name.start && starts_with_name(text, name.text)
        };
        let named = self.0.iter().enumerate();
        named.filter_map(move |(at, name)| is_it(name).then_some(at))
    }
}

/// The first eight bytes as a number; zeros where there are fewer.
#[inline]
fn start_of(text: &[u8]) -> u64 {
    if let Some(start) = text.first_chunk() {
        return u64::from_le_bytes(*start);
    }
    let bytes = text.iter().rev();
    bytes.fold(0, |start, byte| start << 8 | u64::from(*byte))
}
