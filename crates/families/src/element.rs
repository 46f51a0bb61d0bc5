//! How elements of collections are told, alone or with what belongs to them.

use command::Reply;
use protocol::Dialect;
use value::entries::Element;

/// Replies with an element.
pub(crate) fn tell(element: Element<'_>, reply: &mut Reply<'_>) {
    match element {
        Element::Int(int) => reply.bulk_i64(int),
        Element::Bytes(text) => reply.bulk(text),
    }
}

/// The head of a reply of so many elements, each in a pair with what belongs to it or alone: RESP2
/// has no array in the array for a pair.
pub(crate) fn tell_count(count: usize, in_pairs: bool, reply: &mut Reply<'_>) {
    let flat = in_pairs && reply.dialect() == Dialect::Resp2;
    reply.array(if flat { 2 * count } else { count });
}

/// The head of one such pair.
pub(crate) fn tell_pair_head(in_pairs: bool, reply: &mut Reply<'_>) {
    if in_pairs && reply.dialect() == Dialect::Resp3 {
        reply.array(2);
    }
}
