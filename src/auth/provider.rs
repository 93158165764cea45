//! One token for all tasks and processes: however many of them meet a token that has ended, one
//! fetches another and the others wait for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::account::claimed;
use super::tokens::{Ask, Fetched, Found, Tokens, Turn};
use super::{Credential, Secret};
use crate::error::{Error, Kind, Operation, Result};
use crate::policy::SharedFailure;
use crate::sync::Mutex;

/// The tokens of one client.
#[derive(Debug)]
pub struct TokenProvider {
    tokens: Arc<Tokens>,
    /// Held by the one task of this process that looks on disk or logs in.
    turn: tokio::sync::Mutex<()>,
    /// Held while a token is fetched with a credential that works once.
    using_up: Arc<tokio::sync::Mutex<()>>,
    /// A token fetched in place of a refused one, with which no call has succeeded yet.
    unproven: Mutex<Option<Secret>>,
    /// A call has succeeded since the last token was fetched.
    proven: AtomicBool,
    /// The account of the first token of a caller's source.
    account: Mutex<Option<String>>,
    /// A fetch that failed, for all that waited for it.
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
pub type Fetch<'a> = &'a (dyn Fn(Ask) -> Fetching + Sync);

/// A token that is being fetched, in a task of its own.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Fetched>> + Send>>;

impl TokenProvider {
    /// A provider of `tokens`.
    #[must_use]
    pub fn new(tokens: Tokens) -> TokenProvider {
        TokenProvider {
            tokens: Arc::new(tokens),
            turn: tokio::sync::Mutex::default(),
            using_up: Arc::default(),
            unproven: Mutex::default(),
            proven: AtomicBool::new(false),
            account: Mutex::default(),
            failure: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// A token that should be good.
    ///
    /// # Errors
    /// [`Kind::Auth`] where the credentials are refused, or as the way to the service fails.
    pub async fn token(&self, fetch: Fetch<'_>) -> Result<Secret> {
        // Refused credentials stay refused: another call with them were a storm.
        self.failure.lock().since(u64::MAX)?;
        self.other_than(None, fetch).await
    }

    /// A token other than the one that was `refused`.
    ///
    /// # Errors
    /// As [`TokenProvider::token`]; a pasted token cannot be renewed, and one that is refused as soon as it
    /// was renewed is final: the next would fare no better.
    pub async fn renew(&self, refused: &Secret, why: &Error, fetch: Fetch<'_>) -> Result<Secret> {
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
        self.other_than(Some(refused), fetch).await
    }

    /// Waits until no credential that works once is being used: before its answer is kept, the end of
    /// the process would lose it.
    pub async fn settled(&self) {
        drop(self.using_up.lock().await);
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

    async fn other_than(&self, refused: Option<&Secret>, fetch: Fetch<'_>) -> Result<Secret> {
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        let failed = self.failure.lock().count();
        let _turn = self.turn.lock().await;
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        self.failure.lock().since(failed)?;
        self.look_or_fetch(refused.cloned(), fetch).await
    }

    async fn look_or_fetch(&self, refused: Option<Secret>, fetch: Fetch<'_>) -> Result<Secret> {
        let (turn, told) = match turn(&self.tokens, refused.clone(), &|word| self.warn(word)).await
        {
            Ok(Found::Token(token)) => return self.of_one_account(token),
            Ok(Found::Turn(turn, trouble)) => {
                let told = trouble.is_some();
                trouble.into_iter().for_each(|trouble| self.warn(trouble));
                (turn, told)
            }
            Ok(Found::Busy) => {
                let (turn, trouble) = self.tokens.alone().map_err(|error| self.failed(&error))?;
                self.warn(trouble);
                (turn, false)
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let renewal = refused.is_some();
        let fetching = fetch(turn.ask(refused));
        let using_up = match self.tokens.credential() {
            Credential::OAuth { .. } => Some(Arc::clone(&self.using_up).lock_owned().await),
            _ => None,
        };
        let keeping = fetch_and_keep(Arc::clone(&self.tokens), turn, fetching);
        // A task of its own: what was fetched is kept also where the one that asked is gone.
        let fetched = tokio::spawn(async move {
            let kept = keeping.await;
            drop(using_up);
            kept
        });
        let fetched = fetched.await;
        let fetched = fetched.map_err(|error| broken(&error)).flatten();
        let (token, unkept) = fetched.map_err(|error| self.failed(&error))?;
        self.proven.store(false, Ordering::Relaxed);
        *self.unproven.lock() = renewal.then(|| token.clone());
        if let Some(error) = unkept
            && !told
        {
            self.warn(error);
        }
        self.of_one_account(token)
    }

    /// No token, for any task that waits.
    fn failed(&self, error: &Error) -> Error {
        // A folder that cannot keep a refresh token's successor keeps it for no other file either.
        let error = match error.kind() {
            Kind::State | Kind::Invalid => error.clone().of_the_run(),
            _ => error.clone(),
        };
        self.failure.lock().note(&error);
        error
    }

    /// The token, unless it is another account's than the one before: what a run has begun for one
    /// account does not go on in another.
    fn of_one_account(&self, token: Secret) -> Result<Secret> {
        if !matches!(self.tokens.credential(), Credential::Source(_)) {
            return Ok(token);
        }
        let mut account = self.account.lock();
        let now = claimed(token.expose());
        let before = account.get_or_insert_with(|| now.clone().unwrap_or_default());
        if *before != now.unwrap_or_default() {
            let message = "the new access token is another account's than the one before";
            let error = Error::new(Kind::Auth, Operation::Login, message);
            return Err(self.failed(&error.advice("run this again for that account")));
        }
        Ok(token)
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
        let found = looked.await.map_err(|error| panicked(&error))??;
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

/// Fetches a token and keeps it; with the error where it is not kept and can be used all the same.
async fn fetch_and_keep(
    tokens: Arc<Tokens>,
    turn: Turn,
    fetching: Fetching,
) -> Result<(Secret, Option<Error>)> {
    tokens.sending(&turn)?;
    let fetched = match fetching.await {
        Ok(fetched) => fetched,
        Err(error) => {
            tokens.unsent(&turn, &error);
            return Err(error);
        }
    };
    let works_once = matches!(tokens.credential(), Credential::OAuth { .. });
    match tokens.keep(&fetched, SystemTime::now(), turn) {
        Err(error) if works_once => Err(error),
        kept => Ok((fetched.token, kept.err())),
    }
}

fn broken(error: &tokio::task::JoinError) -> Error {
    let message = match error.is_panic() {
        true => "fetching a token panicked",
        false => "fetching a token was cut off: the runtime is ending",
    };
    Error::new(Kind::State, Operation::Login, message).of_the_run()
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
        let Ok(Found::Turn(held, None)) = one.take(SystemTime::now(), None) else {
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
        assert!(matches!(found, Found::Turn(..)), "{found:?}");
    }
}
