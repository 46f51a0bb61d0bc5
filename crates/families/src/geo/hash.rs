//! Places as numbers and as texts.
//!
//! The world is halved by turns in longitude and latitude, 26 times each; each half is a bit,
//! longitude first. Latitudes end where the square map of the web ends, as in Redis; the text that
//! [`geohash`] gives is the common one, whose latitudes go from pole to pole.

use std::ops::RangeInclusive;

/// Halvings in each direction that a score has.
pub const STEPS_MAX: u32 = 26;

/// The longitudes that places can have, in degrees.
pub const LONGITUDES: RangeInclusive<f64> = -180.0..=180.0;

/// The latitudes that places can have, in degrees.
pub const LATITUDES: RangeInclusive<f64> = -85.051_128_78..=85.051_128_78;

/// From pole to pole.
const ALL_LATITUDES: RangeInclusive<f64> = -90.0..=90.0;

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// In degrees, east is positive.
    pub longitude: f64,
    /// In degrees, north is positive.
    pub latitude: f64,
}

impl Point {
    /// A place, if a score can say it.
    #[must_use]
    pub fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let is_known = LONGITUDES.contains(&longitude) && LATITUDES.contains(&latitude);
        is_known.then_some(Point { longitude, latitude })
    }

    /// The place as the score of a sorted set.
    #[must_use]
    pub fn score(self) -> u64 {
        Cell::of(self, STEPS_MAX).bits
    }

    /// The middle of the cell that a score names. Every number is a score: what lies outside of
    /// the world comes to its edge.
    #[must_use]
    pub fn of_score(score: f64) -> Point {
        let bounds = Cell { bits: bits_of(score), steps: STEPS_MAX }.bounds();
        let middle = |low: f64, high: f64, range: RangeInclusive<f64>| {
            ((low + high) / 2.0).clamp(*range.start(), *range.end())
        };
        Point {
            longitude: middle(bounds.west, bounds.east, LONGITUDES),
            latitude: middle(bounds.south, bounds.north, LATITUDES),
        }
    }
}

/// The bits of a score. What is negative or too large becomes what the conversion of C makes of
/// it on the x86.
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = (1_u64 << 63) as f64;
    if score < HALF { (score as i64).cast_unsigned() } else { score as u64 }
}

/// A rectangle in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least longitude.
    pub west: f64,
    /// The least latitude.
    pub south: f64,
    /// The greatest longitude.
    pub east: f64,
    /// The greatest latitude.
    pub north: f64,
}

/// A part of the world after so many halvings in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The choices of halves: latitude in even bits, longitude in odd ones.
    pub(super) bits: u64,
    /// From 1 to [`STEPS_MAX`].
    pub(super) steps: u32,
}

impl Cell {
    /// The cell of a place after so many halvings, of which there are 1 to [`STEPS_MAX`].
    #[must_use]
    pub fn of(point: Point, steps: u32) -> Cell {
        Cell::within(point, steps, LATITUDES)
    }

    fn within(point: Point, steps: u32, latitudes: RangeInclusive<f64>) -> Cell {
        let steps = steps.clamp(1, STEPS_MAX);
        let part = |at: f64, range: RangeInclusive<f64>| {
            let part = (at - range.start()) / (range.end() - range.start());
            (part * (1_u64 << steps) as f64) as u32
        };
        let latitude = part(point.latitude, latitudes);
        let longitude = part(point.longitude, LONGITUDES);
        Cell { bits: interleave(latitude, longitude), steps }
    }

    /// Where it lies.
    #[must_use]
    pub fn bounds(self) -> Bounds {
        let (latitude, longitude) = deinterleave(self.bits);
        let parts = (1_u64 << self.steps) as f64;
        let at = |part: u32, range: RangeInclusive<f64>| {
            range.start() + (f64::from(part) / parts) * (range.end() - range.start())
        };
        Bounds {
            west: at(longitude, LONGITUDES),
            south: at(latitude, LATITUDES),
            east: at(longitude.wrapping_add(1), LONGITUDES),
            north: at(latitude.wrapping_add(1), LATITUDES),
        }
    }

    /// The cell so many to the east and to the north; beyond the edge the world begins again.
    pub(super) fn moved(self, east: i32, north: i32) -> Cell {
        let mask = (1_u32 << self.steps) - 1;
        let (latitude, longitude) = deinterleave(self.bits);
        // A move also brings a place on the very edge back into the world.
        let step = |at: u32, by: i32| match by {
            0 => at,
            by => at.wrapping_add_signed(by) & mask,
        };
        Cell { bits: interleave(step(latitude, north), step(longitude, east)), ..self }
    }
}

