//! The server that a request goes to. In: the text of an address, as users and services write it. Out:
//! scheme, host and port, comparable and printable. Never: a path, a name lookup.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;
use rustls::pki_types::ServerName;

use crate::error::{Error, Kind, Operation, Result};

/// A server: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// The host in lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port; 80 or 443 where none was written.
    pub port: u16,
}

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port of an address that names none.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Origin {
    /// Reads `text`, which may lack its scheme and may end in `/`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for user names, paths other than `/`, other schemes, and what is no
    /// address at all.
    pub fn parse(text: &str, default_scheme: Scheme) -> Result<Origin> {
        let refuse = |why: &str| {
            Error::new(
                Kind::Invalid,
                Operation::Configure,
                format!("bad address {}: {why}", excerpt(text)),
            )
        };
        let (scheme, rest) = split_scheme(text.trim(), default_scheme)
            .ok_or_else(|| refuse("unsupported scheme, expected http or https"))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(refuse("expected host[:port], without a path"));
        }
        if authority.contains('@') {
            return Err(refuse("user names are not supported"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| refuse("no host and port"))?;
        Ok(Origin {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Whether the server is this machine by its very address: `127.0.0.0/8`, `::1`, `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            // Names below it are a matter of DNS.
            Err(_) => self.host == "localhost",
        }
    }

    /// Host and port as a `Host` header has them: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            return self.bracketed();
        }
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// The host as addresses have it.
    pub(super) fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

/// `https://host`, `http://host:8080`, `https://[::1]:8443`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// As much of an address as one wants to read: services can send any number of letters.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn split_scheme(text: &str, default: Scheme) -> Option<(Scheme, &str)> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some((default, text));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some((Scheme::Http, rest)),
        "https" => Some((Scheme::Https, rest)),
        _ => None,
    }
}

fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    // A bare IPv6 address would read as host and port; with brackets around it, it is plain.
    if authority.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((authority.to_ascii_lowercase(), None));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = port.map(|port| port.parse::<u16>().ok().filter(|&port| port != 0));
    if port == Some(None) {
        return None;
    }
    Some((plain_host(host)?, port.flatten()))
}

fn plain_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return inner
            .parse::<std::net::Ipv6Addr>()
            .ok()
            .map(|_| inner.to_ascii_lowercase());
    }
    // For everything else the rule is what DNS and TLS take (253 octets, 63 a label, letters, digits,
    // hyphens, underscores), and what an address that is composed of it later has to be.
    let named = ServerName::try_from(host).is_ok();
    let uri: Uri = format!("https://{host}:65535/").parse().ok()?;
    (named && uri.host() == Some(host)).then(|| host.to_ascii_lowercase())
}

/// Characters of a bad address that an error shows.
const EXCERPT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        Origin::parse(text, Scheme::Https).map_or_else(|error| error.to_string(), |o| o.to_string())
    }

    #[test]
    fn addresses_as_services_write_them() {
        assert_eq!(
            parsed("open-api.example.com"),
            "https://open-api.example.com"
        );
        assert_eq!(parsed("http://Up1.Example.com/"), "http://up1.example.com");
        assert_eq!(parsed("HTTPS://a.b:443"), "https://a.b");
        assert_eq!(parsed("a.b:8443/"), "https://a.b:8443");
        assert_eq!(parsed("http://[::1]:80/"), "http://[::1]");
        assert_eq!(parsed("[::1]:8443"), "https://[::1]:8443");
        assert_eq!(parsed("::1"), "https://[::1]");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "/",
            "https://",
            "ftp://a",
            "a/b",
            "a?b",
            "u:p@a",
            "a:0",
            "a:x",
            "a:99999",
            "[::1",
            "a b",
            "a..b",
            ".a",
            "-a.b",
            "a%41.b",
            "名.b",
            "a\u{7f}b",
            "1.2.3.256",
        ] {
            let error = Origin::parse(text, Scheme::Https).expect_err(text);
            assert_eq!(
                (error.kind(), error.operation()),
                (Kind::Invalid, Operation::Configure),
                "{text}"
            );
        }
    }

    #[test]
    fn names_are_as_long_as_dns_allows() {
        let label = |len: usize| "a".repeat(len);
        let name = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
        for (host, expected) in [
            (label(63), true),
            (label(64), false),
            (format!("b.{}", label(64)), false),
            (name(61), true),
            (name(62), false),
            (label(65_524), false),
            (["a"; 40_000].join("."), false),
        ] {
            for text in [
                host.clone(),
                format!("http://{host}"),
                format!("{host}:8080/"),
            ] {
                let parsed = Origin::parse(&text, Scheme::Https);
                assert_eq!(parsed.is_ok(), expected, "{} octets", text.len());
            }
        }
    }

    #[test]
    fn loopback_is_known_by_its_address() {
        for (text, expected) in [
            ("127.0.0.1:1", true),
            ("[::1]", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("a.b", false),
            ("x.localhost", false),
        ] {
            let origin = Origin::parse(text, Scheme::Http).expect("an address");
            assert_eq!(origin.is_loopback(), expected, "{text}");
        }
    }
}
