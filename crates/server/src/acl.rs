//! Users, and what each may do.
//!
//! [`Acl`] holds the users by name. A session holds its [`User`] and looks for a new one when that
//! is superseded; a request is asked about ([`User::check`]) unless its session's user may do
//! everything, which is one flag of the session. Rules are a pure matter: [`Rules`] reads and
//! describes them, [`rights`] compares them with a request.
//!
//! # Invariants
//!
//! 1. There is always a user of the name `default`.
//! 2. A user that is no longer the one of its name is superseded before anybody is told that the
//!    change is done, so whatever is read from a client after that is asked of the new one.
//! 3. Of a password nothing is kept but its digest.

pub mod error;
pub mod file;
pub mod log;
mod names;
mod password;
pub mod rights;
mod selector;
pub mod storage;
mod user;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyspace::Millis;

pub use self::error::UserError;
pub use self::log::Context;
pub use self::names::{Asked, Names, category};
pub use self::password::Digest;
pub use self::rights::{Attempt, Denial, Reason};
pub use self::selector::{ChannelName, KeyRights, Selector};
pub use self::user::{Beginning, Rules, User};

use crate::client::Client;
use crate::commands::client_line;

/// The user that every client is who has not said who he is.
pub const DEFAULT_USER: &[u8] = b"default";

/// Users by name.
pub type Users = BTreeMap<Box<[u8]>, Arc<User>>;

/// See the module's page.
pub struct Acl {
    users: Mutex<Users>,
    /// What was refused.
    pub log: log::Log,
}

/// A user that has changed: as it was, and as it is, if it still is.
pub struct Changed {
    /// As it was.
    pub old: Arc<User>,
    /// As it is.
    pub new: Option<Arc<User>>,
}

/// A refusal that is to be entered into the log.
#[derive(Clone, Copy)]
pub struct Refusal<'a> {
    /// Why.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// What was refused.
    pub object: &'a [u8],
    /// To whom.
    pub user: &'a [u8],
}

impl Acl {
    /// The default user alone, who needs this password, or none if it is empty.
    #[must_use]
    pub fn new(beginning: Beginning<'_>, password: &[u8]) -> Acl {
        let user = Arc::new(default_user(beginning, password));
        Acl {
            users: Mutex::new(Users::from([(user.name.clone(), user)])),
            log: log::Log::default(),
        }
    }

    /// The user of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Arc<User>> {
        self.lock().get(name).cloned()
    }

    /// The user that every client is who has not said who he is.
    #[must_use]
    pub fn default_user(&self) -> Arc<User> {
        self.find(DEFAULT_USER).expect("no change takes it out")
    }

    /// All users, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<User>> {
        self.lock().values().cloned().collect()
    }

    /// The user of this name, if the password is right and the user is on.
    #[must_use]
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        // Before it is known whether there is such a user: how long it takes tells nothing of that.
        let digest = Digest::of(password);
        self.find(name).filter(|user| user.rules.is_right(digest))
    }

    /// Makes a user, or changes it: by all words or by none. What it was, if it was there before.
    ///
    /// # Errors
    /// The first word that is refused.
    pub fn set<'w>(
        &self,
        name: &[u8],
        words: impl IntoIterator<Item = &'w [u8]>,
        beginning: Beginning<'_>,
    ) -> Result<Option<Changed>, UserError> {
        let mut users = self.lock();
        let known = users.get(name);
        let mut rules = known.map_or_else(|| Rules::new(beginning), |user| user.rules.clone());
        rules.apply_all(words, beginning)?;
        Ok(put(&mut users, User::new(name, rules)))
    }

    /// Has this password alone let people in as the default user; none if it is empty.
    pub fn set_default_password(&self, password: &[u8]) {
        let mut users = self.lock();
        if let Some(user) = users.get(DEFAULT_USER) {
            let mut rules = user.rules.clone();
            rules.set_only_password(password);
            drop(put(&mut users, User::new(DEFAULT_USER, rules)));
        }
    }

    /// Takes users out, whatever of these names there is. The default one stays.
    pub fn remove<'w>(&self, names: impl Iterator<Item = &'w [u8]>) -> Vec<Changed> {
        let mut users = self.lock();
        let removed = names.filter(|&name| name != DEFAULT_USER);
        removed
            .filter_map(|name| users.remove(name))
            .map(|old| {
                old.supersede();
                Changed { old, new: None }
            })
            .collect()
    }

    /// Puts other users in the place of all. Without a default one among them, there is the one
    /// that is made of this password.
    pub fn replace(
        &self,
        mut new: Users,
        beginning: Beginning<'_>,
        password: &[u8],
    ) -> Vec<Changed> {
        let default = || Arc::new(default_user(beginning, password));
        new.entry(DEFAULT_USER.into()).or_insert_with(default);
        let mut users = self.lock();
        let old = std::mem::replace(&mut *users, new);
        let changed = old.into_values().map(|old| {
            old.supersede();
            Changed { new: users.get(&old.name).cloned(), old }
        });
        changed.collect()
    }

    /// Enters a refusal into the log.
    pub fn note(&self, refusal: Refusal<'_>, client: &Client, now: Millis) {
        let entry = log::Entry {
            count: 1,
            reason: refusal.reason,
            context: refusal.context,
            object: log::kept(refusal.object),
            user: log::kept(refusal.user),
            client: client_line(client, now),
            id: 0,
            created: now,
            updated: now,
        };
        self.log.enter(entry);
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a user in the place of the one of its name, if there is one.
fn put(users: &mut Users, user: User) -> Option<Changed> {
    let new = Arc::new(user);
    let old = users.insert(new.name.clone(), Arc::clone(&new))?;
    old.supersede();
    Some(Changed { old, new: Some(new) })
}

/// The default user as it is without a rule of its own.
#[must_use]
pub fn default_user(beginning: Beginning<'_>, password: &[u8]) -> User {
    let mut rules = Rules::of_default(beginning);
    rules.set_only_password(password);
    User::new(DEFAULT_USER, rules)
}

/// Whether a user may have this name.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    selector::check_text(name).is_ok()
}

#[cfg(test)]
mod tests;
