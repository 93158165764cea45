//! The way to the service, looked at without an upload: what answers, how, and by which clock.

use std::time::{Duration, SystemTime};

use super::Client;
use super::core::Core;
use crate::auth;
use crate::error::Result;
use crate::http::Version;
use crate::net::Origin;

/// The way to one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reach {
    /// The server, such as `https://open-api.123pan.com`.
    pub server: String,
    /// The proxy by which it is reached, and the variable that names it.
    pub proxy: Option<String>,
    /// What came back.
    pub answer: Result<Answer>,
}

/// What a server answered to a call without a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP version that was used.
    pub version: Version,
    /// One way there and back, as far as the connection's handshakes tell.
    pub round_trip: Option<Duration>,
    /// The server's clock, to the second, when it answered.
    pub date: Option<SystemTime>,
}

impl Client {
    /// Makes a call of the API without a token: sees that the server is reached.
    pub async fn probe(&self) -> Reach {
        let api = self.core.transfer.service().api().clone();
        reach(&self.core, &api).await
    }

    /// Asks the service for its upload servers, and makes a call without a token of each.
    ///
    /// # Errors
    /// As the call fails, or where no server may see the access token.
    pub async fn probe_upload_servers(&self) -> Result<Vec<Reach>> {
        let transfer = &self.core.transfer;
        let token = transfer.token().await?;
        let service = transfer.service();
        let names = service.domain(token.expose()).await?;
        transfer.servers(&names, transfer.own_scope())?;
        let mut found = Vec::with_capacity(names.len());
        for name in &names {
            let origin = Origin::parse(name, service.api().scheme)?;
            found.push(reach(&self.core, &origin).await);
        }
        Ok(found)
    }

    /// When the access token ends, where it says that. May ask for one.
    ///
    /// # Errors
    /// As the login fails.
    pub async fn token_end(&self) -> Result<Option<SystemTime>> {
        let token = self.core.transfer.token().await?;
        Ok(auth::end_of(&token))
    }
}

async fn reach(core: &Core, server: &Origin) -> Reach {
    let service = core.transfer.service();
    let answer = service.probe(server).await.map(|reply| Answer {
        status: reply.status,
        version: reply.version,
        round_trip: service.round_trip(server),
        date: reply.date,
    });
    Reach {
        server: server.to_string(),
        proxy: service.proxy(server),
        answer,
    }
}
