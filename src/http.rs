//! The versions of HTTP: the one asked for and the one used. In, out: plain values. Never: a
//! connection, a choice.

/// The HTTP version to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Preference {
    /// Both are tried on a server that offers HTTP/2, and the faster carries the bulk; a single
    /// request takes what the server prefers.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    H1,
    /// HTTP/2 where the server offers it; a plain `http://` server gets HTTP/1.1.
    H2,
}

/// The HTTP version that a request went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1: one request at a time on a connection.
    H1,
    /// HTTP/2: several streams on a connection.
    H2,
}

impl From<Version> for Preference {
    /// That version, and no other where the server offers it.
    fn from(version: Version) -> Preference {
        match version {
            Version::H1 => Preference::H1,
            Version::H2 => Preference::H2,
        }
    }
}