/// The text of a place: the common geohash, eleven letters of which the last is always `0`.
#[must_use]
pub fn geohash(point: Point) -> [u8; 11] {
    const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::within(point, STEPS_MAX, ALL_LATITUDES).bits;
    std::array::from_fn(|nth| {
        // The 52 bits are letters but for two of them.
        let shift = (2 * STEPS_MAX).checked_sub(5 * (nth as u32 + 1));
        LETTERS[shift.map_or(0, |shift| (bits >> shift & 31) as usize)]
    })
}

/// Two numbers as one, whose even bits are those of the first.
fn interleave(even: u32, odd: u32) -> u64 {
    apart(even) | apart(odd) << 1
}

/// The opposite of [`interleave`].
fn deinterleave(bits: u64) -> (u32, u32) {
    (together(bits), together(bits >> 1))
}

/// How far the halves of a word move apart, and which bits they are then.
const SPREADS: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, EVEN),
];

const EVEN: u64 = 0x5555_5555_5555_5555;

fn apart(number: u32) -> u64 {
    SPREADS.iter().fold(number.into(), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

fn together(bits: u64) -> u32 {
    let spreads = SPREADS.iter().rev();
    let joined = spreads.fold(bits & EVEN, |bits, (shift, mask)| {
        let bits = bits & mask;
        bits | bits >> shift
    });
    joined as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_point() -> impl Strategy<Value = Point> {
        let longitude = prop_oneof![-180.0..=180.0, Just(-180.0), Just(180.0), -1.0..1.0];
        let edge = *LATITUDES.end();
        let latitude = prop_oneof![-edge..=edge, Just(edge), Just(-edge), -1.0..1.0];
        (longitude, latitude).prop_map(|(longitude, latitude)| Point { longitude, latitude })
    }

    /// Bit by bit.
    fn interleaved(even: u32, odd: u32) -> u64 {
        let bit = |number: u32, at: u32| u64::from(number >> at & 1);
        (0..32).map(|at| bit(even, at) << (2 * at) | bit(odd, at) << (2 * at + 1)).sum()
    }

    proptest! {
        #[test]
        fn bits_go_apart_and_together_again(even in any::<u32>(), odd in any::<u32>()) {
            prop_assert_eq!(interleave(even, odd), interleaved(even, odd));
            prop_assert_eq!(deinterleave(interleave(even, odd)), (even, odd));
        }

        #[test]
        fn a_place_comes_back_within_half_a_cell(point in any_point()) {
            let back = Point::of_score(point.score() as f64);
            let cells = f64::from(1 << STEPS_MAX);
            // At 180 degrees a score is longer than the digits of a double: its last bit is lost.
            let cells_off = if point.longitude == 180.0 { 1.500_001 } else { 0.500_001 };
            let (wide, high) = (360.0 / cells, 170.102_257_56 / cells);
            prop_assert!((back.longitude - point.longitude).abs() <= wide * 0.500_001);
            prop_assert!((back.latitude - point.latitude).abs() <= high * cells_off);
        }

        #[test]
        fn a_cell_holds_its_places(point in any_point(), steps in 1..=STEPS_MAX) {
            let bounds = Cell::of(point, steps).bounds();
            let rounding = 1e-12;
            prop_assert!(bounds.west - rounding <= point.longitude);
            prop_assert!(point.longitude <= bounds.east + rounding);
            prop_assert!(bounds.south - rounding <= point.latitude);
            prop_assert!(point.latitude <= bounds.north + rounding);
        }

        #[test]
        fn every_number_is_a_score(bits in any::<u64>()) {
            let point = Point::of_score(f64::from_bits(bits));
            prop_assert!(Point::new(point.longitude, point.latitude).is_some());
        }

        #[test]
        fn moves_there_and_back_end_where_they_began(
            longitude in -180.0..180.0, latitude in -85.0..85.0, steps in 1..=STEPS_MAX,
            east in -1..=1, north in -1..=1,
        ) {
            let cell = Cell::of(Point { longitude, latitude }, steps);
            prop_assert_eq!(cell.moved(east, north).moved(-east, -north), cell);
        }
    }

    #[test]
    fn places_outside_of_the_world_are_none() {
        assert!(Point::new(180.0, 85.051_128_78).is_some());
        for (longitude, latitude) in [(180.1, 0.0), (-180.1, 0.0), (0.0, 85.06), (0.0, -85.06)] {
            assert_eq!(Point::new(longitude, latitude), None);
        }
        assert_eq!(Point::new(f64::NAN, 0.0), None);
        assert_eq!(Point::new(0.0, f64::NAN), None);
    }
}
