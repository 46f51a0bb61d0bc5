//! Functions of `table` that write, walk or work long: they know the tables that may only be
//! read, and can be stopped.

use crate::base::{check_open, look_behind};
use crate::lua::{Kind, Lua, Outcome, Raised};
use crate::stop::Pace;

/// Replaces what we do otherwise in Lua's table, on top.
pub(crate) fn fill(lua: Lua<'_>) {
    lua.set_function("insert", insert);
    lua.set_function("remove", remove);
    lua.set_function("sort", sort);
    lua.set_function("foreach", for_each);
}

/// How long the table in slot 1 is, which may be written to.
fn open_len(lua: Lua<'_>) -> Result<i32, Raised> {
    lua.check_kind(1, Kind::Table);
    check_open(lua, 1)?;
    Ok(i32::try_from(lua.len(1)).unwrap_or(i32::MAX))
}

/// `table.insert(list, position, value)`.
fn insert(lua: Lua<'_>) -> Outcome {
    let end = open_len(lua)?.saturating_add(1);
    let position = match lua.top() {
        2 => end,
        3 => {
            let position = lua.check_int(2);
            let pace = Pace::new(lua);
            for at in (position.saturating_add(1)..=end.max(position)).rev() {
                pace.step()?;
                lua.raw_get_at(1, at - 1);
                lua.raw_set_at(1, at);
            }
            position
        }
        _ => return Err(lua.fail("wrong number of arguments to 'insert'")),
    };
    lua.raw_set_at(1, position);
    Ok(0)
}

/// `table.remove(list, position)`.
fn remove(lua: Lua<'_>) -> Outcome {
    let end = open_len(lua)?;
    let position = lua.integer_or(2, i64::from(end)) as i32;
    if !(1..=end).contains(&position) {
        return Ok(0);
    }
    let pace = Pace::new(lua);
    lua.raw_get_at(1, position);
    for at in position..end {
        pace.step()?;
        lua.raw_get_at(1, at + 1);
        lua.raw_set_at(1, at);
    }
    lua.push_nil();
    lua.raw_set_at(1, end);
    Ok(1)
}

/// `table.foreach(table, f)`: until `f` gives something.
fn for_each(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    lua.check_kind(2, Kind::Function);
    look_behind(lua, 1);
    lua.push_nil();
    while lua.next(1) {
        lua.copy(2);
        lua.copy(-3);
        lua.copy(-3);
        lua.call(2, 1);
        if lua.kind(-1) != Kind::Nil {
            return Ok(1);
        }
        lua.pop(2);
    }
    Ok(0)
}

/// `table.sort(list, is_below)`: Lua's own quicksort, so that equal elements end where they
/// would with Lua.
fn sort(lua: Lua<'_>) -> Outcome {
    let len = open_len(lua)?;
    lua.check_room(40, c"");
    if !lua.is_nothing(2) {
        lua.check_kind(2, Kind::Function);
    }
    lua.set_top(2);
    Sorter { lua, pace: Pace::new(lua) }.sort(1, len)?;
    Ok(0)
}

/// The list lies in slot 1, the order or `nil` in slot 2.
#[derive(Clone, Copy)]
struct Sorter<'a> {
    lua: Lua<'a>,
    pace: Pace<'a>,
}

impl Sorter<'_> {
    fn push(self, index: i32) {
        self.lua.raw_get_at(1, index);
    }

    /// Takes the two values on top, the upper one for `one`.
    fn put(self, one: i32, other: i32) {
        self.lua.raw_set_at(1, one);
        self.lua.raw_set_at(1, other);
    }

    /// Whether one value of the stack is below another.
    fn is_below(self, one: i32, other: i32) -> Result<bool, Raised> {
        self.pace.step()?;
        let lua = self.lua;
        if lua.kind(2) == Kind::Nil {
            return Ok(lua.is_below(one, other));
        }
        let (one, other) = (lua.absolute(one), lua.absolute(other));
        lua.copy(2);
        lua.copy(one);
        lua.copy(other);
        lua.call(2, 1);
        let is_below = lua.boolean(-1);
        lua.pop(1);
        Ok(is_below)
    }

    fn sort(self, mut low: i32, mut high: i32) -> Result<(), Raised> {
        while low < high {
            self.push(low);
            self.push(high);
            self.swap_if(low, high, -1, -2)?;
            if high - low == 1 {
                break;
            }
            let middle = low + (high - low) / 2;
            self.sort_three(low, middle, high)?;
            if high - low == 2 {
                break;
            }
            let pivot = self.partition(low, middle, high)?;
            // The smaller part first, so that the depth is small; the other in this loop.
            let (from, to);
            if pivot - low < high - pivot {
                (from, to) = (low, pivot - 1);
                low = pivot + 1;
            } else {
                (from, to) = (pivot + 1, high);
                high = pivot - 1;
            }
            self.sort(from, to)?;
        }
        Ok(())
    }

    /// The elements at `one` and `other` lie on top; they change places if the first of the
    /// slots that are named is below the second.
    fn swap_if(self, one: i32, other: i32, first: i32, second: i32) -> Result<(), Raised> {
        if self.is_below(first, second)? {
            self.put(one, other);
        } else {
            self.lua.pop(2);
        }
        Ok(())
    }

    /// Puts the middle element between the ends, which are in order.
    fn sort_three(self, low: i32, middle: i32, high: i32) -> Result<(), Raised> {
        self.push(middle);
        self.push(low);
        if self.is_below(-2, -1)? {
            self.put(middle, low);
            return Ok(());
        }
        self.lua.pop(1);
        self.push(high);
        self.swap_if(middle, high, -1, -2)
    }

    /// Splits what is between the ends at the middle element; says where that ends up.
    fn partition(self, low: i32, middle: i32, high: i32) -> Result<i32, Raised> {
        let lua = self.lua;
        self.push(middle);
        lua.copy(-1);
        self.push(high - 1);
        self.put(middle, high - 1);
        let (mut left, mut right) = (low, high - 1);
        loop {
            left = self.scan_up(left, high)?;
            right = self.scan_down(right, low)?;
            if right < left {
                lua.pop(3);
                break;
            }
            self.put(left, right);
        }
        self.push(high - 1);
        self.push(left);
        self.put(high - 1, left);
        Ok(left)
    }

    /// The next element upwards that is not below the pivot, which lies on top; pushes it.
    fn scan_up(self, mut left: i32, high: i32) -> Result<i32, Raised> {
        loop {
            left += 1;
            self.push(left);
            if !self.is_below(-1, -2)? {
                return Ok(left);
            }
            if left > high {
                return Err(self.lua.fail("invalid order function for sorting"));
            }
            self.lua.pop(1);
        }
    }

    /// The next element downwards that the pivot is not below; pushes it.
    fn scan_down(self, mut right: i32, low: i32) -> Result<i32, Raised> {
        loop {
            right -= 1;
            self.push(right);
            if !self.is_below(-3, -1)? {
                return Ok(right);
            }
            if right < low {
                return Err(self.lua.fail("invalid order function for sorting"));
            }
            self.lua.pop(1);
        }
    }
}
