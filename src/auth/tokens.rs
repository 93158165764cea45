//! The tokens of one credential, in memory and on disk. In: what was fetched, with the time. Out: a
//! token that is good, or the turn to fetch one, among all processes. Never: a wait, a call.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Credential, Secret, state, write_private};
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::private;
use crate::sync::Mutex;
use crate::wire::Login;

/// The tokens of one credential, in memory and on disk.
#[derive(Debug)]
pub struct Tokens {
    credential: Credential,
    cache: Option<PathBuf>,
    current: Mutex<Option<Kept>>,
    /// What a refresh gave and the disk did not take.
    unwritten: Mutex<Option<Kept>>,
}

/// A token and its end, as kept on disk; and what the next one is fetched with, where a credential
/// works once.
#[derive(Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
struct Kept {
    /// Empty where there is none that could be good.
    token: String,
    /// Seconds since 1970.
    expires: u64,
    /// When it was fetched, in seconds since 1970.
    #[serde(default)]
    fetched: u64,
    /// The refresh token that was not used yet, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    /// It was sent to the service, and the answer is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sent: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept(expires {})", self.expires)
    }
}

/// A token that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The token.
    pub token: Secret,
    /// When it ends, where that is known.
    pub expires: Option<SystemTime>,
    /// What comes in place of the refresh token that it was fetched with.
    pub refresh: Option<Secret>,
}

impl From<Login> for Fetched {
    /// An end that cannot be read is not known.
    fn from(login: Login) -> Fetched {
        let expires = OffsetDateTime::parse(&login.expires, &Rfc3339);
        Fetched {
            token: Secret::new(&login.token),
            expires: expires.ok().map(SystemTime::from),
            refresh: None,
        }
    }
}

/// What there is to know for fetching a token.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The token that was refused.
    pub refused: Option<Secret>,
    /// The refresh token to use.
    pub refresh: Option<Secret>,
    /// It was sent before, and the answer was lost.
    pub lost: bool,
}

/// What [`Tokens::take`] found.
#[derive(Debug)]
pub enum Found {
    /// A token to use.
    Token(Secret),
    /// None that is valid: the holder of this may fetch one, and all others wait. With the trouble
    /// that the cache made, if it made any.
    Turn(Turn, Option<Error>),
    /// Another process is fetching one: ask again later.
    Busy,
}

/// The exclusive right, among all processes, to fetch a token; ends with [`Tokens::keep`] or by
/// dropping.
#[derive(Debug, Default)]
pub struct Turn {
    #[allow(dead_code, reason = "holds the lock")]
    lock: Option<File>,
    refresh: Option<Secret>,
    lost: bool,
}

impl Turn {
    /// What there is to know for fetching a token in place of `refused`.
    #[must_use]
    pub fn ask(&self, refused: Option<Secret>) -> Ask {
        Ask {
            refused,
            refresh: self.refresh.clone(),
            lost: self.lost,
        }
    }
}

/// Tokens end about 30 days ahead; one that is about to end is renewed before it fails a call.
const EARLY: Duration = Duration::from_secs(5 * 60);

