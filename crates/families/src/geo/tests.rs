//! The rules together, against what Redis 7.0, Redis 8.0 and Valkey 9.1 answered, which all
//! answered the same, and against their own definition.

use proptest::prelude::*;

use super::area::ranges;
use super::hash::{Bounds, LATITUDES, Point, geohash};
use super::shape::{Shape, Unit, distance, distance_text};

fn at((longitude, latitude): (f64, f64)) -> Point {
    Point { longitude, latitude }
}

type Place = ((f64, f64), u64, &'static str, (f64, f64));

/// Places as they were given to GEOADD, and what ZSCORE, GEOHASH and GEOPOS told of them.
#[rustfmt::skip]
const PLACES: &[Place] = &[
    ((13.361389, 38.115556), 3479099956230698, "sqc8b49rny0", (13.361389338970184,
        38.1155563954963)),
    ((15.087269, 37.502669), 3479447370796909, "sqdtr74hyu0", (15.087267458438873,
        37.50266842333162)),
    ((0.0, 0.0), 3377699720527872, "s0000000000", (2.682209014892578e-06, 1.2673605809254695e-06)),
    ((-180.0, -85.05112878), 0, "00bh0hbj200", (-179.99999731779099, -85.05112751263943)),
    ((180.0, 85.05112878), 13510798882111488, "bp05b5048p0", (180.0, 85.05112878)),
    ((180.0, 0.0), 10133099161583616, "80000000000", (180.0, 1.2673605809254695e-06)),
    ((-0.1276, 51.5072), 2163557714838307, "gcpvj0e54w0", (-0.12760072946548462,
        51.50720053692976)),
    ((139.6917, 35.6895), 4171231230197045, "xn774c06kt0", (139.691701233387, 35.68950126697937)),
    ((-58.3816, -34.6037), 887133777343301, "69y7pkxff40", (-58.381602466106415,
        -34.60370022923218)),
    ((1e-07, -1e-07), 2627099782632789, "kpbpbpbpbp0", (2.682209014892578e-06,
        -1.2673605809254695e-06)),
    ((-122.4194, 37.7749), 1367859919124626, "9q8yyk8ytp0", (-122.41940170526505,
        37.77490001056578)),
    ((179.9999999, -85.0511), 3002399751580399, "pbzupuzvrv0", (179.99999731779099,
        -85.05109963070666)),
];

/// Two of [`PLACES`], and what GEODIST told of them in `m`, `km`, `ft` and `mi`.
#[rustfmt::skip]
const DISTANCES: &[((usize, usize), [&str; 4])] = &[
    ((0, 1), ["166274.1516", "166.2742", "545518.8700", "103.3182"]),
    ((2, 4), ["10560811.4940", "10560.8115", "34648331.6733", "6562.2003"]),
    ((3, 4), ["18919844.5891", "18919.8446", "62072980.9353", "11756.2756"]),
    ((6, 7), ["9561422.2073", "9561.4222", "31369495.4308", "5941.2071"]),
    ((8, 10), ["10412465.1626", "10412.4652", "34161631.1109", "6470.0220"]),
    ((2, 9), ["0.2819", "0.0003", "0.9250", "0.0002"]),
    ((5, 2), ["20020733.6202", "20020.7336", "65684821.5884", "12440.3380"]),
    ((1, 6), ["1962251.9963", "1962.2520", "6437834.6337", "1219.2899"]),
];

/// How many of the world's places a search found, and the sum of their numbers, each times its
/// place among those found.
type Found = (usize, usize);

const CIRCLES: [(f64, Unit); 7] = [
    (300.0, Unit::Kilometre),
    (900.0, Unit::Mile),
    (2500.0, Unit::Kilometre),
    (5000.0, Unit::Kilometre),
    (12_000.0, Unit::Kilometre),
    (3e6, Unit::Foot),
    (0.0, Unit::Metre),
];

const BOXES: [(f64, f64, Unit); 5] = [
    (400.0, 900.0, Unit::Kilometre),
    (2000.0, 300.0, Unit::Mile),
    (8000.0, 3000.0, Unit::Kilometre),
    (1.0, 9e6, Unit::Metre),
    (30_000.0, 1500.0, Unit::Kilometre),
];

type Search = ((f64, f64), [Found; 7], [Found; 5]);

/// A middle, and what GEOSEARCH found around it in each of [`CIRCLES`] and [`BOXES`].
#[rustfmt::skip]
const SEARCHES: &[Search] = &[
    ((0.0, 0.0), [(1, 1796), (18, 181826), (57, 1952897), (216, 24136779), (1409, 996534992),
        (8, 37317), (0, 0)], [(2, 5378), (4, 9959), (66, 2378915), (1, 1801), (120, 7402775)]),
    ((13.4, 52.5), [(1, 1666), (32, 520244), (93, 4270571), (372, 70619461), (1239, 775375596),
        (14, 93796), (0, 0)], [(2, 4993), (7, 27411), (108, 5891251), (0, 0), (159, 12756810)]),
    ((179.5, 10.0), [(1, 747), (14, 111616), (48, 1094046), (212, 23483306), (1397, 993440103),
        (7, 32604), (0, 0)], [(0, 0), (4, 9603), (64, 2163819), (0, 0), (123, 7673739)]),
    ((-179.9, -20.0), [(1, 717), (20, 172723), (54, 1286307), (239, 26887556), (1351,
        899527782), (7, 13611), (0, 0)], [(2, 2141), (4, 9838), (69, 2325630), (0, 0), (142,
        9898809)]),
    ((-70.0, -60.0), [(1, 368), (38, 661774), (102, 4888835), (424, 88683509), (1225,
        737185136), (16, 148397), (0, 0)], [(2, 1114), (8, 29594), (152, 11909106), (0, 0),
        (159, 12708028)]),
    ((30.0, 70.0), [(2, 1544), (57, 1649382), (148, 11269718), (443, 99868559), (1217,
        750337363), (21, 198638), (0, 0)], [(4, 4631), (14, 118265), (237, 28340355), (1,
        1501), (159, 12940446)]),
    ((100.0, -80.0), [(4, 7919), (78, 3060588), (196, 19232893), (469, 110731626), (1219,
        750685643), (37, 745229), (0, 0)], [(6, 21273), (27, 347316), (204, 20637349), (1,
        801), (142, 9933127)]),
    ((10.0, 84.0), [(4, 7692), (83, 3585313), (199, 20347489), (464, 109129668), (1209,
        741135581), (34, 614290), (0, 0)], [(3, 5119), (32, 537338), (166, 14285465), (0, 0),
        (87, 3890016)]),
    ((-3.3, -1.1), [(0, 0), (19, 210876), (53, 1446649), (223, 24281828), (1414, 992685646),
        (8, 43121), (0, 0)], [(0, 0), (4, 10950), (67, 2160708), (0, 0), (120, 7368478)]),
];

type Polygon = (&'static [(f64, f64)], Found, Option<(usize, &'static str)>);

