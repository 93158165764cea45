//! CONNECT. In: a stream to an HTTP proxy. Out: the same as a stream to a server. Never: a byte of the
//! server's.

use std::io;

use hyper::Uri;
use hyper::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::refusal::Unopened;

/// Asks for the way to `target`, with `credentials` where there are some.
///
/// # Errors
/// The proxy opens no way.
pub(super) async fn connect(
    socket: &mut TcpStream,
    target: &Uri,
    (variable, credentials): (&str, Option<&HeaderValue>),
) -> Result<(), Unopened> {
    socket
        .write_all(&connect_request(target, credentials))
        .await?;
    match status_of(&read_head(socket).await?) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(refusal(status, variable, credentials.is_some())),
        None => Err(Unopened::said(
            "it does not answer in HTTP; is it a proxy of another kind?",
            true,
        )),
    }
}

fn connect_request(target: &Uri, credentials: Option<&HeaderValue>) -> Vec<u8> {
    let authority = target.authority().map(ToString::to_string);
    let authority = authority.unwrap_or_default();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(credentials) = credentials {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(credentials.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Byte by byte, so that none of the server's own is taken. The kernel has them already.
async fn read_head(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") && head.len() < LONGEST_HEAD {
        head.push(socket.read_u8().await?);
        if head.len() == HTTP.len() && head != HTTP {
            break;
        }
    }
    Ok(head)
}

fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|&byte| byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    words
        .next()
        .filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

fn refusal(status: u16, variable: &str, told: bool) -> Unopened {
    let words = match (status, told) {
        (407, true) => format!("HTTP 407, it refuses the user name or password in {variable}"),
        (407, false) => {
            format!(
                "HTTP 407, it wants a user name and password, as http://user:password@host:port in {variable}"
            )
        }
        (403 | 405, _) => format!(
            "HTTP {status}, it does not let us through; ask who runs it, or name the server in NO_PROXY if it can be \
             reached straight"
        ),
        _ => format!("HTTP {status} instead of a way to the server"),
    };
    // A proxy's 5xx and 404 are about the server behind it, 408 and 429 about this moment.
    let refuses = matches!(status, 300..=499) && !matches!(status, 404 | 408 | 429);
    Unopened::said(words, refuses)
}

const HTTP: &[u8] = b"HTTP/";

/// Bytes of a proxy's answer, which is a status and some headers.
const LONGEST_HEAD: usize = 16 << 10;
