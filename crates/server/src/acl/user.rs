//! A user: who may come in as it, and what it may do then.
//!
//! A [`User`] never changes. Changed rules make another user of the same name, and the old one is
//! marked: whoever holds it sees that by one load, and looks for the new one.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{RuleError, UserError};
use super::names::Names;
use super::password::Digest;
use super::selector::{ChannelName, KeyRights, Selector, is_blank};

/// The rules of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    is_on: bool,
    needs_no_password: bool,
    /// Whether RESTORE need not look through what it is given. That is only shown: it always does.
    skips_sanitizing: bool,
    passwords: Vec<Digest>,
    /// The user's own.
    root: Selector,
    /// Those between parentheses.
    others: Vec<Selector>,
}

/// See the module's page.
#[derive(Debug)]
pub struct User {
    /// Any bytes but blanks and zeros.
    pub name: Box<[u8]>,
    /// What it may do.
    pub rules: Rules,
    is_free_on_keys: bool,
    is_superseded: AtomicBool,
}

/// What holds for a user that is new or reset.
#[derive(Clone, Copy)]
pub struct Beginning<'a> {
    /// The commands that its rules may name.
    pub names: Names<'a>,
    /// Whether it may use every channel.
    pub all_channels: bool,
}

impl Rules {
    /// Those of a user that may do nothing, and that nobody can come in as.
    #[must_use]
    pub fn new(beginning: Beginning<'_>) -> Rules {
        Rules {
            is_on: false,
            needs_no_password: false,
            skips_sanitizing: false,
            passwords: Vec::new(),
            root: Selector::new(beginning.names, beginning.all_channels),
            others: Vec::new(),
        }
    }

    /// Those of the default user, while nothing is said of it: everybody may do everything.
    #[must_use]
    pub fn of_default(beginning: Beginning<'_>) -> Rules {
        let mut rules = Rules::new(beginning);
        for word in ["+@all", "~*", "&*", "on", "nopass"] {
            let known = rules.apply(word.as_bytes(), beginning);
            debug_assert_eq!(known, Ok(()), "{word}");
        }
        rules
    }