impl Tokens {
    /// Tokens for `credential` at `api`, cached in `folder` where there is one.
    #[must_use]
    pub fn new(credential: Credential, api: &str, folder: Option<&Path>) -> Tokens {
        let name = file_name(api, &credential);
        Tokens {
            cache: folder.and_then(|folder| name.map(|name| folder.join(name))),
            credential,
            current: Mutex::new(None),
            unwritten: Mutex::new(None),
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
    /// used is none: each process then fetches a token by itself.
    ///
    /// # Errors
    /// [`Kind::State`] where a credential that works once cannot be kept: it is not used then.
    pub fn take(&self, now: SystemTime, refused: Option<&Secret>) -> Result<Found> {
        let original = self.refresh_token();
        let works_once = original.is_some();
        let Some(path) = &self.cache else {
            return match works_once {
                true => Err(homeless()),
                false => Ok(Found::Turn(Turn::default(), None)),
            };
        };
        let (lock, mut trouble) = match lock(path) {
            Ok(Some(lock)) => (Some(lock), None),
            Ok(None) => return Ok(Found::Busy),
            Err(error) if works_once => return Err(unused(error)),
            Err(error) => (None, Some(error)),
        };
        let cached = match self.read(path, works_once) {
            Ok(cached) => cached,
            Err(error) if works_once => return Err(unused(error)),
            Err(error) => {
                trouble.get_or_insert(error);
                None
            }
        };
        if let Some(kept) = cached.as_ref().filter(|kept| kept.good(now, refused)) {
            let token = Secret::new(&kept.token);
            *self.current.lock() = cached;
            return Ok(Found::Token(token));
        }
        let lost = cached.as_ref().is_some_and(|kept| kept.sent);
        let successor = cached.and_then(|kept| kept.refresh);
        let turn = Turn {
            lock,
            refresh: original
                .map(|original| successor.as_deref().map_or(original.clone(), Secret::new)),
            lost,
        };
        Ok(Found::Turn(turn, trouble))
    }

    /// What is on disk; first what is not there yet because the disk did not take it.
    fn read(&self, path: &Path, works_once: bool) -> Result<Option<Kept>> {
        let mut unwritten = self.unwritten.lock();
        if let Some(kept) = &*unwritten {
            write(path, kept)?;
            return Ok(unwritten.take());
        }
        read(path, works_once)
    }

    /// The turn of one for whom [`Tokens::take`] was busy for too long: it fetches a token beside the
    /// other, and the last token stays in the cache.
    ///
    /// # Errors
    /// [`Kind::State`] where the credential works once: two that use it lose each other's.
    pub fn alone(&self) -> Result<(Turn, Error)> {
        let works_once = self.refresh_token().is_some();
        let message = match works_once {
            true => "another panup has been refreshing the token for too long",
            false => "another panup has been logging in for too long; this one logs in by itself",
        };
        let mut error = Error::new(Kind::State, Operation::Login, message);
        if let Some(path) = &self.cache {
            error = error.with_path(path.with_extension(LOCK));
        }
        match works_once {
            true => Err(error.advice("see whether it hangs, and end it; then run this again")),
            false => Ok((Turn::default(), error)),
        }
    }

    /// Notes, before a credential that works once is sent, that it is: whoever finds the note later
    /// knows why it may be refused. A disk that takes nothing is met before it is used up.
    ///
    /// # Errors
    /// [`Kind::State`] where it cannot be written; nothing may be sent then.
    pub fn sending(&self, turn: &Turn) -> Result<()> {
        self.note(turn, true).map_err(unused)
    }

    /// Takes the note back where `error` says that nothing was carried out.
    pub fn unsent(&self, turn: &Turn, error: &Error) {
        if error.delivery() == Delivery::NotDone && !turn.lost {
            drop(self.note(turn, false));
        }
    }

    fn note(&self, turn: &Turn, sent: bool) -> Result<()> {
        let (Some(path), Some(refresh)) = (&self.cache, &turn.refresh) else {
            return Ok(());
        };
        let refresh = Some(refresh.expose().to_owned());
        write(
            path,
            &Kept {
                refresh,
                sent,
                ..Kept::default()
            },
        )
    }

    /// Keeps a fresh token in memory and on disk, and ends the turn.
    ///
    /// # Errors
    /// [`Kind::State`] where it cannot be written. It is kept in memory all the same; but where a
    /// credential works once, the token is not to be used, and its successor is written when the disk
    /// takes it.
    pub fn keep(&self, fetched: &Fetched, now: SystemTime, turn: Turn) -> Result<()> {
        let refresh = turn
            .refresh
            .as_ref()
            .map(|used| fetched.refresh.as_ref().unwrap_or(used));
        let kept = Kept {
            token: fetched.token.expose().to_owned(),
            expires: expiry(fetched.expires, now),
            fetched: seconds(now),
            refresh: refresh.map(|refresh| refresh.expose().to_owned()),
            sent: false,
        };
        let written = self
            .cache
            .as_ref()
            .map_or(Ok(()), |path| write(path, &kept));
        match (&written, refresh) {
            (Err(_), Some(_)) => *self.unwritten.lock() = Some(kept),
            _ => *self.current.lock() = Some(kept),
        }
        written.map_err(|error| match refresh {
            Some(_) => error.advice(
                "the refresh token is used up, and the one that came in its place is lost when this process ends: \
                 free the disk while it runs, or authorise the application again",
            ),
            None => error,
        })
    }

    /// The refresh token as the user has it.
    fn refresh_token(&self) -> Option<&Secret> {
        match &self.credential {
            Credential::OAuth { refresh_token, .. } => Some(refresh_token),
            _ => None,
        }
    }
}

/// The same for every run with one credential at one service; `None` where nothing is kept. What
/// follows from a refresh token is found under the one that the user has.
fn file_name(api: &str, credential: &Credential) -> Option<String> {
    let facts = match credential {
        Credential::Token(_) => return None,
        Credential::Client { id, .. } => format!("{api}\n{id}"),
        Credential::OAuth {
            id, refresh_token, ..
        } => format!("oauth\n{api}\n{id}\n{}", refresh_token.expose()),
        Credential::Source(source) => format!("source\n{api}\n{}", source.shared_name()?),
    };
    Some(format!(
        "token-{}.json",
        crate::digest::md5(facts.as_bytes())
    ))
}

impl Kept {
    fn good(&self, now: SystemTime, refused: Option<&Secret>) -> bool {
        // A token that lives for minutes only must not be renewed at every call.
        let half = Duration::from_secs(self.expires.saturating_sub(self.fetched) / 2);
        let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.expires));
        let early = now.checked_add(EARLY.min(half));
        // No such token exists: its time is beyond all times.
        let lasts = !self.token.is_empty()
            && matches!((end, early), (Some(end), Some(early)) if end > early);
        lasts && refused.is_none_or(|refused| refused.expose() != self.token)
    }
}

