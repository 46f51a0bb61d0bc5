//! The state of one connection that only its own task touches.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use command::Fieldsets;
use keyspace::DbIndex;
use protocol::Dialect;

use crate::acl::{Acl, ChannelName, Context, Rules, User};
use crate::blocking::Wait;
use crate::client::{Client, Kill};
use crate::pubsub::{self, PubSub, Subscriptions};
use crate::scripts::run::Away;
use crate::settings::Settings;
use crate::tracking::Terms;
use crate::transaction::Transaction;

/// Whether replies are written, as CLIENT REPLY set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// They are.
    On,
    /// They are not.
    Off,
    /// That of the next command is not.
    SkipNext,
    /// That of this command is not.
    Skip,
}

/// See the module's page.
pub struct Session {
    /// As others see it.
    pub client: Arc<Client>,
    /// The selected database.
    pub db: DbIndex,
    /// How replies are written.
    pub dialect: Dialect,
    /// Who it is, as far as it knows: see [`Session::keep_up`].
    pub user: Arc<User>,
    /// Whether a password was given, or none is needed.
    pub authenticated: bool,
    /// Whether a password was given, or none was needed when it came.
    is_in: bool,
    /// Whether it may run every command on every key.
    is_free: bool,
    /// Whether replies are written.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// CLIENT IMPORT-SOURCE.
    pub imports: bool,
    /// Whether the connection ends when its output is written.
    pub closing: bool,
    /// How far a command has got that runs in steps; 0 at its beginning and when it is done. Of a
    /// script that begins anew, how many of its calls others have been told of.
    pub progress: u64,
    /// What CLIENT TRACKING has set, while it is on.
    pub tracking: Option<Arc<Terms>>,
    /// CLIENT CACHING came before the command that runs now.
    pub caching: bool,
    /// When the command that runs began, in ns of the clock; 0: when its turn came.
    pub began_nanos: u64,
    /// The request that waits for its keys, if one does.
    pub wait: Option<Box<Wait>>,
    /// What MULTI and WATCH have begun, if anything.
    pub transaction: Option<Box<Transaction>>,
    /// What it is subscribed to, if to anything.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// The script that goes on elsewhere, if one does.
    pub away: Option<Box<Away>>,
    /// Whether its script enters all shards, since it has begun in vain.
    pub holds_all: bool,
    /// Whether EXEC runs what was queued.
    pub executing: bool,
    /// Whether a script runs its commands.
    pub is_in_script: bool,
    /// Whether others have been told of the command that runs: its script has begun anew.
    pub is_repeat: bool,
    /// What HIMPORT PREPARE has prepared, if anything.
    fieldsets: Option<Box<Fieldsets>>,
}

/// Those of a session that has prepared none.
static NO_FIELDSETS: Fieldsets = Fieldsets::NONE;

impl Session {
    /// The session of a new connection, of the default user.
    #[must_use]
    pub fn new(client: Arc<Client>, user: Arc<User>, settings: &Settings) -> Session {
        let is_in = user.is_open() || (client.admin && settings.admin_nopass);
        Session {
            authenticated: is_in,
            is_in,
            is_free: is_in && user.is_free_on_keys(),
            user,
            client,
            db: 0,
            dialect: Dialect::Resp2,
            reply_mode: ReplyMode::On,
            no_touch: false,
            imports: false,
            closing: false,
            progress: 0,
            tracking: None,
            caching: false,
            began_nanos: 0,
            wait: None,
            transaction: None,
            subscriptions: None,
            away: None,
            holds_all: false,
            executing: false,
            is_in_script: false,
            is_repeat: false,
            fieldsets: None,
        }
    }

    /// The session in which a script of another one runs commands: of the same client and user, in
    /// the same database. What it changes ends with the script. `known` is taken in the place of
    /// another count of the user, if it is the same.
    #[must_use]
    pub fn for_script(caller: &Session, known: Option<Arc<User>>) -> Session {
        let known = known.filter(|known| Arc::ptr_eq(known, &caller.user));
        Session {
            client: Arc::clone(&caller.client),
            user: known.unwrap_or_else(|| Arc::clone(&caller.user)),
            tracking: caller.tracking.clone(),
            is_in_script: true,
            away: None,
            wait: None,
            transaction: None,
            subscriptions: None,
            fieldsets: None,
            reply_mode: ReplyMode::On,
            progress: 0,
            ..*caller
        }
    }