    /// Obeys the words of ACL SETUSER in order. A selector may lie in several of them.
    ///
    /// # Errors
    /// The first that is refused. What stands before it has been obeyed.
    pub fn apply_all<'w>(
        &mut self,
        words: impl IntoIterator<Item = &'w [u8]>,
        beginning: Beginning<'_>,
    ) -> Result<(), UserError> {
        for word in joined(words).map_err(UserError::OpenSelector)? {
            let done = self.apply(&word, beginning);
            done.map_err(|error| UserError::Modifier(word, error))?;
        }
        Ok(())
    }

    /// Obeys one word.
    ///
    /// # Errors
    /// If it is no rule.
    pub fn apply(&mut self, word: &[u8], beginning: Beginning<'_>) -> Result<(), RuleError> {
        match word.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.is_on = true,
            b"off" => self.is_on = false,
            b"sanitize-payload" => self.skips_sanitizing = false,
            b"skip-sanitize-payload" => self.skips_sanitizing = true,
            b"nopass" => self.forget_passwords(true),
            b"resetpass" => self.forget_passwords(false),
            b"clearselectors" => self.others.clear(),
            b"reset" => *self = Rules::new(beginning),
            [b'>', ..] => self.add_password(Digest::of(&word[1..])),
            [b'#', ..] => self.add_password(Digest::parse(&word[1..])?),
            [b'<', ..] => return self.remove_password(Digest::of(&word[1..])),
            [b'!', ..] => return self.remove_password(Digest::parse(&word[1..])?),
            [b'(', .., b')'] => {
                let mut selector = Selector::new(beginning.names, beginning.all_channels);
                let inner = word[1..word.len() - 1].split(|&byte| is_blank(byte));
                for rule in inner.filter(|rule| !rule.is_empty()) {
                    selector.apply(rule, beginning.names)?;
                }
                self.others.push(selector);
            }
            _ => return self.root.apply(word, beginning.names),
        }
        Ok(())
    }

    /// Has this password alone let people in; none at all if it is empty.
    pub fn set_only_password(&mut self, password: &[u8]) {
        self.forget_passwords(password.is_empty());
        if !password.is_empty() {
            self.add_password(Digest::of(password));
        }
    }

    fn forget_passwords(&mut self, needs_none: bool) {
        self.passwords.clear();
        self.needs_no_password = needs_none;
    }

    fn add_password(&mut self, digest: Digest) {
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
        self.needs_no_password = false;
    }

    fn remove_password(&mut self, digest: Digest) -> Result<(), RuleError> {
        let before = self.passwords.len();
        self.passwords.retain(|known| *known != digest);
        if self.passwords.len() == before { Err(RuleError::NoSuchPassword) } else { Ok(()) }
    }

    /// Whether somebody may come in as this user.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether any password is right, and none is needed.
    #[must_use]
    pub fn needs_no_password(&self) -> bool {
        self.needs_no_password
    }

    /// Whether the password of this digest lets somebody in.
    #[must_use]
    pub fn is_right(&self, digest: Digest) -> bool {
        // How long it takes is the same whatever the user is.
        let among = digest.is_among(&self.passwords);
        self.is_on && (self.needs_no_password || among)
    }

    /// Its flags, as ACL GETUSER shows them.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        let on = if self.is_on { "on" } else { "off" };
        let payload =
            if self.skips_sanitizing { "skip-sanitize-payload" } else { "sanitize-payload" };
        let no_password = self.needs_no_password.then_some("nopass");
        [Some(on), no_password, Some(payload)].into_iter().flatten()
    }

    /// What is kept of its passwords.
    #[must_use]
    pub fn passwords(&self) -> &[Digest] {
        &self.passwords
    }

    /// The user's own selector.
    #[must_use]
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// The selectors between parentheses.
    #[must_use]
    pub fn others(&self) -> &[Selector] {
        &self.others
    }

    /// All selectors: one of them must allow a request.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.others)
    }

    /// Whether a channel may be used.
    #[must_use]
    pub fn may_use_channel(&self, channel: ChannelName<'_>) -> bool {
        self.selectors().any(|selector| selector.may_use(channel))
    }

    /// Whether all keys may be read that begin with a text.
    #[must_use]
    pub fn may_read_all(&self, prefix: &[u8]) -> bool {
        let read = KeyRights { read: true, write: false };
        self.selectors().any(|selector| selector.may_touch_all(prefix, read))
    }

    /// All rules, as ACL LIST shows them and ACL SETUSER reads them.
    #[must_use]
    pub fn describe(&self) -> Vec<u8> {
        let flags = self.flags().map(|flag| flag.as_bytes().to_vec());
        let passwords = self.passwords.iter().map(|digest| format!("#{}", digest.to_hex()));
        let others = self.others.iter().map(|one| [b"(", &*one.describe(), b")"].concat());
        let parts = flags.chain(passwords.map(String::into_bytes));
        let parts = parts.chain([self.root.describe()]).chain(others);
        parts.collect::<Vec<_>>().join(&b' ')
    }
}

impl User {
    /// A user of these rules.
    #[must_use]
    pub fn new(name: &[u8], rules: Rules) -> User {
        let is_free_on_keys = rules.selectors().any(Selector::is_free_on_keys);
        let is_superseded = AtomicBool::new(false);
        User { name: name.into(), rules, is_free_on_keys, is_superseded }
    }

    /// Whether the user is another one by now, or none.
    #[must_use]
    #[inline]
    pub fn is_superseded(&self) -> bool {
        self.is_superseded.load(Ordering::Acquire)
    }

    /// Tells whoever holds it to look anew.
    pub(super) fn supersede(&self) {
        self.is_superseded.store(true, Ordering::Release);
    }

    /// Whether it may run every command on every key, so that nothing need be asked.
    #[must_use]
    pub fn is_free_on_keys(&self) -> bool {
        self.is_free_on_keys
    }

    /// Whether everybody is this user who has not said who he is.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rules.is_on && self.rules.needs_no_password
    }
}

/// Words, of which those from an opening parenthesis to a closing one are made one.
///
/// # Errors
/// The word with a parenthesis that is not closed.
fn joined<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut whole: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    for word in words {
        let closes = word.ends_with(b")");
        match open.take() {
            Some((first, mut selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(word);
                if closes {
                    whole.push(selector);
                } else {
                    open = Some((first, selector));
                }
            }
            None if word.starts_with(b"(") && !closes => {
                open = Some((word.to_vec(), word.to_vec()));
            }
            None => whole.push(word.to_vec()),
        }
    }
    open.map_or(Ok(whole), |(first, _)| Err(first))
}
