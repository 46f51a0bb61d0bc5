//! Distances, and what lies within a shape.

use super::hash::{Bounds, Point};

/// The radius of the Earth, in metres: the quadratic mean of WGS 84, as in Redis.
pub const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Sines of half a difference of longitudes below which it counts as none: some nanometres.
const SINE_MIN: f64 = 1e-15;

/// Metres by which a distance may come out less than that of the parallels: much more than rounding
/// does, even at the other end of the world.
const ROUNDING: f64 = 1.0;

/// Radians of a degree.
const DEGREE: f64 = std::f64::consts::PI / 180.0;

/// A unit of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `m`
    Metre,
    /// `km`
    Kilometre,
    /// `ft`
    Foot,
    /// `mi`
    Mile,
}

impl Unit {
    /// The unit of this name, whatever its case.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Unit> {
        match name.to_ascii_lowercase().as_slice() {
            b"m" => Some(Unit::Metre),
            b"km" => Some(Unit::Kilometre),
            b"ft" => Some(Unit::Foot),
            b"mi" => Some(Unit::Mile),
            _ => None,
        }
    }

    /// How many metres it is.
    #[must_use]
    pub fn metres(self) -> f64 {
        match self {
            Unit::Metre => 1.0,
            Unit::Kilometre => 1000.0,
            Unit::Foot => 0.3048,
            Unit::Mile => 1609.34,
        }
    }
}

/// The distance of two places, in metres, by the haversine of the angle between them.
#[must_use]
pub fn distance(from: Point, to: Point) -> f64 {
    let across = ((to.longitude * DEGREE - from.longitude * DEGREE) / 2.0).sin();
    if across.abs() <= SINE_MIN {
        return distance_of_latitudes(from.latitude, to.latitude);
    }
    let (south, north) = (from.latitude * DEGREE, to.latitude * DEGREE);
    let along = ((north - south) / 2.0).sin();
    let haversine = along * along + south.cos() * north.cos() * across * across;
    2.0 * EARTH_RADIUS * haversine.sqrt().asin()
}

fn distance_of_latitudes(one: f64, other: f64) -> f64 {
    EARTH_RADIUS * (other * DEGREE - one * DEGREE).abs()
}

/// A distance as commands write it: with four digits behind the point, the last one rounded to
/// the nearest, to an even one if two are as near.
#[must_use]
pub fn distance_text(distance: f64) -> String {
    const DIGITS: usize = 4;
    let scaled = (distance * 10_f64.powi(DIGITS as i32)).round_ties_even() as i64;
    let sign = if scaled < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", scaled.unsigned_abs(), width = DIGITS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - DIGITS);
    format!("{sign}{whole}.{fraction}")
}

/// A shape that a search looks into.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub(super) middle: Point,
    pub(super) outline: Outline,
    /// Of the lengths in the outline.
    pub(super) unit: Unit,
}

/// What a shape has besides its middle. Lengths stay in the unit that they were given in, as
/// Redis rounds there, too.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outline {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
    Polygon { corners: Box<[Point]> },
}

impl Shape {
    /// All places no farther from the middle than the radius.
    #[must_use]
    pub fn circle(middle: Point, radius: f64, unit: Unit) -> Shape {
        Shape { middle, outline: Outline::Circle { radius }, unit }
    }

    /// All places no farther from the middle than half the height to north or south, and half the
    /// width to east or west, along their own parallel.
    #[must_use]
    pub fn rectangle(middle: Point, width: f64, height: f64, unit: Unit) -> Shape {
        Shape { middle, outline: Outline::Box { width, height }, unit }
    }

    /// All places within a polygon, whose edges are straight lines on a map of degrees. Distances
    /// are counted from the mean of its corners on the globe. `None` if it has less than three.
    #[must_use]
    pub fn polygon(corners: &[Point]) -> Option<Shape> {
        let outline = Outline::Polygon { corners: corners.into() };
        let is_one = corners.len() >= 3;
        is_one.then(|| Shape { middle: mean(corners), outline, unit: Unit::Metre })
    }

    /// Where distances are counted from.
    #[must_use]
    pub fn middle(&self) -> Point {
        self.middle
    }