/// Corners, what GEOSEARCH BYPOLYGON of Valkey found, and the nearest of it with its distance.
#[rustfmt::skip]
const POLYGONS: &[Polygon] = &[
    (&[(0.0, 0.0), (20.0, 0.0), (10.0, 15.0)], (6, 19959), Some((969, "122061.3197"))),
    (&[(-60.0, -40.0), (60.0, -40.0), (0.0, 40.0), (-20.0, 60.0), (-30.0, -10.0)],
        (175, 14765082), Some((513, "312764.0369"))),
    (&[(170.0, -10.0), (180.0, -10.0), (180.0, 10.0), (170.0, 10.0)],
        (8, 19366), Some((736, "384005.9914"))),
    (&[(-180.0, 60.0), (180.0, 60.0), (180.0, 80.0), (-180.0, 80.0)],
        (56, 1653685), Some((1457, "72355.0176"))),
    (&[(-10.0, -80.0), (10.0, -80.0), (30.0, -70.0), (-40.0, -65.0)],
        (17, 155137), Some((1900, "142133.8178"))),
    (&[(100.0, 10.0), (101.0, 10.0), (100.5, 10.0)], (0, 0), None),
    (&[(-179.0, -85.0), (179.0, -85.0), (179.0, 85.0), (-179.0, 85.0)],
        (1010, 500843851), Some((736, "190060.4804"))),
];

/// The places that were searched, spread over the world, by number.
fn world() -> Vec<Point> {
    let degrees = |nth: i64, step: i64, count: i64| (nth * step % count - count / 2) as f64 / 10.0;
    (0..2000).map(|nth| at((degrees(nth, 7919, 3600), degrees(nth, 104_729, 1700)))).collect()
}

