//! The credential. In: a pasted token, what tokens are fetched with, or a caller's own way to them;
//! and a folder. Out: the token that all tasks use, fetched once for all tasks and all processes.
//! Never: a secret in text, or a fetch that a still valid token makes needless: a fourth login would
//! kick out the first, and a refresh ends the token before.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Kind, Operation, Result};
use crate::private;

mod account;
mod provider;
mod source;
mod tokens;

pub use account::{account_of, end_of};
pub use provider::{Fetching, TokenProvider};
pub use source::{Token, TokenRequest, TokenSource};
pub use tokens::{Ask, Fetched, Tokens};

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
    /// Client credentials; tokens are fetched with them.
    ///
    /// Three tokens of one client id live at once; a fourth login ends the first. So one token is fetched
    /// for all tasks of a client, and kept for all clients and processes that share a
    /// [`Options::state_dir`](crate::Options::state_dir): one of them logs in, the others wait for it.
    /// Without a state folder each [`Client`](crate::Client) logs in by itself, and more than three of them
    /// end each other's tokens. Machines that share no folder are to share a token by another way, such as
    /// [`Credential::Source`].
    Client {
        /// The client id.
        id: String,
        /// The client secret.
        secret: Secret,
    },
    /// An application of OAuth and a refresh token. A refresh token works once: the one that comes in
    /// its place is written to [`Options::state_dir`](crate::Options::state_dir), which must be given,
    /// before the new access token is used. Where this refresh token was used there before, its kept
    /// successor is taken: the same credential can be given again and again.
    ///
    /// A refresh ends the access token before, so all processes must share one state folder. Where the
    /// answer to a refresh is lost, it is asked for again, a few times: the refresh token may be used
    /// up then, but what the lost answer held cannot be had in another way.
    OAuth {
        /// The application's client id.
        id: String,
        /// Its secret.
        secret: Secret,
        /// The refresh token, as it was first got.
        refresh_token: Secret,
    },
    /// A way of the caller's own.
    Source(TokenSource),
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
