//! The list `NO_PROXY`. In: its text, in the forms that curl and Go take. Out: whether a server is
//! reached straight.

use std::net::IpAddr;

use super::super::origin::Origin;

/// Servers that are reached without a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bypass(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// This port alone, where one is written.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// `*`
    All,
    /// `x`, `.x` and `*.x`: the domain, and all below it.
    Domain(String),
    /// `10.0.0.0/8`, and an address with all its bits.
    Network(IpAddr, u32),
}

impl Bypass {
    /// Reads a list whose entries are divided by commas or blanks.
    ///
    /// # Errors
    /// The entry that cannot be read.
    pub(super) fn parse(list: &str) -> Result<Bypass, String> {
        let parts = list.split([',', ' ', '\t', '\n', '\r']);
        let parts = parts.filter(|part| !part.is_empty());
        let entries = parts.map(|part| Entry::parse(part).ok_or_else(|| part.to_owned()));
        entries.collect::<Result<_, _>>().map(Bypass)
    }

    /// Whether `origin` is reached straight.
    pub(super) fn covers(&self, origin: &Origin) -> bool {
        self.0.iter().any(|entry| entry.covers(origin))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        if let Some(hosts) = Hosts::network(text) {
            return Some(Entry { hosts, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|&port| port != 0)?)),
            None => (text, None),
        };
        let hosts = Hosts::network(host).or_else(|| Hosts::domain(host))?;
        Some(Entry { hosts, port })
    }

    fn covers(&self, origin: &Origin) -> bool {
        self.port.is_none_or(|port| port == origin.port) && self.hosts.cover(&origin.host)
    }
}

impl Hosts {
    fn network(text: &str) -> Option<Hosts> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[');
        let bare = bare.and_then(|bare| bare.strip_suffix(']'));
        let address: IpAddr = bare.unwrap_or(address).parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Hosts::Network(address, bits))
    }

    fn domain(text: &str) -> Option<Hosts> {
        if text == "*" {
            return Some(Hosts::All);
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        let name = if name.len() < text.len() {
            name.strip_prefix('.')?
        } else {
            name.strip_prefix('.').unwrap_or(name)
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let origin = Origin::parse(name, super::Scheme::Http).ok()?;
        // What is left of it is a host alone.
        (origin.host == name.to_ascii_lowercase()).then_some(Hosts::Domain(origin.host))
    }

    fn cover(&self, host: &str) -> bool {
        match self {
            Hosts::All => true,
            Hosts::Domain(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|above| above.is_empty() || above.ends_with('.')),
            Hosts::Network(network, bits) => host
                .parse()
                .is_ok_and(|address| is_within(address, *network, *bits)),
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= bits
        }
        _ => false,
    }
}
