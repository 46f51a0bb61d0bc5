//! Size classes: which sizes of slots there are, and which one a record takes.
//!
//! Sizes are fine where most records are: every 4 bytes up to 256, so that a
//! record wastes less than 4; then every 16 up to 512 and every 32 up to 1024,
//! where a step is about a thirtieth of the size.
//!
//! Everything is computed at compile time: a class is found by one look at a
//! table of 257 bytes, and whether an offset is the start of a slot by one
//! multiplication.

/// The largest record, in bytes.
pub const RECORD_MAX: usize = 1024;

/// Slots begin at multiples of this many bytes, and handles count in it.
pub(crate) const UNIT: usize = 4;

/// Bytes of a slab.
pub(crate) const SLAB_BYTES: usize = 16 * 1024;

/// The smallest slot, in bytes: the header of a record, rounded up.
const SLOT_MIN: usize = 8;

/// How many classes there are.
pub(crate) const CLASSES: usize =
    1 + (256 - SLOT_MIN) / 4 + (512 - 256) / 16 + (RECORD_MAX - 512) / 32;

/// The class of a slab which serves no class.
pub(crate) const NO_CLASS: u8 = u8::MAX;

const _: () = assert!(CLASSES < NO_CLASS as usize, "a class fits a byte");

/// What a class is.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    /// 2^32 divided by the slot size in units, rounded up; 0 where there is no class.
    magic: u32,
    /// Bytes of a slot.
    size: u16,
    /// Slots of a slab.
    slots: u16,
}

impl Spec {
    const NONE: Spec = Spec { magic: 0, size: 0, slots: 0 };

    /// Bytes of a slot; 0 for [`NO_CLASS`].
    #[inline]
    pub(crate) const fn size(self) -> usize {
        self.size as usize
    }

    /// Slots of a slab; 0 for [`NO_CLASS`].
    #[inline]
    pub(crate) const fn slots(self) -> u16 {
        self.slots
    }

    /// Whether a whole slot begins `unit` units after the start of a slab.
    ///
    /// A number is a multiple of `d` if and only if its product with
    /// `2^32 / d`, rounded up, is below that factor modulo 2^32 (Lemire, Kaser
    /// and Kurz, "Faster remainder by direct computation", 2019). With a factor
    /// of 0 nothing is, so no slot begins in a slab without a class.
    #[inline]
    pub(crate) const fn begins_at(self, unit: u32) -> bool {
        let end = unit as usize * UNIT + self.size as usize;
        unit.wrapping_mul(self.magic) < self.magic && end <= SLAB_BYTES
    }
}

/// The class of a record of `len` bytes.
///
/// # Panics
///
/// If `len` is beyond [`RECORD_MAX`].
#[inline]
pub(crate) const fn class_of(len: usize) -> u8 {
    CLASS_OF[len.div_ceil(UNIT)]
}

/// What `class` is.
#[inline]
pub(crate) const fn spec(class: u8) -> Spec {
    // One entry for each value of a byte, so that the look-up needs no check.
    SPECS[class as usize]
}

static SPECS: [Spec; 256] = specs();

static CLASS_OF: [u8; RECORD_MAX / UNIT + 1] = class_by_units();

const fn specs() -> [Spec; 256] {
    let mut specs = [Spec::NONE; 256];
    let mut class = 0;
    let mut size = SLOT_MIN;
    while size <= RECORD_MAX {
        let magic = (1_u64 << 32).div_ceil((size / UNIT) as u64);
        let slots = SLAB_BYTES / size;
        specs[class] = Spec { magic: magic as u32, size: size as u16, slots: slots as u16 };
        class += 1;
        size += step_above(size);
    }
    assert!(class == CLASSES, "the number of classes is right");
    specs
}

const fn step_above(size: usize) -> usize {
    match size {
        ..256 => 4,
        256..512 => 16,
        _ => 32,
    }
}

const fn class_by_units() -> [u8; RECORD_MAX / UNIT + 1] {
    let specs = specs();
    let mut classes = [0; RECORD_MAX / UNIT + 1];
    let mut class = 0;
    let mut units = 0;
    while units < classes.len() {
        if units * UNIT > specs[class].size as usize {
            class += 1;
        }
        classes[units] = class as u8;
        units += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_smallest_that_holds_the_record() {
        for len in 0..=RECORD_MAX {
            let class = class_of(len);
            assert!(spec(class).size() >= len, "{len}");
            assert!(class == 0 || spec(class - 1).size() < len, "{len}");
        }
    }

    #[test]
    fn sizes_rise_by_the_promised_steps() {
        let sizes: Vec<usize> = (0..CLASSES).map(|class| spec(class as u8).size()).collect();
        let expected: Vec<usize> = (8..=256)
            .step_by(4)
            .chain((272..=512).step_by(16))
            .chain((544..=1024).step_by(32))
            .collect();
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_slot_begins_at_each_multiple_of_its_size_and_nowhere_else() {
        for class in 0..CLASSES {
            let spec = spec(class as u8);
            for unit in 0..(SLAB_BYTES / UNIT) as u32 {
                let at = unit as usize * UNIT;
                let expected =
                    at.is_multiple_of(spec.size()) && at / spec.size() < usize::from(spec.slots());
                assert_eq!(spec.begins_at(unit), expected, "class {class}, unit {unit}");
            }
        }
    }

    #[test]
    fn no_slot_begins_where_there_is_no_class() {
        for class in CLASSES as u8..=NO_CLASS {
            assert!((0..4096).all(|unit| !spec(class).begins_at(unit)));
        }
    }
}
