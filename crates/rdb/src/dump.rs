//! The footer of a dump: the RDB version it is written in, and a checksum.
//!
//! # Layout
//!
//! ```text
//! payload | version u16 LE | CRC64 u64 LE of all before it
//! ```
//!
//! The CRC is the one of Jones, reflected, from 0 and not inverted.

use crc_fast::{CrcAlgorithm, checksum};

use crate::error::RdbError;

/// How many bytes follow the payload.
pub const FOOTER_BYTES: usize = VERSION_BYTES + CHECKSUM_BYTES;

const VERSION_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 8;

/// The newest version of Redis' own numbering that is known.
const REDIS_VERSION_MAX: u16 = 15;

/// The version of Valkey 9, which counts on from 80.
pub(crate) const VALKEY_VERSION: u16 = 80;

/// An opened dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dump<'a> {
    /// The RDB version that the payload is written in.
    pub version: u16,
    /// The type and the value.
    pub payload: &'a [u8],
}

/// What is not asked of a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// That its version is known: what is understood of it is read.
    pub any_version: bool,
    /// That its checksum is right.
    pub unchecked: bool,
}

/// Checks the footer of `dump` and takes it off.
///
/// # Errors
///
/// [`RdbError::Version`] if there is no footer or the version is not known,
/// [`RdbError::Checksum`] if the checksum differs.
pub fn open(dump: &[u8]) -> Result<Dump<'_>, RdbError> {
    open_trusting(dump, Trust::default())
}

/// The same, but for what is not asked.
///
/// # Errors
/// Those of [`open`].
pub fn open_trusting(dump: &[u8], trust: Trust) -> Result<Dump<'_>, RdbError> {
    let (body, sum) = dump.split_last_chunk::<CHECKSUM_BYTES>().ok_or(RdbError::Version)?;
    let (payload, version) = body.split_last_chunk::<VERSION_BYTES>().ok_or(RdbError::Version)?;
    let version = u16::from_le_bytes(*version);
    let is_known = version <= REDIS_VERSION_MAX || version == VALKEY_VERSION;
    if !is_known && !trust.any_version {
        return Err(RdbError::Version);
    }
    if !trust.unchecked && crc64(body) != u64::from_le_bytes(*sum) {
        return Err(RdbError::Checksum);
    }
    Ok(Dump { version, payload })
}

/// Appends the footer, so that `payload` becomes a dump.
pub fn seal(payload: &mut Vec<u8>, version: u16) {
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = crc64(payload);
    payload.extend_from_slice(&sum.to_le_bytes());
}

fn crc64(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Redis, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_jones() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn what_is_trusted_is_not_looked_at() {
        let mut dump = b"\0\x03abc".to_vec();
        seal(&mut dump, 400);
        let any_version = Trust { any_version: true, ..Trust::default() };
        assert_eq!(open(&dump), Err(RdbError::Version));
        let opened = Dump { version: 400, payload: b"\0\x03abc" };
        assert_eq!(open_trusting(&dump, any_version), Ok(opened));
        *dump.last_mut().unwrap() ^= 1;
        assert_eq!(open_trusting(&dump, any_version), Err(RdbError::Checksum));
        let all = Trust { any_version: true, unchecked: true };
        assert_eq!(open_trusting(&dump, all), Ok(opened));
        let unchecked = Trust { unchecked: true, ..Trust::default() };
        assert_eq!(open_trusting(&dump, unchecked), Err(RdbError::Version));
    }

    #[test]
    fn what_is_sealed_opens() {
        let mut dump = b"\0\x03abc".to_vec();
        seal(&mut dump, 11);
        assert_eq!(dump.len(), 5 + FOOTER_BYTES);
        assert_eq!(open(&dump), Ok(Dump { version: 11, payload: b"\0\x03abc" }));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let mut dump = b"\0\x03abc".to_vec();
        seal(&mut dump, 11);
        for at in 0..dump.len() {
            let mut changed = dump.clone();
            changed[at] ^= 0x20;
            assert!(open(&changed).is_err_and(RdbError::is_footer), "{at}");
            assert!(open(&dump[..at]).is_err_and(RdbError::is_footer), "{at}");
        }
    }

    #[test]
    fn versions_of_the_future_are_refused() {
        for (version, is_known) in [(1, true), (15, true), (16, false), (79, false), (80, true)] {
            let mut dump = b"\0\x01a".to_vec();
            seal(&mut dump, version);
            assert_eq!(open(&dump).is_ok(), is_known, "{version}");
        }
    }
}
