//! Lists that are added to and read: every read is the beginning of the longest one.
//!
//! Elements that are not in the longest read come behind it, in whatever order.

use std::collections::{BTreeMap, HashSet};

use super::elements::{Elements, Place};
use super::graph::Graph;
use super::{Anomaly, History, Kind, Step, Uses};

/// What is known of the order of a list.
pub(super) struct Order<'h> {
    /// Who read it.
    reader: usize,
    /// The longest read.
    pub(super) values: &'h [u64],
}

/// The order of each list that was read and is no queue.
pub(super) fn orders<'h>(history: &History<'h>) -> BTreeMap<&'h str, Order<'h>> {
    let lists = history.keys.iter().filter(|(_, uses)| !uses.is_queue());
    let longest = |uses: &Uses<'h>| uses.reads().max_by_key(|(_, values)| values.len());
    let order = |(&key, uses)| {
        let (reader, values) = longest(uses)?;
        Some((key, Order { reader, values }))
    };
    lists.filter_map(order).collect()
}

/// Adds the dependencies that a list shows.
pub(super) fn connect<'h>(
    uses: &Uses<'h>,
    order: &Order<'h>,
    elements: &Elements<'h>,
    graph: &mut Graph<'h>,
) -> Result<(), Box<Anomaly>> {
    let places = order.values.iter().map(|&value| elements.added(uses.key, value));
    let list = List { uses, places: places.collect(), late: writers_behind(uses, order) };
    list.connect_writers(order, graph)?;
    uses.steps.iter().try_for_each(|&(place, step)| match step {
        Step::Read(_, values) if order.values.starts_with(values) => {
            list.connect_reader(place, values.len(), graph)
        }
        Step::Read(..) => Err(incompatible(uses, order, place.at)),
        Step::Length(_, length) => list.connect_reader(place, *length, graph),
        Step::Append(..) | Step::Take(..) => Ok(()),
    })
}

/// Who added what is not in the longest read.
fn writers_behind(uses: &Uses<'_>, order: &Order<'_>) -> Vec<usize> {
    let known: HashSet<u64> = order.values.iter().copied().collect();
    uses.added().filter(|(_, value)| !known.contains(value)).map(|(at, _)| at).collect()
}

/// How a list came about.
struct List<'a, 'h> {
    uses: &'a Uses<'h>,
    /// Where each element of the longest read was added.
    places: Vec<Place>,
    /// Who added what is not in it.
    late: Vec<usize>,
}

impl<'h> List<'_, 'h> {
    /// Each element was added after the one before it.
    fn connect_writers(
        &self,
        order: &Order<'_>,
        graph: &mut Graph<'h>,
    ) -> Result<(), Box<Anomaly>> {
        for (values, places) in order.values.windows(2).zip(self.places.windows(2)) {
            self.uses.precede((values[0], values[1]), [places[0], places[1]], graph)?;
        }
        if let Some(last) = self.places.last() {
            self.late.iter().for_each(|&at| graph.add(last.at, at, Kind::Ww, self.uses.key));
        }
        Ok(())
    }

    /// Who saw so many elements saw the last of them, and not the next.
    fn connect_reader(
        &self,
        reader: Place,
        length: usize,
        graph: &mut Graph<'h>,
    ) -> Result<(), Box<Anomaly>> {
        let last = self.places[..length.min(self.places.len())].last();
        let next = self.places.get(length);
        self.look_at_edge(reader, last, next)?;
        if let Some(last) = last {
            graph.add(last.at, reader.at, Kind::Wr, self.uses.key);
        }
        let late = if length == self.places.len() { &self.late[..] } else { &[] };
        for next in next.map(|next| next.at).iter().chain(late) {
            graph.add(reader.at, *next, Kind::Rw, self.uses.key);
        }
        Ok(())
    }

    /// Nobody sees a list in the midst of another's transaction, and everybody what he did before.
    fn look_at_edge(
        &self,
        reader: Place,
        last: Option<&Place>,
        next: Option<&Place>,
    ) -> Result<(), Box<Anomaly>> {
        let transaction = |place: &Place| self.uses.transaction(place.at).clone();
        let is_own = |place: &&Place| place.at == reader.at;
        let is_early = last.filter(is_own).is_some_and(|last| last.step > reader.step);
        let is_late = next.filter(is_own).is_some_and(|next| next.step < reader.step);
        if is_early || is_late {
            let (by, step) = (transaction(&reader), reader.step);
            return Err(Box::new(Anomaly::Internal { by, step }));
        }
        match (last, next) {
            (Some(last), Some(next)) if last.at == next.at && last.at != reader.at => {
                let (by, key) = (transaction(&reader), self.uses.key.to_owned());
                Err(Box::new(Anomaly::Intermediate { by, key, writer: transaction(last) }))
            }
            _ => Ok(()),
        }
    }
}

fn incompatible(uses: &Uses<'_>, order: &Order<'_>, at: usize) -> Box<Anomaly> {
    Box::new(Anomaly::IncompatibleOrders {
        key: uses.key.to_owned(),
        one: uses.transaction(at).clone(),
        longest: uses.transaction(order.reader).clone(),
    })
}
