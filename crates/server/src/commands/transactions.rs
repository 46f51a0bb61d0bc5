//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: how they are called; what they do is in
//! [`crate::transaction`].

use command::{Arity, Category, Command, CommandError, Flags, Group, KeySpec, KeyUse, Run};

use super::{Call, Next, SessionRow};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: MULTI, run: multi },
    SessionRow { command: DISCARD, run: discard },
    SessionRow { command: UNWATCH, run: unwatch },
];

const MULTI: Command = Command {
    name: "MULTI",
    run: Run::Session,
    arity: Arity::Exactly(1),
    flags: Flags::NO_SCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::ALLOW_BUSY),
    category: Category::TRANSACTION,
    group: Group::Transactions,
    since: "1.2.0",
    summary: "Begins a transaction: what follows is queued.",
    ..Command::BASE
};

pub(super) const EXEC: Command = Command {
    name: "EXEC",
    run: Run::Transaction,
    flags: Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SKIP_SLOWLOG),
    summary: "Runs what was queued, all at one moment, unless a watched key was changed.",
    complexity: "Depends on the commands in the transaction",
    ..MULTI
};

const DISCARD: Command = Command {
    name: "DISCARD",
    since: "2.0.0",
    summary: "Forgets what was queued, and watches no key any more.",
    complexity: "O(N), when N is the number of queued commands",
    ..MULTI
};

pub(super) const WATCH: Command = Command {
    name: "WATCH",
    run: Run::Transaction,
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::LOOK)],
    since: "2.2.0",
    summary: "Watches keys: if one of them is changed before EXEC, nothing is run.",
    complexity: "O(1) for every key",
    syntax: "key ...",
    ..MULTI
};

const UNWATCH: Command =
    Command { name: "UNWATCH", since: "2.2.0", summary: "Watches no key any more.", ..MULTI };

fn multi(call: &mut Call<'_>) -> Result<Next, CommandError> {
    if !call.session.transaction.get_or_insert_default().begin() {
        return Err(CommandError::text("ERR MULTI calls can not be nested"));
    }
    call.session.tell_transaction();
    call.reply().ok();
    Ok(Next::Done)
}

fn discard(call: &mut Call<'_>) -> Result<Next, CommandError> {
    if !call.session.is_queueing() {
        return Err(CommandError::text("ERR DISCARD without MULTI"));
    }
    call.session.transaction = None;
    call.session.tell_transaction();
    call.reply().ok();
    Ok(Next::Done)
}

fn unwatch(call: &mut Call<'_>) -> Result<Next, CommandError> {
    if let Some(transaction) = &mut call.session.transaction {
        transaction.unwatch();
    }
    call.session.tell_transaction();
    call.reply().ok();
    Ok(Next::Done)
}
