//! Natural numbers of any size, with the little arithmetic that reading and
//! writing decimals needs.

use std::cmp::Ordering;

/// Digits of base 2^32, the least significant first, without zeros at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

impl Natural {
    /// Reads decimal digits.
    pub(super) fn from_decimal(digits: &str) -> Self {
        Self::from_digits(digits, 10).expect("they are decimal digits")
    }

    /// Reads digits of a base up to 36; `None` if one is not a digit.
    pub(super) fn from_digits(digits: &str, base: u32) -> Option<Self> {
        let mut number = Self(Vec::new());
        for digit in digits.chars() {
            number.multiply_add(base, digit.to_digit(base)?);
        }
        Some(number)
    }

    pub(super) fn from_u64(number: u64) -> Self {
        Self::trimmed(vec![number as u32, (number >> 32) as u32])
    }

    fn trimmed(mut digits: Vec<u32>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    /// `self * factor + addend`, in place.
    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for digit in &mut self.0 {
            let sum = u64::from(*digit) * u64::from(factor) + carry;
            *digit = sum as u32;
            carry = sum >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    pub(super) fn times_power_of_ten(mut self, power: u32) -> Self {
        (0..power).for_each(|_| self.multiply_add(10, 0));
        self
    }

    pub(super) fn shifted_up(&self, by: u32) -> Self {
        let mut digits = vec![0; (by / 32) as usize];
        let mut carry = 0;
        for digit in &self.0 {
            let shifted = u64::from(*digit) << (by % 32) | carry;
            digits.push(shifted as u32);
            carry = shifted >> 32;
        }
        digits.push(carry as u32);
        Self::trimmed(digits)
    }

    /// How many bits the number has; 0 has none.
    pub(super) fn bits(&self) -> u32 {
        match self.0.last() {
            Some(top) => self.0.len() as u32 * 32 - top.leading_zeros(),
            None => 0,
        }
    }

    /// The quotient, which must be below `2^bits`, and whether something is left.
    pub(super) fn divided_by(mut self, divisor: &Self, bits: u32) -> (u128, bool) {
        let mut quotient = 0;
        for bit in (0..bits).rev() {
            let part = divisor.shifted_up(bit);
            if self.compare(&part) != Ordering::Less {
                self.subtract(&part);
                quotient |= 1 << bit;
            }
        }
        (quotient, !self.0.is_empty())
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// Takes away what is not more.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = 0;
        for (at, digit) in self.0.iter_mut().enumerate() {
            let take = u64::from(other.0.get(at).copied().unwrap_or(0)) + borrow;
            let (rest, borrows) = u64::from(*digit).overflowing_sub(take);
            *digit = rest as u32;
            borrow = u64::from(borrows);
        }
        *self = Self::trimmed(std::mem::take(&mut self.0));
    }

    /// Writes decimal digits, none for 0.
    pub(super) fn to_decimal(&self) -> String {
        let mut rest = self.0.clone();
        let mut digits = Vec::new();
        while !rest.is_empty() {
            let mut remainder = 0_u64;
            for digit in rest.iter_mut().rev() {
                let part = remainder << 32 | u64::from(*digit);
                *digit = (part / 10) as u32;
                remainder = part % 10;
            }
            rest = Self::trimmed(rest).0;
            digits.push(char::from(b'0' + remainder as u8));
        }
        digits.into_iter().rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_written() {
        for text in ["", "1", "4294967296", "340282366920938463463374607431768211456"] {
            assert_eq!(Natural::from_decimal(text).to_decimal(), text);
        }
        assert_eq!(Natural::from_u64(u64::MAX).to_decimal(), u64::MAX.to_string());
    }

    #[test]
    fn arithmetic_is_that_of_u128() {
        let numbers = [1_u128, 9, 1 << 32, (1 << 64) + 7, 987_654_321_987_654_321];
        for left in numbers {
            let natural = Natural::from_decimal(&left.to_string());
            assert_eq!(natural.bits(), 128 - left.leading_zeros());
            assert_eq!(natural.shifted_up(37).to_decimal(), (left << 37).to_string());
            assert_eq!(
                natural.clone().times_power_of_ten(5).to_decimal(),
                (left * 100_000).to_string()
            );
            for right in numbers {
                let divisor = Natural::from_decimal(&right.to_string());
                let quotient = natural.clone().divided_by(&divisor, 100);
                assert_eq!(quotient, (left / right, left % right != 0), "{left} / {right}");
            }
        }
    }
}
