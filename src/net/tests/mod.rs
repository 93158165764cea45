//! The pool against real sockets: raw ones that misbehave to the byte, and hyper's and h2's
//! servers for everything that is well-behaved.

mod h1;
mod h2;
mod hangs;
mod limits;
pub(super) mod server;

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use super::{Body, Origin, Pool, PoolSettings, Proxies, Request, Scheme, SystemRoots, Timeouts};
use crate::error::Operation;
use crate::http::Preference;

fn pool(change: impl FnOnce(&mut PoolSettings)) -> Pool {
    let mut settings = PoolSettings {
        system_roots: SystemRoots::Ignored,
        proxies: Proxies::Off,
        roots: vec![server::authority().pem.clone().into_bytes()],
        ..PoolSettings::default()
    };
    change(&mut settings);
    Pool::new(settings).expect("good settings")
}

fn post(path: &str, body: impl Into<Bytes>) -> Request {
    Request {
        body: Body::from(body.into()),
        ..Request::new(Method::POST, path, Operation::Slice)
    }
}

fn asking(version: Preference, request: Request) -> Request {
    Request { version, ..request }
}

/// A pool that waits so long for an answer and for progress.
fn hurried(milliseconds: u64) -> Pool {
    let limit = Duration::from_millis(milliseconds);
    pool(|settings| {
        settings.timeouts = Timeouts {
            answer: limit,
            stall: limit,
            ..Timeouts::default()
        }
    })
}

fn http(port: u16) -> Origin {
    Origin {
        scheme: Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
    }
}

pub(super) fn https(port: u16) -> Origin {
    Origin {
        scheme: Scheme::Https,
        host: "localhost".to_owned(),
        port,
    }
}

/// Bytes that no shift or swap leaves unchanged.
fn pattern(len: usize) -> Bytes {
    (0..len)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Advances the clock without waiting.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