/// The numbers of the places found, as a search over a sorted set finds them.
fn search(shape: &Shape) -> Vec<usize> {
    let mut scores: Vec<_> = world().into_iter().map(Point::score).zip(0..).collect();
    scores.sort_unstable();
    let mut found = Vec::new();
    for range in ranges(shape) {
        let visited = scores.iter().filter(|(score, _)| range.contains(score));
        let inside = visited
            .filter(|(score, _)| shape.distance_within(Point::of_score(*score as f64)).is_some());
        found.extend(inside.map(|(_, number)| *number));
    }
    found
}

fn figures(found: &[usize]) -> Found {
    let sum = (1..).zip(found).map(|(place, number)| place * (number + 1)).sum();
    (found.len(), sum)
}

#[test]
fn places_have_the_scores_and_texts_of_the_reference_servers() {
    for &(place, score, text, back) in PLACES {
        let point = Point::new(place.0, place.1).expect("it is in the world");
        assert_eq!(point.score(), score, "{place:?}");
        let stored = Point::of_score(score as f64);
        assert_eq!((stored.longitude, stored.latitude), back, "{place:?}");
        assert_eq!(std::str::from_utf8(&geohash(stored)), Ok(text), "{place:?}");
    }
}

#[test]
fn distances_have_the_digits_of_the_reference_servers() {
    for &((from, to), texts) in DISTANCES {
        let [from, to] = [from, to].map(|nth| Point::of_score(PLACES[nth].1 as f64));
        let found = ["M", "km", "Ft", "mi"].map(|name| {
            let unit = Unit::parse(name.as_bytes()).expect("it is a unit");
            distance_text(distance(from, to) / unit.metres())
        });
        assert_eq!(found, texts.map(str::to_owned));
    }
    assert_eq!(distance_text(0.0), "0.0000");
    assert_eq!(distance_text(0.000_05), "0.0000", "to the even one");
    assert_eq!(distance_text(-1.5), "-1.5000");
    assert_eq!(Unit::parse(b"miles"), None);
}

#[test]
fn searches_find_what_the_reference_servers_find_in_their_order() {
    for &(middle, circles, boxes) in SEARCHES {
        for ((radius, unit), expected) in CIRCLES.into_iter().zip(circles) {
            let shape = Shape::circle(at(middle), radius, unit);
            assert_eq!(figures(&search(&shape)), expected, "{shape:?}");
        }
        for ((width, height, unit), expected) in BOXES.into_iter().zip(boxes) {
            let shape = Shape::rectangle(at(middle), width, height, unit);
            assert_eq!(figures(&search(&shape)), expected, "{shape:?}");
        }
    }
}

#[test]
fn polygons_hold_what_the_reference_server_finds_in_them() {
    for &(corners, expected, nearest) in POLYGONS {
        let corners: Vec<Point> = corners.iter().copied().map(at).collect();
        let shape = Shape::polygon(&corners).expect("it has corners enough");
        let found = search(&shape);
        assert_eq!(figures(&found), expected, "{shape:?}");
        let stored = |number: usize| Point::of_score(world()[number].score() as f64);
        let far = |number: usize| shape.distance_within(stored(number)).expect("it was found");
        let near = found.into_iter().min_by(|one, other| far(*one).total_cmp(&far(*other)));
        let told = near.map(|number| (number, distance_text(far(number))));
        assert_eq!(told, nearest.map(|(number, text)| (number, text.to_owned())));
    }
    assert_eq!(Shape::polygon(&[at((0.0, 0.0)), at((1.0, 1.0))]), None);
}

/// A middle with the metres that a search may reach there before the bounds of Redis get too
/// narrow.
fn middle_and_reach() -> impl Strategy<Value = (Point, f64)> {
    let zone = prop_oneof![Just((66.0, 500e3)), Just((80.0, 100e3)), Just((84.0, 50e3))];
    let parts = (-1.0..1.0, -180.0..180.0, 0.0..1.0);
    (zone, parts).prop_map(|((latitude, reach), (north, longitude, part))| {
        (at((longitude, latitude * north)), reach * part)
    })
}

fn is_visited(shape: &Shape, place: Point) -> bool {
    ranges(shape).iter().any(|range| range.contains(&place.score()))
}

/// A place within bounds, which may reach over the edges of the world.
fn place_in(bounds: &Bounds, (east, north): (f64, f64)) -> Point {
    let longitude = bounds.west + (bounds.east - bounds.west) * east;
    let latitude = bounds.south + (bounds.north - bounds.south) * north;
    let longitude = if longitude < -180.0 {
        longitude + 360.0
    } else if longitude > 180.0 {
        longitude - 360.0
    } else {
        longitude
    };
    at((longitude, latitude.clamp(*LATITUDES.start(), *LATITUDES.end())))
}

