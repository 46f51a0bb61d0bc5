//! Which key a request names: the same numbers for the same seed.

/// How the numbers in `__rand_int__` are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum KeyChoice {
    /// The placeholder stays as it is.
    Literal,
    /// Each of `count` keys as likely as any other.
    Uniform {
        /// How many keys there are.
        count: u64,
    },
    /// The key of rank `k` (from 1) is chosen in proportion to `1 / k^theta`.
    Zipf {
        /// How many keys there are.
        count: u64,
        /// The skew: 0 is uniform, 0.99 is customary, above 1 is steep.
        theta: f64,
    },
    /// 0, 1, 2 ... and again from 0; the threads of a load share the walk.
    Sequential {
        /// How many keys there are.
        count: u64,
    },
}

impl KeyChoice {
    /// The numbers for one thread of several.
    pub(crate) fn keys(self, seed: u64, thread: u64, threads: u64) -> Keys {
        let source = match self {
            Self::Literal => Source::Walk { next: 0, stride: 0, count: 1 },
            Self::Uniform { count } => Source::Uniform { count: count.max(1) },
            Self::Zipf { count, theta } => Source::Zipf(Zipf::new(count, theta)),
            Self::Sequential { count } => {
                Source::Walk { next: thread % count.max(1), stride: threads, count: count.max(1) }
            }
        };
        Keys { random: Random::new(seed ^ thread.wrapping_mul(0xA076_1D64_78BD_642F)), source }
    }
}

/// An endless sequence of key numbers.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    random: Random,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Uniform { count: u64 },
    Zipf(Zipf),
    Walk { next: u64, stride: u64, count: u64 },
}

impl Keys {
    /// The next number, below the count of keys.
    pub(crate) fn next(&mut self) -> u64 {
        match &mut self.source {
            Source::Uniform { count } => self.random.below(*count),
            Source::Zipf(zipf) => zipf.rank(&mut self.random) - 1,
            Source::Walk { next, stride, count } => {
                let number = *next;
                *next = (number + *stride) % *count;
                number
            }
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): one addition and three mixing steps.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence that depends on nothing but the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`; the bias is below `count / 2^64`.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(count)) >> 64) as u64
    }

    /// A number in `0.0..1.0`.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Printable bytes, as incompressible as letters and digits are.
    pub(crate) fn text(&mut self, len: usize) -> Vec<u8> {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
        (0..len).map(|_| LETTERS[(self.next() >> 58) as usize]).collect()
    }
}

/// Zipf's distribution over the ranks `1..=count`.
///
/// Rejection-inversion (Hoermann and Derflinger, 1996): a point under the
/// continuous hat `x^-theta` is found by inverting its integral, rounded to a
/// rank, and kept if it also lies under the histogram. It needs no table, and
/// about one try in all for any `theta`.
#[derive(Clone, Debug)]
struct Zipf {
    theta: f64,
    count: f64,
    area_first: f64,
    area_all: f64,
    shortcut: f64,
}

impl Zipf {
    fn new(count: u64, theta: f64) -> Self {
        let mut zipf = Self {
            theta,
            count: count.max(1) as f64,
            area_first: 0.0,
            area_all: 0.0,
            shortcut: 0.0,
        };
        zipf.area_first = zipf.area(1.5) - 1.0;
        zipf.area_all = zipf.area(zipf.count + 0.5);
        zipf.shortcut = 2.0 - zipf.area_inverse(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    fn rank(&self, random: &mut Random) -> u64 {
        loop {
            let point = self.area_all + random.fraction() * (self.area_first - self.area_all);
            let x = self.area_inverse(point);
            let rank = (x + 0.5).floor().clamp(1.0, self.count);
            if rank - x <= self.shortcut || point >= self.area(rank + 0.5) - self.height(rank) {
                return rank as u64;
            }
        }
    }

    /// The hat at `x`.
    fn height(&self, x: f64) -> f64 {
        (-self.theta * x.ln()).exp()
    }

    /// The hat's integral from 1 to `x`.
    fn area(&self, x: f64) -> f64 {
        let power = (1.0 - self.theta) * x.ln();
        if power.abs() < 1e-9 { x.ln() } else { power.exp_m1() / (1.0 - self.theta) }
    }

    /// Where the integral reaches `area`.
    fn area_inverse(&self, area: f64) -> f64 {
        let power = (area * (1.0 - self.theta)).max(-1.0);
        if power.abs() < 1e-9 { area.exp() } else { (power.ln_1p() / (1.0 - self.theta)).exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 400_000;

    fn counts(choice: KeyChoice, keys: usize) -> Vec<u64> {
        let mut numbers = choice.keys(7, 0, 1);
        let mut counts = vec![0; keys];
        for _ in 0..DRAWS {
            counts[numbers.next() as usize] += 1;
        }
        counts
    }

    /// How many standard deviations a count is away from what it should be.
    fn distance(count: u64, share: f64) -> f64 {
        let expected = DRAWS as f64 * share;
        (count as f64 - expected).abs() / (expected * (1.0 - share)).sqrt()
    }

    #[test]
    fn zipf_draws_each_rank_in_proportion_to_its_power() {
        for theta in [0.0, 0.5, 0.99, 1.0, 1.2, 2.0] {
            let sum: f64 = (1..=100).map(|k| f64::from(k).powf(-theta)).sum();
            let counts = counts(KeyChoice::Zipf { count: 100, theta }, 100);
            for (rank, &count) in (1..=100).zip(&counts) {
                let away = distance(count, f64::from(rank).powf(-theta) / sum);
                assert!(away < 5.0, "theta {theta} rank {rank}: {count}, {away:.1} sigma");
            }
        }
    }

    #[test]
    fn zipf_reaches_the_ends_of_a_large_range() {
        let mut numbers = KeyChoice::Zipf { count: 1_000_000, theta: 0.99 }.keys(3, 0, 1);
        let drawn: Vec<u64> = (0..DRAWS).map(|_| numbers.next()).collect();
        assert!(drawn.iter().all(|&number| number < 1_000_000));
        assert!(drawn.contains(&0));
        assert!(drawn.iter().any(|&number| number > 900_000));
    }

    #[test]
    fn zipf_over_one_key_draws_that_key() {
        for theta in [0.0, 0.99, 1.0, 3.0] {
            let counts = counts(KeyChoice::Zipf { count: 1, theta }, 1);
            assert_eq!(counts, [DRAWS]);
        }
    }

    #[test]
    fn uniform_draws_every_key_as_often() {
        for (key, count) in counts(KeyChoice::Uniform { count: 100 }, 100).into_iter().enumerate() {
            assert!(distance(count, 0.01) < 5.0, "key {key}: {count}");
        }
    }

    #[test]
    fn threads_share_a_sequential_walk() {
        let choice = KeyChoice::Sequential { count: 6 };
        let mut walks = [choice.keys(1, 0, 2), choice.keys(1, 1, 2)];
        let seen: Vec<u64> = (0..8).map(|at| walks[at % 2].next()).collect();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 0, 1]);
    }

    #[test]
    fn a_seed_decides_the_sequence_and_threads_differ() {
        let draw = |seed, thread| {
            let mut keys = KeyChoice::Uniform { count: 1 << 40 }.keys(seed, thread, 4);
            [keys.next(), keys.next(), keys.next()]
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
