//! Proxies. In: the environment's variables, as people write them. Out: by which way a server is
//! reached, and the tunnel there. Never: a variable that cannot be read and is passed over.

mod bypass;
mod refusal;
mod socks;
mod tunnel;

use std::ffi::OsString;
use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::lookup::Resolver;
use super::origin::{Origin, Scheme};
use crate::error::{Error, Kind, Operation, Result};

use bypass::Bypass;
pub(super) use refusal::ProxyError;
use refusal::Unopened;

/// Which proxy a server is reached through.
#[derive(Debug, Default)]
pub(super) struct ProxyRules {
    http: Option<Proxy>,
    https: Option<Proxy>,
    bypass: Bypass,
}

/// One proxy.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// Where it is.
    pub(super) uri: Uri,
    /// How it is spoken to.
    pub(super) protocol: Protocol,
    /// The variable that names it.
    pub(super) variable: &'static str,
}

/// How a proxy is spoken to.
#[derive(Clone)]
pub(super) enum Protocol {
    /// CONNECT, with this `Proxy-Authorization`.
    Http(Option<HeaderValue>),
    /// SOCKS 5, with this user and password. The proxy resolves names.
    Socks5(Option<(String, String)>),
}

impl ProxyRules {
    /// What the process's environment says.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a variable that is set and cannot be read, naming it.
    pub(super) fn from_environment() -> Result<ProxyRules> {
        ProxyRules::read(&|name| std::env::var_os(name))
    }

    /// One proxy for every server.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where it cannot be read.
    pub(super) fn named(proxy: &str) -> Result<ProxyRules> {
        let proxy = Proxy::parse(proxy, "the proxy")?;
        Ok(ProxyRules {
            http: Some(proxy.clone()),
            https: Some(proxy),
            bypass: Bypass::default(),
        })
    }

    fn read(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<ProxyRules> {
        let first = |names: &[&'static str]| -> Result<Option<(String, &'static str)>> {
            for &name in names {
                let Some(value) = environment(name) else {
                    continue;
                };
                let value = value.into_string();
                let value = value.map_err(|_| unreadable(name, "it is not Unicode"))?;
                if !value.trim().is_empty() {
                    return Ok(Some((value.trim().to_owned(), name)));
                }
            }
            Ok(None)
        };
        let proxy = |names: &[&'static str]| {
            let found = first(names)?;
            found
                .map(|(value, name)| Proxy::parse(&value, name))
                .transpose()
        };
        // A web server hands the header `Proxy` of a request to its CGI programs as HTTP_PROXY.
        let http = match environment("REQUEST_METHOD") {
            Some(_) => &["http_proxy"][..],
            None => &["HTTP_PROXY", "http_proxy"],
        };
        let all = proxy(&["ALL_PROXY", "all_proxy"])?;
        let bypass = first(&["NO_PROXY", "no_proxy"])?;
        let bypass = bypass.map(|(list, name)| {
            Bypass::parse(&list).map_err(|entry| {
                let why = format!("{entry:?} is no host, host:port, *.domain, address or network");
                unreadable(name, &why)
            })
        });
        Ok(ProxyRules {
            http: proxy(http)?.or_else(|| all.clone()),
            https: proxy(&["HTTPS_PROXY", "https_proxy"])?.or(all),
            bypass: bypass.transpose()?.unwrap_or_default(),
        })
    }

    /// The proxy for `origin`; none for this machine itself.
    pub(super) fn proxy(&self, origin: &Origin) -> Option<&Proxy> {
        if origin.is_loopback() || self.bypass.covers(origin) {
            return None;
        }
        match origin.scheme {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }
    }
}

/// Opens the way to `target` through `proxy`.
///
/// # Errors
/// The proxy is not reached, or opens no way.
pub(super) async fn open(
    proxy: &Proxy,
    mut tcp: HttpConnector<Resolver>,
    target: &Uri,
) -> Result<TokioIo<TcpStream>, ProxyError> {
    let failed = |Unopened { error, refuses }| ProxyError {
        name: proxy.name(),
        refuses,
        error,
    };
    let connected = tcp.call(proxy.uri.clone()).await;
    let mut stream = connected.map_err(|error| failed(Unopened::because(error.into())))?;
    let socket = stream.inner_mut();
    let opened = match &proxy.protocol {
        Protocol::Http(credentials) => {
            tunnel::connect(socket, target, (proxy.variable, credentials.as_ref())).await
        }
        Protocol::Socks5(credentials) => {
            socks::connect(socket, target, (proxy.variable, credentials.as_ref())).await
        }
    };
    opened.map(|()| stream).map_err(failed)
}

impl Proxy {
    /// Its address, without what it is given to know us by.
    pub(super) fn name(&self) -> String {
        let authority = self.uri.authority();
        authority.map(ToString::to_string).unwrap_or_default()
    }

