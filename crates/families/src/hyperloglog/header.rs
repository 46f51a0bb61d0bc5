//! The first 16 bytes of a HyperLogLog; see the family's page for their layout.

use command::CommandError;

use super::dense;

/// Bytes of the header.
pub(super) const BYTES: usize = 16;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const COUNT_AT: usize = 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// The bit of the cached count that says it is stale.
const STALE: u64 = 1 << 63;

/// How the registers are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Six bits each.
    Dense,
    /// As runs of equal ones.
    Sparse,
}

/// A string that has the form of a HyperLogLog: header and registers, the latter unchecked if
/// they are sparse.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) encoding: Encoding,
    /// The count as it is cached, unless it is stale.
    pub(super) cached: Option<u64>,
    /// What follows the header; [`dense::BYTES`] if it is dense.
    pub(super) registers: &'a [u8],
}

/// Takes a string apart.
///
/// # Errors
/// If it has not the form of a HyperLogLog.
pub(super) fn parse(text: &[u8]) -> Result<Parts<'_>, CommandError> {
    let (header, registers) =
        text.split_first_chunk::<BYTES>().ok_or(CommandError::NotHyperLogLog)?;
    let encoding = match header[ENCODING_AT] {
        DENSE if registers.len() == dense::BYTES => Encoding::Dense,
        SPARSE => Encoding::Sparse,
        _ => return Err(CommandError::NotHyperLogLog),
    };
    if !header.starts_with(MAGIC) {
        return Err(CommandError::NotHyperLogLog);
    }
    let count = count_of(header);
    Ok(Parts { encoding, cached: (count & STALE == 0).then_some(count), registers })
}

fn count_of(header: &[u8; BYTES]) -> u64 {
    let [_, _, _, _, _, _, _, _, count @ ..] = *header;
    u64::from_le_bytes(count)
}

/// The header of a HyperLogLog without elements.
pub(super) fn new(encoding: Encoding) -> [u8; BYTES] {
    let mut header = [0; BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    set_encoding(&mut header, encoding);
    header
}

/// Says how the registers are laid out. Nothing if there is no whole header.
pub(super) fn set_encoding(text: &mut [u8], encoding: Encoding) {
    if let Some(byte) = text.get_mut(ENCODING_AT) {
        *byte = if encoding == Encoding::Dense { DENSE } else { SPARSE };
    }
}

/// Says that the cached count is stale. Nothing if there is no whole header.
pub(super) fn set_stale(text: &mut [u8]) {
    if let Some(byte) = text.get_mut(BYTES - 1) {
        *byte |= (STALE >> 56) as u8;
    }
}

/// Caches a count. Nothing if there is no whole header.
pub(super) fn set_cached(text: &mut [u8], count: u64) {
    if let Some(bytes) = text.get_mut(COUNT_AT..BYTES) {
        bytes.copy_from_slice(&count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_headers_of_known_encodings_are_taken() {
        let good = new(Encoding::Sparse);
        assert!(parse(&good).is_ok());
        for len in 0..BYTES {
            assert!(parse(&good[..len]).is_err(), "{len}");
        }
        for at in 0..=ENCODING_AT {
            let mut bad = good;
            bad[at] ^= 0x80;
            assert!(parse(&bad).is_err(), "{at}");
        }
    }

    #[test]
    fn a_dense_one_has_one_length() {
        for (len, fits) in [(dense::BYTES - 1, false), (dense::BYTES, true), (13_000, false)] {
            let mut text = new(Encoding::Dense).to_vec();
            text.resize(BYTES + len, 0);
            assert_eq!(parse(&text).is_ok(), fits, "{len}");
        }
    }

    #[test]
    fn a_stale_count_is_none() {
        let mut text = new(Encoding::Sparse);
        let cached = |text: &[u8]| parse(text).ok().and_then(|parts| parts.cached);
        assert_eq!(cached(&text), Some(0));
        set_cached(&mut text, 0x0102_0304_0506_0708);
        assert_eq!(cached(&text), Some(0x0102_0304_0506_0708));
        assert_eq!(text[COUNT_AT..], [8, 7, 6, 5, 4, 3, 2, 1]);
        set_stale(&mut text);
        assert_eq!(cached(&text), None);
    }
}
