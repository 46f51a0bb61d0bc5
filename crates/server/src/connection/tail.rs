//! Input that waits for the rest of its request.

use crate::worker::READ_BYTES;

/// A tail buffer doubles until so much of a request has come; others wait while it is copied.
const TAIL_LEAPS_BYTES_MIN: usize = 1 << 20;

/// How many times as large it becomes then: no copy is of more than such a part of a long word,
/// and a client that announces one has room for so many times what it has sent, no more.
const TAIL_LEAP: usize = 64;

/// Puts input behind a tail, which with the word that has begun is to be `announced` bytes long.
pub(super) fn keep(tail: &mut Vec<u8>, announced: usize, input: &[u8]) {
    let (len, capacity) = (tail.len() + input.len(), tail.capacity());
    if len > capacity {
        tail.reserve_exact(grown(len, capacity, announced) - tail.len());
    }
    tail.extend_from_slice(input);
}

/// How large the buffer of a tail becomes that is to take `len` bytes, more than its `capacity`.
///
/// It grows by steps that end with the word that has begun, so that how large it is depends on the
/// requests alone. None is wider than [`TAIL_LEAP`] times what has come, whatever is announced.
fn grown(len: usize, capacity: usize, announced: usize) -> usize {
    // A quarter more at a time would be too little where many words come.
    if announced <= len || announced < capacity + capacity / 4 {
        return len * 2;
    }
    let leap = if len >= TAIL_LEAPS_BYTES_MIN { TAIL_LEAP } else { 2 };
    // What comes behind a long word must not make it grow again.
    let behind = if announced > 2 * TAIL_LEAPS_BYTES_MIN { READ_BYTES } else { 0 };
    let mut wanted = announced + behind;
    while wanted > len * leap {
        wanted /= leap;
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a request comes in pieces, the buffer of its first part is as long as itself.
    #[test]
    fn a_buffer_for_a_large_word_is_as_long_as_that() {
        const ANNOUNCED: usize = 1_048_600;
        for first in [10, 1000, 65_536, 500_000, 700_000] {
            for step in [999, 16_384, 65_536] {
                let mut tail = Vec::new();
                keep(&mut tail, ANNOUNCED, &vec![b'x'; first]);
                while tail.len() < ANNOUNCED - 2 {
                    let rest = ANNOUNCED - 2 - tail.len();
                    keep(&mut tail, ANNOUNCED, &vec![b'x'; step.min(rest)]);
                }
                assert_eq!(tail.capacity(), ANNOUNCED, "{first} then {step}");
            }
        }
    }

    /// What a word of so many bytes costs that comes in pieces of one read: how large the buffer
    /// is after each growth, and how much had to be copied for it.
    fn growths(announced: usize) -> Vec<(usize, usize)> {
        let mut growths: Vec<(usize, usize)> = Vec::new();
        for len in (READ_BYTES..announced + READ_BYTES).step_by(READ_BYTES) {
            let capacity = growths.last().map_or(0, |&(capacity, _)| capacity);
            if len > capacity {
                growths.push((grown(len, capacity, announced), len - READ_BYTES));
                let (grown, _) = growths[growths.len() - 1];
                assert!(grown >= len, "{grown} for {len} of {announced}");
                assert!(grown <= TAIL_LEAP * len, "{grown} for {len} of {announced}");
            }
        }
        growths
    }

    /// Who announces 512 MiB and sends 1 MiB of it does not get a buffer for all.
    #[test]
    fn a_buffer_is_no_larger_than_some_times_what_has_come() {
        for announced in [5 << 20, 64 << 20, 81 << 20, 100_000_007, 512 << 20] {
            let growths = growths(announced);
            let (last, _) = growths[growths.len() - 1];
            assert_eq!(last, announced + READ_BYTES, "it ends with the word");
        }
    }

    #[test]
    fn a_long_word_is_copied_seldom_and_in_small_parts() {
        for announced in [5 << 20, 64 << 20, 81 << 20, 100_000_007, 512 << 20] {
            let copies: Vec<usize> =
                growths(announced).into_iter().map(|(_, copied)| copied).collect();
            let most = announced / TAIL_LEAP + 2 * TAIL_LEAPS_BYTES_MIN;
            assert!(copies.iter().all(|&copied| copied <= most), "{announced}: {copies:?}");
            assert!(copies.iter().sum::<usize>() <= 2 * most, "{announced}: {copies:?}");
        }
    }
}
