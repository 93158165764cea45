//! The credential. In: a pasted token, or client credentials and a folder. Out: the token that
//! all tasks use, fetched once for all tasks and all processes. Never: a secret in text, or a
//! login that a still valid token makes needless, since a fourth one would kick out the first.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, Kind, Operation, Result};
use crate::private;
use crate::sync::Mutex;
use crate::wire::Login;

mod account;
mod provider;

pub use provider::TokenProvider;

/// A text that is never shown: its debug form says only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who panup is to the service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credential {
    /// A token that the user pasted. Never refreshed: there is nothing to refresh it with.
    Token(Secret),
    /// Client credentials; tokens are fetched with them and kept on disk.
    Client {
        /// The client id.
        id: String,
        /// The client secret.
        secret: Secret,
    },
}

/// The tokens of one client, in memory and on disk.
#[derive(Debug)]
pub struct Tokens {
    credential: Credential,
    cache: Option<PathBuf>,
    current: Mutex<Option<Kept>>,
}

/// A token and its end, as kept on disk.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
struct Kept {
    token: String,
    /// Seconds since 1970.
    expires: u64,
    /// When it was fetched, in seconds since 1970.
    #[serde(default)]
    fetched: u64,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept(expires {})", self.expires)
    }
}

/// What [`Tokens::take`] found.
#[derive(Debug)]
pub enum Found {
    /// A token to use.
    Token(Secret),
    /// None that is valid: the holder of this may log in, and all others wait. With the trouble
    /// that the cache made, if it made any.
    LogIn(LoginLock, Option<Error>),
    /// Another process is logging in: ask again later.
    Busy,
}

/// The exclusive right, among all processes, to log in; ends with [`Tokens::keep`] or by dropping.
#[derive(Debug)]
pub struct LoginLock(#[allow(dead_code, reason = "holds the lock")] Option<File>);

/// Tokens end about 30 days ahead; one that is about to end is renewed before it fails a call.
const EARLY: Duration = Duration::from_secs(5 * 60);

impl Tokens {
    /// Tokens for `credential` at `api`, cached in `folder` where there is one.
    #[must_use]
    pub fn new(credential: Credential, api: &str, folder: Option<&Path>) -> Tokens {
        let cache = match &credential {
            Credential::Token(_) => None,
            Credential::Client { id, .. } => folder.map(|folder| folder.join(file_name(api, id))),
        };
        Tokens {
            credential,
            cache,
            current: Mutex::new(None),
        }
    }

    /// The credential.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The token in memory, if it is good at `now` and not the `refused` one. Never blocks for long.
    #[must_use]
    pub fn peek(&self, now: SystemTime, refused: Option<&Secret>) -> Option<Secret> {
        if let Credential::Token(token) = &self.credential {
            return Some(token.clone());
        }
        let current = self.current.lock();
        current
            .as_ref()
            .filter(|kept| kept.good(now, refused))
            .map(|kept| Secret::new(&kept.token))
    }

    /// Forgets the token in memory if it is the `refused` one, so that no slice is sent with it
    /// while a new one is fetched.
    pub fn forget(&self, refused: &Secret) {
        let mut current = self.current.lock();
        if current
            .as_ref()
            .is_some_and(|kept| kept.token == refused.expose())
        {
            *current = None;
        }
    }

    /// Looks on disk, under the lock of all processes, and never waits for it. A cache that cannot be
    /// used is none: each process then logs in by itself.
    #[must_use]
    pub fn take(&self, now: SystemTime, refused: Option<&Secret>) -> Found {
        let Some(path) = &self.cache else {
            return Found::LogIn(LoginLock(None), None);
        };
        let (turn, mut trouble) = match lock(path) {
            Ok(Some(lock)) => (LoginLock(Some(lock)), None),
            Ok(None) => return Found::Busy,
            Err(error) => (LoginLock(None), Some(error)),
        };
        let cached = read(path).unwrap_or_else(|error| {
            trouble.get_or_insert(error);
            None
        });
        match cached.filter(|kept| kept.good(now, refused)) {
            Some(kept) => {
                let token = Secret::new(&kept.token);
                *self.current.lock() = Some(kept);
                Found::Token(token)
            }
            None => Found::LogIn(turn, trouble),
        }
    }

    /// The turn of one for whom [`Tokens::take`] was busy for too long: it logs in beside the other,
    /// and the last token stays in the cache.
    #[must_use]
    pub fn alone(&self) -> (LoginLock, Error) {
        let message = "another panup has been logging in for too long; this one logs in by itself";
        let mut error = Error::new(Kind::State, Operation::Login, message);
        if let Some(path) = &self.cache {
            error = error.with_path(path.with_extension(LOCK));
        }
        (LoginLock(None), error)
    }

    /// Keeps a fresh token in memory and on disk, and ends the turn.
    ///
    /// # Errors
    /// [`Kind::State`] where it cannot be written; it is kept in memory all the same.
    pub fn keep(&self, login: &Login, now: SystemTime, turn: LoginLock) -> Result<()> {
        let kept = Kept {
            token: login.token.clone(),
            expires: expiry(&login.expires, now),
            fetched: seconds(now),
        };
        let written = self
            .cache
            .as_ref()
            .map_or(Ok(()), |path| write(path, &kept));
        *self.current.lock() = Some(kept);
        drop(turn);
        written
    }
}

/// The same for every run of one client at one service.
fn file_name(api: &str, id: &str) -> String {
    let md5 = crate::digest::md5(format!("{api}\n{id}").as_bytes());
    format!("token-{md5}.json")
}

impl Kept {
    fn good(&self, now: SystemTime, refused: Option<&Secret>) -> bool {
        // A token that lives for minutes only must not be renewed at every call.
        let half = Duration::from_secs(self.expires.saturating_sub(self.fetched) / 2);
        let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.expires));
        let early = now.checked_add(EARLY.min(half));
        // No such token exists: its time is beyond all times.
        let lasts = matches!((end, early), (Some(end), Some(early)) if end > early);
        lasts && refused.is_none_or(|refused| refused.expose() != self.token)
    }
}