/// The token's end in seconds since 1970. One that is not known, or that is past already because a
/// clock is wrong, is given an hour: the 401 that may come earlier renews it.
fn expiry(end: Option<SystemTime>, now: SystemTime) -> u64 {
    let now = seconds(now);
    let end = end.map(seconds).filter(|&end| end > now);
    end.unwrap_or(now.saturating_add(3600))
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

fn read(path: &Path, works_once: bool) -> Result<Option<Kept>> {
    let text = private::read(path).map_err(|error| state(path, error))?;
    let kept = text.as_deref().map(serde_json::from_str);
    match kept {
        Some(Err(_)) if works_once => {
            let message = "it is no file of panup's";
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, message);
            let advice = "remove it, and authorise the application again";
            Err(state(path, error).advice(advice))
        }
        // A cache that makes no sense is no cache: the next fetch writes it anew.
        kept => Ok(kept.and_then(std::result::Result::ok)),
    }
}

fn write(path: &Path, kept: &Kept) -> Result<()> {
    let text = serde_json::to_string(kept).map_err(|error| state(path, error.into()))?;
    write_private(path, &text)
}

fn unused(error: Error) -> Error {
    error.advice("the refresh token works once and was not used: its successor could not be kept")
}

fn homeless() -> Error {
    let message = "a refresh token works once, and there is no folder to keep its successor in";
    Error::new(Kind::Invalid, Operation::Login, message).advice("name one in `Options::state_dir`")
}

