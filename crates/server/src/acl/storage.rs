//! Where users are kept while the server is off: in a file of their own, or in the configuration
//! file; never in both.

use std::fs;
use std::path::Path;

use config::Directive;

use super::{Changed, User, default_user, file};
use crate::server::Server;

/// The name of a line of the configuration file that is a user.
pub const LINE: &str = "user";

impl Server {
    /// Makes the users that the configuration file or the file of users names.
    ///
    /// # Errors
    /// Everything that is wrong with them, or that there are both.
    pub fn make_users(&self, lines: &[Directive], path: Option<&Path>) -> Result<(), String> {
        match (path, lines) {
            (Some(_), [line, ..]) => Err(format!(
                "{}: users in the configuration file and in a file of users (aclfile) at the same \
                 time are very likely to lead to errors and security holes; define them in one \
                 of the two",
                line.origin
            )),
            (Some(path), []) => self.load_users(path).map(drop),
            (None, lines) => self.load_lines(lines),
        }
        .inspect(|()| self.report_users())
    }

    /// Puts the users of a file in the place of all.
    ///
    /// # Errors
    /// Everything that is wrong with the file; nothing is changed then.
    pub fn load_users(&self, path: &Path) -> Result<Vec<Changed>, String> {
        let shown = path.display().to_string();
        let text = fs::read(path).map_err(|error| {
            let error = crate::start::plain(&error);
            format!("Error loading ACLs, opening file '{shown}': {error}")
        })?;
        let beginning = self.beginning();
        let users = file::parse(&text, &shown, beginning)?;
        Ok(self.acl.replace(users, beginning, &self.settings().requirepass))
    }

    fn load_lines(&self, lines: &[Directive]) -> Result<(), String> {
        let mut text = Vec::new();
        for line in lines {
            let rules = line.words.iter().map(Vec::as_slice);
            let words: Vec<&[u8]> = [LINE.as_bytes()].into_iter().chain(rules).collect();
            let beginning = self.beginning();
            let user = file::user(&words, &text, beginning);
            text.push(user.map_err(|error| format!("{}: {error}", line.origin))?);
        }
        let users = text.into_iter().map(|user| (user.name.clone(), user.into())).collect();
        self.acl.replace(users, self.beginning(), &self.settings().requirepass);
        Ok(())
    }

    /// Nobody can come in as a user that is off, which may be a mistake.
    fn report_users(&self) {
        for user in self.acl.all().iter().filter(|user| !user.rules.is_on()) {
            let name = String::from_utf8_lossy(&user.name);
            tracing::info!("the user '{name}' is off: its rules do not say 'on'");
        }
    }

    /// The users as lines of the configuration file, each in words; none if they are kept in a file
    /// of their own. The default one is left out while nothing is said of it but its password,
    /// which is a setting.
    #[must_use]
    pub fn user_lines(&self) -> Vec<Vec<Vec<u8>>> {
        if self.config.current().live().aclfile.is_some() {
            return Vec::new();
        }
        let plain = default_user(self.beginning(), &self.settings().requirepass);
        let is_plain = |user: &User| user.name == plain.name && user.rules == plain.rules;
        let users = self.acl.all();
        users.iter().filter(|user| !is_plain(user)).map(|user| file::words(user)).collect()
    }
}
