//! Whether a request may run: its command, the number of its words, the rights of its user.

use command::{Command, CommandError, Done, Flags, Run};
use keyspace::Plan;
use protocol::Words;

use super::accounts::note_called;
use super::{Batch, Request};
use crate::acl::{Asked, Attempt, Context, Denial, Refusal};
use crate::client::Client;
use crate::server::CommandEntry;
use crate::session::Session;
use crate::settings::Allowed;

/// How much of an unknown command's words its error quotes.
const QUOTED_BYTES_MAX: usize = 128;

/// The refusal of DEBUG where it is not allowed.
const DEBUG_NOT_ALLOWED: &str = "ERR DEBUG command not allowed. If the enable-debug-command \
    option is set to \"local\", you can run it from a local connection, otherwise you need to set \
    this option in the configuration file, and then restart the server.";

impl<'a> Batch<'a> {
    /// Whether the request may run now: its command, with its subcommand, if so.
    #[inline]
    pub(super) fn admit(
        &self,
        request: Request<'a>,
        session: &Session,
    ) -> Result<(&'a CommandEntry, &'static Command), CommandError> {
        let (entry, command) = self.named(request, session)?;
        if !session.is_free() {
            // The log of refusals tells what it was that led to one.
            note_called(entry, command, &session.client);
        }
        self.permit(request, entry, command, session)?;
        if command.flags.has(Flags::DENY_OOM) && self.is_out_of_memory() {
            self.worker.stats().oom_refusals.add(1);
            return Err(CommandError::OutOfMemory);
        }
        if session.is_confined() && !is_for_subscribers(entry.command) {
            return Err(confined(entry.command, command));
        }
        if self.server.scripts.hold_everything() && !command.flags.has(Flags::ALLOW_BUSY) {
            self.busy(&Plan::All).map_or(Ok(()), Err)?;
        }
        Ok((entry, command))
    }

    /// The command of a request, with its subcommand, if the session may run it.
    ///
    /// # Errors
    /// If there is no such command, its words are too few or too many, or the session may not.
    #[inline]
    pub fn named(
        &self,
        request: Request<'a>,
        session: &Session,
    ) -> Result<(&'a CommandEntry, &'static Command), CommandError> {
        let words = request.words;
        let entry = request.entry.ok_or_else(|| unknown_command(words))?;
        let command = if entry.command.subcommands.is_empty() {
            entry.command
        } else {
            let found = self.subcommand(entry.command, session, words);
            // DEBUG takes its words apart itself in Redis, so whoever may not run it is told that.
            if found.is_err() && entry.command.flags.has(Flags::PROTECTED) {
                self.permit(request, entry, entry.command, session)?;
            }
            let command = found?;
            note_called(entry, command, &session.client);
            command
        };
        if !command.arity.allows(words.len()) {
            return Err(wrong_arity(entry.command, command));
        }
        if !session.authenticated && !command.flags.has(Flags::NO_AUTH) {
            return Err(CommandError::NoAuth);
        }
        Ok((entry, command))
    }

    /// Whether the session's user may make a request.
    ///
    /// # Errors
    /// What is refused; it is entered into the log of refusals.
    #[inline]
    fn permit(
        &self,
        request: Request<'_>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Done {
        let Some(attempt) = self.questioned(request, entry, command, session) else {
            return Ok(());
        };
        if let Err(denial) = self.check(&attempt, session.context(), session) {
            let refusal = session.user.refusal(denial, &attempt, false);
            return Err(CommandError::text(format!("NOPERM {refusal}")));
        }
        session.user.check_patterns(&attempt).map_err(|option| {
            CommandError::text(format!(
                "ERR {option} option of SORT denied due to insufficient ACL permissions."
            ))
        })
    }

    /// A request as its user's rights see it.
    pub fn attempt<'w>(
        &self,
        request: Request<'w>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Attempt<'w> {
        let db = session.transaction.as_ref().and_then(|one| one.db()).unwrap_or(session.db);
        let databases = self.server.keyspace.databases();
        Attempt { asked: Asked::of(entry, command), words: request.words, db, databases }
    }

    /// A request that the rights of the session's user are to be asked about; `None`: it may be
    /// made without a question.
    #[inline]
    pub fn questioned<'w>(
        &self,
        request: Request<'w>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Option<Attempt<'w>> {
        let is_free = session.is_free() && !command.flags.has(Flags::PUBSUB);
        (!is_free).then(|| self.attempt(request, entry, command, session))
    }

