//! Writes types as they are asked for, each once, and the names that they have.

use alloc::vec;
use alloc::vec::Vec;

use super::super::{HEADER, KIND_STRUCT, KIND_UNION, MAGIC, MEMBER, Sections, Type};
use super::index::{Index, KIND_FUNC, Losing};
use crate::WireError;

const KIND_PTR: u8 = 2;
const KIND_ARRAY: u8 = 3;
/// The bits of a type's second word that count members or values.
const COUNT: u32 = 0xffff;
/// `KSYM_NAME_LEN` (6.1), the NUL included: the kernel takes no longer name. Without a limit a
/// small damaged file could ask for gigabytes, each of its names being most of its strings.
const LONGEST_NAME: usize = 512;
/// Between a pointer and its struct. More are a circle.
const MOST_QUALIFIERS: usize = 16;

pub(super) struct Writer<'a> {
    index: &'a Index<'a>,
    losing: &'a Losing,
    without: &'a [(&'a str, &'a str)],
    /// By old id; 0: not asked for.
    new_ids: Vec<u32>,
    /// Old ids in the order of the new.
    order: Vec<u32>,
    /// So many at the start of the order were wanted by name.
    wanted: u32,
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        index: &'a Index<'a>,
        losing: &'a Losing,
        without: &'a [(&'a str, &'a str)],
    ) -> Self {
        Self {
            index,
            losing,
            without,
            new_ids: vec![0; index.len()],
            order: Vec::new(),
            wanted: 0,
            types: Vec::new(),
            strings: vec![0],
        }
    }

    pub(super) fn write(mut self, structs: &[u32]) -> Result<Vec<u8>, WireError> {
        for id in structs {
            self.by_value(*id)?;
        }
        self.wanted = self.order.len() as u32;
        let mut next = 0;
        // What a type needs is put behind it in the order.
        while let Some(id) = self.order.get(next).copied() {
            self.write_type(id)?;
            next += 1;
        }
        Ok(self.finish())
    }

    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.types.len() + self.strings.len());
        let sections = &self.index.sections;
        out.extend(if sections.big_endian {
            MAGIC.to_be_bytes()
        } else {
            MAGIC.to_le_bytes()
        });
        // Version and flags.
        out.extend([1, 0]);
        let types = self.types.len() as u32;
        for word in [HEADER as u32, 0, types, types, self.strings.len() as u32] {
            out.extend(sections.bytes(word));
        }
        out.extend(self.types);
        out.extend(self.strings);
        out
    }

    fn write_type(&mut self, id: u32) -> Result<(), WireError> {
        let of = self.index.type_of(id)?;
        let name = self.name(of.name)?;
        match of.kind {
            KIND_STRUCT | KIND_UNION => self.write_composite(id, name, of)?,
            KIND_PTR => {
                let target = self.behind_pointer(of.size_or_type)?;
                self.push(&[name, of.what, target]);
            }
            KIND_ARRAY => {
                let [element, index, count] = self.index.sections.words(of.more);
                let (element, index) = (self.by_value(element)?, self.by_value(index)?);
                self.push(&[name, of.what, of.size_or_type, element, index, count]);
            }
            // ENUM, ENUM64
            6 | 19 => self.push(&[name, of.what & !COUNT, of.size_or_type]),
            kind if is_qualifier(kind) => {
                let inner = self.by_value(of.size_or_type)?;
                self.push(&[name, of.what, inner]);
            }
            // INT, FLOAT, FWD lead to no other type.
            _ => {
                self.push(&[name, of.what, of.size_or_type]);
                self.types.extend(of.more);
            }
        }
        Ok(())
    }

    fn write_composite(&mut self, id: u32, name: u32, of: Type<'_>) -> Result<(), WireError> {
        let sections = &self.index.sections;
        let losing = self.losing.range((id, 0)..=(id, usize::MAX));
        let lost: Vec<_> = losing.filter_map(|(_, at)| self.without.get(*at)).collect();
        let members = of
            .more
            .chunks_exact(MEMBER)
            .map(|member| sections.words(member));
        let kept = members
            .filter(|[name, _, _]| !lost.iter().any(|(_, lost)| sections.is_named(*name, lost)));
        let count = kept.clone().count() as u32;
        self.push(&[name, of.what & !COUNT | count, of.size_or_type]);
        for [name, inner, place] in kept {
            let (name, inner) = (self.name(name)?, self.by_value(inner)?);
            self.push(&[name, inner, place]);
        }
        Ok(())
    }

    fn push(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(self.index.sections.bytes(*word));
        }
    }

    /// The new id of a type that is needed whole.
    fn by_value(&mut self, old: u32) -> Result<u32, WireError> {
        if old == 0 {
            return Ok(0);
        }
        // An id that is not in the file is an error here.
        let of = self.index.type_of(old)?;
        let Some(slot) = self.new_ids.get_mut(old as usize) else {
            return Ok(0);
        };
        // FUNC, FUNC_PROTO, VAR, DATASEC and DECL_TAG are no value's type.
        if *slot == 0 && !matches!(of.kind, KIND_FUNC..=15 | 17) {
            self.order.push(old);
            *slot = self.order.len() as u32;
        }
        Ok(*slot)
    }

    /// The new id of what a pointer leads to: itself if that is a wanted struct, else void.
    fn behind_pointer(&mut self, old: u32) -> Result<u32, WireError> {
        let mut id = old;
        for _ in 0..MOST_QUALIFIERS {
            if id == 0 {
                break;
            }
            let of = self.index.type_of(id)?;
            let new = self.new_ids.get(id as usize).copied().unwrap_or_default();
            if (1..=self.wanted).contains(&new) {
                return self.by_value(old);
            }
            if !is_qualifier(of.kind) {
                break;
            }
            id = of.size_or_type;
        }
        Ok(0)
    }

    /// The new offset of a name.
    fn name(&mut self, old: u32) -> Result<u32, WireError> {
        if old == 0 {
            return Ok(0);
        }
        let new = self.strings.len();
        self.strings.extend(self.index.sections.name(old)?);
        // Every offset and the length are a u32.
        match u32::try_from(self.strings.len()) {
            Ok(_) => Ok(new as u32),
            Err(_) => Err(WireError::BadLength {
                what: "BTF strings",
                offset: 0,
                length: new,
            }),
        }
    }
}

impl<'a> Sections<'a> {
    /// The name at an offset, with its NUL.
    fn name(&self, offset: u32) -> Result<&'a [u8], WireError> {
        let (what, offset) = ("BTF name", offset as usize);
        let rest = self.strings.get(offset..).unwrap_or_default();
        let most = rest.get(..LONGEST_NAME).unwrap_or(rest);
        let have = most.len();
        let error = if have == LONGEST_NAME {
            let length = have;
            WireError::BadLength {
                what,
                offset,
                length,
            }
        } else {
            let need = have + 1;
            WireError::Truncated {
                what,
                offset,
                need,
                have,
            }
        };
        let name = memchr::memchr(0, most).and_then(|end| most.get(..=end));
        name.ok_or(error)
    }

    /// A word in the file's byte order.
    const fn bytes(&self, word: u32) -> [u8; 4] {
        if self.big_endian {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        }
    }
}

/// TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG: another word for one type.
const fn is_qualifier(kind: u8) -> bool {
    matches!(kind, 8..=11 | 18)
}
