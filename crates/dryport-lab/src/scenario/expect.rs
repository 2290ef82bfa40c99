//! What the kernel is known to answer, and the comparison with what it answered.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Granted;

/// Whether ports are even or odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parity {
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// What the kernel is known to answer. What is empty is not checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// How many were granted in all: one of these.
    pub granted: Vec<u32>,
    /// How many were granted before the first refusal: one of these.
    pub first_failure: Vec<u32>,
    /// The error of the first refusal; `none` if there must be none.
    pub error: Option<String>,
    /// Exactly which ports were granted: one of these sets.
    pub ports: Vec<BTreeSet<u16>>,
    /// Parity of the first half of the ports, in the order granted.
    pub first_half: Option<Parity>,
    /// Seconds from the start of the last step to the first grant: between these two.
    pub seconds: Option<(f64, f64)>,
}

impl Expect {
    /// Compares an answer.
    ///
    /// # Errors
    /// What differs, as a sentence.
    pub fn judge(&self, granted: &Granted) -> Result<(), String> {
        one_of("granted in all", &self.granted, &granted.count)?;
        one_of(
            "granted before the first refusal",
            &self.first_failure,
            &granted.first_failure,
        )?;
        if let Some(expected) = &self.error {
            let got = granted.errno.unwrap_or("none");
            if got != expected {
                return Err(format!("the refusal was {got}, expected {expected}"));
            }
        }
        one_of(
            "ports",
            &self.ports,
            &granted.ports.iter().copied().collect(),
        )?;
        self.judge_order(&granted.ports)
    }

    /// Compares the time until the first grant.
    ///
    /// # Errors
    /// What differs, as a sentence.
    pub fn judge_time(&self, took: Duration) -> Result<(), String> {
        match self.seconds {
            Some((least, most)) if !(least..=most).contains(&took.as_secs_f64()) => Err(format!(
                "took {:.3} s, expected {least} to {most}",
                took.as_secs_f64()
            )),
            _ => Ok(()),
        }
    }

    fn judge_order(&self, ports: &[u16]) -> Result<(), String> {
        let Some(parity) = self.first_half else {
            return Ok(());
        };
        let wanted = u16::from(parity == Parity::Odd);
        let half = ports.get(..ports.len() / 2).unwrap_or_default();
        if half.iter().all(|port| port % 2 == wanted) {
            Ok(())
        } else {
            Err(format!(
                "the first ports were {half:?}, expected {parity:?} ones"
            ))
        }
    }
}

fn one_of<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &[T],
    got: &T,
) -> Result<(), String> {
    if expected.is_empty() || expected.contains(got) {
        return Ok(());
    }
    Err(match expected {
        [only] => format!("{what}: {got:?}, expected {only:?}"),
        several => format!("{what}: {got:?}, expected one of {several:?}"),
    })
}
