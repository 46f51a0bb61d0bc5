//! Places within a shape: GEOSEARCH, GEOSEARCHSTORE.

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Prepared, Reply, Run,
    View, event,
};
use keyspace::zset_of;
use value::entries::Element;
use value::zset::{Name, ZSetRef};

use super::area;
use super::hash::Point;
use super::places::{GEOADD, take_point, take_unit, tell_point};
use super::shape::{Shape, Unit, distance_text};
use crate::element::tell;
use crate::sorted_set::{Outcome, name_of};
use crate::work;

pub(super) const GEOSEARCH: Command = Command {
    name: "GEOSEARCH",
    work: Some(|args, keys| visited(false, args, keys)),
    run: Run::Read(geosearch),
    arity: Arity::AtLeast(7),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    since: "6.2.0",
    summary: "Returns the places within a circle, a rectangle or a polygon.",
    complexity: "O(N+log(M)) for N places around the shape, of M",
    syntax: "key <FROMMEMBER member|FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>|\
             BYPOLYGON corners (longitude latitude) ...> [ASC|DESC] [COUNT count [ANY]] \
             [WITHCOORD] [WITHDIST] [WITHHASH]",
    history: &[],
    ..GEOADD
};

pub(super) const GEOSEARCHSTORE: Command = Command {
    name: "GEOSEARCHSTORE",
    work: Some(|args, keys| work::INSERT_STEPS * visited(true, args.skip(1), keys)),
    run: Run::Write(geosearchstore),
    prepare: Some(|args, keys, _| prepare(args, keys)),
    arity: Arity::AtLeast(8),
    keys: &[KeySpec::one(1, KeyUse::OVERWRITE), KeySpec::one(2, KeyUse::READ)],
    flags: Flags::DENY_OOM,
    summary: "Stores the places within a circle, a rectangle or a polygon.",
    syntax: "destination source <FROMMEMBER member|FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>|\
             BYPOLYGON corners (longitude latitude) ...> [ASC|DESC] [COUNT count [ANY]] [STOREDIST]",
    ..GEOSEARCH
};

/// The outline of a shape whose middle is not known yet.
#[derive(Clone, Copy)]
pub(super) enum Around {
    Radius(f64, Unit),
    Box(f64, f64, Unit),
}

/// In which order places are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sorting {
    AsMet,
    NearestFirst,
    FarthestFirst,
}

/// A search, as a request asks for it.
pub(super) struct Search {
    middle: Option<Point>,
    /// A middle was named, though there may be no key that holds it.
    has_middle: bool,
    around: Option<Around>,
    polygon: Option<Shape>,
    sorting: Sorting,
    /// 0: all.
    count: usize,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    /// Distances are stored, not scores.
    pub(super) by_distance: bool,
}

/// A place that was found.
struct Found<'v> {
    name: Element<'v>,
    score: f64,
    metres: f64,
}

impl Search {
    /// One of which nothing is known yet.
    pub(super) const NEW: Search = Search {
        middle: None,
        has_middle: false,
        around: None,
        polygon: None,
        sorting: Sorting::AsMet,
        count: 0,
        any: false,
        with_distance: false,
        with_hash: false,
        with_point: false,
        by_distance: false,
    };

    /// One whose shape is known.
    pub(super) fn around(middle: Point, around: Around) -> Search {
        Search { middle: Some(middle), has_middle: true, around: Some(around), ..Search::NEW }
    }

    fn parse(
        mut args: Args<'_>,
        stores: bool,
        set: Option<ZSetRef<'_>>,
    ) -> Result<Search, CommandError> {
        let mut search = Search::NEW;
        while !args.is_empty() {
            if stores && args.word("STOREDIST") {
                search.by_distance = true;
            } else if !search.take_option(&mut args)? && !search.take_shape(&mut args, set)? {
                return Err(CommandError::Syntax);
            }
        }
        search.check_parts(stores)?;
        search.check_count()?;
        Ok(search)
    }

    /// Takes an option that every search may have; `false`: there is none.
    pub(super) fn take_option(&mut self, args: &mut Args<'_>) -> Result<bool, CommandError> {
        if args.word_with_value("COUNT") {
            let count: i64 = args.take()?;
            let count = usize::try_from(count).ok().filter(|&count| count > 0);
            self.count = count.ok_or_else(|| CommandError::text("ERR COUNT must be > 0"))?;
            return Ok(true);
        }
        Ok(self.take_flag(args))
    }

