//! A caller's own way to tokens. In: a function that fetches one. Out: its tokens, each asked for
//! when it is needed, within a time limit. Never: a cache; that is the same for all credentials.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Fetched, Secret};
use crate::error::{Error, Kind, Operation, Result};

/// An access token that an application hands over.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// When it ends; it is then fetched anew, five minutes before at most. `None` (default) is taken
    /// for an hour, or for what the token itself says where it is a JWT.
    pub expires: Option<SystemTime>,
}

impl Token {
    /// A token that ends nobody knows when.
    #[must_use]
    pub fn new(secret: Secret) -> Token {
        let expires = None;
        Token { secret, expires }
    }

    /// The same with its end.
    #[must_use]
    pub fn until(self, expires: SystemTime) -> Token {
        let expires = Some(expires);
        Token { expires, ..self }
    }
}

/// Why a token is asked for.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TokenRequest {
    /// The token that the service refused; another one is wanted. `None` where there was none, or
    /// where it is about to end.
    pub refused: Option<Secret>,
}

/// A function that fetches access tokens: for [`Credential::Source`](crate::Credential::Source).
///
/// It is called for one task at a time, when a token is missing, about to end or refused; all tasks of
/// the client share what it gives. It is not called again after an error: what can be repeated is its
/// own affair. With [`TokenSource::shared_as`] all processes share its tokens too.
///
/// Its errors end the run; [`Kind::Auth`](crate::Kind::Auth) says that the credentials are refused. One
/// that gives nothing [in time](TokenSource::within), gives a refused token again, or panics, ends it with
/// that kind too.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use panup::{Client, Credential, Item, Options, Secret, Token, TokenSource};
///
/// # let emulator = panup_emulator::Emulator::start(panup_emulator::Config::default())?;
/// # let folder = tempfile::tempdir()?;
/// # let (path, token) = (folder.path().join("f"), emulator.token().to_owned());
/// # std::fs::write(&path, "contents")?;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let source = TokenSource::new(move |_request| {
///     let token = token.clone();
///     async move {
///         // Ask whatever keeps your secrets.
///         let end = SystemTime::now() + Duration::from_secs(3600);
///         Ok(Token::new(Secret::new(&token)).until(end))
///     }
/// });
/// let mut options = Options::new(Credential::Source(source));
/// # options.api = emulator.api();
/// options.account = Some("backup".to_owned());
/// let client = Client::new(options)?;
/// client.upload(Item::new(&path)).await?;
/// # Ok::<(), panup::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenSource {
    fetch: Arc<dyn Fn(TokenRequest) -> Answer + Send + Sync>,
    name: Option<String>,
    limit: Duration,
}

type Answer = Pin<Box<dyn Future<Output = Result<Token>> + Send>>;

impl TokenSource {
    /// Tokens come from `fetch`.
    #[must_use]
    pub fn new<F, T>(fetch: F) -> TokenSource
    where
        F: Fn(TokenRequest) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Token>> + Send + 'static,
    {
        TokenSource {
            fetch: Arc::new(move |request| Box::pin(fetch(request))),
            name: None,
            limit: LIMIT,
        }
    }

    /// Keeps its tokens in [`Options::state_dir`](crate::Options::state_dir), in a file that only its
    /// owner can read, for all processes that share that folder and use the same API and `name`: one of
    /// them fetches a token, the others wait for it. `name` must tell apart what gives tokens of
    /// different accounts; a digest of it names the file.
    #[must_use]
    pub fn shared_as(self, name: impl Into<String>) -> TokenSource {
        let name = Some(name.into());
        TokenSource { name, ..self }
    }

    /// How long a fetch may take; a minute by default.
    #[must_use]
    pub fn within(self, limit: Duration) -> TokenSource {
        TokenSource { limit, ..self }
    }

