//! One token for all tasks and processes: however many of them meet a token that has ended, one logs
//! in and the others wait for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::{Credential, Found, Secret, Tokens};
use crate::error::{Error, Kind, Operation, Result};
use crate::policy::SharedFailure;
use crate::sync::Mutex;
use crate::wire::Login;

/// The tokens of one client.
#[derive(Debug)]
pub struct TokenProvider {
    tokens: Arc<Tokens>,
    /// Held by the one task of this process that looks on disk or logs in.
    turn: tokio::sync::Mutex<()>,
    /// A token fetched in place of a refused one, with which no call has succeeded yet.
    unproven: Mutex<Option<Secret>>,
    /// A call has succeeded since the last token was fetched.
    proven: AtomicBool,
    /// A login that failed, for all that waited for it.
    failure: Mutex<SharedFailure>,
    warnings: Mutex<Warnings>,
}

/// What there is to say of the token cache; each thing is said once.
#[derive(Debug, Default)]
struct Warnings {
    untaken: Vec<Error>,
    given: Vec<String>,
}

/// Fetches a new token; the caller repeats as it repeats every call.
pub type LogIn<'a> =
    &'a (dyn Fn() -> Pin<Box<dyn Future<Output = Result<Login>> + Send + 'a>> + Sync);

impl TokenProvider {
    /// A provider of `tokens`.
    #[must_use]
    pub fn new(tokens: Tokens) -> TokenProvider {
        TokenProvider {
            tokens: Arc::new(tokens),
            turn: tokio::sync::Mutex::default(),
            unproven: Mutex::default(),
            proven: AtomicBool::new(false),
            failure: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// A token that should be good.
    ///
    /// # Errors
    /// [`Kind::Auth`] where the credentials are refused, or as the way to the service fails.
    pub async fn token(&self, log_in: LogIn<'_>) -> Result<Secret> {
        // Refused credentials stay refused: another call with them were a storm.
        self.failure.lock().since(u64::MAX)?;
        self.other_than(None, log_in).await
    }

    /// A token other than the one that was `refused`.
    ///
    /// # Errors
    /// As [`TokenProvider::token`]; a pasted token cannot be renewed, and one that is refused as soon as it
    /// was renewed is final: the next would fare no better.
    pub async fn renew(&self, refused: &Secret, why: &Error, log_in: LogIn<'_>) -> Result<Secret> {
        if let Credential::Token(_) = self.tokens.credential() {
            let error = why.clone().advice(
                "it was pasted and cannot be renewed: get a new one, or use client credentials",
            );
            self.give_up(&error);
            return Err(error);
        }
        let fresh = self.unproven.lock().as_ref() == Some(refused);
        if fresh {
            let error = why.clone().context("also with a new token");
            self.give_up(&error);
            return Err(error);
        }
        self.tokens.forget(refused);
        self.other_than(Some(refused), log_in).await
    }

    /// A call succeeded.
    pub fn proven(&self) {
        self.proven.store(true, Ordering::Relaxed);
        self.unproven.lock().take();
    }

    /// Whether a call has succeeded with the present token.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Whether there is a way to another token.
    #[must_use]
    pub fn can_renew(&self) -> bool {
        !matches!(self.tokens.credential(), Credential::Token(_))
    }

    /// The service refused a fresh token as well: no other one is asked for.
    pub fn give_up(&self, error: &Error) {
        self.failure.lock().note(error);
    }

    /// The oldest warning that was not taken yet: about the token cache, or about a login of another
    /// process that is waited for.
    pub fn take_warning(&self) -> Option<Error> {
        let mut warnings = self.warnings.lock();
        (!warnings.untaken.is_empty()).then(|| warnings.untaken.remove(0))
    }

    /// Who logs in.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        self.tokens.credential()
    }

    async fn other_than(&self, refused: Option<&Secret>, log_in: LogIn<'_>) -> Result<Secret> {
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        let failed = self.failure.lock().count();
        let _turn = self.turn.lock().await;
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        self.failure.lock().since(failed)?;
        self.look_or_log_in(refused.cloned(), log_in).await
    }

    async fn look_or_log_in(&self, refused: Option<Secret>, log_in: LogIn<'_>) -> Result<Secret> {
        let renewal = refused.is_some();
        let mut told = false;
        let turn = match turn(&self.tokens, refused, &|word| self.warn(word)).await? {
            Found::Token(token) => return Ok(token),
            Found::LogIn(turn, trouble) => {
                told = trouble.is_some();
                trouble.into_iter().for_each(|trouble| self.warn(trouble));
                turn
            }
            Found::Busy => {
                let (turn, trouble) = self.tokens.alone();
                self.warn(trouble);
                turn
            }
        };
        let login = log_in()
            .await
            .inspect_err(|error| self.failure.lock().note(error))?;
        self.proven.store(false, Ordering::Relaxed);
        *self.unproven.lock() = renewal.then(|| Secret::new(&login.token));
        if let Err(error) = self.tokens.keep(&login, SystemTime::now(), turn)
            && !told
        {
            self.warn(error);
        }
        Ok(Secret::new(&login.token))
    }

    fn warn(&self, warning: Error) {
        let mut warnings = self.warnings.lock();
        // The same warning at every renewal is given once.
        let text = warning.to_string();
        if !warnings.given.contains(&text) {
            warnings.given.push(text);
            warnings.untaken.push(warning);
        }
    }
}

/// Waits while another process logs in: says so after [`SAID_AFTER`], and it is busy still after
/// [`PATIENCE`]. Its lock is asked for again and again, since a wait for it could not be given up.
async fn turn(
    tokens: &Arc<Tokens>,
    refused: Option<Secret>,
    warn: &(dyn Fn(Error) + Sync),
) -> Result<Found> {
    let started = tokio::time::Instant::now();
    let mut said = false;
    loop {
        let (tokens, refused) = (Arc::clone(tokens), refused.clone());
        let looked =
            tokio::task::spawn_blocking(move || tokens.take(SystemTime::now(), refused.as_ref()));
        let found = looked.await.map_err(|error| panicked(&error))?;
        let waited = started.elapsed();
        if !matches!(found, Found::Busy) || waited >= PATIENCE {
            return Ok(found);
        }
        if !said && waited >= SAID_AFTER {
            said = true;
            let message = "another panup is logging in; waiting for its token";
            warn(Error::new(Kind::State, Operation::Login, message));
        }
        tokio::time::sleep(BEAT).await;
    }
}

fn panicked(error: &tokio::task::JoinError) -> Error {
    Error::new(
        Kind::State,
        Operation::Login,
        format!("the token cache could not be read: {error}"),
    )
}

/// How often the lock of a process that logs in is asked for.
const BEAT: Duration = Duration::from_millis(50);

/// A login takes less than a second where the service answers.
const SAID_AFTER: Duration = Duration::from_secs(2);

/// A process that was stopped, or that repeats a login in vain, holds the lock for minutes. Waiting as
/// long as a call may take unanswered, twice, covers one repeat of it.
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn another_process_that_logs_in_is_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = || {
            let credential = Credential::Client {
                id: "id".to_owned(),
                secret: Secret::new("hush"),
            };
            Arc::new(Tokens::new(credential, "api", Some(folder.path())))
        };
        let (one, two) = (tokens(), tokens());
        let Found::LogIn(held, None) = one.take(SystemTime::now(), None) else {
            panic!("nothing is cached")
        };
        let said = Mutex::new(Vec::new());
        let say = |word: Error| said.lock().push(word.to_string());
        let started = tokio::time::Instant::now();
        let found = turn(&two, None, &say).await.expect("no panic");
        assert!(matches!(found, Found::Busy), "{found:?}");
        assert!(started.elapsed() < PATIENCE * 2);
        assert_eq!(said.lock().len(), 1, "{said:?}");
        assert!(said.lock()[0].contains("another panup is logging in"));
        drop(held);
        let found = turn(&two, None, &say).await.expect("no panic");
        assert!(matches!(found, Found::LogIn(..)), "{found:?}");
    }
}