    /// RESET: as it was at the beginning.
    pub fn reset(&mut self, user: Arc<User>, settings: &Settings) {
        let client = Arc::clone(&self.client);
        client.rename(|names| {
            names.name.clear();
            names.user.clear();
        });
        client.no_evict.store(false, Ordering::Relaxed);
        client.no_touch.store(false, Ordering::Relaxed);
        client.imports.store(false, Ordering::Relaxed);
        client.monitor.store(false, Ordering::Relaxed);
        *self = Session::new(client, user, settings);
        self.select(0);
        self.speak(Dialect::Resp2);
        self.tell_transaction();
    }

    /// What HIMPORT PREPARE has prepared.
    #[must_use]
    pub fn fieldsets(&self) -> &Fieldsets {
        self.fieldsets.as_deref().unwrap_or(&NO_FIELDSETS)
    }

    /// The same, to be changed.
    pub fn fieldsets_mut(&mut self) -> &mut Fieldsets {
        self.fieldsets.get_or_insert_default()
    }

    /// SELECT.
    pub fn select(&mut self, db: DbIndex) {
        self.db = db;
        self.client.db.store(u32::from(db), Ordering::Relaxed);
    }

    /// HELLO's protocol version.
    pub fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
        let number = if dialect == Dialect::Resp3 { 3 } else { 2 };
        self.client.dialect.store(number, Ordering::Relaxed);
    }

    /// AUTH: it is this user from now on.
    pub fn enter(&mut self, user: Arc<User>) {
        self.client.rename(|names| names.user = user.name.to_vec());
        (self.user, self.is_in) = (user, true);
        self.weigh();
    }

    /// Looks for its user anew if that has changed. A session ends whose user is gone, or may not
    /// use all that it is subscribed to, and is nobody until then.
    #[inline]
    pub fn keep_up(&mut self, acl: &Acl) {
        if self.user.is_superseded() {
            self.look_for_user(acl);
        }
    }

    #[cold]
    fn look_for_user(&mut self, acl: &Acl) {
        let found = acl.find(&self.user.name);
        if let Some(user) = found.filter(|user| self.may_hear(&user.rules)) {
            self.user = user;
            return self.weigh();
        }
        self.user = acl.default_user();
        (self.is_in, self.authenticated, self.is_free) = (false, false, false);
        if !std::mem::replace(&mut self.closing, true) {
            self.client.kill(Kill::Now);
        }
    }

    /// Whether these rules allow everything that it is subscribed to.
    fn may_hear(&self, rules: &Rules) -> bool {
        self.subscriptions.as_ref().is_none_or(|subscriptions| {
            subscriptions.all().all(|(kind, name)| {
                rules.may_use_channel(match kind {
                    pubsub::Kind::Pattern => ChannelName::Pattern(name),
                    _ => ChannelName::Literal(name),
                })
            })
        })
    }

    fn weigh(&mut self) {
        self.authenticated = self.is_in || self.user.is_open();
        self.is_free = self.authenticated && self.user.is_free_on_keys();
    }

    /// Whether it may run commands, is told what they answer, and nothing else of them.
    #[must_use]
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.is_free
            && self.reply_mode == ReplyMode::On
            && self.tracking.is_none()
            && self.subscriptions.is_none()
            && self.transaction.is_none()
    }

    /// Whether its user may run every command on every key, so that nothing need be asked: but for
    /// channels.
    #[must_use]
    #[inline]
    pub fn is_free(&self) -> bool {
        self.is_free
    }

    /// Where its requests come from, as ACL LOG tells it.
    #[must_use]
    pub fn context(&self) -> Context {
        if self.is_queueing() { Context::Multi } else { Context::TopLevel }
    }

    /// Whether it speaks RESP2 and is subscribed to something: then it cannot tell messages from
    /// replies, and may run hardly any command.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        self.subscriptions.is_some() && self.dialect == Dialect::Resp2
    }

    /// Ends all its subscriptions.
    pub fn unsubscribe_all(&mut self, pubsub: &PubSub) {
        if let Some(subscriptions) = self.subscriptions.take() {
            pubsub.leave_all(&self.client, &subscriptions);
        }
    }

    /// Whether keys are remembered that the command reads which runs now.
    #[must_use]
    pub fn remembers_keys(&self) -> bool {
        self.tracking.as_ref().is_some_and(|terms| terms.remembers(self.caching))
    }

    /// Whether the reply of the command that just ran is kept; moves CLIENT REPLY SKIP on.
    pub fn keeps_reply(&mut self) -> bool {
        match self.reply_mode {
            ReplyMode::On => true,
            ReplyMode::Off => false,
            ReplyMode::SkipNext => {
                self.reply_mode = ReplyMode::Skip;
                false
            }
            ReplyMode::Skip => {
                self.reply_mode = ReplyMode::On;
                false
            }
        }
    }
}
