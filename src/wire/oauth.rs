//! OAuth: the one call whose secrets stand in its path. In: a refresh token. Out: the path, and what
//! the reply says. Never: a secret in an error, whoever repeats it.

use super::envelope::{Fields, Raw, open, said};
use super::message::LONGEST_TOKEN;
use super::path;
use crate::error::{Error, Kind, Result};

/// What is told to the service for a new access token.
#[derive(Clone, Copy)]
pub struct Refresh<'a> {
    /// The application's client id.
    pub client_id: &'a str,
    /// Its secret.
    pub client_secret: &'a str,
    /// The refresh token, which works once.
    pub refresh_token: &'a str,
}

/// What a refresh token was given for.
#[derive(Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// The access token; a secret.
    pub token: String,
    /// The next refresh token, a secret; `None` where the one before stays good.
    pub refresh_token: Option<String>,
    /// Seconds until the access token ends, where that is said.
    pub seconds: Option<u64>,
}

impl Refresh<'_> {
    /// Path and query of the call: a secret as a whole.
    #[must_use]
    pub fn path(&self) -> String {
        let mut text = format!("{}?grant_type=refresh_token", path::OAUTH);
        for (name, value) in [
            ("client_id", self.client_id),
            ("client_secret", self.client_secret),
            ("refresh_token", self.refresh_token),
        ] {
            text.push('&');
            text.push_str(name);
            text.push('=');
            text.push_str(&encoded(value));
        }
        text
    }

    /// Reads the reply, which has no envelope where all is well. A gateway's page, or a redirect, may
    /// repeat what was asked: it is told without the secrets.
    ///
    /// # Errors
    /// [`Kind::Auth`] where it is refused; [`Kind::Protocol`] where there is no token in it.
    pub fn reply(&self, raw: Raw<'_>) -> Result<Refreshed> {
        let flat = Fields::flat(raw.operation, raw.body);
        let is_success = (200..=299).contains(&raw.status);
        if let Some(fields) = flat.as_ref().filter(|_| is_success)
            && fields.text("access_token").is_some()
        {
            return refreshed(fields);
        }
        let body = self.hidden(&String::from_utf8_lossy(raw.body));
        if let Some(error) = flat.and_then(|fields| self.by_the_standard(raw, &fields)) {
            return Err(error);
        }
        let location = raw.location.and_then(|to| to.split('?').next());
        let data = open(Raw {
            location,
            body: body.as_bytes(),
            ..raw
        })?;
        // In an envelope all the same; those texts were not hidden.
        match Fields::flat(raw.operation, raw.body) {
            Some(fields) => refreshed(&fields.data()),
            None => refreshed(&data),
        }
    }

    /// An error as RFC 6749 has them.
    fn by_the_standard(&self, raw: Raw<'_>, fields: &Fields) -> Option<Error> {
        let error = fields.text("error")?;
        if !matches!(raw.status, 200..=299 | 400 | 401 | 403) || fields.number("code").is_ok() {
            return None;
        }
        let details = fields.text("error_description").unwrap_or_default();
        let text = self.hidden(format!("{error} {details}").trim());
        let refused = Error::new(Kind::Auth, raw.operation, said(&text));
        Some(refused.with_status(raw.status))
    }

    /// The text without the secrets, as they are or as they stand in a path, and without any query.
    fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in [self.client_secret, self.refresh_token] {
            let encoded = encoded(secret);
            for form in [secret, &encoded, &encoded.to_ascii_lowercase()] {
                if !form.is_empty() {
                    text = text.replace(form, "…");
                }
            }
        }
        for name in ["client_secret=", "refresh_token="] {
            while let Some(at) = text.find(name) {
                let end = text[at..].find(|c: char| " &\"'<\n".contains(c));
                let end = end.map_or(text.len(), |end| at + end);
                text.replace_range(at..end, "…");
            }
        }
        text
    }
}

