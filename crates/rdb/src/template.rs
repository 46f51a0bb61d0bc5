//! Hashes whose fields are those of a template, which says their names once for many hashes.
//!
//! # Layout
//!
//! ```text
//! 29: names | listpack in a string: a number, value*n
//! 30: listpack in a string: number of the template, value*n
//! 31: names | value*n
//! 32: number of the template | value*n
//!
//! names:  0 | listpack of them in a string
//!         1 | n, name*n
//! record: number of the template | n, name*n
//! ```
//!
//! A dump says the names itself; the number at the front of its listpack is the one that the
//! template had elsewhere and means nothing. In a file records stand before the hashes that refer
//! to them, behind the opcode [`TEMPLATE_OPCODE`].
//!
//! # Invariants
//!
//! 1. A template has a name, and its names rise: shorter ones come first, those of one length in
//!    the order of their bytes. So no name is there twice.
//! 2. A hash has as many values as its template has names.

use std::collections::BTreeMap;

use crate::error::RdbError;
use crate::listpack::{Item, Items};
use crate::primitives::Reader;
use crate::sink::{Kind, Sink};
use crate::{Limits, types};

/// What stands before a template in a file.
pub const TEMPLATE_OPCODE: u8 = 242;

/// The fewest bytes of a name, or of a value.
const STRING_BYTES_MIN: usize = 1;

/// How names are written.
const PACKED: u64 = 0;
const LISTED: u64 = 1;

/// The templates of a file, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Templates(BTreeMap<u64, Template>);

#[derive(Clone, Debug)]
struct Template {
    names: Vec<Box<[u8]>>,
    /// Bytes of all names.
    bytes: usize,
}

impl Templates {
    /// None.
    #[must_use]
    pub fn new() -> Templates {
        Templates::default()
    }

    /// Reads a record at the start of `body`, behind its opcode; returns what follows it.
    ///
    /// # Errors
    ///
    /// What is wrong with it; [`RdbError::Duplicate`] if there is a template of this number.
    pub fn read<'a>(&mut self, body: &'a [u8], limits: &Limits) -> Result<&'a [u8], RdbError> {
        let mut from = Reader::new(body, limits);
        let number = from.length()?;
        let template = Template::new(listed(&mut from)?)?;
        if self.0.contains_key(&number) {
            return Err(RdbError::Duplicate);
        }
        self.0.insert(number, template);
        Ok(from.rest())
    }

    /// A template that a hash refers to. Its names do not stand in the hash, so they are counted.
    fn find(&self, number: u64, from: &mut Reader<'_>) -> Result<&Template, RdbError> {
        let template = self.0.get(&number).ok_or(RdbError::Template)?;
        from.spend(template.bytes)?;
        Ok(template)
    }
}

impl Template {
    fn new(names: Vec<Box<[u8]>>) -> Result<Template, RdbError> {
        if names.is_empty() {
            return Err(RdbError::Empty);
        }
        let rises = |pair: &[Box<[u8]>]| (pair[0].len(), &pair[0]) < (pair[1].len(), &pair[1]);
        if !names.windows(2).all(rises) {
            return Err(RdbError::Order);
        }
        let bytes = names.iter().map(|name| name.len()).sum();
        Ok(Template { names, bytes })
    }

    /// The one that a dump says.
    fn read(from: &mut Reader<'_>) -> Result<Template, RdbError> {
        Template::new(match from.length()? {
            PACKED => unpacked(&from.string()?)?,
            LISTED => listed(from)?,
            _ => return Err(RdbError::Encoding),
        })
    }

    /// Tells the hash of these values, which follow in the payload.
    fn tell_listed(&self, from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
        to.begin(Kind::Hash, self.names.len())?;
        self.names.iter().try_for_each(|name| to.field(name, &from.string()?, None))
    }

    /// The same of what is left of a listpack.
    fn tell_packed(&self, mut values: Items<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
        to.begin(Kind::Hash, self.names.len())?;
        for name in &self.names {
            let value = values.next()?.ok_or(RdbError::Count)?;
            to.field(name, &value.text(), None)?;
        }
        if values.next()?.is_none() { Ok(()) } else { Err(RdbError::Count) }
    }
}

fn listed(from: &mut Reader<'_>) -> Result<Vec<Box<[u8]>>, RdbError> {
    let count = from.count(STRING_BYTES_MIN)?;
    (0..count).map(|_| Ok(from.string()?.into())).collect()
}

fn unpacked(blob: &[u8]) -> Result<Vec<Box<[u8]>>, RdbError> {
    let (mut items, mut names) = (Items::new(blob)?, Vec::new());
    while let Some(name) = items.next()? {
        names.push(Box::from(&*name.text()));
    }
    Ok(names)
}

/// The number at the front of a listpack, which has to be one in binary.
fn number(items: &mut Items<'_>) -> Result<i64, RdbError> {
    match items.expect()? {
        Item::Integer(number) => Ok(number),
        Item::Slice(_) => Err(RdbError::Packed),
    }
}

/// Decodes a hash of one of the four types.
pub(crate) fn decode(
    kind: u8,
    from: &mut Reader<'_>,
    templates: &Templates,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    match kind {
        types::HASH_TEMPLATE_LISTPACK => {
            let (template, blob) = (Template::read(from)?, from.string()?);
            let mut values = Items::new(&blob)?;
            number(&mut values)?;
            template.tell_packed(values, to)
        }
        types::HASH_TEMPLATE_LISTPACK_REF => {
            let blob = from.string()?;
            let mut values = Items::new(&blob)?;
            let number = u64::try_from(number(&mut values)?).map_err(|_| RdbError::Template)?;
            templates.find(number, from)?.tell_packed(values, to)
        }
        types::HASH_TEMPLATE => Template::read(from)?.tell_listed(from, to),
        types::HASH_TEMPLATE_REF => {
            let number = from.length()?;
            templates.find(number, from)?.tell_listed(from, to)
        }
        _ => Err(RdbError::UnknownType),
    }
}
