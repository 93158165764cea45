//! One token for everybody: however many tasks and processes meet a token that has ended, one of
//! them logs in and the others wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::failures::Failures;
use crate::auth::{Credential, Found, Secret, Tokens};
use crate::error::{Error, Kind, Operation, Result};
use crate::policy::{Attempt, Decision, Repeat, Retry};
use crate::service::Service;
use crate::sync::{Mutex, MutexGuard};
use crate::wire::Login;

/// The tokens of one client.
#[derive(Debug)]
pub struct Keyring {
    tokens: Arc<Tokens>,
    service: Service,
    /// Held by the one task of this process that looks on disk or logs in.
    turn: tokio::sync::Mutex<()>,
    /// A token fetched in place of a refused one, with which no call has succeeded yet.
    unproven: Mutex<Option<Secret>>,
    retry: Retry,
    /// Logins that failed, for all who waited for them.
    failures: Failures,
    trouble: Mutex<Troubles>,
}

/// What there is to say of the token cache; each thing is said once.
#[derive(Debug, Default)]
struct Troubles {
    news: Vec<Error>,
    told: Vec<String>,
}

impl Keyring {
    /// A keyring that asks `service` where `tokens` has none.
    #[must_use]
    pub fn new(tokens: Tokens, service: Service, retry: Retry) -> Keyring {
        Keyring {
            tokens: Arc::new(tokens),
            service,
            turn: tokio::sync::Mutex::default(),
            unproven: Mutex::default(),
            retry,
            failures: Failures::default(),
            trouble: Mutex::default(),
        }
    }

    /// A token that should be good.
    ///
    /// # Errors
    /// [`Kind::Auth`] where the credentials are refused, or as the way to the service fails.
    pub async fn token(&self) -> Result<Secret> {
        // Refused credentials are refused for everybody: another call with them were a storm.
        self.failures.since(u64::MAX)?;
        self.other_than(None).await
    }

    /// A token other than the one that was `refused`.
    ///
    /// # Errors
    /// As [`Keyring::token`]; a pasted token cannot be renewed, and one that is refused as soon as it
    /// was renewed is final: the next would fare no better.
    pub async fn renew(&self, refused: &Secret, why: &Error) -> Result<Secret> {
        if let Credential::Token(_) = self.tokens.credential() {
            let error = why.clone().advice(
                "it was pasted and cannot be renewed: get a new one, or use client credentials",
            );
            self.give_up(&error);
            return Err(error);
        }
        let fresh = lock(&self.unproven).as_ref() == Some(refused);
        if fresh {
            let error = why.clone().context("also with a new token");
            self.give_up(&error);
            return Err(error);
        }
        self.tokens.forget(refused);
        self.other_than(Some(refused)).await
    }

    /// A call succeeded.
    pub fn proven(&self) {
        lock(&self.unproven).take();
    }

    /// The service refused a fresh token as well: nobody asks for another one.
    pub fn give_up(&self, error: &Error) {
        self.failures.note(error);
    }

    /// What went wrong with the token cache since the last call, and whom a login waits for.
    pub fn take_trouble(&self) -> Option<Error> {
        let mut troubles = lock(&self.trouble);
        (!troubles.news.is_empty()).then(|| troubles.news.remove(0))
    }

    async fn other_than(&self, refused: Option<&Secret>) -> Result<Secret> {
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        let failed = self.failures.count();
        let _turn = self.turn.lock().await;
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        self.failures.since(failed)?;
        self.look_or_log_in(refused.cloned()).await
    }

    async fn look_or_log_in(&self, refused: Option<Secret>) -> Result<Secret> {
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
        let Credential::Client { id, secret } = self.tokens.credential() else {
            unreachable!("a pasted token is always found");
        };
        let login = self.log_in(id, secret).await;
        let login = login.inspect_err(|error| self.failures.note(error))?;
        *lock(&self.unproven) = renewal.then(|| Secret::new(&login.token));
        if let Err(error) = self.tokens.keep(&login, SystemTime::now(), turn)
            && !told
        {
            self.warn(error);
        }
        Ok(Secret::new(&login.token))
    }

    fn warn(&self, trouble: Error) {
        let mut troubles = lock(&self.trouble);
        // The same trouble at every renewal is told once.
        if !troubles
            .told
            .iter()
            .any(|told| *told == trouble.to_string())
        {
            troubles.told.push(trouble.to_string());
            troubles.news.push(trouble);
        }
    }

    /// Repeated like every other call. A lost answer may cost one of the three tokens that live at
    /// once; whoever held the oldest then meets a 401 and renews.
    async fn log_in(&self, id: &str, secret: &Secret) -> Result<Login> {
        let mut attempt = Attempt::first();
        loop {
            let began = Instant::now();
            let error = match self.service.login(id, secret.expose()).await {
                Ok(login) => return Ok(login),
                Err(error) => error,
            };
            attempt = attempt.used(began.elapsed(), &self.retry);
            let tried = attempt.number;
            let chance = &mut fastrand::Rng::new();
            let decision = self.retry.decide(&error, &attempt, Repeat::Safe, chance);
            attempt = attempt.next(&error, decision);
            let after = match decision {
                Decision::Again { after, .. } => after,
                _ if tried > 1 => return Err(error.context(format_args!("after {tried} attempts"))),
                _ => return Err(error),
            };
            tracing::debug!(%error, ?after, "login failed");
            tokio::time::sleep(after).await;
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
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
        let say = |word: Error| lock(&said).push(word.to_string());
        let started = tokio::time::Instant::now();
        let found = turn(&two, None, &say).await.expect("no panic");
        assert!(matches!(found, Found::Busy), "{found:?}");
        assert!(started.elapsed() < PATIENCE * 2);
        assert_eq!(lock(&said).len(), 1, "{said:?}");
        assert!(lock(&said)[0].contains("another panup is logging in"));
        drop(held);
        let found = turn(&two, None, &say).await.expect("no panic");
        assert!(matches!(found, Found::LogIn(..)), "{found:?}");
    }
}
