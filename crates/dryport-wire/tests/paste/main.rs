//! What emitters write is read back, whole, damaged, or in pieces of any length.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of #[test] functions"
)]

mod damage;
mod emit;
mod round_trip;

use dryport_model::capture::{PoolUse, Row, Table, Tables};
use dryport_model::{Family, Protocol, State};
use dryport_wire::paste::{Input, Paste, Scanner};

/// What is compared of a table.
#[derive(Debug, PartialEq)]
struct Seen {
    states: Vec<(Option<State>, u64)>,
    pools: Vec<[Vec<u16>; 4]>,
    pairs: usize,
}

fn seen(table: &Table) -> Seen {
    let ports = |pool: &PoolUse| {
        [&pool.live, &pool.waiting, &pool.listening, &pool.bound].map(|set| set.iter().collect())
    };
    let pools = [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .flat_map(|protocol| {
            [Family::V4, Family::V6].map(|family| ports(table.pool(protocol, family)))
        });
    Seen {
        states: table.states(),
        pools: pools.collect(),
        pairs: table.pairs().count(),
    }
}

/// The table that the rows are.
fn counted(rows: &[Row]) -> Seen {
    let mut tables = Tables::default();
    for row in rows {
        tables.add(row, None);
    }
    seen(tables.fullest())
}

fn read(text: &[u8], step: usize) -> (dryport_model::explain::Findings, Input) {
    let mut paste = Paste::new();
    paste
        .read(&mut Scanner::new(), "paste".into(), text, step)
        .unwrap();
    let (findings, mut inputs) = paste.finish();
    (findings, inputs.remove(0))
}
