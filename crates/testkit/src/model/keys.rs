//! Commands on keys of any type, and on whole databases.

use super::{Done, Model, Value, database, length, numbers, syntax, truth};

pub(super) fn del(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let removed = words[1..].iter().filter(|key| model.databases[selected].remove(*key).is_some());
    Ok(length(removed.count()))
}

pub(super) fn exists(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let found = words[1..].iter().filter(|key| model.read(selected, key).is_some());
    Ok(length(found.count()))
}

pub(super) fn type_(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let found = model.read(selected, &words[1]);
    Ok(Value::simple(if found.is_some() { "string" } else { "none" }))
}

pub(super) fn dbsize(model: &mut Model, selected: usize, _: &[Vec<u8>]) -> Done {
    Ok(length(model.databases[selected].len()))
}

pub(super) fn flushdb(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    flush_options(words)?;
    model.databases[selected].clear();
    Ok(Value::ok())
}

pub(super) fn flushall(model: &mut Model, _: usize, words: &[Vec<u8>]) -> Done {
    flush_options(words)?;
    model.databases.iter_mut().for_each(std::collections::BTreeMap::clear);
    Ok(Value::ok())
}

fn flush_options(words: &[Vec<u8>]) -> Result<(), String> {
    match &words[1..] {
        [] => Ok(()),
        [how] if how.eq_ignore_ascii_case(b"SYNC") || how.eq_ignore_ascii_case(b"ASYNC") => Ok(()),
        _ => Err(syntax()),
    }
}

pub(super) fn rename(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let entry = model.databases[selected].remove(&words[1]).ok_or("ERR no such key")?;
    model.databases[selected].insert(words[2].clone(), entry);
    Ok(Value::ok())
}

pub(super) fn renamenx(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    if model.read(selected, &words[1]).is_none() {
        return Err("ERR no such key".to_owned());
    }
    if model.read(selected, &words[2]).is_some() {
        return Ok(truth(false));
    }
    rename(model, selected, words)?;
    Ok(truth(true))
}

pub(super) fn copy(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let (mut target, mut replace) = (selected, false);
    let mut options = words[3..].iter();
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"REPLACE") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"DB") {
            target = database(numbers::integer(options.next().ok_or_else(syntax)?)?)?;
        } else {
            return Err(syntax());
        }
    }
    if target == selected && words[1] == words[2] {
        return Err(same_objects());
    }
    let Some(entry) = model.read(selected, &words[1]).cloned() else {
        return Ok(truth(false));
    };
    if model.read(target, &words[2]).is_some() && !replace {
        return Ok(truth(false));
    }
    model.databases[target].insert(words[2].clone(), entry);
    Ok(truth(true))
}

pub(super) fn move_(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let target = database(numbers::integer(&words[2])?)?;
    if target == selected {
        return Err(same_objects());
    }
    if model.read(target, &words[1]).is_some() {
        return Ok(truth(false));
    }
    let Some(entry) = model.databases[selected].remove(&words[1]) else {
        return Ok(truth(false));
    };
    model.databases[target].insert(words[1].clone(), entry);
    Ok(truth(true))
}

pub(super) fn swapdb(model: &mut Model, _: usize, words: &[Vec<u8>]) -> Done {
    let index = |word, complaint: &str| numbers::integer(word).map_err(|_| complaint.to_owned());
    let first = index(&words[1], "ERR invalid first DB index")?;
    let second = index(&words[2], "ERR invalid second DB index")?;
    model.databases.swap(database(first)?, database(second)?);
    Ok(Value::ok())
}

fn same_objects() -> String {
    "ERR source and destination objects are the same".to_owned()
}
