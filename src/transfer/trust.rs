//! Where the access token goes. In: the API and the suffixes that the user trusts. Out: whether an upload
//! server that the service names may see the token. Never: a name lookup.

use crate::error::{Error, Kind, Operation, Result};
use crate::net::{Origin, Scheme};

/// Servers that may see the access token.
#[derive(Debug, Clone)]
pub struct Trust {
    suffixes: Vec<String>,
    /// Whether this machine itself may; an API elsewhere that names it is either a test or an attack.
    loopback: bool,
    /// Whether it may without TLS.
    plain_loopback: bool,
}

/// The platform's own domains.
const PLATFORM: [&str; 2] = ["123pan.com", "123242.com"];

impl Trust {
    /// The platform's domains for the platform's API, else the API's own domain and loopback; and those
    /// below `more`, written as `example.com`, `.example.com` or `*.example.com`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a suffix that is no host.
    pub fn new(api: &Origin, more: &[String]) -> Result<Trust> {
        let platform = PLATFORM.iter().any(|domain| is_below(&api.host, domain));
        let mut suffixes: Vec<String> = match platform {
            true => PLATFORM.map(str::to_owned).to_vec(),
            false => vec![own_domain(&api.host).to_owned()],
        };
        for text in more {
            suffixes.push(suffix(text)?);
        }
        Ok(Trust {
            suffixes,
            loopback: !platform,
            plain_loopback: api.is_loopback() || api.scheme == Scheme::Http,
        })
    }

    /// Whether `server` may see the token.
    #[must_use]
    pub fn allows(&self, server: &Origin) -> bool {
        let listed = self
            .suffixes
            .iter()
            .any(|suffix| is_below(&server.host, suffix));
        listed || self.loopback && server.is_loopback()
    }

    /// Whether `server` may see it without TLS, being this machine.
    #[must_use]
    pub fn allows_plain(&self, server: &Origin) -> bool {
        self.plain_loopback && server.is_loopback()
    }

    /// What to say of a server that may not.
    #[must_use]
    pub fn refusal(&self, server: &Origin) -> Error {
        let trusted = self.suffixes.join(", ");
        let message = format!(
            "the service names the upload server {server}, which is not below {trusted}: the access token does not go there"
        );
        Error::new(Kind::Invalid, Operation::Domain, message).advice(format_args!(
            "if it is the service's own, name {} in `Options::trusted_hosts`",
            server.host
        ))
    }
}

fn suffix(text: &str) -> Result<String> {
    let name = text.trim();
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.strip_prefix('.').unwrap_or(name);
    let host = Origin::parse(name, Scheme::Https).map(|origin| origin.host);
    let bare = name.trim_matches(['[', ']']).to_ascii_lowercase();
    host.ok().filter(|host| *host == bare).ok_or_else(|| {
        let message = format!("the trusted host {text:?} is no host name or suffix of one");
        Error::new(Kind::Invalid, Operation::Configure, message)
    })
}

/// Whether `host` is `domain` or a name below it.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// The domain of a host: what is behind its first label, unless that is under a registry, or the host
/// is an address.
fn own_domain(host: &str) -> &str {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    match host.split_once('.') {
        Some((_, above)) if !is_registry(above) => above,
        _ => host,
    }
}

/// `com`, and `co.uk` or `com.cn`.
fn is_registry(domain: &str) -> bool {
    match domain.split_once('.') {
        None => true,
        Some((second, country)) => country.len() == 2 && REGISTRIES.contains(&second),
    }
}

/// Second levels under which countries register.
const REGISTRIES: [&str; 9] = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(api: &str, more: &[&str], server: &str) -> bool {
        let origin = |text: &str| Origin::parse(text, Scheme::Https).expect("an address");
        let more: Vec<String> = more.iter().map(|&text| text.to_owned()).collect();
        let trust = Trust::new(&origin(api), &more).expect("suffixes");
        trust.allows(&origin(server))
    }

    #[test]
    fn the_platforms_api_may_name_the_platforms_servers() {
        let api = "https://open-api.123pan.com";
        for (server, expected) in [
            ("upload.123pan.com", true),
            ("a.b.123242.com", true),
            ("123pan.com", true),
            ("evil123pan.com", false),
            ("123pan.com.evil.net", false),
            ("http://127.0.0.1:1", false),
            ("localhost", false),
        ] {
            assert_eq!(allows(api, &[], server), expected, "{server}");
        }
        for more in [
            "cdn.example",
            ".cdn.example",
            "*.cdn.example",
            "CDN.example",
        ] {
            assert!(allows(api, &[more], "up1.cdn.example"), "{more}");
            assert!(!allows(api, &[more], "xcdn.example"), "{more}");
        }
    }

    #[test]
    fn another_api_may_name_its_own_domain_and_this_machine() {
        for (api, server, expected) in [
            ("https://api.example.com", "up.example.com", true),
            ("https://api.example.com", "up.123pan.com", false),
            ("https://api.test", "up.test", false),
            ("https://api.test", "up.api.test", true),
            ("https://shop.co.uk", "other.co.uk", false),
            ("https://api.shop.co.uk", "up.shop.co.uk", true),
            ("https://10.0.0.1", "10.0.0.1:81", true),
            ("https://10.0.0.1", "10.0.0.2", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:2", true),
            ("http://127.0.0.1:1", "http://localhost:2", true),
            ("http://127.0.0.1:1", "up.example.com", false),
        ] {
            assert_eq!(allows(api, &[], server), expected, "{api} {server}");
        }
    }

    #[test]
    fn a_suffix_is_a_host() {
        let api = Origin::parse("a.b", Scheme::Https).expect("an address");
        for text in ["", "*", ".", "https://a.b", "a.b:1", "a/b", "a b"] {
            let error = Trust::new(&api, &[text.to_owned()]).expect_err(text);
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }

    #[test]
    fn an_api_with_tls_elsewhere_gets_no_plain_loopback() {
        let origin = |text: &str| Origin::parse(text, Scheme::Https).expect("an address");
        for (api, plain) in [
            ("https://api.example.com", false),
            ("http://api.example.com", true),
            ("https://127.0.0.1:1", true),
        ] {
            let trust = Trust::new(&origin(api), &[]).expect("no suffixes");
            assert_eq!(
                trust.allows_plain(&origin("http://127.0.0.1:2")),
                plain,
                "{api}"
            );
        }
    }
}
