//! `math.random`, the same on every machine: the 48-bit generator of POSIX's `lrand48`.

use crate::lua::{Lua, Outcome};

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;

/// What is below the seed in the state.
const SEED_LOW: u64 = 0x330E;

/// The largest number that is drawn, and one more is never reached.
const DRAWN_MAX: u32 = i32::MAX as u32;

/// The state that a seed makes.
pub(crate) fn seeded(seed: u32) -> u64 {
    u64::from(seed) << 16 | SEED_LOW
}

/// Replaces what Lua has in the table `math`, on top.
pub(crate) fn fill(lua: Lua<'_>) {
    lua.set_function("random", random);
    lua.set_function("randomseed", random_seed);
}

/// The next state, and 31 bits of it.
fn draw(state: u64) -> (u64, u32) {
    let state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & MASK;
    (state, (state >> 17) as u32)
}

/// `math.random()`, `math.random(to)`, `math.random(from, to)`.
fn random(lua: Lua<'_>) -> Outcome {
    let state = &lua.shared().random;
    let (next, drawn) = draw(state.get());
    state.set(next);
    let part = f64::from(drawn % DRAWN_MAX) / f64::from(DRAWN_MAX);
    match lua.top() {
        0 => lua.push_number(part),
        1 => {
            let to = lua.check_int(1);
            if to < 1 {
                lua.refuse_argument(1, c"interval is empty");
            }
            lua.push_number((part * f64::from(to)).floor() + 1.0);
        }
        2 => {
            let (from, to) = (lua.check_int(1), lua.check_int(2));
            if from > to {
                lua.refuse_argument(2, c"interval is empty");
            }
            let width = to.wrapping_sub(from).wrapping_add(1);
            lua.push_number((part * f64::from(width)).floor() + f64::from(from));
        }
        _ => return Err(lua.fail("wrong number of arguments")),
    }
    Ok(1)
}

/// `math.randomseed(seed)`.
fn random_seed(lua: Lua<'_>) -> Outcome {
    let seed = lua.check_int(1).cast_unsigned();
    lua.shared().random.set(seeded(seed));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_what_posix_says() {
        // The first three of `srand48(0); lrand48()`.
        let (state, first) = draw(seeded(0));
        let (state, second) = draw(state);
        let (_, third) = draw(state);
        assert_eq!([first, second, third], [366_850_414, 1_610_402_240, 206_956_554]);
    }
}
