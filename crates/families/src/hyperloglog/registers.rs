//! All registers, a byte each: what is merged and counted.
//!
//! Whole arrays are worked on at a time, in loops that the compiler turns into vector
//! instructions.

use super::dense;
use super::header::{Encoding, Parts};
use super::{Corrupt, REGISTERS, sparse};

/// Higher than any value of a register.
pub(super) const VALUES: usize = 64;

/// How many registers hold which value.
pub(super) type Histogram = [u32; VALUES];

/// See the module's page.
#[derive(Debug)]
pub(super) struct Registers(pub(super) Box<[u8; REGISTERS]>);

impl Registers {
    /// Those of a HyperLogLog without elements.
    pub(super) fn new() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }

    /// Those of a HyperLogLog.
    ///
    /// # Errors
    /// If it is sparse and its runs are not as many registers as there are.
    pub(super) fn of(parts: &Parts<'_>) -> Result<Registers, Corrupt> {
        let mut registers = Registers::new();
        match parts.encoding {
            Encoding::Dense => dense::unpack(parts.registers, &mut registers.0),
            Encoding::Sparse => sparse::for_each_run(parts.registers, |run, value| {
                registers.0[run].fill(value);
            })?,
        }
        Ok(registers)
    }

    /// Raises each register to that of the other.
    pub(super) fn merge(&mut self, other: &Registers) {
        for (one, other) in self.0.iter_mut().zip(other.0.iter()) {
            *one = (*one).max(*other);
        }
    }

    /// How many registers hold which value.
    pub(super) fn histogram(&self) -> Histogram {
        /// Counters that follow each other in time lie in different tables, so that equal values
        /// side by side do not wait for one another.
        const TABLES: usize = 4;
        let mut tables = [[0_u32; VALUES]; TABLES];
        let (groups, _) = self.0.as_chunks::<TABLES>();
        for group in groups {
            for (table, &value) in tables.iter_mut().zip(group) {
                table[usize::from(value) % VALUES] += 1;
            }
        }
        std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_registers() -> impl Strategy<Value = Registers> {
        prop::collection::vec(0_u8..64, REGISTERS).prop_map(|values| {
            let mut registers = Registers::new();
            registers.0.copy_from_slice(&values);
            registers
        })
    }

    proptest! {
        #[test]
        fn a_merge_holds_the_higher_of_each_two(
            mut one in any_registers(), other in any_registers(),
        ) {
            let pairs = one.0.iter().zip(other.0.iter());
            let higher = |(&one, &other): (&u8, &u8)| if one < other { other } else { one };
            let expected: Vec<u8> = pairs.map(higher).collect();
            one.merge(&other);
            prop_assert_eq!(&one.0[..], &expected[..]);
        }

        #[test]
        fn a_histogram_counts_each_register_once(registers in any_registers()) {
            let mut expected = [0; VALUES];
            registers.0.iter().for_each(|&value| expected[usize::from(value)] += 1);
            prop_assert_eq!(registers.histogram(), expected);
        }
    }
}