    /// The distance of a place from the middle, in metres, if the place lies within the shape.
    #[must_use]
    pub fn distance_within(&self, place: Point) -> Option<f64> {
        let metres = self.unit.metres();
        match &self.outline {
            &Outline::Circle { radius } => {
                // Most of what is too far is so by its parallel already, which needs no sine.
                let apart = distance_of_latitudes(self.middle.latitude, place.latitude);
                if apart > radius * metres + ROUNDING {
                    return None;
                }
                let distance = distance(self.middle, place);
                // As a negation, so that a distance that is no number is within.
                let is_beyond = distance > radius * metres;
                (!is_beyond).then_some(distance)
            }
            &Outline::Box { width, height } => {
                self.distance_within_box(place, width * metres, height * metres)
            }
            Outline::Polygon { corners } => {
                is_within(place, corners).then(|| distance(self.middle, place))
            }
        }
    }

    fn distance_within_box(&self, place: Point, width: f64, height: f64) -> Option<f64> {
        if distance_of_latitudes(place.latitude, self.middle.latitude) > height / 2.0 {
            return None;
        }
        let beside = Point { longitude: self.middle.longitude, ..place };
        if distance(place, beside) > width / 2.0 {
            return None;
        }
        Some(distance(self.middle, place))
    }

    /// A rectangle in degrees around the shape. It may reach beyond the world; near the poles it
    /// may be too narrow or turned around, as it is in Redis.
    #[must_use]
    pub(super) fn bounds(&self) -> Bounds {
        let metres = self.unit.metres();
        match &self.outline {
            &Outline::Circle { radius } => self.bounds_of(metres * radius, metres * radius),
            &Outline::Box { width, height } => {
                self.bounds_of(metres * width / 2.0, metres * height / 2.0)
            }
            Outline::Polygon { corners } => bounds_of_corners(corners),
        }
    }

    /// The bounds of what is so far from the middle at most.
    fn bounds_of(&self, width: f64, height: f64) -> Bounds {
        let Point { longitude, latitude } = self.middle;
        let up = height / EARTH_RADIUS / DEGREE;
        // Parallels are shortest towards the poles.
        let narrow = if latitude < 0.0 { latitude - up } else { latitude + up };
        let across = width / EARTH_RADIUS / (narrow * DEGREE).cos() / DEGREE;
        Bounds {
            west: longitude - across,
            south: latitude - up,
            east: longitude + across,
            north: latitude + up,
        }
    }

    /// How far from the middle the shape reaches at most, in metres.
    #[must_use]
    pub(super) fn reach(&self) -> f64 {
        let metres = self.unit.metres();
        match &self.outline {
            &Outline::Circle { radius } => radius * metres,
            &Outline::Box { width, height } => {
                let (across, up) = (width / 2.0, height / 2.0);
                (across * across + up * up).sqrt() * metres
            }
            Outline::Polygon { corners } => {
                let Bounds { west, south, east, north } = bounds_of_corners(corners);
                let ends = [(west, north), (east, north), (west, south), (east, south)];
                let far = ends.map(|(longitude, latitude)| {
                    distance(self.middle, Point { longitude, latitude })
                });
                far.into_iter().fold(0.0, f64::max)
            }
        }
    }
}

fn bounds_of_corners(corners: &[Point]) -> Bounds {
    let least = |of: fn(&Point) -> f64| corners.iter().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&Point) -> f64| corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    Bounds {
        west: least(|corner| corner.longitude),
        south: least(|corner| corner.latitude),
        east: most(|corner| corner.longitude),
        north: most(|corner| corner.latitude),
    }
}

/// The place on the globe under the mean of these places in space.
fn mean(places: &[Point]) -> Point {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for place in places {
        let (longitude, latitude) = (place.longitude * DEGREE, place.latitude * DEGREE);
        x += latitude.cos() * longitude.cos();
        y += latitude.cos() * longitude.sin();
        z += latitude.sin();
    }
    let longitude = f64::atan2(y, x) / DEGREE;
    Point { longitude, latitude: f64::atan2(z, (x * x + y * y).sqrt()) / DEGREE }
}

/// Whether a ray from the place to the east meets an odd number of edges.
fn is_within(place: Point, corners: &[Point]) -> bool {
    let before = corners.iter().cycle().skip(corners.len().saturating_sub(1));
    let edges = corners.iter().zip(before);
    let met = edges.filter(|&(one, other)| {
        let crosses = (one.latitude > place.latitude) != (other.latitude > place.latitude);
        crosses && place.longitude < longitude_on_edge(*one, *other, place.latitude)
    });
    met.count() % 2 == 1
}

/// Where an edge meets a parallel.
fn longitude_on_edge(one: Point, other: Point, latitude: f64) -> f64 {
    (other.longitude - one.longitude) * (latitude - one.latitude) / (other.latitude - one.latitude)
        + one.longitude
}
