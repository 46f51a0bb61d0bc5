//! Strings as a whole, read: `GET`, `STRLEN`, and with a change of what becomes of the key
//! `GETDEL` and `GETEX`.

use command::{
    Args, Arity, Category, Command, Done, Flags, Group, Key, KeySpec, KeyUse, Lifetime,
    LifetimeWord, Reply, Run, View, event,
};

use super::reply_with;

pub(super) const GET: Command = Command {
    name: "GET",
    run: Run::Read(get),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Returns the string value of a key.",
    syntax: "key",
    ..Command::BASE
};

fn get(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    reply_with(keys.str(key.0)?, reply);
    Ok(())
}

pub(super) const STRLEN: Command = Command {
    name: "STRLEN",
    run: Run::Read(strlen),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    since: "2.2.0",
    summary: "Returns how many bytes a string has.",
    ..GET
};

fn strlen(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let len = keys.str(key.0)?.map_or(0, |text| text.as_bytes().len());
    reply.integer(len as i64);
    Ok(())
}

pub(super) const GETDEL: Command = Command {
    name: "GETDEL",
    run: Run::Write(getdel),
    keys: &[KeySpec::one(1, KeyUse::TAKE)],
    since: "6.2.0",
    summary: "Returns the string value of a key and deletes the key.",
    ..GET
};

fn getdel(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let mut entry = keys.str_entry_read(key.0)?;
    reply_with(entry.get(), reply);
    entry.remove(event::DEL);
    Ok(())
}

pub(super) const GETEX: Command = Command {
    name: "GETEX",
    run: Run::Write(getex),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::UPDATE).noting("It may change the deadline.")],
    since: "6.2.0",
    summary: "Returns the string value of a key and sets or clears when it expires.",
    syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | PERSIST]",
    ..GET
};

fn getex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut lifetime = None;
    while Lifetime::take(&mut args, LifetimeWord::Persist, &mut lifetime)? {}
    args.end()?;
    let now = keys.now();
    let moment = lifetime.map(|lifetime| lifetime.moment(now, "getex")).transpose()?;

    let mut entry = keys.str_entry_read(key.0)?;
    reply_with(entry.get(), reply);
    match moment {
        None => {}
        Some(None) if entry.deadline().is_none() => {}
        Some(None) => entry.set_deadline(None, event::PERSIST)?,
        Some(Some(moment)) if entry.frame().is_over(moment) => _ = entry.remove(event::DEL),
        Some(moment) => entry.set_deadline(moment, event::EXPIRE)?,
    }
    Ok(())
}
