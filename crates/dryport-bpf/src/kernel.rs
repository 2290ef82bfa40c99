//! The kernel's types, and programs fitted to them.

use aya_obj::Object;
use aya_obj::btf::Btf;
use dryport_host::kernel_types;
use dryport_wire::btf::{Cut, Wanted, cut_without};

use crate::program::Template;
use crate::{Error, Result, syscall};

/// The structs that the programs read (`bpf/kernel.h`).
pub(crate) const STRUCTS: [&str; 22] = [
    "bpf_iter__task_file",
    "bpf_iter__tcp",
    "bpf_iter__udp",
    "bpf_iter_meta",
    "file",
    "in6_addr",
    "inet_bind_bucket",
    "inet_connection_sock",
    "inet_sock",
    "inet_timewait_sock",
    "inode",
    "net",
    "ns_common",
    "sock",
    "sock_common",
    "socket",
    "socket_alloc",
    "task_struct",
    "tcp_sock",
    "tcp_timewait_sock",
    "timer_list",
    "udp_sock",
];

/// What an iterator is loaded for: a function that stands in the kernel's types.
const TARGETS: [&str; 3] = ["bpf_iter_tcp", "bpf_iter_udp", "bpf_iter_task_file"];

const SOCKETS: &[u8] = include_bytes!("../objects/sockets.bpf.o");
const HOLDERS: &[u8] = include_bytes!("../objects/holders.bpf.o");

/// A kernel that programs can be loaded into.
pub struct Kernel {
    types: Cut,
}

impl Kernel {
    /// Looks whether BPF may be used here, and reads the kernel's types. Takes 5 to 10 ms.
    ///
    /// # Errors
    /// It may not be used, or the kernel does not describe its types.
    pub fn open() -> Result<Self> {
        Self::without(&[])
    }

    /// The running kernel as if its structs lacked some members, each named as (struct, member): a
    /// stand-in for an older one, whose programs have to do without.
    ///
    /// # Errors
    /// As [`Kernel::open`].
    pub fn without(members: &[(&str, &str)]) -> Result<Self> {
        syscall::may_use().map_err(Error::of_permission)?;
        Self::of(kernel_types().map_err(Error::NoTypes)?, members)
    }

    fn of(types: &[u8], without: &[(&str, &str)]) -> Result<Self> {
        let wanted = Wanted {
            structs: &STRUCTS,
            functions: &TARGETS,
        };
        let types = cut_without(types, &wanted, without)
            .map_err(|error| Error::Types(error.to_string()))?;
        Ok(Self { types })
    }

    /// Programs that read sockets, fitted to this kernel.
    pub(crate) fn sockets(&self) -> Result<Template> {
        self.template("sockets", SOCKETS)
    }

    /// The program that reads who holds them.
    pub(crate) fn holders(&self) -> Result<Template> {
        self.template("holders", HOLDERS)
    }

    fn template(&self, name: &'static str, object: &[u8]) -> Result<Template> {
        let unfit = |reason: String| Error::Unfit {
            program: name,
            reason,
        };
        let mut object = Object::parse(object).map_err(|error| unfit(chain(&error)))?;
        let types =
            Btf::parse(&self.types.btf, object.endianness).map_err(|error| unfit(chain(&error)))?;
        object
            .relocate_btf(&types)
            .map_err(|error| unfit(chain(&error)))?;
        Ok(Template::new(object))
    }

    /// The id of an iterator's function.
    pub(crate) fn target(&self, program: &'static str) -> Result<u32> {
        let index = TARGETS
            .iter()
            .position(|target| target.strip_prefix("bpf_iter_") == Some(program));
        index
            .and_then(|index| *self.types.function_ids.get(index)?)
            .ok_or(Error::NoIterator(program))
    }
}

/// An error with what led to it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct that is not cut out is not missed by the relocation: it leaves the offset of
    /// `kernel.h` in place without a word.
    #[test]
    fn programs_fitted_to_the_cut_are_those_fitted_to_all_types() {
        let Ok(kernel) = Kernel::open() else {
            eprintln!("SKIPPED: BPF may not be used here");
            return;
        };
        let types = kernel_types().unwrap();
        for object in [SOCKETS, HOLDERS] {
            let by_cut = kernel.template("test", object).unwrap();
            let mut by_all = Object::parse(object).unwrap();
            let types = Btf::parse(types, by_all.endianness).unwrap();
            by_all.relocate_btf(&types).unwrap();
            assert_eq!(code(by_cut.object()), code(&by_all));
        }
    }

    fn code(object: &Object) -> Vec<String> {
        let functions = object.functions.values();
        functions
            .map(|function| format!("{:?}", function.instructions))
            .collect()
    }

    #[test]
    fn an_iterator_that_the_kernel_lacks_is_told_by_name() {
        let kernel = Kernel {
            types: Cut {
                btf: Vec::new(),
                function_ids: vec![Some(7), None, Some(9)],
            },
        };
        assert_eq!(kernel.target("tcp").ok(), Some(7));
        assert_eq!(kernel.target("task_file").ok(), Some(9));
        for name in ["udp", "sctp"] {
            let error = kernel.target(name).unwrap_err();
            assert!(matches!(error, Error::NoIterator(told) if told == name));
            assert_eq!(error.remedy(), Some("Linux 5.9"));
        }
    }

    #[test]
    fn types_that_are_none_are_told() {
        for bytes in [&b""[..], b"\x9f\xeb", &[0; 64]] {
            let error = Kernel::of(bytes, &[]).err();
            assert!(matches!(error, Some(Error::Types(_))), "{error:?}");
        }
    }
}