    /// Whether the session's user may make a request.
    ///
    /// # Errors
    /// What is denied; it is entered into the log of refusals.
    pub fn check(
        &self,
        attempt: &Attempt<'_>,
        context: Context,
        session: &Session,
    ) -> Result<(), Denial> {
        let user = &session.user;
        user.check(attempt).inspect_err(|denial| {
            let object = denial.object(attempt);
            let refusal =
                Refusal { reason: denial.reason, context, object: &object, user: &user.name };
            self.note_refusal(refusal, &session.client);
        })
    }

    /// Enters a refusal into the log of them.
    pub fn note_refusal(&self, refusal: Refusal<'_>, client: &Client) {
        self.server.acl.note(refusal, client, self.server.clock.now());
    }

    /// The subcommand of a request, or the container itself if it runs without one.
    #[cold]
    fn subcommand(
        &self,
        container: &'static Command,
        session: &Session,
        words: Words<'_>,
    ) -> Result<&'static Command, CommandError> {
        if container.flags.has(Flags::PROTECTED) {
            self.allow_debug(session)?;
        }
        match (words.get(1), container.run) {
            (None, Run::Container) => Err(wrong_arity(container, container)),
            (None, _) => Ok(container),
            (Some(name), _) => {
                container.subcommand(name).ok_or_else(|| unknown_subcommand(container, words))
            }
        }
    }

    /// DEBUG is for those whom `enable-debug-command` allows it.
    fn allow_debug(&self, session: &Session) -> Done {
        let allowed = match self.settings.debug_command {
            Allowed::Yes => true,
            Allowed::Local => session.client.is_local(),
            Allowed::No => false,
        };
        if allowed { Ok(()) } else { Err(CommandError::text(DEBUG_NOT_ALLOWED)) }
    }
}

#[cold]
fn wrong_arity(container: &Command, command: &Command) -> CommandError {
    if container.flags.has(Flags::PROTECTED) && !std::ptr::eq(container, command) {
        return unknown_debug(command.name.to_lowercase().as_bytes());
    }
    CommandError::WrongArity(full_name(container, command).into())
}

/// Whether a command may run while its client is subscribed and speaks RESP2.
fn is_for_subscribers(command: &Command) -> bool {
    let subscribes = Flags::PUBSUB.and(Flags::NO_SCRIPT);
    command.flags.has(subscribes) || matches!(command.name, "PING" | "QUIT" | "RESET")
}

#[cold]
fn confined(container: &Command, command: &Command) -> CommandError {
    let name = full_name(container, command);
    CommandError::text(format!(
        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
         are allowed in this context"
    ))
}

/// The name of a command as errors tell it.
fn full_name(container: &Command, command: &Command) -> String {
    match std::ptr::eq(container, command) {
        true => container.name.to_lowercase(),
        false => format!("{}|{}", container.name, command.name).to_lowercase(),
    }
}

#[cold]
pub(super) fn unknown_subcommand(container: &Command, words: Words<'_>) -> CommandError {
    let given = words.get(1).unwrap_or_default();
    if container.flags.has(Flags::PROTECTED) {
        return unknown_debug(given);
    }
    let subcommand = quoted(given, QUOTED_BYTES_MAX).into();
    CommandError::UnknownSubcommand { subcommand, command: container.name }
}

/// DEBUG takes its words apart itself in Redis, and so says both things at once.
fn unknown_debug(given: &[u8]) -> CommandError {
    let given = quoted(given, QUOTED_BYTES_MAX);
    CommandError::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{given}'. Try DEBUG HELP."
    ))
}

#[cold]
fn unknown_command(words: Words<'_>) -> CommandError {
    let name = quoted(words.get(0).unwrap_or_default(), QUOTED_BYTES_MAX);
    let mut text = format!("'{name}', with args beginning with: ");
    let start = text.len();
    for at in 1..words.len() {
        let left = QUOTED_BYTES_MAX.saturating_sub(text.len() - start);
        if left == 0 {
            break;
        }
        text.push_str(&format!("'{}' ", quoted(words.get(at).unwrap_or_default(), left)));
    }
    CommandError::UnknownCommand(text.into())
}

fn quoted(word: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(&word[..word.len().min(bytes_max)]).into_owned()
}
