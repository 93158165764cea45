//! Why a proxy opens no way. In: what it said, or how it broke off. Out: an error that names it, and
//! whether it will always say so. Never: its password.

use std::error::Error as StdError;
use std::io;

/// Why there is no way through a proxy.
#[derive(Debug, thiserror::Error)]
#[error("proxy {name}: {error}")]
pub(in crate::net) struct ProxyError {
    /// Which one.
    pub(in crate::net) name: String,
    /// Whether it answers so to whatever it is asked: no other call, and no other server, fares
    /// better.
    pub(in crate::net) refuses: bool,
    #[source]
    pub(in crate::net) error: BoxError,
}

pub(in crate::net) type BoxError = Box<dyn StdError + Send + Sync>;

/// What a proxy said instead of opening the way.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

/// Why no way was opened.
#[derive(Debug)]
pub(super) struct Unopened {
    pub(super) error: BoxError,
    /// As in [`ProxyError`].
    pub(super) refuses: bool,
}

impl Unopened {
    /// It did not work this time.
    pub(super) fn because(error: BoxError) -> Unopened {
        let refuses = false;
        Unopened { error, refuses }
    }

    /// The proxy said `words`; `refuses` as in [`ProxyError`].
    pub(super) fn said(words: impl Into<String>, refuses: bool) -> Unopened {
        let error = Refusal(words.into()).into();
        Unopened { error, refuses }
    }
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Unopened {
        Unopened::because(error.into())
    }
}