fn refreshed(fields: &Fields) -> Result<Refreshed> {
    let seconds = fields.number("expires_in").ok();
    Ok(Refreshed {
        token: fields.bounded_text("access_token", LONGEST_TOKEN)?,
        refresh_token: fields.bounded_text("refresh_token", LONGEST_TOKEN).ok(),
        seconds: seconds.and_then(|seconds| u64::try_from(seconds).ok()),
    })
}

/// The text as it stands in a query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Operation;

    const REFRESH: Refresh<'static> = Refresh {
        client_id: "app",
        client_secret: "s3cret/+",
        refresh_token: "r3fresh",
    };

    fn raw(status: u16, body: &str) -> Raw<'_> {
        Raw {
            operation: Operation::Login,
            host: "h",
            status,
            location: None,
            retry_after: None,
            body: body.as_bytes(),
        }
    }

    #[test]
    fn what_is_asked_stands_in_the_query() {
        assert_eq!(
            REFRESH.path(),
            "/api/v1/oauth2/access_token?grant_type=refresh_token&client_id=app\
             &client_secret=s3cret%2F%2B&refresh_token=r3fresh"
        );
    }

    #[test]
    fn tokens_come_flat_or_in_an_envelope() {
        let wanted = Refreshed {
            token: "a1".to_owned(),
            refresh_token: Some("r1".to_owned()),
            seconds: Some(7200),
        };
        let data = r#"{"token_type":"Bearer","access_token":"a1","refresh_token":"r1","expires_in":7200,"scope":"x"}"#;
        let enveloped = format!(r#"{{"code":0,"message":"ok","data":{data}}}"#);
        for body in [data, &enveloped, &data.replace("7200", "\"7200\"")] {
            assert!(REFRESH.reply(raw(200, body)).expect(body) == wanted);
        }
        let bare = REFRESH
            .reply(raw(200, r#"{"access_token":"a1"}"#))
            .expect("a token");
        assert!(bare.refresh_token.is_none() && bare.seconds.is_none());
        let none = REFRESH.reply(raw(200, r#"{"code":0,"data":{}}"#)).err();
        assert_eq!(none.expect("no token").kind(), Kind::Protocol);
    }

    #[test]
    fn refusals_are_read_in_every_form_and_repeat_no_secret() {
        for (status, body, kind) in [
            (
                200,
                r#"{"code":1,"message":"refresh_token r3fresh was used"}"#,
                Kind::Auth,
            ),
            (
                200,
                r#"{"code":401,"message":"client_secret s3cret/+ is wrong"}"#,
                Kind::Auth,
            ),
            (200, r#"{"code":429,"message":"too fast"}"#, Kind::Throttled),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"r3fresh was used"}"#,
                Kind::Auth,
            ),
            (401, "", Kind::Auth),
            (429, "", Kind::Throttled),
            (
                503,
                "busy with s3cret%2F%2B and s3cret%2f%2b",
                Kind::Throttled,
            ),
            (
                404,
                "Cannot POST /x?client_secret=s3cr3t-otherwise&refresh_token=r3fresh",
                Kind::Protocol,
            ),
            (200, "<html>client_secret=s3cret/+</html>", Kind::Protocol),
        ] {
            let error = REFRESH.reply(raw(status, body)).err().expect(body);
            assert_eq!(error.kind(), kind, "{body}: {error}");
            let text = format!("{error} {error:?}");
            for secret in ["s3cret", "r3fresh", "s3cr3t"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn half_an_answer_is_told_without_its_half() {
        let whole = r#"{"access_token":"s3cret-of-theirs","refresh_token":"#;
        let error = REFRESH.reply(raw(200, whole)).err().expect("half");
        assert_eq!(error.delivery(), crate::error::Delivery::Unknown);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn a_redirect_is_told_without_its_query() {
        let to = "https://elsewhere.invalid/x?client_secret=s3cr%65t&refresh_token=r3fr%65sh";
        let error = REFRESH.reply(Raw {
            location: Some(to),
            ..raw(301, "")
        });
        let text = error.err().expect("a redirect").to_string();
        assert!(
            text.contains("elsewhere.invalid/x") && !text.contains("r3fr"),
            "{text}"
        );
    }
}
