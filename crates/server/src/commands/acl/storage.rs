//! ACL LOAD and ACL SAVE: the file of users.

use std::path::Path;
use std::sync::Arc;

use ::command::{Arity, Command, CommandError};

use super::super::{Call, Next};
use super::{BASE, EVERY_NODE};
use crate::acl::{Changed, file};
use crate::settings::replace;

pub(super) const LOAD: Command = Command {
    name: "LOAD",
    arity: Arity::Exactly(2),
    since: "6.0.0",
    summary: "Reads the file of users again.",
    complexity: "O(N) where N is the number of users.",
    ..BASE
};

/// Users that are as they were keep their connections; those of others that are gone end.
pub(super) fn load(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let server = call.batch.server;
    let path = path(call)?;
    let changed = server.load_users(&path);
    let changed = changed.map_err(|errors| CommandError::text(format!("ERR {errors}")))?;
    server.part_with(&changed, call.session.client.id);
    call.reply().ok();
    Ok(next_of(call, &changed))
}

pub(super) const SAVE: Command = Command {
    name: "SAVE",
    arity: Arity::Exactly(2),
    since: "6.0.0",
    summary: "Writes all users into the file of users.",
    complexity: "O(N) where N is the number of users.",
    tips: EVERY_NODE,
    ..BASE
};

pub(super) fn save(call: &mut Call<'_>) -> Result<(), CommandError> {
    let path = path(call)?;
    let users = call.batch.server.acl.all();
    let lines = users.iter().map(|user| [&*file::line(user), b"\n"].concat());
    let text = lines.collect::<Vec<_>>().concat();
    replace(&path, &text).map_err(|error| {
        tracing::warn!("ACL SAVE failed: {error}");
        CommandError::text(
            "ERR There was an error trying to save the ACLs. Please check the server logs for \
             more information",
        )
    })?;
    call.reply().ok();
    Ok(())
}

/// The file of users.
fn path(call: &Call<'_>) -> Result<Arc<Path>, CommandError> {
    let config = call.batch.server.config.current();
    let path = config.live().aclfile.as_deref().map(Arc::from);
    path.ok_or_else(|| {
        CommandError::text(
            "ERR This Redis instance is not configured to use an ACL file. You may want to specify \
             users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have \
             a Redis configuration file set) in order to store users in the Redis configuration.",
        )
    })
}

/// What becomes of the connection that has changed users: it ends if its own is gone.
pub(super) fn next_of(call: &Call<'_>, changed: &[Changed]) -> Next {
    let own = &call.session.user.name;
    let is_gone = |one: &Changed| one.new.is_none() && one.old.name == *own;
    if changed.iter().any(is_gone) { Next::Close } else { Next::Done }
}