    /// The value is never repeated in an error: it may hold a password.
    fn parse(value: &str, variable: &'static str) -> Result<Proxy> {
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", 80),
            "socks5" | "socks5h" => ("socks5h", 1080),
            other => {
                let known = ["https", "socks4", "socks4a", "ftp"].contains(&other);
                let named = if known { other } else { "this kind" };
                let why = format!(
                    "a proxy of {named} is not supported; http://, socks5:// and socks5h:// are"
                );
                return Err(unreadable(variable, &why));
            }
        };
        let wrong = || {
            let why = "it is not http://[user:password@]host:port (%40 stands for @ in a password, %2F for /)";
            unreadable(variable, why)
        };
        let authority = rest
            .split_once('/')
            .map_or(rest, |(authority, _)| authority);
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        let origin = Origin::parse(&format!("http://{server}"), Scheme::Http);
        let mut origin = origin.map_err(|_| wrong())?;
        if !has_port(server) {
            origin.port = port;
        }
        let server = format!("{}:{}", origin.bracketed(), origin.port);
        let told = user.map_or_else(String::new, |user| format!("{user}@"));
        let (intercept, uri) = Proxy::intercept(&format!("{scheme}://{told}{server}/"))
            .zip(format!("http://{server}/").parse().ok())
            .ok_or_else(wrong)?;
        let protocol = Protocol::of(scheme, &intercept);
        // A # ends what is read as the user.
        if protocol.is_secret() != user.is_some() {
            return Err(wrong());
        }
        Ok(Proxy {
            uri,
            protocol,
            variable,
        })
    }

    /// As hyper-util reads it, which decodes user and password.
    fn intercept(value: &str) -> Option<Intercept> {
        let anywhere = Uri::from_static("http://a.invalid/");
        let matcher = Matcher::builder().all(value).build();
        matcher.intercept(&anywhere)
    }
}

/// Without what is secret in it.
impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Http(_) => "Http",
            Protocol::Socks5(_) => "Socks5",
        })
    }
}

impl Protocol {
    /// User and password, where there are some.
    fn is_secret(&self) -> bool {
        match self {
            Protocol::Http(credentials) => credentials.is_some(),
            Protocol::Socks5(credentials) => credentials.is_some(),
        }
    }

    fn of(scheme: &str, intercept: &Intercept) -> Protocol {
        let owned = |(user, password): (&str, &str)| (user.to_owned(), password.to_owned());
        match scheme {
            "http" => Protocol::Http(intercept.basic_auth().cloned()),
            _ => Protocol::Socks5(intercept.raw_auth().map(owned)),
        }
    }
}

fn has_port(server: &str) -> bool {
    server.rsplit_once(':').is_some_and(|(host, _)| {
        // The colons of an IPv6 address are no ports.
        !host.contains(':') || host.ends_with(']')
    })
}

fn unreadable(variable: &str, why: &str) -> Error {
    let message = format!("{variable} cannot be used: {why}");
    Error::new(Kind::Invalid, Operation::Configure, message)
}

#[cfg(test)]
mod tests;
