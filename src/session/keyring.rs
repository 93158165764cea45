//! One token for everybody: however many tasks and processes meet a token that has ended, one of
//! them logs in and the others wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::error::{Error, Kind, Operation, Result};
use crate::service::Service;
use crate::token::{Credential, Found, Secret, Tokens};

/// The tokens of one client.
#[derive(Debug)]
pub struct Keyring {
    tokens: Arc<Tokens>,
    service: Service,
    /// Held by the one task of this process that looks on disk or logs in.
    turn: tokio::sync::Mutex<()>,
    /// A login that was refused is final: the credentials are wrong for all who wait as well.
    refused: Mutex<Option<Error>>,
    /// A token fetched in place of a refused one, with which no call has succeeded yet.
    unproven: Mutex<Option<Secret>>,
    trouble: Mutex<Option<Error>>,
}

impl Keyring {
    /// A keyring that asks `service` where `tokens` has none.
    #[must_use]
    pub fn new(tokens: Tokens, service: Service) -> Keyring {
        Keyring {
            tokens: Arc::new(tokens),
            service,
            turn: tokio::sync::Mutex::default(),
            refused: Mutex::default(),
            unproven: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// A token that should be good.
    ///
    /// # Errors
    /// [`Kind::Auth`] where the credentials are refused, or as the way to the service fails.
    pub async fn token(&self) -> Result<Secret> {
        self.other_than(None).await
    }

    /// A token other than the one that was `refused`.
    ///
    /// # Errors
    /// As [`Keyring::token`]; a pasted token cannot be renewed, and one that is refused as soon as it
    /// was renewed is final: the next would fare no better.
    pub async fn renew(&self, refused: &Secret, why: &Error) -> Result<Secret> {
        if let Credential::Token(_) = self.tokens.credential() {
            return Err(why.clone().advice(
                "it was pasted and cannot be renewed: get a new one, or use client credentials",
            ));
        }
        let fresh = lock(&self.unproven).as_ref() == Some(refused);
        if fresh {
            let final_word = why.clone().context("also with a new token");
            return Err(lock(&self.refused).get_or_insert(final_word).clone());
        }
        self.other_than(Some(refused)).await
    }

    /// A call succeeded.
    pub fn proven(&self) {
        lock(&self.unproven).take();
    }

    /// A token cache that could not be written, once.
    pub fn take_trouble(&self) -> Option<Error> {
        lock(&self.trouble).take()
    }

    async fn other_than(&self, refused: Option<&Secret>) -> Result<Secret> {
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        let _turn = self.turn.lock().await;
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        if let Some(error) = lock(&self.refused).clone() {
            return Err(error);
        }
        self.look_or_log_in(refused.cloned()).await
    }

    async fn look_or_log_in(&self, refused: Option<Secret>) -> Result<Secret> {
        let tokens = Arc::clone(&self.tokens);
        let renewal = refused.is_some();
        // The lock of all processes blocks while another one logs in.
        let looked =
            tokio::task::spawn_blocking(move || tokens.take(SystemTime::now(), refused.as_ref()));
        let turn = match looked.await.map_err(|error| panicked(&error))?? {
            Found::Token(token) => return Ok(token),
            Found::LogIn(turn) => turn,
        };
        let Credential::Client { id, secret } = self.tokens.credential() else {
            unreachable!("a pasted token is always found");
        };
        let login = self
            .service
            .login(id, secret.expose())
            .await
            .inspect_err(|error| {
                if error.kind() == Kind::Auth {
                    *lock(&self.refused) = Some(error.clone());
                }
            })?;
        *lock(&self.unproven) = renewal.then(|| Secret::new(&login.token));
        if let Err(error) = self.tokens.keep(&login, SystemTime::now(), turn) {
            *lock(&self.trouble) = Some(error);
        }
        Ok(Secret::new(&login.token))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked(error: &tokio::task::JoinError) -> Error {
    Error::new(
        Kind::State,
        Operation::Login,
        format!("the token cache could not be read: {error}"),
    )
}