/// The token's end in seconds since 1970. One that cannot be read, or that is past already because
/// a clock is wrong, is given an hour: the 401 that may come earlier renews it.
fn expiry(text: &str, now: SystemTime) -> u64 {
    let read = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|at| u64::try_from(at.unix_timestamp()).ok());
    let now = seconds(now);
    read.filter(|&end| end > now)
        .unwrap_or(now.saturating_add(3600))
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// The lock beside the cache `path`; `None` where another process has it.
fn lock(path: &Path) -> Result<Option<File>> {
    let path = path.with_extension(LOCK);
    let failed = |error| state(&path, error);
    if let Some(folder) = path.parent() {
        private::folder(folder).map_err(failed)?;
    }
    let file = private::lock_file(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn read(path: &Path) -> Result<Option<Kept>> {
    let text = private::read(path).map_err(|error| state(path, error))?;
    // A cache that makes no sense is no cache: the next login writes it anew.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn write(path: &Path, kept: &Kept) -> Result<()> {
    let text = serde_json::to_string(kept).map_err(|error| state(path, error.into()))?;
    write_private(path, &text)
}

/// Reads a file with a secret that [`write_private`] wrote; `None` where there is none.
///
/// # Errors
/// [`Kind::State`] where it cannot be read, where others than its owner can read it, where it is no
/// regular file or that of another user, or where others can write in its folder.
pub fn read_private(path: &Path) -> Result<Option<String>> {
    private::read(path).map_err(|error| state(path, error))
}

/// Reads a file with a secret that the user names, wherever it is; `None` where there is none.
///
/// # Errors
/// [`Kind::State`] where it cannot be read; or where others can read it and its mode is ours to change.
pub fn read_secret(path: &Path) -> Result<Option<Vec<u8>>> {
    private::read_named(path).map_err(|error| state(path, error))
}

/// Writes a file that holds a secret: 0600, whole or not at all, in a folder that is made where it is
/// missing.
///
/// # Errors
/// [`Kind::State`] where it cannot be written, or where others can write in its folder.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    private::write(path, text).map_err(|error| state(path, error))
}

/// Makes the folder `path` where it is missing, and sees that secrets may be written there.
///
/// # Errors
/// [`Kind::State`] where it cannot be made, belongs to another user, or others can write in it.
pub fn private_folder(path: &Path) -> Result<()> {
    private::folder(path).map_err(|error| state(path, error))
}

fn state(path: &Path, error: std::io::Error) -> Error {
    let message = format!("the credential's file cannot be used: {error}");
    Error::new(Kind::State, Operation::Login, message)
        .with_path(path)
        .caused_by(error)
}

/// Beside the cache, what says that a process is logging in.
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Credential {
        Credential::Client {
            id: "id".into(),
            secret: Secret::new("hush"),
        }
    }

    fn login(token: &str) -> Login {
        Login {
            token: token.into(),
            expires: "2030-01-01T08:00:00+08:00".into(),
        }
    }

    fn at(text: &str) -> SystemTime {
        SystemTime::from(OffsetDateTime::parse(text, &Rfc3339).expect("a date"))
    }

    #[test]
    fn a_refused_token_is_forgotten_and_a_newer_one_is_not() {
        let now = at("2029-12-01T00:00:00Z");
        let tokens = Tokens::new(client(), "api", None);
        let keep = |token| {
            let Found::LogIn(turn, _) = tokens.take(now, None) else {
                panic!("nothing is cached")
            };
            tokens.keep(&login(token), now, turn).expect("in memory");
        };
        keep("t1");
        tokens.forget(&Secret::new("t1"));
        assert_eq!(tokens.peek(now, None), None);
        keep("t2");
        tokens.forget(&Secret::new("t1"));
        assert_eq!(tokens.peek(now, None), Some(Secret::new("t2")));
    }

    #[test]
    fn a_token_is_kept_for_the_next_process_and_renewed_early() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let first = Tokens::new(client(), "api", Some(folder.path()));
        let Found::LogIn(turn, _) = first.take(now, None) else {
            panic!("nothing is cached")
        };
        first.keep(&login("t1"), now, turn).expect("writable");
        let second = Tokens::new(client(), "api", Some(folder.path()));
        assert!(second.peek(now, None).is_none(), "not read yet");
        let Found::Token(token) = second.take(now, None) else {
            panic!("cached")
        };
        assert_eq!(token.expose(), "t1");
        assert_eq!(second.peek(now, None), Some(Secret::new("t1")));
        assert!(
            second.peek(at("2029-12-31T23:54:59Z"), None).is_some(),
            "more than five minutes left"
        );
        assert!(
            second.peek(at("2029-12-31T23:55:01Z"), None).is_none(),
            "less than five minutes left"
        );
        assert!(
            matches!(second.take(now, Some(&token)), Found::LogIn(_, None)),
            "refused"
        );
    }

    #[test]
    fn a_refused_token_that_another_process_renewed_is_not_renewed_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let (one, two) = (
            Tokens::new(client(), "api", Some(folder.path())),
            Tokens::new(client(), "api", Some(folder.path())),
        );
        let Found::LogIn(turn, _) = one.take(now, None) else {
            panic!("nothing is cached")
        };
        one.keep(&login("t2"), now, turn).expect("writable");
        let Found::Token(token) = two.take(now, Some(&Secret::new("t1"))) else {
            panic!("t2 is good")
        };
        assert_eq!(token.expose(), "t2");
    }

    #[test]
    fn a_cache_with_an_end_beyond_all_times_is_no_cache() {
        let now = at("2029-12-01T00:00:00Z");
        for expires in [u64::MAX, u64::MAX - 1, 1 << 63] {
            for fetched in [0, 1, u64::MAX] {
                let folder = tempfile::tempdir().expect("a folder");
                let tokens = Tokens::new(client(), "api", Some(folder.path()));
                let text = format!(r#"{{"token":"t0","expires":{expires},"fetched":{fetched}}}"#);
                private::write(tokens.cache.as_ref().expect("named"), &text).expect("writable");
                let found = tokens.take(now, None);
                assert!(matches!(found, Found::LogIn(_, None)), "{found:?}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_cache_that_others_can_read_is_told_and_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let tokens = Tokens::new(client(), "api", Some(folder.path()));
        let path = tokens.cache.clone().expect("named");
        write(&path, &kept("t1")).expect("writable");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("ours");
        let Found::LogIn(turn, Some(trouble)) = tokens.take(now, None) else {
            panic!("no token that others could read is used")
        };
        assert!(
            trouble.to_string().contains("others can read it"),
            "{trouble}"
        );
        tokens.keep(&login("t2"), now, turn).expect("writable");
        let next = Tokens::new(client(), "api", Some(folder.path()));
        assert!(matches!(next.take(now, None), Found::Token(token) if token.expose() == "t2"));
    }

    #[test]
    fn nobody_waits_for_the_lock_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let (one, two) = (
            Tokens::new(client(), "api", Some(folder.path())),
            Tokens::new(client(), "api", Some(folder.path())),
        );
        let Found::LogIn(turn, None) = one.take(now, None) else {
            panic!("nothing is cached")
        };
        assert!(matches!(two.take(now, None), Found::Busy));
        drop(turn);
        assert!(matches!(two.take(now, None), Found::LogIn(_, None)));
    }

    fn kept(token: &str) -> Kept {
        Kept {
            token: token.to_owned(),
            expires: seconds(at("2030-01-01T00:00:00Z")),
            fetched: 0,
        }
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let tokens = Tokens::new(client(), "api", None);
        let now = at("2029-12-01T00:00:00Z");
        tokens
            .keep(&login("t0ken"), now, LoginLock(None))
            .expect("memory only");
        let shown = format!("{tokens:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("t0ken"),
            "{shown}"
        );
    }

    #[test]
    fn a_short_life_or_a_wrong_clock_is_no_reason_to_log_in_at_every_call() {
        let tokens = Tokens::new(client(), "api", None);
        let now = at("2029-12-31T23:57:00Z");
        tokens
            .keep(&login("brief"), now, LoginLock(None))
            .expect("memory only");
        assert!(tokens.peek(now, None).is_some(), "three minutes to live");
        assert!(tokens.peek(at("2029-12-31T23:58:31Z"), None).is_none());
        let later = at("2031-01-01T00:00:00Z");
        tokens
            .keep(&login("past"), later, LoginLock(None))
            .expect("memory only");
        assert!(tokens.peek(later, None).is_some(), "whose clock is wrong?");
    }

    #[test]
    fn a_folder_that_cannot_be_written_leaves_everybody_to_log_in_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "in the way").expect("writable");
        let now = at("2029-12-01T00:00:00Z");
        let tokens = Tokens::new(client(), "api", Some(&blocked.join("state")));
        let Found::LogIn(turn, _) = tokens.take(now, None) else {
            panic!("nothing is cached")
        };
        let error = tokens.keep(&login("t1"), now, turn).expect_err("no folder");
        assert_eq!(error.kind(), Kind::State);
        assert_eq!(tokens.peek(now, None), Some(Secret::new("t1")));
    }

    #[test]
    fn an_unreadable_end_gives_an_hour() {
        let now = at("2029-12-01T00:00:00Z");
        assert_eq!(expiry("soon", now) - seconds(now), 3600);
    }
}