/// Beside the cache, what says that a process is fetching a token.
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

    fn login(token: &str) -> Fetched {
        Fetched::from(Login {
            token: token.into(),
            expires: "2030-01-01T08:00:00+08:00".into(),
        })
    }

    fn at(text: &str) -> SystemTime {
        SystemTime::from(OffsetDateTime::parse(text, &Rfc3339).expect("a date"))
    }

    #[test]
    fn a_refused_token_is_forgotten_and_a_newer_one_is_not() {
        let now = at("2029-12-01T00:00:00Z");
        let tokens = Tokens::new(client(), "api", None);
        let keep = |token| {
            let Found::Turn(turn, _) = tokens.take(now, None).expect("no refresh token") else {
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
        let Found::Turn(turn, _) = first.take(now, None).expect("no refresh token") else {
            panic!("nothing is cached")
        };
        first.keep(&login("t1"), now, turn).expect("writable");
        let second = Tokens::new(client(), "api", Some(folder.path()));
        assert!(second.peek(now, None).is_none(), "not read yet");
        let Found::Token(token) = second.take(now, None).expect("no refresh token") else {
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
            matches!(
                second.take(now, Some(&token)).expect("no refresh token"),
                Found::Turn(_, None)
            ),
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
        let Found::Turn(turn, _) = one.take(now, None).expect("no refresh token") else {
            panic!("nothing is cached")
        };
        one.keep(&login("t2"), now, turn).expect("writable");
        let Found::Token(token) = two
            .take(now, Some(&Secret::new("t1")))
            .expect("no refresh token")
        else {
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
                let found = tokens.take(now, None).expect("no refresh token");
                assert!(matches!(found, Found::Turn(_, None)), "{found:?}");
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
        let Found::Turn(turn, Some(trouble)) = tokens.take(now, None).expect("no refresh token")
        else {
            panic!("no token that others could read is used")
        };
        assert!(
            trouble.to_string().contains("others can read it"),
            "{trouble}"
        );
        tokens.keep(&login("t2"), now, turn).expect("writable");
        let next = Tokens::new(client(), "api", Some(folder.path()));
        assert!(
            matches!(next.take(now, None).expect("no refresh token"), Found::Token(token) if token.expose() == "t2")
        );
    }

    #[test]
    fn nobody_waits_for_the_lock_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let (one, two) = (
            Tokens::new(client(), "api", Some(folder.path())),
            Tokens::new(client(), "api", Some(folder.path())),
        );
        let Found::Turn(turn, None) = one.take(now, None).expect("no refresh token") else {
            panic!("nothing is cached")
        };
        assert!(matches!(
            two.take(now, None).expect("no refresh token"),
            Found::Busy
        ));
        drop(turn);
        assert!(matches!(
            two.take(now, None).expect("no refresh token"),
            Found::Turn(_, None)
        ));
    }

    #[cfg(unix)]
    fn kept(token: &str) -> Kept {
        Kept {
            token: token.to_owned(),
            expires: seconds(at("2030-01-01T00:00:00Z")),
            ..Kept::default()
        }
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let tokens = Tokens::new(client(), "api", None);
        let now = at("2029-12-01T00:00:00Z");
        tokens
            .keep(&login("t0ken"), now, Turn::default())
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
            .keep(&login("brief"), now, Turn::default())
            .expect("memory only");
        assert!(tokens.peek(now, None).is_some(), "three minutes to live");
        assert!(tokens.peek(at("2029-12-31T23:58:31Z"), None).is_none());
        let later = at("2031-01-01T00:00:00Z");
        tokens
            .keep(&login("past"), later, Turn::default())
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
        let Found::Turn(turn, _) = tokens.take(now, None).expect("no refresh token") else {
            panic!("nothing is cached")
        };
        let error = tokens.keep(&login("t1"), now, turn).expect_err("no folder");
        assert_eq!(error.kind(), Kind::State);
        assert_eq!(tokens.peek(now, None), Some(Secret::new("t1")));
    }

    #[test]
    fn an_unreadable_end_gives_an_hour() {
        let now = at("2029-12-01T00:00:00Z");
        let login = Login {
            token: "t".into(),
            expires: "soon".into(),
        };
        let end = Fetched::from(login).expires;
        assert_eq!(expiry(end, now) - seconds(now), 3600);
    }

    fn oauth(refresh: &str) -> Credential {
        Credential::OAuth {
            id: "app".into(),
            secret: Secret::new("hush"),
            refresh_token: Secret::new(refresh),
        }
    }

    fn refreshed(token: &str, refresh: &str) -> Fetched {
        Fetched {
            refresh: Some(Secret::new(refresh)),
            ..login(token)
        }
    }

    fn turn(tokens: &Tokens, now: SystemTime) -> Turn {
        match tokens.take(now, None).expect("a good folder") {
            Found::Turn(turn, None) => turn,
            found => panic!("{found:?}"),
        }
    }

    #[test]
    fn the_successor_of_a_refresh_token_is_found_under_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let (mut used, mut now_used) = ("r0".to_owned(), now);
        for next in ["r1", "r2"] {
            let tokens = Tokens::new(oauth("r0"), "api", Some(folder.path()));
            let turn = turn(&tokens, now_used);
            assert_eq!(turn.refresh, Some(Secret::new(&used)));
            assert!(!turn.lost);
            tokens.sending(&turn).expect("writable");
            let fetched = refreshed(&format!("a-{next}"), next);
            tokens.keep(&fetched, now, turn).expect("writable");
            (used, now_used) = (next.to_owned(), at("2030-01-02T00:00:00Z"));
        }
        let other = Tokens::new(oauth("r9"), "api", Some(folder.path()));
        assert_eq!(turn(&other, now).refresh, Some(Secret::new("r9")));
    }

    #[test]
    fn a_refresh_token_that_was_sent_and_not_answered_is_marked() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let tokens = || Tokens::new(oauth("r0"), "api", Some(folder.path()));
        // Killed between question and answer.
        let first = tokens();
        let asked = turn(&first, now);
        first.sending(&asked).expect("writable");
        drop(asked);
        let second = tokens();
        let asked = turn(&second, now);
        assert!(asked.lost && asked.refresh == Some(Secret::new("r0")));
        // That the next one cannot be sent proves nothing about the one that was.
        let refused = Error::new(Kind::Transport, Operation::Login, "no way");
        second.sending(&asked).expect("writable");
        second.unsent(&asked, &refused);
        drop(asked);
        assert!(turn(&tokens(), now).lost);
        let third = tokens();
        let asked = turn(&third, now);
        third
            .keep(&refreshed("a1", "r1"), now, asked)
            .expect("kept");
        assert!(matches!(tokens().take(now, None), Ok(Found::Token(_))));
    }

    #[test]
    fn what_was_not_sent_is_not_marked() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let tokens = Tokens::new(oauth("r0"), "api", Some(folder.path()));
        let asked = turn(&tokens, now);
        tokens.sending(&asked).expect("writable");
        tokens.unsent(
            &asked,
            &Error::new(Kind::Transport, Operation::Login, "no way"),
        );
        drop(asked);
        assert!(!turn(&tokens, now).lost);
    }

    #[test]
    fn a_refresh_token_whose_successor_cannot_be_kept_is_not_used() {
        let now = at("2029-12-01T00:00:00Z");
        let nowhere = Tokens::new(oauth("r0"), "api", None);
        let error = nowhere.take(now, None).expect_err("no folder");
        assert_eq!(error.kind(), Kind::Invalid);
        let folder = tempfile::tempdir().expect("a folder");
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "in the way").expect("writable");
        let tokens = Tokens::new(oauth("r0"), "api", Some(&blocked.join("state")));
        let error = tokens.take(now, None).expect_err("no folder");
        assert!(error.to_string().contains("was not used"), "{error}");
        let tokens = Tokens::new(oauth("r0"), "api", Some(folder.path()));
        let path = tokens.cache.clone().expect("named");
        private::write(&path, "{\"tok").expect("writable");
        let error = tokens.take(now, None).expect_err("broken");
        assert!(error.to_string().contains("authorise"), "{error}");
        let held = lock(&path).expect("lockable");
        assert!(
            held.is_some() && tokens.alone().is_err(),
            "never beside another"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_successor_that_the_disk_did_not_take_is_written_later_and_its_token_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2029-12-01T00:00:00Z");
        let tokens = Tokens::new(oauth("r0"), "api", Some(folder.path()));
        let asked = turn(&tokens, now);
        let path = tokens.cache.clone().expect("named");
        // A folder stands where the file should.
        std::fs::create_dir(&path).expect("room");
        std::fs::write(path.join("x"), "").expect("room");
        let error = tokens
            .keep(&refreshed("a1", "r1"), now, asked)
            .expect_err("in the way");
        assert!(error.to_string().contains("used up"), "{error}");
        assert_eq!(tokens.peek(now, None), None, "not before it is on disk");
        assert!(tokens.take(now, None).is_err());
        std::fs::remove_dir_all(&path).expect("ours");
        let Ok(Found::Token(token)) = tokens.take(now, None) else {
            panic!("it is kept now")
        };
        assert_eq!(token.expose(), "a1");
        let kept = read(&path, true).expect("written").expect("there");
        assert_eq!(kept.refresh.as_deref(), Some("r1"));
    }

    #[test]
    fn a_source_is_shared_under_its_name_alone() {
        let source = super::super::TokenSource::new(|_| std::future::pending());
        let name = |source| file_name("api", &Credential::Source(source));
        assert_eq!(name(source.clone()), None, "in memory");
        let one = name(source.clone().shared_as("one"));
        assert_eq!(one, name(source.clone().shared_as("one")));
        assert_ne!(one, name(source.shared_as("two")));
        assert_ne!(one, file_name("api", &client()));
    }
}
