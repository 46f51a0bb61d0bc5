//! Whether a transaction agrees with itself: it sees what it did.

use std::collections::BTreeMap;

use super::{Anomaly, Step, Transaction};

/// What a transaction knows of a list.
#[derive(Default)]
struct Known {
    /// Its end, as the transaction itself has added it.
    end: Vec<u64>,
    /// Whether there is nothing before that.
    is_all: bool,
}

impl Known {
    /// Whether a step can come next; from then on, what it tells is known.
    fn accept(&mut self, step: &Step) -> bool {
        match step {
            Step::Append(_, value) if !self.end.contains(value) => self.end.push(*value),
            Step::Read(_, values) if self.fits(values.len()) && values.ends_with(&self.end) => {
                *self = Self { end: values.clone(), is_all: true };
            }
            Step::Length(_, length) => return self.fits(*length),
            Step::Take(_, taken) if self.is_all => {
                let first = self.end.first().copied();
                self.end.drain(..usize::from(first.is_some()));
                return first == *taken;
            }
            Step::Take(_, None) if self.end.is_empty() => self.is_all = true,
            // It may be the transaction's own.
            Step::Take(_, Some(_)) => self.end.clear(),
            _ => return false,
        }
        true
    }

    fn fits(&self, length: usize) -> bool {
        if self.is_all { length == self.end.len() } else { length >= self.end.len() }
    }
}

/// Checks the steps of a transaction with each other.
pub(super) fn check(transaction: &Transaction) -> Result<(), Box<Anomaly>> {
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    let mut steps = transaction.steps.iter();
    match steps.position(|step| !known.entry(step.key()).or_default().accept(step)) {
        Some(step) => Err(Box::new(Anomaly::Internal { by: transaction.clone(), step })),
        None => Ok(()),
    }
}
