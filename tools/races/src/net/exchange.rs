//! Versions of HTTP. In: what a request wishes for. Out: what a connection has. Never: a request;
//! these are plain values.

/// The HTTP version a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Whatever the server takes.
    Auto,
    /// HTTP/1.1.
    H1,
    /// HTTP/2, or HTTP/1.1 from a server that does not offer it.
    H2,
}

/// The HTTP version that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One request at a time on a connection.
    H1,
    /// Several streams on a connection.
    H2,
}
