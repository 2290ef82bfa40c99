//! Cuts a kernel's BTF down to the few types that a CO-RE loader needs.
//!
//! A loader parses all that it is given: 5.5 MB and 130,000 types, of which it uses a hundred. One
//! pass here finds the wanted ones (`index`), and only what they need is written (`writer`).

mod index;
mod writer;

use alloc::vec::Vec;

use self::index::Index;
use self::writer::Writer;
use super::Sections;
use crate::WireError;

/// What to keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Names of structs and unions. One that does not exist is no error.
    pub structs: &'a [&'a str],
    /// Names of functions, of which only the ids are wanted.
    pub functions: &'a [&'a str],
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// BTF of the wanted types alone, in the byte order of the original, with ids of its own.
    pub btf: Vec<u8>,
    /// The id of each wanted function in the original, in the order asked; `None` where there is
    /// no such function. Of several with the name it is the first.
    pub function_ids: Vec<Option<u32>>,
}

/// Cuts out the wanted structs and unions, every one of the name, and all that their members need
/// by value.
///
/// Names, sizes, offsets, bit fields and the encoding of integers stay as they are. A pointer stays
/// one, but leads to void where it does not lead to a struct that is itself wanted. Enumerations
/// lose their values. Functions are not written. Not for a module's BTF, whose ids and names go on
/// where the kernel's end.
///
/// # Errors
/// The bytes are not BTF, or hold a type whose length is not known; or a type that would be kept
/// has a name or needs a type that is not in the file, or a name longer than the kernel allows.
pub fn cut(btf: &[u8], wanted: &Wanted<'_>) -> Result<Cut, WireError> {
    cut_without(btf, wanted, &[])
}

/// As [`cut`], but leaves out members, each named as (struct, member), so that a program can be
/// tried against the types of an older kernel. Sizes and the other members' offsets stay.
///
/// Members of anonymous structs inside count, as in [`super::struct_has_member`]. Equal anonymous
/// structs of several owners are one type in BTF: it loses the member for all of them.
///
/// # Errors
/// As [`cut`].
pub fn cut_without(
    btf: &[u8],
    wanted: &Wanted<'_>,
    without: &[(&str, &str)],
) -> Result<Cut, WireError> {
    let (index, found) = Index::of(Sections::of(btf)?, wanted, without)?;
    let losing = index.losing(&found.losing);
    Ok(Cut {
        btf: Writer::new(&index, &losing, without).write(&found.structs)?,
        function_ids: found.functions,
    })
}

#[cfg(test)]
mod tests;
