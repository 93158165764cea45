//! Every setting of every module, in one place, checked once. In: plain fields with defaults. Out:
//! settings that are known to make sense. Never: a file, a socket, an environment variable.

use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{Credential, Secret};
use crate::error::{Error, Kind, Operation, Result};
use crate::hash::MOST_THREADS;
use crate::http;
use crate::journal;
pub use crate::net::{Congestion, Lookup, Timeouts};
use crate::net::{Origin, Scheme};
pub use crate::policy::{CallRates, Retry};
use crate::policy::{USUAL_SLICE, check_rate};
use crate::wire::Conflict;

/// The platform's API base.
pub const DEFAULT_API: &str = "https://open-api.123pan.com";

/// How a [`Client`](crate::Client) works. Start from [`Options::new`] and change fields.
///
/// ```
/// use std::time::Duration;
/// use panup::{Conflict, Credential, Options, Secret};
///
/// let credential = Credential::Client {
///     id: "client id".to_owned(),
///     secret: Secret::new("client secret"),
/// };
/// let mut options = Options::new(credential);
/// options.state_dir = Some("/var/lib/backup/panup".into());
/// options.on_conflict = Conflict::Overwrite;
/// options.limit_rate = Some(20 << 20);
/// options.timeouts.connect = Duration::from_secs(5);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The API base; [`DEFAULT_API`] by default.
    pub api: String,
    /// Who uploads.
    pub credential: Credential,
    /// The account's name in the journal; `None` (default) is the client id, or the `id` in the token,
    /// where it is a JWT. Two accounts with opaque tokens at one API need names if they share a journal.
    pub account: Option<String>,
    /// What happens when a remote name is taken; the file fails by default.
    pub on_conflict: Conflict,
    /// Whether the service is asked what is there before a file is sent.
    pub look: Look,
    /// Files up to this many bytes go in one call by single/create; 0 means always slices.
    /// Default 4 MiB: the largest file that is read rather than mapped.
    pub single_max: u64,
    /// Bodies in flight, 4,096 at most; `None` (default) lets measured goodput decide. Under a rate
    /// limit no more than arrive within the gateway's 60 s.
    pub concurrency: Option<usize>,
    /// Connections per server, 1,024 at most; `None` (default) as many as the bodies in flight need.
    pub connections: Option<usize>,
    /// The HTTP version; by default the faster one of those that a server offers.
    pub http: http::Preference,
    /// Who paces the connections: by default the system, and BBR as soon as the link is seen to lose packets
    /// although no queue builds up on it, or where room is left for others ([`yields`](Self::yields)).
    pub congestion: Congestion,
    /// Hashing threads, 1,024 at most; `None` (default) is one per processor.
    pub hash_threads: Option<usize>,
    /// Bytes per second of content at most; `None` (default) is no limit. The service's gateway ends
    /// a body after 60 s, so a limit under which a slice of 16 MiB, or a file of [`single_max`](Self::single_max),
    /// would take more than 50 s is refused.
    pub limit_rate: Option<u64>,
    /// Whether room is left for others on the link, which is not by default: bodies are paced a little below what the
    /// link carries, so that its queue stays empty, and where another fills it, down to a twelfth of that or what they
    /// need to arrive in time. It goes together with [`limit_rate`](Self::limit_rate): the lower one counts. Linux
    /// tells what waits; elsewhere nothing changes, which each run tells once.
    pub yields: bool,
    /// Calls per second to start from, per endpoint.
    pub call_rates: CallRates,
    /// Whether `http://` servers other than loopback may see the access token.
    pub allow_http: bool,
    /// Suffixes of upload servers' names that may see the access token, such as `example.com`. Besides
    /// them the API base does and, of those that the service names, the ones below `123pan.com` and
    /// `123242.com`; with an API base elsewhere, those below its own domain and loopback.
    pub trusted_hosts: Vec<String>,
    /// Whether the proxies that the environment names are used, which is the default: a variable that
    /// is set and cannot be read is then an error. Loopback addresses are never proxied.
    pub environment_proxies: bool,
    /// The proxy for every server but loopback addresses, as `http://user:password@host:port`; `None`
    /// (default) leaves that to [`environment_proxies`](Self::environment_proxies).
    pub proxy: Option<Secret>,
    /// Who finds the addresses of names; `None` (default) is the system.
    pub lookup: Option<Lookup>,
    /// The `User-Agent` header; `None` (default) is `panup/` and the version.
    pub user_agent: Option<String>,
    /// Certificates to trust besides the system's: contents of PEM files.
    pub roots: Vec<Vec<u8>>,
    /// Where the journal and the token cache live; `None` (default) keeps nothing.
    pub state_dir: Option<PathBuf>,
    /// The run's own resumable state in one append-only file that may lie on a network file system, in the
    /// place of the journal in [`state_dir`](Self::state_dir): a run that was killed goes on, on whatever
    /// machine, with this file and the same contents under the same remote names. One run at a time has it;
    /// an earlier one that still runs ends with [`Kind::State`]. It grows by some 300 bytes a file and some
    /// bytes a slice, and takes some 400 bytes of memory a file. `None` by default.
    pub checkpoint: Option<PathBuf>,
    /// Bytes that the journal may take: beyond, those files are forgotten that were not seen for
    /// longest, and a warning says how many. Default 1 GiB, some two million files.
    pub journal_limit: u64,
    /// Whether unfinished uploads go on where they were.
    pub resume: Resume,
    /// Whether files may be memory-mapped; they are read where not. A mapped file that is truncated meanwhile
    /// raises SIGBUS: the first map installs a handler for the whole process, which turns that into an error
    /// of [`Kind::Source`] where the address is one of these maps, and hands every other on to the handler
    /// that was there before. With `false` no handler is ever installed.
    pub maps: bool,
    /// Retry limits and delays.
    pub retry: Retry,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// After an interrupt: how long bodies in flight may take to land at most, the nearest to their end
    /// first. Default 60 s.
    pub grace: Duration,
}

