//! One token for everybody: however many tasks and processes meet a token that has ended, one of
//! them logs in and the others wait for it.

use std::sync::{Arc, Mutex, PoisonError};
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
    /// As [`Keyring::token`]; a pasted token cannot be renewed.
    pub async fn renew(&self, refused: &Secret, why: &Error) -> Result<Secret> {
        if let Credential::Token(_) = self.tokens.credential() {
            return Err(why.clone().advice(
                "it was pasted and cannot be renewed: get a new one, or use client credentials",
            ));
        }
        self.other_than(Some(refused)).await
    }

    /// A token cache that could not be written, once.
    pub fn take_trouble(&self) -> Option<Error> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    async fn other_than(&self, refused: Option<&Secret>) -> Result<Secret> {
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        let _turn = self.turn.lock().await;
        if let Some(token) = self.tokens.peek(SystemTime::now(), refused) {
            return Ok(token);
        }
        if let Some(error) = self
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            return Err(error);
        }
        self.look_or_log_in(refused.cloned()).await
    }

    async fn look_or_log_in(&self, refused: Option<Secret>) -> Result<Secret> {
        let tokens = Arc::clone(&self.tokens);
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
                    *self.refused.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(error.clone());
                }
            })?;
        if let Err(error) = self.tokens.keep(&login, SystemTime::now(), turn) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        Ok(Secret::new(&login.token))
    }
}

fn panicked(error: &tokio::task::JoinError) -> Error {
    Error::new(
        Kind::State,
        Operation::Login,
        format!("the token cache could not be read: {error}"),
    )
}
