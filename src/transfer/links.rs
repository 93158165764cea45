//! What is remembered of links between runs. In: what earlier runs have found, and where this one sends. Out: what
//! it begins with, and what is to be kept of it. Never: a file, or trust: the limit sees for itself.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Transfer;
use crate::journal::Link;
use crate::net::Origin;
use crate::policy::Found;

/// What earlier runs have found, and how this one has used it.
#[derive(Debug, Default)]
pub struct Links {
    known: Vec<Link>,
    /// Servers to which this client sends slices, by host and port.
    servers: Vec<String>,
    /// It began with what was known.
    recalled: bool,
}

/// What is to be done about what is remembered of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lesson {
    /// This was found.
    Keep(Link),
    /// From this network to this server it is otherwise.
    Forget(String, String),
}

impl Links {
    fn add(&mut self, servers: &[Origin]) {
        for server in servers.iter().map(name) {
            if self.servers.len() < MOST_SERVERS && !self.servers.contains(&server) {
                self.servers.push(server);
            }
        }
    }

    /// What is known of the way from `network` to one of the servers, once.
    fn recall(&mut self, network: impl FnOnce() -> Option<String>) -> Option<Link> {
        if self.recalled || self.known.is_empty() || self.servers.is_empty() {
            return None;
        }
        let network = network()?;
        let is_here = |link: &&Link| link.network == network && self.servers.contains(&link.server);
        let link = self.known.iter().find(is_here).cloned();
        self.recalled = link.is_some();
        link
    }

    /// The way from `network` that was used last.
    fn latest(&self, network: &str) -> Option<Link> {
        let is_here = |link: &&Link| link.network == network;
        self.known.iter().find(is_here).cloned()
    }

    fn lessons(&self, network: &str, found: Option<Found>, loses: bool) -> Vec<Lesson> {
        let lesson = |server: &String| {
            let (network, server) = (network.to_owned(), server.clone());
            match found {
                Some(found) => Some(Lesson::Keep(Link {
                    network,
                    server,
                    found,
                    loses,
                })),
                None if self.recalled => Some(Lesson::Forget(network, server)),
                None => None,
            }
        };
        self.servers.iter().filter_map(lesson).collect()
    }
}

impl Transfer {
    /// What earlier runs have found, the newest first.
    pub fn remembers(&self, known: Vec<Link>) {
        self.links.lock().known = known;
    }

    /// Opens, while the first file by slices is still hashed, the connection for the API's calls, and those with
    /// which bodies will begin to the server that this network has used last.
    pub fn warm_up(&self) {
        if let Some(me) = self.me.upgrade() {
            tokio::spawn(async move { me.open_first().await });
        }
    }

    async fn open_first(&self) {
        if !self.service.warm().await || !self.learns.load(Ordering::Relaxed) {
            return;
        }
        let network = self.pool.network();
        let link = network.and_then(|network| self.links.lock().latest(&network));
        let server = |link: Link| Some((self.servers.origin_of(&link.server)?, link));
        let Some((server, link)) = link.and_then(server) else {
            return;
        };
        if link.loses {
            self.pool.expect_losses();
        }
        let bodies = link.found.permits.min(MOST_WARMED);
        let version = self.servers.preference();
        self.pool.warm(&server, version, bodies).await;
        tracing::info!(%server, bodies, "connections are open before the first file is hashed");
    }

    /// Slices go to `servers` from now on. What is known of the way to one of them is what the first begin with.
    pub(super) fn sets_out(&self, servers: &[Origin]) {
        if !self.learns.load(Ordering::Relaxed) {
            return;
        }
        self.links.lock().add(servers);
        self.recall();
    }

    /// Begins with what is known, once it is known of what.
    pub(super) fn recall(&self) {
        let Some(link) = self.links.lock().recall(|| self.pool.network()) else {
            return;
        };
        tracing::info!(
            network = link.network,
            server = link.server,
            permits = link.found.permits,
            bytes_per_second = link.found.bytes_per_second,
            loses = link.loses,
            "what was found on this link before"
        );
        if link.loses {
            self.pool.expect_losses();
        }
        self.limiter
            .found_before(Instant::now(), link.found, link.loses);
    }

    /// What is to be remembered of the links in use, and what is to be forgotten.
    #[must_use]
    pub fn lessons(&self) -> Vec<Lesson> {
        let links = self.links.lock();
        let learns = self.learns.load(Ordering::Relaxed);
        let Some(network) = self.pool.network().filter(|_| learns) else {
            return Vec::new();
        };
        links.lessons(&network, self.limiter.found(), self.pool.loses())
    }
}

/// A server as it is remembered, over TLS or not.
fn name(server: &Origin) -> String {
    format!("{}:{}", server.host, server.port)
}

/// Connections that are opened before there is a body for them.
const MOST_WARMED: usize = 32;

/// Servers of which something is kept, of one client.
const MOST_SERVERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Scheme;

    const FOUND: Found = Found {
        permits: 24,
        bytes_per_second: 12_500_000,
    };

    fn origin(name: &str) -> Origin {
        Origin::parse(name, Scheme::Https).expect("a name")
    }

    fn link(network: &str, server: &str) -> Link {
        Link {
            network: network.to_owned(),
            server: name(&origin(server)),
            found: FOUND,
            loses: true,
        }
    }

    fn links() -> Links {
        Links {
            known: vec![link("10.0.0.0/24", "one"), link("10.0.1.0/24", "two")],
            ..Links::default()
        }
    }

    #[test]
    fn what_is_known_of_this_network_and_one_of_the_servers_is_recalled_once() {
        let at = |network: &str| Some(network.to_owned());
        let mut links = links();
        assert_eq!(links.recall(|| at("10.0.1.0/24")), None, "no server yet");
        links.add(&[origin("three"), origin("two")]);
        assert_eq!(links.recall(|| None), None, "no connection yet");
        assert_eq!(links.recall(|| at("10.0.0.0/24")), None, "another network");
        let known = links.recall(|| at("10.0.1.0/24"));
        assert_eq!(known, Some(link("10.0.1.0/24", "two")));
        assert_eq!(links.recall(|| at("10.0.1.0/24")), None, "once");
    }

    #[test]
    fn what_was_found_is_kept_for_each_server_and_what_was_wrong_is_forgotten() {
        let mut links = links();
        links.add(&[origin("one"), origin("two"), origin("one")]);
        let network = "10.0.1.0/24";
        assert_eq!(links.lessons(network, None, false), [], "nothing is known");
        let kept = links.lessons(network, Some(FOUND), true);
        let link = |server| Lesson::Keep(link(network, server));
        assert_eq!(kept, [link("one"), link("two")]);
        assert!(links.recall(|| Some(network.to_owned())).is_some());
        let forget = |server| Lesson::Forget(network.to_owned(), name(&origin(server)));
        let forgotten = links.lessons(network, None, false);
        assert_eq!(forgotten, [forget("one"), forget("two")]);
    }

    #[test]
    fn servers_without_end_are_not_kept() {
        let mut links = Links::default();
        for number in 0..100 {
            links.add(&[origin(&format!("server-{number}"))]);
        }
        let kept = links.lessons("10.0.0.0/24", Some(FOUND), false);
        assert_eq!(kept.len(), MOST_SERVERS);
    }
}