/// Whether remote folders are listed before files are sent to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Look {
    /// Where that takes fewer calls than asking for each file; always where both are kept
    /// ([`Conflict::KeepBoth`]), where nothing else tells what is there.
    #[default]
    Auto,
    /// Always, to the end; files that the journal knows as uploaded are looked for as well.
    Always,
    /// Never: for accounts that may not list. A taken name then fails, whatever its content is, and an
    /// answer that was lost stays lost.
    Never,
}

/// What the journal is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Resume {
    /// Finished files are skipped, unfinished uploads go on.
    #[default]
    Everything,
    /// Finished files are sent again; hashes and unfinished uploads are still used.
    SendAgain,
    /// Nothing is read; what is done is still written down.
    Nothing,
}

impl Options {
    /// The defaults, for `credential`.
    #[must_use]
    pub fn new(credential: Credential) -> Options {
        Options {
            api: DEFAULT_API.to_owned(),
            credential,
            account: None,
            on_conflict: Conflict::Fail,
            look: Look::Auto,
            single_max: 4 << 20,
            concurrency: None,
            connections: None,
            http: http::Preference::Auto,
            congestion: Congestion::Auto,
            hash_threads: None,
            limit_rate: None,
            yields: false,
            grace: Duration::from_secs(60),
            call_rates: CallRates::default(),
            allow_http: false,
            trusted_hosts: Vec::new(),
            environment_proxies: true,
            proxy: None,
            lookup: None,
            user_agent: None,
            roots: Vec::new(),
            state_dir: None,
            checkpoint: None,
            journal_limit: journal::Settings::default().limit,
            resume: Resume::Everything,
            maps: true,
            retry: Retry::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The API base, and everything else seen to make sense.
    pub(crate) fn check(&self) -> Result<Origin> {
        let api = Origin::parse(&self.api, Scheme::Https)?;
        if api.scheme == Scheme::Http && !api.is_loopback() && !self.allow_http {
            let message = format!("{api} would get the access token unencrypted");
            return Err(invalid(message).advice("use https://, or set `Options::allow_http`"));
        }
        for (name, value, most) in [
            ("concurrency", self.concurrency, MOST_BODIES),
            ("connections per server", self.connections, MOST_CONNECTIONS),
            ("hash threads", self.hash_threads, MOST_THREADS),
        ] {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                return Err(invalid(format!("{name} must be from 1 to {most}")));
            }
        }
        self.check_retries()?;
        if self.state_dir.is_none() && matches!(self.credential, Credential::OAuth { .. }) {
            let message =
                "a refresh token works once, and there is no folder to keep its successor in";
            let error = invalid(message.to_owned());
            return Err(error.advice("name one in `Options::state_dir`"));
        }
        if self
            .account
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(invalid("the account's name is empty".to_owned()));
        }
        // The documents limit single/create to 1 GB; the decimal reading is the safe one.
        if self.single_max > 1_000_000_000 {
            return Err(invalid(
                "single/create takes at most 1,000,000,000 bytes".to_owned(),
            ));
        }
        self.check_limit_rate(self.limit_rate)?;
        let rates = [
            self.call_rates.create,
            self.call_rates.complete,
            self.call_rates.single,
        ];
        if rates
            .into_iter()
            .flatten()
            .any(|rate| !rate.is_finite() || rate <= 0.0)
        {
            return Err(invalid("a call rate must be above 0".to_owned()));
        }
        Ok(api)
    }
}

