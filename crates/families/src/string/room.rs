//! Room for a long string to grow or to be changed in place: made before its key is entered to be
//! changed, since to copy hundreds of MiB takes long.
//!
//! The string is held as it is now while it is copied, and its key is left meanwhile. Then the copy
//! is put in its place, if it is still what the key holds, and the command runs as it always does:
//! it finds that there is room.

use std::sync::Arc;

use command::{Args, Done, Prepared, Reply, STRING_BYTES_MAX, View};

/// Makes room for the string at the first argument to be written to up to `end`, and to get so many
/// bytes `more`; then `change` is run.
pub(crate) fn made<'a>(
    args: Args<'a>,
    keys: &View<'_>,
    (end, more): (usize, usize),
    change: fn(Args<'_>, &mut View<'_>, &mut Reply<'_>) -> Done,
) -> Prepared<'a> {
    let text = args.get(0).and_then(|key| Some((key, keys.to_copy(key, end, more)?)));
    let Some((key, text)) = text else { return Prepared::Undone };
    if end.max(text.len().saturating_add(more)) > STRING_BYTES_MAX {
        return Prepared::Undone;
    }
    Prepared::Apart(Box::new(move || {
        let room = Arc::new(roomy(&text, end.max(text.len() + more)));
        drop(text);
        Box::new(move |keys, reply| {
            keys.make_room(key, room);
            change(args, keys, reply)
        })
    }))
}

/// A copy that can grow to so many bytes, and somewhat further if the string itself could not: who
/// appends again and again does not copy it each time.
fn roomy(text: &Vec<u8>, len: usize) -> Vec<u8> {
    let capacity = if len > text.capacity() {
        len.max(text.len().saturating_mul(2).min(STRING_BYTES_MAX))
    } else {
        len
    };
    let mut room = Vec::with_capacity(capacity);
    room.extend_from_slice(text);
    // Memory is there only once it is written to.
    room.resize(len, 0);
    room.truncate(text.len());
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roomy_copy_is_equal_and_takes_what_is_to_come() {
        for (len, capacity, wanted) in [(0, 0, 5), (10, 10, 10), (10, 10, 11), (10, 64, 20)] {
            let mut text = Vec::with_capacity(capacity);
            text.resize(len, b'x');
            let room = roomy(&text, wanted);
            assert_eq!(room, text);
            assert!(room.capacity() >= wanted, "{len} of {capacity} to {wanted}");
        }
        let full = vec![b'x'; 1000];
        assert!(roomy(&full, 1001).capacity() >= 2000, "the next ones need no copy");
    }
}