fn part() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, Just(0.0), Just(1.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn all_places_within_the_bounds_of_a_circle_are_visited(
        (middle, radius) in middle_and_reach(), parts in (part(), part()),
    ) {
        let shape = Shape::circle(middle, radius, Unit::Metre);
        prop_assert!(is_visited(&shape, place_in(&shape.bounds(), parts)));
    }

    #[test]
    fn a_circle_holds_what_is_as_near_as_its_radius(
        (middle, radius) in middle_and_reach(), parts in (part(), part()), edge in 0.999..1.001,
    ) {
        let place = place_in(&Shape::circle(middle, radius, Unit::Metre).bounds(), parts);
        let metres = distance(middle, place);
        for radius in [radius, metres, metres * edge, metres.next_down()] {
            let within = Shape::circle(middle, radius, Unit::Metre).distance_within(place);
            prop_assert_eq!(within, (metres <= radius).then_some(metres));
        }
    }

    #[test]
    fn all_places_within_a_circle_are_within_its_bounds(
        (middle, radius) in middle_and_reach(), angle in 0.0..std::f64::consts::TAU,
    ) {
        // As the crow flies from the middle; a little less, for the rounding.
        let shape = Shape::circle(middle, radius, Unit::Metre);
        let bounds = shape.bounds();
        let half = (bounds.east - bounds.west) / 2.0;
        let (mut low, mut high) = (0.0, 1.0);
        let on_ray = |part: f64| at((
            middle.longitude + angle.cos() * half * 1.5 * part,
            middle.latitude + angle.sin() * (bounds.north - middle.latitude) * 1.5 * part,
        ));
        for _ in 0..60 {
            let part = (low + high) / 2.0;
            if shape.distance_within(on_ray(part)).is_some() { low = part } else { high = part }
        }
        let farthest = on_ray(low);
        let rounding = 1e-9;
        prop_assert!(bounds.west - rounding <= farthest.longitude);
        prop_assert!(farthest.longitude <= bounds.east + rounding);
        prop_assert!(bounds.south - rounding <= farthest.latitude);
        prop_assert!(farthest.latitude <= bounds.north + rounding);
    }

    #[test]
    fn all_places_within_the_bounds_of_a_box_are_visited(
        (middle, reach) in middle_and_reach(), angle in 0.0..std::f64::consts::FRAC_PI_2,
        parts in (part(), part()),
    ) {
        let (width, height) = (2.0 * reach * angle.cos(), 2.0 * reach * angle.sin());
        let shape = Shape::rectangle(middle, width, height, Unit::Metre);
        prop_assert!(is_visited(&shape, place_in(&shape.bounds(), parts)));
    }

    #[test]
    fn all_places_within_a_polygon_are_visited(
        (middle, reach) in middle_and_reach(),
        corners in prop::collection::vec((-1.0..1.0, -1.0..1.0), 3..8),
        parts in (part(), part()),
    ) {
        let around = Shape::circle(middle, reach, Unit::Metre).bounds();
        let corner = |(east, north): (f64, f64)| {
            let longitude = middle.longitude + east * (around.east - middle.longitude) / 4.0;
            let latitude = middle.latitude + north * (around.north - middle.latitude) / 4.0;
            at((longitude.clamp(-180.0, 180.0), latitude))
        };
        let corners: Vec<Point> = corners.into_iter().map(corner).collect();
        let shape = Shape::polygon(&corners).expect("it has corners enough");
        let place = place_in(&shape.bounds(), parts);
        prop_assert!(shape.distance_within(place).is_none() || is_visited(&shape, place));
    }

    #[test]
    fn no_place_is_visited_twice_whatever_the_shape(
        longitude in any::<f64>(), latitude in any::<f64>(), radius in any::<f64>(),
    ) {
        let shape = Shape::circle(at((longitude, latitude)), radius, Unit::Mile);
        let mut visited = ranges(&shape).into_vec();
        visited.sort_by_key(|range| range.start);
        let ends = visited.windows(2).all(|pair| pair[0].end <= pair[1].start);
        prop_assert!(ends || !(radius.is_finite() && longitude.abs() <= 180.0));
    }
}