impl Options {
    /// What tells this account from others in the journal; `None` where only a token that is fetched
    /// can tell.
    pub(crate) fn account_name(&self) -> Option<String> {
        let named = self.account.as_deref().map(|name| name.trim().to_owned());
        named.or_else(|| self.credential.account())
    }

    /// Sees that what is usually sent arrives in time at `rate`.
    pub(crate) fn check_limit_rate(&self, rate: Option<u64>) -> Result<()> {
        let Some(rate) = rate else { return Ok(()) };
        check_rate(rate, "a slice", USUAL_SLICE)?;
        check_rate(rate, "a whole file in one call", self.single_max)
    }

    fn check_retries(&self) -> Result<()> {
        if self.retry.attempts == 0 {
            return Err(invalid("retry attempts must be at least 1".to_owned()));
        }
        let limits = [
            self.timeouts.connect,
            self.timeouts.answer,
            self.timeouts.stall,
        ];
        if limits.iter().any(Duration::is_zero) {
            return Err(invalid("time-outs must be above 0".to_owned()));
        }
        Ok(())
    }
}

/// Bodies in flight at most: sixteen times what the search for the best number goes up to.
const MOST_BODIES: usize = 4096;

/// Connections to one server at most.
const MOST_CONNECTIONS: usize = 1024;

fn invalid(message: String) -> Error {
    Error::new(Kind::Invalid, Operation::Configure, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new(Credential::Token(Secret::new("t")))
    }

    #[test]
    fn a_token_goes_over_plain_http_to_loopback_only() {
        let with = |api: &str, allow_http| {
            Options {
                api: api.to_owned(),
                allow_http,
                ..options()
            }
            .check()
        };
        assert!(with("http://127.0.0.1:1", false).is_ok());
        assert!(with("http://example.com", false).is_err());
        assert!(with("http://example.com", true).is_ok());
        assert_eq!(
            with("example.com", false).expect("https").scheme,
            Scheme::Https
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            Options {
                concurrency: Some(0),
                ..options()
            },
            Options {
                connections: Some(0),
                ..options()
            },
            Options {
                hash_threads: Some(0),
                ..options()
            },
            Options {
                credential: Credential::OAuth {
                    id: "app".to_owned(),
                    secret: Secret::new("s"),
                    refresh_token: Secret::new("r"),
                },
                state_dir: None,
                ..options()
            },
            Options {
                account: Some(" ".to_owned()),
                ..options()
            },
            Options {
                limit_rate: Some(0),
                ..options()
            },
            Options {
                limit_rate: Some(100 << 10),
                ..options()
            },
            Options {
                limit_rate: Some(1 << 20),
                single_max: 100_000_000,
                ..options()
            },
            Options {
                concurrency: Some(1_000_000),
                ..options()
            },
            Options {
                connections: Some(1_000_000),
                ..options()
            },
            Options {
                hash_threads: Some(100_000),
                ..options()
            },
            Options {
                single_max: 1_000_000_001,
                ..options()
            },
            Options {
                retry: Retry {
                    attempts: 0,
                    ..Retry::default()
                },
                ..options()
            },
            Options {
                timeouts: Timeouts {
                    stall: Duration::ZERO,
                    ..Timeouts::default()
                },
                ..options()
            },
            Options {
                call_rates: CallRates {
                    create: Some(0.0),
                    ..CallRates::default()
                },
                ..options()
            },
        ] {
            assert_eq!(wrong.check().expect_err("no sense").kind(), Kind::Invalid);
        }
    }
}