    fn take_flag(&mut self, args: &mut Args<'_>) -> bool {
        if args.word("WITHDIST") {
            self.with_distance = true;
        } else if args.word("WITHHASH") {
            self.with_hash = true;
        } else if args.word("WITHCOORD") {
            self.with_point = true;
        } else if args.word("ANY") {
            self.any = true;
        } else if args.word("ASC") {
            self.sorting = Sorting::NearestFirst;
        } else if args.word("DESC") {
            self.sorting = Sorting::FarthestFirst;
        } else {
            return false;
        }
        true
    }

    /// Takes an option with values; `false`: there is none.
    fn take_shape(
        &mut self,
        args: &mut Args<'_>,
        set: Option<ZSetRef<'_>>,
    ) -> Result<bool, CommandError> {
        let is_polygon = self.polygon.is_some();
        let is_box = matches!(self.around, Some(Around::Box(..)));
        let is_circle = matches!(self.around, Some(Around::Radius(..)));
        let is_at_point = self.has_middle && self.middle.is_some();
        if !is_polygon && !is_at_point && args.word_with_value("FROMMEMBER") {
            let name = args.bytes()?;
            self.has_middle = true;
            if let Some(set) = set {
                self.middle = Some(member_place(set, name)?);
            }
        } else if !is_polygon && !self.has_middle && args.len() > 2 && args.word("FROMLONLAT") {
            self.middle = Some(take_point(args)?);
            self.has_middle = true;
        } else if !is_polygon && !is_box && args.len() > 2 && args.word("BYRADIUS") {
            self.around = Some(take_radius(args)?);
        } else if !is_polygon && !is_circle && args.len() > 3 && args.word("BYBOX") {
            let width = take_length(args, "ERR need numeric width")?;
            let height = take_length(args, "ERR need numeric height")?;
            if width < 0.0 || height < 0.0 {
                return Err(CommandError::text("ERR height or width cannot be negative"));
            }
            self.around = Some(Around::Box(width, height, take_unit(args)?));
        } else if self.around.is_none()
            && !self.has_middle
            && args.len() > 2
            && args.word("BYPOLYGON")
        {
            self.polygon = Some(take_polygon(args)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// What is stored has no parts beside its score: `who` stores.
    pub(super) fn check_stores(&self, who: &str) -> Result<(), CommandError> {
        if self.with_distance || self.with_hash || self.with_point {
            return Err(CommandError::text(format!(
                "ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        Ok(())
    }

    fn check_parts(&self, stores: bool) -> Result<(), CommandError> {
        let name = if stores { GEOSEARCHSTORE.name } else { GEOSEARCH.name };
        if stores {
            self.check_stores(name)?;
        }
        if !self.has_middle && self.polygon.is_none() {
            return Err(CommandError::text(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if self.around.is_none() && self.polygon.is_none() {
            return Err(CommandError::text(format!(
                "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {name}"
            )));
        }
        Ok(())
    }

    pub(super) fn check_count(&self) -> Result<(), CommandError> {
        if self.any && self.count == 0 {
            return Err(CommandError::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The shape, and the unit that distances are told in.
    fn shape(&self) -> Option<(Shape, Unit)> {
        if let Some(polygon) = &self.polygon {
            return Some((polygon.clone(), Unit::Metre));
        }
        let middle = self.middle?;
        Some(match self.around? {
            Around::Radius(radius, unit) => (Shape::circle(middle, radius, unit), unit),
            Around::Box(width, height, unit) => {
                (Shape::rectangle(middle, width, height, unit), unit)
            }
        })
    }

    /// The places in the shape, in the order in which they are to be told.
    fn run<'v>(&self, shape: &Shape, set: ZSetRef<'v>) -> Vec<Found<'v>> {
        let mut found = Vec::new();
        let enough = if self.any { self.count } else { usize::MAX };
        for scores in area::ranges(shape) {
            let from = set.count_below(scores.start as f64, false);
            let to = set.count_below(scores.end as f64, false);
            for (name, score) in set.range(from..to) {
                if found.len() >= enough {
                    break;
                }
                if let Some(metres) = shape.distance_within(Point::of_score(score)) {
                    found.push(Found { name, score, metres });
                }
            }
        }
        // The nearest are meant where only some are wanted.
        let sorting = match self.sorting {
            Sorting::AsMet if self.count > 0 && !self.any => Sorting::NearestFirst,
            sorting => sorting,
        };
        match sorting {
            Sorting::AsMet => {}
            Sorting::NearestFirst => found.sort_by(|a, b| a.metres.total_cmp(&b.metres)),
            Sorting::FarthestFirst => found.sort_by(|a, b| b.metres.total_cmp(&a.metres)),
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }

    /// Tells the places of a set.
    pub(super) fn answer(&self, set: Option<ZSetRef<'_>>, reply: &mut Reply<'_>) {
        let (Some(set), Some((shape, unit))) = (set, self.shape()) else {
            return reply.array(0);
        };
        let found = self.run(&shape, set);
        reply.array(found.len());
        found.iter().for_each(|found| self.tell(found, unit, reply));
    }

    /// The places of a set, as they are stored.
    pub(super) fn pairs(&self, set: Option<ZSetRef<'_>>) -> Vec<(Name, f64)> {
        let (Some(set), Some((shape, unit))) = (set, self.shape()) else { return Vec::new() };
        let score = |found: &Found<'_>| match self.by_distance {
            true => found.metres / unit.metres(),
            false => found.score,
        };
        let found = self.run(&shape, set).into_iter();
        found.map(|found| (name_of(found.name), score(&found))).collect()
    }

    /// How many places it looks at.
    pub(super) fn visited(&self, set: Option<ZSetRef<'_>>) -> u64 {
        let Some((set, (shape, _))) = set.zip(self.shape()) else { return 0 };
        let rank = |score: u64| set.count_below(score as f64, false) as u64;
        let ranges = area::ranges(&shape).into_iter();
        ranges.map(|scores| rank(scores.end).saturating_sub(rank(scores.start))).sum()
    }

    fn tell(&self, found: &Found<'_>, unit: Unit, reply: &mut Reply<'_>) {
        let parts = [self.with_distance, self.with_hash, self.with_point];
        let parts = parts.into_iter().filter(|&is_wanted| is_wanted).count();
        if parts > 0 {
            reply.array(1 + parts);
        }
        tell(found.name, reply);
        if self.with_distance {
            reply.bulk(distance_text(found.metres / unit.metres()).as_bytes());
        }
        if self.with_hash {
            reply.integer(found.score as i64);
        }
        if self.with_point {
            tell_point(Point::of_score(found.score), reply);
        }
    }
}

/// Where a member is.
pub(super) fn member_place(set: ZSetRef<'_>, name: &[u8]) -> Result<Point, CommandError> {
    let refusal = || CommandError::text("ERR could not decode requested zset member");
    set.score(name).map(Point::of_score).ok_or_else(refusal)
}

/// Takes a radius and its unit.
pub(super) fn take_radius(args: &mut Args<'_>) -> Result<Around, CommandError> {
    let radius = take_length(args, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(CommandError::text("ERR radius cannot be negative"));
    }
    Ok(Around::Radius(radius, take_unit(args)?))
}

/// How many places a search looks at.
fn visited(stores: bool, args: Args<'_>, keys: &View<'_>) -> u64 {
    work::part(args, keys, |key| {
        let set = keys.stored(key).and_then(|stored| zset_of(stored, keys.hasher()));
        let search = Search::parse(args.skip(1), stores, set).ok();
        search.map_or(0, |search| search.visited(set))
    })
}

fn take_length(args: &mut Args<'_>, refusal: &str) -> Result<f64, CommandError> {
    command::parse_float(args.bytes()?).ok_or_else(|| CommandError::text(refusal))
}

fn take_polygon(args: &mut Args<'_>) -> Result<Shape, CommandError> {
    let count = command::parse_integer(args.bytes()?).and_then(|count| i32::try_from(count).ok());
    let count = count.ok_or_else(|| CommandError::text("ERR invalid number of vertices"))?;
    let few = || CommandError::text("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
    let count = usize::try_from(count).map_err(|_| few())?;
    if args.len() / 2 < count {
        return Err(few());
    }
    let corners = (0..count).map(|_| take_point(args)).collect::<Result<Vec<_>, _>>()?;
    Shape::polygon(&corners).ok_or_else(few)
}

fn geosearch(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let set = keys.zset(key.0)?;
    Search::parse(args, false, set)?.answer(set, reply);
    Ok(())
}

fn geosearchstore(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let destination: Key<'_> = args.take()?;
    stored(args, keys)?.put(destination, event::GEOSEARCHSTORE, keys, reply)
}

fn prepare<'p>(mut args: Args<'_>, keys: &View<'_>) -> Result<Prepared<'p>, CommandError> {
    let destination = args.bytes()?.to_vec();
    Ok(stored(args, keys)?.later(destination, event::GEOSEARCHSTORE))
}

fn stored(mut args: Args<'_>, keys: &View<'_>) -> Result<Outcome, CommandError> {
    let source: Key<'_> = args.take()?;
    let set = keys.zset(source.0)?;
    Outcome::of(Search::parse(args, true, set)?.pairs(set), keys)
}
