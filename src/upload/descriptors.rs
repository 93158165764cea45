//! The division of file descriptors. In: how many descriptors may be opened. Out: how many of them
//! files and connections get. Never: a look at the system; this is arithmetic.

use crate::source::Descriptors;

/// Who may hold how many descriptors at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Small files, hashed and not yet uploaded.
    pub small: u64,
    /// Large ones.
    pub large: u64,
    /// Connections to all servers together.
    pub connections: usize,
}

impl Shares {
    /// Of what is left. Half at most is the files': more files ahead of the network than connections
    /// to send them over gain nothing.
    #[must_use]
    pub fn of(descriptors: Descriptors) -> Shares {
        let Descriptors { limit, open } = descriptors;
        let left = limit.saturating_sub(open).saturating_sub(RESERVE);
        let small = (left / 3).clamp(1, SMALL);
        let large = (left / 6).clamp(1, LARGE);
        let connections = left.saturating_sub(small + large).max(FEWEST_CONNECTIONS);
        Shares {
            small,
            large,
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
        }
    }
}

impl Shares {
    /// Bodies in flight at most: half the connections, for there are calls without a body, and
    /// connections that rest.
    #[must_use]
    pub fn bodies(self) -> usize {
        (self.connections / 2).max(1)
    }

    /// Connections to one server at most, where `asked` were asked for. Without a wish and with
    /// plenty, the requests in flight decide.
    #[must_use]
    pub fn per_server(self, asked: Option<usize>) -> Option<usize> {
        let most = (self.connections / FEW_SERVERS).max(1);
        match asked {
            Some(asked) => Some(asked.min(self.connections)),
            None => (self.connections < PLENTY).then_some(most),
        }
    }
}

/// Walking folders, looking up names, the journal, the token cache, a log.
const RESERVE: u64 = 20;

/// Small files in memory at once.
const SMALL: u64 = 256;

/// Large files at once: what the page cache is likely to still hold when it is sent.
const LARGE: u64 = 128;

/// One for the API and one for a server.
const FEWEST_CONNECTIONS: u64 = 2;

/// The API base and two servers, as a rule.
const FEW_SERVERS: usize = 3;

/// From here on no server needs a limit for the others' sake.
const PLENTY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(limit: u64) -> (u64, u64, usize) {
        let Shares {
            small,
            large,
            connections,
        } = Shares::of(Descriptors { limit, open: 12 });
        (small, large, connections)
    }

    #[test]
    fn shares_of_common_limits() {
        assert_eq!(of(16), (1, 1, 2));
        assert_eq!(of(64), (10, 5, 17));
        assert_eq!(of(256), (74, 37, 113));
        assert_eq!(of(512), (160, 80, 240));
        assert_eq!(of(1024), (256, 128, 608));
        assert_eq!(of(20_000), (256, 128, 19_584));
    }

    #[test]
    fn connections_are_shared_out_where_they_are_few() {
        let of = |limit| Shares::of(Descriptors { limit, open: 12 });
        assert_eq!((of(64).bodies(), of(64).per_server(None)), (8, Some(5)));
        assert_eq!((of(16).bodies(), of(16).per_server(None)), (1, Some(1)));
        assert_eq!((of(1024).bodies(), of(1024).per_server(None)), (304, None));
        assert_eq!(of(64).per_server(Some(3)), Some(3));
        assert_eq!(of(64).per_server(Some(300)), Some(17));
    }

    #[test]
    fn together_they_never_exceed_what_is_left() {
        for limit in 48..3000 {
            let (small, large, connections) = of(limit);
            assert!(
                small + large + connections as u64 + RESERVE + 12 <= limit,
                "{limit}"
            );
        }
        assert_eq!(of(u64::MAX).0, SMALL, "no limit");
    }
}
