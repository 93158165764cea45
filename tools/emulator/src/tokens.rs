//! Bearer tokens and their lifetimes. In come logins and tokens with the time, out go new tokens
//! or a refusal; at most three live per client id, and a fourth login ends the oldest.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::config::Limits;

/// The tokens that were ever good.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: HashMap<String, Token>,
    /// Fetched tokens that live, oldest first.
    fetched: Vec<String>,
    logins: u64,
    /// Refresh tokens and codes that were not used yet, and when they run out.
    grants: HashMap<(Grant, String), Option<SystemTime>>,
    /// The access token of the last refresh.
    refreshed: Option<String>,
    refreshes: u64,
}

/// What an access token of OAuth is given for, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Grant {
    RefreshToken,
    AuthorizationCode,
}

/// What a refresh gives.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

#[derive(Debug)]
struct Token {
    state: Life,
    /// None for a token that never runs out by itself.
    expires: Option<SystemTime>,
    calls: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Live,
    Expired,
}

/// Why a call or login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Unknown, expired, or ended by a newer one.
    Unknown,
    /// The cap on logins is reached.
    TooMany,
}

impl Tokens {
    /// A token that is good for ever.
    pub(crate) fn allow(&mut self, token: &str) {
        let state = Token {
            state: Life::Live,
            expires: None,
            calls: 0,
        };
        self.known.insert(token.to_owned(), state);
    }

    /// A new token under `limits`, and when it runs out.
    pub(crate) fn login(
        &mut self,
        limits: &Limits,
        now: SystemTime,
    ) -> Result<(String, SystemTime), Refused> {
        if limits.logins.is_some_and(|cap| self.logins >= cap) {
            return Err(Refused::TooMany);
        }
        self.logins += 1;
        let token = format!("fetched-{}-{}", self.logins, random(self.logins));
        let expires = now + Duration::from_secs(limits.token_seconds);
        self.known.insert(
            token.clone(),
            Token {
                state: Life::Live,
                expires: Some(expires),
                calls: 0,
            },
        );
        self.fetched.push(token.clone());
        if self.fetched.len() > limits.live_tokens.max(1) {
            let oldest = self.fetched.remove(0);
            self.end(&oldest);
        }
        Ok((token, expires))
    }

    /// A refresh token or code that is good once.
    pub(crate) fn allow_grant(&mut self, grant: Grant, text: &str) {
        self.grants.insert((grant, text.to_owned()), None);
    }

    /// Uses up `grant`; the access token before is over at once.
    pub(crate) fn refresh(
        &mut self,
        grant: (Grant, String),
        limits: &Limits,
        now: SystemTime,
    ) -> Result<Granted, Refused> {
        let expires = self.grants.remove(&grant).ok_or(Refused::Unknown)?;
        if expires.is_some_and(|expires| expires <= now) {
            return Err(Refused::Unknown);
        }
        if let Some(before) = self.refreshed.take() {
            self.end(&before);
        }
        self.refreshes += 1;
        let number = self.refreshes;
        let access = format!("oauth-{number}-{}", random(number));
        let token = Token {
            state: Life::Live,
            expires: Some(now + Duration::from_secs(limits.oauth_seconds)),
            calls: 0,
        };
        self.known.insert(access.clone(), token);
        self.refreshed = Some(access.clone());
        let refresh = format!("refresh-{number}-{}", random(number));
        let expires = now + Duration::from_secs(limits.refresh_seconds);
        let grant = (Grant::RefreshToken, refresh.clone());
        self.grants.insert(grant, Some(expires));
        Ok(Granted { access, refresh })
    }

    /// Counts one call under `token`, if it may call.
    pub(crate) fn admit(
        &mut self,
        token: &str,
        limits: &Limits,
        now: SystemTime,
    ) -> Result<(), Refused> {
        let known = self.known.get_mut(token).ok_or(Refused::Unknown)?;
        let fetched = known.expires.is_some();
        let too_old = known.expires.is_some_and(|expires| expires <= now);
        let used_up = limits
            .calls_per_token
            .is_some_and(|calls| fetched && known.calls >= calls);
        if known.state != Life::Live || too_old || used_up {
            self.end(token);
            return Err(Refused::Unknown);
        }
        known.calls += 1;
        Ok(())
    }

    /// Every token that lives now has run out.
    pub(crate) fn expire_all(&mut self) {
        self.fetched.clear();
        for token in self.known.values_mut() {
            token.state = Life::Expired;
        }
    }

    fn end(&mut self, token: &str) {
        self.fetched.retain(|live| live != token);
        if let Some(known) = self.known.get_mut(token) {
            known.state = Life::Expired;
        }
    }
}

/// Hex digits that differ from one emulator to the next, so that a token kept on disk by an
/// earlier run is not good by accident.
pub(crate) fn random(n: u64) -> String {
    use std::hash::{BuildHasher, RandomState};

    format!("{:016x}", RandomState::new().hash_one(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_fourth_login_kicks_out_the_oldest() {
        let limits = Limits::default();
        let mut tokens = Tokens::default();
        tokens.allow("pasted");
        let mut fetch = || tokens.login(&limits, NOW).expect("no cap").0;
        let fetched = [fetch(), fetch(), fetch(), fetch()];
        let mut good = |token: &str| tokens.admit(token, &limits, NOW).is_ok();
        assert_eq!(
            fetched.each_ref().map(|t| good(t)),
            [false, true, true, true]
        );
        assert!(good("pasted"));
        assert!(!good("invented"));
    }

    #[test]
    fn tokens_run_out_by_time_by_calls_and_by_decree() {
        let limits = Limits {
            calls_per_token: Some(2),
            token_seconds: 10,
            ..Limits::default()
        };
        let mut tokens = Tokens::default();
        let (token, expires) = tokens.login(&limits, NOW).expect("no cap");
        assert_eq!(expires, NOW + Duration::from_secs(10));
        let calls = [(); 3].map(|()| tokens.admit(&token, &limits, NOW).is_ok());
        assert_eq!(calls, [true, true, false]);

        let (token, expires) = tokens.login(&limits, NOW).expect("no cap");
        assert_eq!(
            tokens.admit(&token, &limits, expires),
            Err(Refused::Unknown)
        );

        tokens.allow("pasted");
        tokens.expire_all();
        assert_eq!(tokens.admit("pasted", &limits, NOW), Err(Refused::Unknown));
    }

    #[test]
    fn past_the_cap_no_login_succeeds() {
        let limits = Limits {
            logins: Some(1),
            ..Limits::default()
        };
        let mut tokens = Tokens::default();
        assert!(tokens.login(&limits, NOW).is_ok());
        assert_eq!(tokens.login(&limits, NOW), Err(Refused::TooMany));
    }
}