    /// The name under which its tokens are kept.
    pub(super) fn shared_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the function gives within the limit. It runs as a task of its own: one that blocks its thread
    /// instead of waiting is given up all the same.
    async fn asked(&self, request: TokenRequest) -> Result<Token> {
        let fetch = Arc::clone(&self.fetch);
        let mut task = tokio::spawn(async move { fetch(request).await });
        let failed = |message: String| Error::new(Kind::Auth, Operation::Login, message);
        match tokio::time::timeout(self.limit, &mut task).await {
            Ok(Ok(answer)) => answer.map_err(Error::of_the_run),
            Ok(Err(ended)) if ended.is_panic() => {
                Err(failed("the token source panicked".to_owned()).of_the_run())
            }
            Ok(Err(_)) => Err(failed(
                "the token source was cut off: the runtime is ending".to_owned(),
            )),
            Err(_) => {
                task.abort();
                let message = format!("the token source gave no token within {:?}", self.limit);
                Err(failed(message).timed_out())
            }
        }
    }

    /// A token, other than the one that was refused.
    ///
    /// # Errors
    /// The function's own; one that says that the time is over, or that it gave the same token again.
    pub(crate) async fn fetch(&self, refused: Option<Secret>) -> Result<Fetched> {
        let request = TokenRequest {
            refused: refused.clone(),
        };
        let token = self.asked(request).await?;
        if refused.is_some_and(|refused| refused == token.secret) {
            let message = "the token source gave the token again that the service refused";
            return Err(Error::new(Kind::Auth, Operation::Login, message));
        }
        Ok(Fetched {
            expires: token
                .expires
                .or_else(|| super::account::end_of(&token.secret)),
            token: token.secret,
            refresh: None,
        })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its name may be a command line, and that may have a secret in it.
        write!(f, "TokenSource(within {:?})", self.limit)
    }
}

/// How long a fetch may take.
const LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn given(token: &'static str) -> TokenSource {
        TokenSource::new(move |_| async move { Ok(Token::new(Secret::new(token))) })
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_nothing_is_given_up() {
        let never = TokenSource::new(|_| std::future::pending());
        let started = tokio::time::Instant::now();
        let error = never.fetch(None).await.expect_err("nothing came");
        assert_eq!(started.elapsed(), LIMIT);
        assert_eq!(error.kind(), Kind::Auth);
        assert!(error.to_string().contains("within 60s"), "{error}");
        let brief = never.within(Duration::from_secs(3)).fetch(None).await;
        let error = brief.expect_err("nothing came").to_string();
        assert!(error.contains("within 3s"), "{error}");
    }

    #[tokio::test]
    async fn a_refused_token_that_comes_again_is_told() {
        let source = given("t1");
        assert_eq!(
            source.fetch(None).await.expect("given").token.expose(),
            "t1"
        );
        let error = source
            .fetch(Some(Secret::new("t1")))
            .await
            .expect_err("again");
        assert_eq!(error.kind(), Kind::Auth);
        assert!(!error.to_string().contains("t1"), "{error}");
        assert!(source.fetch(Some(Secret::new("t0"))).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_that_blocks_its_thread_is_given_up_and_one_that_panics_is_told() {
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = std::sync::Mutex::new(blocked);
        let blocking = TokenSource::new(move |_| {
            // The end of the test lets it go.
            let _: Result<(), _> = blocked.lock().expect("alone").recv();
            async { Ok(Token::new(Secret::new("late"))) }
        });
        let brief = blocking.within(Duration::from_millis(50));
        let error = brief.fetch(None).await.expect_err("too late");
        drop(release);
        assert!(
            error.to_string().contains("no token within 50ms"),
            "{error}"
        );
        let at_once =
            TokenSource::new(|_| -> std::future::Ready<Result<Token>> { panic!("purpose") });
        let later = TokenSource::new(|_| async { panic!("purpose") });
        for source in [at_once, later] {
            let error = source.fetch(None).await.expect_err("no token");
            assert_eq!(error.kind(), Kind::Auth);
            assert!(
                error.to_string().contains("token source panicked"),
                "{error}"
            );
        }
    }

    #[test]
    fn no_debug_form_shows_a_name() {
        let shown = format!("{:?}", given("t0ken").shared_as("curl -u me:hush"));
        assert!(
            !shown.contains("hush") && !shown.contains("t0ken"),
            "{shown}"
        );
    }
}
