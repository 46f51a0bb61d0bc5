//! Passwords of users: what is kept of them is their SHA-256 digest alone.

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::error::RuleError;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// What is kept of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; DIGITS / 2]);

impl Digest {
    /// That of a password.
    #[must_use]
    pub fn of(password: &[u8]) -> Digest {
        Digest(Sha256::digest(password).into())
    }

    /// Reads one that is written in hexadecimal digits.
    ///
    /// # Errors
    /// If it is not 64 of them in lower case.
    pub fn parse(text: &[u8]) -> Result<Digest, RuleError> {
        let mut digest = [0; DIGITS / 2];
        let (pairs, []) = text.as_chunks::<2>() else { return Err(RuleError::Digest) };
        if pairs.len() != digest.len() {
            return Err(RuleError::Digest);
        }
        for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(high)? << 4 | nibble(low)?;
        }
        Ok(Digest(digest))
    }

    /// Whether it is one of these; how long that takes tells nothing.
    #[must_use]
    pub fn is_among(&self, known: &[Digest]) -> bool {
        let found = known.iter().fold(Choice::from(0), |found, one| found | one.0.ct_eq(&self.0));
        found.into()
    }

    /// Its hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn nibble(digit: u8) -> Result<u8, RuleError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(RuleError::Digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_standard_and_is_read_back() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_hex(), known, "FIPS 180-2, B.1");
        assert_eq!(Digest::parse(known.as_bytes()), Ok(digest));
    }

    #[test]
    fn anything_but_64_digits_in_lower_case_is_no_digest() {
        let right = "0".repeat(64);
        assert!(Digest::parse(right.as_bytes()).is_ok());
        for wrong in ["", "0", &right[1..], &format!("{right}0"), &right.replace("00", "0A")] {
            assert_eq!(Digest::parse(wrong.as_bytes()), Err(RuleError::Digest), "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_found_among_others_and_only_if_it_is_there() {
        let [one, two, three] = [b"1", b"2", b"3"].map(|word| Digest::of(word));
        assert!(two.is_among(&[one, two]));
        assert!(!three.is_among(&[one, two]) && !one.is_among(&[]));
    }
}
