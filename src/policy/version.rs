//! `--http auto`: HTTP/1.1 or HTTP/2 for the bulk, one trial for each server. In: whether the
//! server offers h2, and what slices over either took. Out: the version for the next slice.
//! Never: a connection, nor a verdict before both were tried.
//!
//! The measure is goodput per slice-second, bytes ÷ the time the slice was in flight, with both
//! versions interleaved so that they meet the same link. On long links it shows windows and
//! streams that share them; on fast ones, where the processor is the limit, its cost as well,
//! since a slice then waits for the processor. A tie goes to h1, which costs less of it.

use std::time::Duration;

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// The faster one, by trial.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    H1,
    /// HTTP/2 where it is offered.
    H2,
}

/// The version that a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1, one request at a time on a connection.
    H1,
    /// HTTP/2, a few streams on a connection.
    H2,
}

/// One server's trial, remembered for the process.
#[derive(Debug, Clone)]
pub struct Trial {
    wish: Wish,
    /// `None` until the first handshake has said.
    offers_h2: Option<bool>,
    h1: Score,
    h2: Score,
    winner: Option<Version>,
    /// Slices acknowledged since the winner was found.
    since: u64,
}

impl Trial {
    /// A server that nothing is known of.
    #[must_use]
    pub fn new(wish: Wish) -> Self {
        Trial {
            wish,
            offers_h2: None,
            h1: Score::default(),
            h2: Score::default(),
            winner: None,
            since: 0,
        }
    }

    /// The version for the next slice. Before the first handshake it is H2 unless h1 is wished:
    /// offer both by ALPN, then say [`Trial::offered_h2`].
    #[must_use]
    pub fn choose(&mut self, rng: &mut fastrand::Rng) -> Version {
        match (self.wish, self.offers_h2) {
            (Wish::H1, _) | (_, Some(false)) => return Version::H1,
            (Wish::H2, _) | (_, None) => return Version::H2,
            (Wish::Auto, Some(true)) => {}
        }
        let Some(winner) = self.winner else {
            return self.less_tried(rng);
        };
        if rng.u64(..RETRY_ONE_IN) == 0 {
            other(winner)
        } else {
            winner
        }
    }

    /// What the server's handshake said; a plain `http://` server never offers it.
    pub fn offered_h2(&mut self, offered: bool) {
        self.offers_h2 = Some(offered);
    }

    /// A slice over `version` was acknowledged `took` after it began.
    pub fn acked(&mut self, version: Version, bytes: u64, took: Duration) {
        self.since += u64::from(self.winner.is_some());
        self.score(version).add(bytes, took);
        if self.h1.slices >= TRIED && self.h2.slices >= TRIED {
            self.decide();
        }
    }

    /// A slice over `version` failed on the wire. A version that fails again and again has lost
    /// the trial, however fast it was.
    pub fn failed(&mut self, version: Version) {
        let score = self.score(version);
        score.failures += 1;
        let hopeless = score.failures >= HOPELESS;
        let other_works = self.score(other(version)).failures < HOPELESS;
        if hopeless && other_works {
            self.winner = Some(other(version));
        }
    }

    /// The version found faster, once it is known.
    #[must_use]
    pub fn winner(&self) -> Option<Version> {
        self.winner
    }

    /// Bytes per slice-second measured over `version`; `None` while untried.
    #[must_use]
    pub fn goodput(&self, version: Version) -> Option<f64> {
        match version {
            Version::H1 => self.h1.goodput(),
            Version::H2 => self.h2.goodput(),
        }
    }

    /// Alternates, by what was begun: acknowledgements come too late to count by.
    fn less_tried(&mut self, rng: &mut fastrand::Rng) -> Version {
        let version = match self.h1.begun.cmp(&self.h2.begun) {
            std::cmp::Ordering::Less => Version::H1,
            std::cmp::Ordering::Greater => Version::H2,
            std::cmp::Ordering::Equal if rng.bool() => Version::H1,
            std::cmp::Ordering::Equal => Version::H2,
        };
        self.score(version).begun += 1;
        version
    }

    fn decide(&mut self) {
        let (Some(h1), Some(h2)) = (self.h1.goodput(), self.h2.goodput()) else {
            return;
        };
        let margin = match self.winner {
            // A verdict stands until the other is clearly better.
            Some(Version::H2) => 1.0 / MARGIN,
            Some(Version::H1) | None => MARGIN,
        };
        self.winner = Some(if h2 > h1 * margin {
            Version::H2
        } else {
            Version::H1
        });
    }

    fn score(&mut self, version: Version) -> &mut Score {
        match version {
            Version::H1 => &mut self.h1,
            Version::H2 => &mut self.h2,
        }
    }
}

/// What one version has shown, the newest slices weighing most.
#[derive(Debug, Clone, Default)]
struct Score {
    begun: u64,
    slices: u64,
    bytes: f64,
    seconds: f64,
    /// In a row.
    failures: u32,
}

impl Score {
    fn add(&mut self, bytes: u64, took: Duration) {
        self.slices += 1;
        self.failures = 0;
        // The first pays for the handshake and the slow start, which the bulk does not.
        if self.slices > 1 {
            self.bytes = self.bytes * MEMORY + bytes as f64;
            self.seconds = self.seconds * MEMORY + took.as_secs_f64();
        }
    }

    fn goodput(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.bytes / self.seconds)
    }
}

fn other(version: Version) -> Version {
    match version {
        Version::H1 => Version::H2,
        Version::H2 => Version::H1,
    }
}

/// Slices over each version before the verdict: with 16 MiB, 192 MiB in all, and none wasted.
const TRIED: u64 = 6;

/// h2 has to be this much faster: a tie goes to the version that costs less processor.
const MARGIN: f64 = 1.03;

/// One slice in so many goes over the loser, in case the link has changed: under half a percent.
const RETRY_ONE_IN: u64 = 256;

/// Each slice weighs this share of the next one, so that about twenty are remembered.
const MEMORY: f64 = 0.95;

/// Failures in a row that end a version's trial.
const HOPELESS: u32 = 3;
