//! SOCKS 5 (RFC 1928, with the passwords of RFC 1929). In: a stream to the proxy. Out: the same as a
//! stream to a server, whose name the proxy looks up. Never: a byte of the server's.

use std::net::IpAddr;

use hyper::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::refusal::Unopened;

/// Opens the way to `target`, by name and password where there are some.
///
/// # Errors
/// The proxy opens no way.
pub(super) async fn connect(
    socket: &mut TcpStream,
    target: &Uri,
    (variable, credentials): (&str, Option<&(String, String)>),
) -> Result<(), Unopened> {
    let offered: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NO_PASSWORD, PASSWORD],
        None => &[VERSION, 1, NO_PASSWORD],
    };
    socket.write_all(offered).await?;
    let unwanted = || {
        let words = format!(
            "it refuses the user name or password in {variable}, or wants them: socks5h://user:password@host:port"
        );
        Unopened::said(words, true)
    };
    match (read::<2>(socket).await?, credentials) {
        ([VERSION, NO_PASSWORD], _) => {}
        ([VERSION, PASSWORD], Some((user, password))) => {
            let request = login(user, password).ok_or_else(unwanted)?;
            socket.write_all(&request).await?;
            let [_, 0] = read::<2>(socket).await? else {
                return Err(unwanted());
            };
        }
        ([VERSION, _], _) => return Err(unwanted()),
        _ => return Err(foreign()),
    }
    socket.write_all(&request(target)?).await?;
    answer(socket).await
}

fn login(user: &str, password: &str) -> Option<Vec<u8>> {
    let length = |text: &str| u8::try_from(text.len()).ok();
    let mut message = vec![1, length(user)?];
    message.extend_from_slice(user.as_bytes());
    message.push(length(password)?);
    message.extend_from_slice(password.as_bytes());
    Some(message)
}

fn request(target: &Uri) -> Result<Vec<u8>, Unopened> {
    let nameless = || Unopened::said("the server has no name that SOCKS can carry", true);
    let host = target.host().ok_or_else(nameless)?;
    let host = host.trim_matches(['[', ']']);
    let port = target.port_u16().ok_or_else(nameless)?;
    let mut message = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            message.push(IPV4);
            message.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            message.push(IPV6);
            message.extend_from_slice(&address.octets());
        }
        Err(_) => {
            message.extend([NAME, u8::try_from(host.len()).map_err(|_| nameless())?]);
            message.extend_from_slice(host.as_bytes());
        }
    }
    message.extend_from_slice(&port.to_be_bytes());
    Ok(message)
}

/// Reads the answer to its end: behind it come the server's bytes.
async fn answer(socket: &mut TcpStream) -> Result<(), Unopened> {
    let [VERSION, status, _, kind] = read::<4>(socket).await? else {
        return Err(foreign());
    };
    if status != 0 {
        let (words, refuses) = meaning(status);
        return Err(Unopened::said(words, refuses));
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(socket.read_u8().await?),
        _ => return Err(foreign()),
    };
    let mut bound = vec![0; length + 2];
    socket.read_exact(&mut bound).await?;
    Ok(())
}

/// What a status means, and whether it will be the same for whatever is asked.
fn meaning(status: u8) -> (String, bool) {
    let (words, refuses) = match status {
        2 => ("it does not let us through (SOCKS: not allowed)", true),
        3 => ("the server's network cannot be reached from it", false),
        4 => (
            "the server cannot be reached from it, or has no such name there",
            false,
        ),
        5 => ("the server refused its connection", false),
        6 => ("the server did not answer it in time", false),
        7 | 8 => ("it is not able to do this (SOCKS: not supported)", true),
        _ => return (format!("it failed (SOCKS status {status})"), false),
    };
    (words.to_owned(), refuses)
}

fn foreign() -> Unopened {
    let words = "it does not answer in SOCKS 5; is it a proxy of another kind?";
    Unopened::said(words, true)
}

async fn read<const N: usize>(socket: &mut TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    socket.read_exact(&mut bytes).await?;
    Ok(bytes)
}

const VERSION: u8 = 5;
const CONNECT: u8 = 1;

const NO_PASSWORD: u8 = 0;
const PASSWORD: u8 = 2;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
