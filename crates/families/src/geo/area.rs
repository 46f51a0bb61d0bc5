//! Which scores a search visits.
//!
//! A cell around the middle of the shape, so large that the shape reaches no farther than the
//! eight cells around it; those that the shape does not reach are left out. The cells, their
//! order and what is left out are those of Redis: so are the places found near the poles, where
//! its bounds of a shape may be too narrow.

use std::ops::Range;

use smallvec::SmallVec;

use super::hash::{Bounds, Cell, LATITUDES, Point, STEPS_MAX};
use super::shape::Shape;

/// Half the way around the Earth on the map of the web, in metres.
const MAP_MAX: f64 = 20_037_726.37;

/// The middle and its neighbours, in the order that they are visited: by steps to the east and to
/// the north.
const PLACES: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// The ranges of scores to visit, in order; none overlaps another.
#[must_use]
pub fn ranges(shape: &Shape) -> SmallVec<[Range<u64>; 9]> {
    let bounds = shape.bounds();
    let middle = middle_cell(shape, &bounds);
    let mut visited: SmallVec<[Cell; 9]> = SmallVec::new();
    for (east, north) in PLACES {
        // Around a world of few cells neighbours on both sides are the same.
        let cell = middle.moved(east, north);
        if reaches(middle, &bounds, east, north) && !visited.contains(&cell) {
            visited.push(cell);
        }
    }
    visited.into_iter().map(scores).collect()
}

/// The scores of the places in a cell.
fn scores(cell: Cell) -> Range<u64> {
    let shift = 2 * (STEPS_MAX - cell.steps);
    cell.bits << shift..cell.bits.wrapping_add(1) << shift
}

/// The cell in the middle, of such a size that the neighbours cover the bounds.
fn middle_cell(shape: &Shape, bounds: &Bounds) -> Cell {
    let middle = shape.middle();
    let steps = steps_for(shape.reach(), middle.latitude);
    // That of a polygon around a pole may lie where no score does.
    let middle =
        Point { latitude: middle.latitude.clamp(*LATITUDES.start(), *LATITUDES.end()), ..middle };
    let cell = Cell::of(middle, steps);
    let is_short = cell.moved(0, 1).bounds().north < bounds.north
        || cell.moved(0, -1).bounds().south > bounds.south
        || cell.moved(1, 0).bounds().east < bounds.east
        || cell.moved(-1, 0).bounds().west > bounds.west;
    if is_short && steps > 1 { Cell::of(middle, steps - 1) } else { cell }
}

/// How many halvings leave cells about as large as a shape that reaches so far.
fn steps_for(reach: f64, latitude: f64) -> u32 {
    if reach <= 0.0 || reach.is_nan() {
        return STEPS_MAX;
    }
    let mut steps = 1_u32;
    let mut doubled = reach;
    while doubled < MAP_MAX {
        doubled *= 2.0;
        steps += 1;
    }
    // Meridians lie closer together towards the poles.
    let narrow = u32::from(latitude.abs() > 66.0) + u32::from(latitude.abs() > 80.0);
    steps.saturating_sub(2 + narrow).clamp(1, STEPS_MAX)
}

/// Whether the bounds reach out of the middle cell on the sides where this neighbour lies.
fn reaches(middle: Cell, bounds: &Bounds, east: i32, north: i32) -> bool {
    if middle.steps < 2 {
        return true;
    }
    let cell = middle.bounds();
    let ends_before_east = match east {
        1 => cell.east > bounds.east,
        -1 => cell.west < bounds.west,
        _ => false,
    };
    let ends_before_north = match north {
        1 => cell.north > bounds.north,
        -1 => cell.south < bounds.south,
        _ => false,
    };
    !ends_before_east && !ends_before_north
}
