//! Who added each element and who took it; and that nobody saw one that was never there.

use std::collections::{HashMap, HashSet};

use super::{Anomaly, History, Step, Transaction};

/// An element of a list.
type Element<'h> = (&'h str, u64);

/// A step of a transaction, by the numbers of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The transaction.
    pub(super) at: usize,
    /// Its step.
    pub(super) step: usize,
}

/// Where each element came from and where it went.
pub(super) struct Elements<'h> {
    history: &'h [Transaction],
    added: HashMap<Element<'h>, Place>,
    taken: HashMap<Element<'h>, Place>,
}

impl<'h> Elements<'h> {
    /// Looks at every step of a history.
    ///
    /// # Errors
    /// If an element is added or taken twice, or there without having been added.
    pub(super) fn find(history: &History<'h>) -> Result<Self, Box<Anomaly>> {
        let transactions = history.transactions;
        let (added, taken) = (HashMap::new(), HashMap::new());
        let mut elements = Self { history: transactions, added, taken };
        for (at, transaction) in transactions.iter().enumerate() {
            let mut steps = transaction.steps.iter().enumerate();
            steps.try_for_each(|(nth, step)| elements.note(Place { at, step: nth }, step))?;
        }
        let happened = transactions.iter().filter(|transaction| transaction.happened);
        for transaction in happened {
            transaction.steps.iter().try_for_each(|step| elements.look(transaction, step))?;
        }
        Ok(elements)
    }

    fn note(&mut self, place: Place, step: &'h Step) -> Result<(), Box<Anomaly>> {
        let (map, key, value) = match step {
            Step::Append(key, value) => (&mut self.added, key, *value),
            Step::Take(key, Some(value)) if self.history[place.at].happened => {
                (&mut self.taken, key, *value)
            }
            _ => return Ok(()),
        };
        match map.insert((key, value), place) {
            None => Ok(()),
            Some(before) => {
                let by = [before, place].map(|place| self.history[place.at].clone());
                Err(Box::new(Anomaly::Twice { key: key.clone(), value, by }))
            }
        }
    }

    /// Looks at what a step has seen.
    fn look(&self, by: &Transaction, step: &Step) -> Result<(), Box<Anomaly>> {
        let (key, values) = match step {
            Step::Read(key, values) => (key, &values[..]),
            Step::Take(key, Some(value)) => (key, std::slice::from_ref(value)),
            _ => return Ok(()),
        };
        let mut seen = HashSet::new();
        values.iter().try_for_each(|&value| {
            if !seen.insert(value) {
                let by = [by.clone(), by.clone()];
                return Err(Box::new(Anomaly::Twice { key: key.clone(), value, by }));
            }
            self.look_one(by, key, value)
        })
    }

    fn look_one(&self, by: &Transaction, key: &str, value: u64) -> Result<(), Box<Anomaly>> {
        let (key_own, by) = (key.to_owned(), || by.clone());
        match self.added.get(&(key, value)).map(|place| &self.history[place.at]) {
            Some(writer) if writer.happened => Ok(()),
            Some(writer) => Err(Box::new(Anomaly::Aborted {
                by: by(),
                key: key_own,
                value,
                writer: writer.clone(),
            })),
            None => Err(Box::new(Anomaly::Unwritten { by: by(), key: key_own, value })),
        }
    }

    /// Where an element was added that was seen.
    pub(super) fn added(&self, key: &'h str, value: u64) -> Place {
        self.added[&(key, value)]
    }

    /// Where an element was taken, if anybody did.
    pub(super) fn taken(&self, key: &'h str, value: u64) -> Option<Place> {
        self.taken.get(&(key, value)).copied()
    }

    /// Who added an element that was seen.
    pub(super) fn writer(&self, key: &'h str, value: u64) -> usize {
        self.added(key, value).at
    }

    /// Who took an element, if anybody did.
    pub(super) fn taker(&self, key: &'h str, value: u64) -> Option<usize> {
        self.taken(key, value).map(|place| place.at)
    }
}
