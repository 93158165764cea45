//! What tells accounts apart in the journal. In: a credential. Out: a name that outlives a token,
//! so that the next token of the same account knows what the last one did. Never: a secret, or a
//! digest of one, in a name.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Credential, Secret};

impl Credential {
    /// The account's name in the journal, as far as the credential itself tells it: the client id; or
    /// what a pasted token says, as [`Options::account`](crate::Options::account) has it. `None` where
    /// only a token that is fetched tells it.
    #[must_use]
    pub fn account(&self) -> Option<String> {
        match self {
            Credential::Token(token) => Some(account_of(self, token)),
            Credential::Client { id, .. } => Some(id.clone()),
            Credential::OAuth { .. } | Credential::Source(_) => None,
        }
    }

    /// What journals of schema 1 call this account, where that differs: a digest of the token
    /// itself. For taking their rows over; nothing is written under it.
    #[must_use]
    pub fn legacy_account(&self) -> Option<String> {
        match self {
            Credential::Token(token) => Some(format!(
                "token-{}",
                crate::digest::md5(token.expose().as_bytes())
            )),
            _ => None,
        }
    }
}

/// The account to which `token`, which `credential` gave, belongs: the `id`, else the `sub`, that
/// stands in a token that is a JWT, as those of the platform are. Others say nothing of their account:
/// it is then the client id of the credential; or one name that all of them share.
#[must_use]
pub fn account_of(credential: &Credential, token: &Secret) -> String {
    let claimed = claimed(token.expose());
    match credential {
        Credential::Client { id, .. } => id.clone(),
        Credential::OAuth { id, .. } => claimed.unwrap_or_else(|| id.clone()),
        Credential::Token(_) | Credential::Source(_) => {
            claimed.unwrap_or_else(|| UNNAMED.to_owned())
        }
    }
}

/// When a token ends that is a JWT and says it.
#[must_use]
pub fn end_of(token: &Secret) -> Option<SystemTime> {
    let end = claims(token.expose())?["exp"].as_u64()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end))
}

/// The account that a JWT names. Its signature is the service's affair: a forged claim
/// deceives his own journal.
pub(super) fn claimed(token: &str) -> Option<String> {
    let claims = claims(token)?;
    ["id", "sub"].iter().find_map(|claim| name(&claims[claim]))
}

fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// The platform writes numbers now as numbers, now as text.
fn name(claim: &Value) -> Option<String> {
    let name = match claim {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let sound = !name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_control);
    sound.then_some(name)
}

/// The account of every token that does not say whose it is.
const UNNAMED: &str = "default";

/// No id of an account is longer, in bytes.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::{Token, TokenSource};
    use super::*;

    #[test]
    fn the_next_token_of_an_account_is_the_same_account() {
        let one = jwt(r#"{"id":1815309870,"exp":1700000000}"#);
        let next = jwt(r#"{"id":1815309870,"exp":1800000000,"more":[1]}"#);
        assert_ne!(one, next);
        assert_eq!(account(&one), "1815309870");
        assert_eq!(account(&next), account(&one));
        assert_eq!(account(&jwt(r#"{"id":"1815309870"}"#)), account(&one));
        assert_ne!(account(&jwt(r#"{"id":1815309871}"#)), account(&one));
    }

    #[test]
    fn an_id_of_many_digits_is_not_rounded() {
        let (one, other) = ("9007199254740993", "9007199254740992");
        for id in [one, other] {
            assert_eq!(account(&jwt(&format!(r#"{{"id":{id}}}"#))), id);
        }
    }

    #[test]
    fn the_subject_stands_in_for_an_id() {
        assert_eq!(account(&jwt(r#"{"sub":"u7","id":null}"#)), "u7");
        assert_eq!(account(&jwt(r#"{"sub":"u7","id":" "}"#)), "u7");
        assert_eq!(account(&jwt(r#"{"sub":"u7","id":8}"#)), "8");
    }

    #[test]
    fn opaque_tokens_share_one_account_and_show_nothing_of_themselves() {
        let opaque = [
            "tok".to_owned(),
            "tok2".to_owned(),
            "a.b.c".to_owned(),
            "a.e30.c".to_owned(),
            jwt("[1]"),
            jwt(r#"{"id":{"id":1}}"#),
            format!("{}.more", jwt(r#"{"id":1}"#)),
            jwt(&format!(r#"{{"id":"{}"}}"#, "x".repeat(LONGEST + 1))),
        ];
        for token in opaque {
            assert_eq!(account(&token), UNNAMED, "{token}");
        }
    }

    #[test]
    fn the_name_of_old_journals_is_known() {
        let old = Credential::Token(Secret::new("tok")).legacy_account();
        assert_eq!(
            old.as_deref(),
            Some("token-60ae136e5d49fbdf037fab5f1d805634")
        );
    }

    #[test]
    fn a_token_that_is_fetched_tells_whose_it_is() {
        let id = || "app".to_owned();
        let (secret, refresh_token) = (Secret::new("s"), Secret::new("r"));
        let oauth = Credential::OAuth {
            id: id(),
            secret: secret.clone(),
            refresh_token,
        };
        let client = Credential::Client { id: id(), secret };
        let source = Credential::Source(TokenSource::new(|_| std::future::pending()));
        assert_eq!([oauth.account(), source.account()], [None, None]);
        let (jwt, opaque) = (Secret::new(&jwt(r#"{"id":7}"#)), Secret::new("tok"));
        let of = |token| [&oauth, &client, &source].map(|credential| account_of(credential, token));
        assert_eq!(of(&jwt), ["7", "app", "7"]);
        assert_eq!(of(&opaque), ["app", "app", UNNAMED]);
    }

    #[tokio::test]
    async fn a_jwt_tells_its_end() {
        let token = Secret::new(&jwt(r#"{"id":7,"exp":1700000000}"#));
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(end_of(&token), Some(end));
        for none in [
            jwt(r#"{"exp":"soon"}"#),
            jwt(r#"{"id":7}"#),
            "tok".to_owned(),
        ] {
            assert_eq!(end_of(&Secret::new(&none)), None);
        }
        let source = TokenSource::new(move |_| {
            let token = Token::new(token.clone());
            async { Ok(token) }
        });
        assert_eq!(source.fetch(None).await.expect("given").expires, Some(end));
    }

    fn account(token: &str) -> String {
        let credential = Credential::Token(Secret::new(token));
        credential.account().expect("told by the token")
    }

    fn jwt(payload: &str) -> String {
        format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
            URL_SAFE_NO_PAD.encode(payload)
        )
    }
}
