//! Where a request goes. In: a scheme. Out: the same, which is all of an address that the host looks
//! at. Never: a host; there is one server.

/// A server.
#[derive(Debug)]
pub struct Origin {
    /// Plain or TLS.
    pub scheme: Scheme,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.scheme)
    }
}

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
}
