//! Tests of the filters, against a small copy of the kernel's auditor and runner.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

struct Op {
    code: u8,
    yes: usize,
    no: usize,
}

fn op(code: &[u8], at: usize) -> Option<Op> {
    let bytes = code.get(at..at + 4)?;
    let no = u16::from_ne_bytes([bytes[2], bytes[3]]);
    Some(Op {
        code: bytes[0],
        yes: bytes[1].into(),
        no: no.into(),
    })
}

/// `inet_diag_bc_audit`: whether the kernel accepts the program.
fn audit(code: &[u8]) -> bool {
    let mut at = 0;
    while at < code.len() {
        let left = code.len() - at;
        let Some(op) = op(code, at) else { return false };
        let least = match op.code {
            JMP | AUTO => 4,
            S_GE | S_LE | D_GE | D_LE | DEV_COND => 8,
            S_COND | D_COND if code.get(at + 4) == Some(&AF_INET) => 16,
            S_COND | D_COND => 28,
            _ => return false,
        };
        let fits = |jump: usize| jump >= least && jump <= left + 4 && jump.is_multiple_of(4);
        if left < least || !fits(op.no) || !fits(op.yes) {
            return false;
        }
        if op.no < left && !reached(code, at + op.no) {
            return false;
        }
        at += op.yes;
    }
    at == code.len()
}

/// `valid_cc`: whether a walk along the `yes` jumps comes by.
fn reached(code: &[u8], target: usize) -> bool {
    let mut at = 0;
    while at < target {
        let Some(op) = op(code, at) else { return false };
        at += op.yes.max(4);
    }
    at == target
}

/// `inet_diag_bc_run` for rows without addresses: whether the row is taken.
fn takes(code: &[u8], automatic: bool, local: u16, remote: u16, device: u32) -> bool {
    let mut at = 0;
    while at < code.len() {
        let op = op(code, at).unwrap();
        let port = || u16::from_ne_bytes([code[at + 6], code[at + 7]]);
        let index = || u32::from_ne_bytes(code[at + 4..at + 8].try_into().unwrap());
        let yes = match op.code {
            JMP => false,
            AUTO => automatic,
            S_GE => local >= port(),
            S_LE => local <= port(),
            D_GE => remote >= port(),
            D_LE => remote <= port(),
            DEV_COND => device == index(),
            other => panic!("code {other}"),
        };
        at += if yes { op.yes } else { op.no };
    }
    at == code.len()
}

fn range(low: u16, high: u16) -> PortRange {
    PortRange::new(low, high).unwrap()
}

#[test]
fn rows_that_are_not_automatic_are_chosen_by_two_operations() {
    let mut wanted = Vec::from([AUTO, 4]);
    wanted.extend(8_u16.to_ne_bytes());
    wanted.extend([JMP, 4]);
    wanted.extend(8_u16.to_ne_bytes());
    assert_eq!(Bytecode::not_automatic().encode(), wanted);
}

#[test]
fn a_port_stands_in_the_second_operation() {
    let code = Bytecode::local_port(range(20000, 20007)).encode();
    assert_eq!(code.len(), 16);
    assert_eq!(op(&code, 4).unwrap().no, 20000);
    assert_eq!(op(&code, 12).unwrap().no, 20007);
    assert_eq!(op(&code, 0).unwrap().no, 20);
    assert_eq!(op(&code, 8).unwrap().no, 12);
}

#[test]
fn host_conditions_pass_the_audit() {
    for address in ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"] {
        let address = address.parse().unwrap();
        let both = Bytecode::local(address, 255, None).and(&Bytecode::remote(address, 8, Some(80)));
        assert!(audit(&both.encode()));
        assert!(audit(&both.and(&Bytecode::not_automatic()).encode()));
    }
}

#[test]
fn a_program_too_long_for_its_jumps_is_one_the_kernel_refuses() {
    let mut long = Bytecode::automatic();
    for _ in 0..17_000 {
        long = long.and(&Bytecode::automatic());
    }
    assert!(!audit(&long.encode()));
}

fn conditions() -> impl Strategy<Value = Bytecode> {
    let condition = prop_oneof![
        Just(Condition::Automatic),
        Just(Condition::NotAutomatic),
        (S_GE..=D_LE, 0_u16..4).prop_map(|(code, port)| Condition::Port { code, port }),
        (0_u32..3).prop_map(Condition::Device),
    ];
    prop::collection::vec(condition, 0..6).prop_map(|conditions| Bytecode { conditions })
}

proptest! {
    #[test]
    fn the_kernel_takes_the_rows_for_which_all_conditions_hold(
        filter in conditions(), automatic: bool, local in 0_u16..4, remote in 0_u16..4,
        device in 0_u32..3,
    ) {
        let code = filter.encode();
        prop_assert!(audit(&code));
        let wanted = filter.conditions.iter().all(|condition| match *condition {
            Condition::Automatic => automatic,
            Condition::NotAutomatic => !automatic,
            Condition::Port { code: S_GE, port } => local >= port,
            Condition::Port { code: S_LE, port } => local <= port,
            Condition::Port { code: D_GE, port } => remote >= port,
            Condition::Port { port, .. } => remote <= port,
            Condition::Device(index) => device == index,
            Condition::Host { .. } => true,
        });
        prop_assert_eq!(takes(&code, automatic, local, remote, device), wanted);
    }
}
