//! What tells accounts apart in the journal. In: a credential. Out: a name that outlives a token,
//! so that the next token of the same account knows what the last one did. Never: a secret, or a
//! digest of one, in a name.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::Credential;

impl Credential {
    /// The account's name in the journal: the client id; or the `id`, else the `sub`, that stands in
    /// a token that is a JWT, as those of the platform are. Other tokens say nothing of their
    /// account and share one name, unless [`Options::account`](crate::Options) names it.
    #[must_use]
    pub fn account(&self) -> String {
        match self {
            Credential::Token(token) => {
                claimed(token.expose()).unwrap_or_else(|| UNNAMED.to_owned())
            }
            Credential::Client { id, .. } => id.clone(),
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
            Credential::Client { .. } => None,
        }
    }
}

/// The account that a JWT names. Its signature is the service's affair: a forged claim
/// deceives his own journal.
fn claimed(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    ["id", "sub"].iter().find_map(|claim| name(&claims[claim]))
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
    use super::super::Secret;
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

    fn account(token: &str) -> String {
        Credential::Token(Secret::new(token)).account()
    }

    fn jwt(payload: &str) -> String {
        format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
            URL_SAFE_NO_PAD.encode(payload)
        )
    }
}
