//! The choice of HTTP/1.1 or HTTP/2 for the bulk, `--http auto`, by one trial for each server. In:
//! whether the server offers h2, and what slices over either took. Out: the version for the next
//! slice. Never: a connection, nor a verdict before both were tried.
//!
//! The measure is goodput per slice-second, bytes ÷ the time the slice was in flight, with both
//! versions interleaved so that they meet the same link. On long links it shows windows and
//! streams that share them; on fast ones, where the processor is the limit, its cost as well,
//! since a slice then waits for the processor. A tie goes to h1, which costs less of it.

use std::time::Duration;

use crate::http::{Preference, Version};

/// One server's trial, remembered for the process.
#[derive(Debug, Clone)]
pub struct Trial {
    preference: Preference,
    /// `None` until the first handshake has said.
    offers_h2: Option<bool>,
    h1: Score,
    h2: Score,
    winner: Option<Version>,
}

impl Trial {
    /// A server that nothing is known of.
    #[must_use]
    pub fn new(preference: Preference) -> Self {
        Trial {
            preference,
            offers_h2: None,
            h1: Score::default(),
            h2: Score::default(),
            winner: None,
        }
    }

    /// The version for the next slice. Before the first handshake it is H2 unless h1 is asked for:
    /// offer both by ALPN, then say [`Trial::offered_h2`]. It stays H2, as long as that works, until more
    /// connections `pay`: those of another version begin on a link that is full.
    #[must_use]
    pub fn choose(&mut self, pay: bool, rng: &mut fastrand::Rng) -> Version {
        match (self.preference, self.offers_h2) {
            (Preference::H1, _) | (_, Some(false)) => return Version::H1,
            (Preference::H2, _) | (_, None) => return Version::H2,
            (Preference::Auto, Some(true)) => {}
        }
        let Some(winner) = self.winner else {
            let waits = !pay && self.h2.failures == 0;
            return if waits {
                Version::H2
            } else {
                self.less_tried(rng)
            };
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
        self.score(version).add(bytes, took);
        let both_work = !self.h1.is_hopeless() && !self.h2.is_hopeless();
        if both_work && self.h1.slices >= TRIED && self.h2.slices >= TRIED {
            self.decide();
        }
    }

    /// A slice over `version` failed on the wire. A version that fails again and again while the
    /// other works has lost, however fast it was; a server that is dead altogether proves nothing.
    pub fn failed(&mut self, version: Version) {
        self.score(version).failures += 1;
        let hopeless = self.score(version).is_hopeless();
        if hopeless && self.score(other(version)).works() {
            self.winner = Some(other(version));
        }
    }

    /// The version found faster, once it is known.
    #[must_use]
    pub fn winner(&self) -> Option<Version> {
        self.winner
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

    fn works(&self) -> bool {
        self.slices > 0 && self.failures == 0
    }

    fn is_hopeless(&self) -> bool {
        self.failures >= HOPELESS
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

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: u64 = 16 << 20;

    #[test]
    fn it_stays_h2_until_more_connections_pay_or_that_fails() {
        let rng = &mut fastrand::Rng::with_seed(9);
        let mut trial = Trial::new(Preference::Auto);
        trial.offered_h2(true);
        assert!((0..20).all(|_| trial.choose(false, rng) == Version::H2));
        let mut tried = |pay| (0..20).any(|_| trial.choose(pay, rng) == Version::H1);
        assert!(tried(true) && !tried(false));
        trial.failed(Version::H2);
        assert!((0..20).any(|_| trial.choose(false, rng) == Version::H1));
    }

    /// Slices sent over h1 and h2 when each takes its seconds, `wide` in flight at once.
    fn run(trial: &mut Trial, slices: usize, wide: usize, seconds: (f64, f64)) -> (usize, usize) {
        let rng = &mut fastrand::Rng::with_seed(9);
        let mut flight = std::collections::VecDeque::new();
        let (mut h1, mut h2) = (0, 0);
        for slice in 0..slices {
            flight.push_back(trial.choose(true, rng));
            if flight.len() < wide && slice + 1 < slices {
                continue;
            }
            let version = flight.pop_front().expect("just pushed");
            let took = match version {
                Version::H1 => seconds.0,
                Version::H2 => seconds.1,
            };
            *if version == Version::H1 {
                &mut h1
            } else {
                &mut h2
            } += 1;
            // Noise of a twentieth either way.
            let took = took * (0.95 + 0.1 * rng.f64());
            trial.acked(version, SLICE, Duration::from_secs_f64(took));
        }
        (h1, h2)
    }

    fn offered(preference: Preference) -> Trial {
        let mut trial = Trial::new(preference);
        trial.offered_h2(true);
        trial
    }

    #[test]
    fn the_faster_version_carries_the_bulk() {
        for (seconds, winner) in [
            ((1.0, 1.5), Version::H1),
            ((1.5, 1.0), Version::H2),
            ((1.0, 1.0), Version::H1),
        ] {
            let mut trial = offered(Preference::Auto);
            let (h1, h2) = run(&mut trial, 2000, 16, seconds);
            assert_eq!(trial.winner(), Some(winner), "{seconds:?}");
            let lost = if winner == Version::H1 { h2 } else { h1 };
            assert!(
                (6..=40).contains(&lost),
                "{seconds:?}: {lost} over the loser"
            );
        }
    }

    /// The whole of 256 slices, trial included, against the better version alone.
    #[test]
    fn auto_is_at_most_five_percent_behind_the_better_one() {
        for seconds in [
            (1.0, 1.04),
            (1.0, 1.3),
            (1.0, 2.0),
            (1.04, 1.0),
            (1.3, 1.0),
            (2.0, 1.0),
        ] {
            let (h1, h2) = run(&mut offered(Preference::Auto), 256, 8, seconds);
            let spent = h1 as f64 * seconds.0 + h2 as f64 * seconds.1;
            let behind = spent / ((h1 + h2) as f64 * f64::min(seconds.0, seconds.1));
            assert!(behind <= 1.05, "{seconds:?}: {behind}");
        }
    }

    #[test]
    fn a_preference_is_followed_and_what_is_not_offered_is_not_used() {
        let rng = &mut fastrand::Rng::with_seed(1);
        assert_eq!(
            Trial::new(Preference::Auto).choose(true, rng),
            Version::H2,
            "ask by ALPN first"
        );
        assert_eq!(Trial::new(Preference::H1).choose(true, rng), Version::H1);
        assert_eq!(offered(Preference::H1).choose(true, rng), Version::H1);
        assert_eq!(run(&mut offered(Preference::H2), 50, 4, (1.0, 9.0)).0, 0);
        for preference in [Preference::Auto, Preference::H2] {
            let mut trial = Trial::new(preference);
            trial.offered_h2(false);
            assert_eq!(trial.choose(true, rng), Version::H1, "{preference:?}");
        }
    }

    #[test]
    fn a_version_that_keeps_failing_has_lost() {
        let mut trial = offered(Preference::Auto);
        let ack = |trial: &mut Trial, version| trial.acked(version, SLICE, Duration::from_secs(1));
        ack(&mut trial, Version::H1);
        trial.failed(Version::H2);
        trial.failed(Version::H2);
        ack(&mut trial, Version::H2);
        trial.failed(Version::H2);
        trial.failed(Version::H2);
        assert_eq!(trial.winner(), None, "not in a row");
        trial.failed(Version::H2);
        assert_eq!(trial.winner(), Some(Version::H1));
        let mut dead = offered(Preference::Auto);
        for _ in 0..5 {
            dead.failed(Version::H1);
            dead.failed(Version::H2);
        }
        assert_eq!(dead.winner(), None, "a dead server is no verdict about h2");
    }

    #[test]
    fn a_link_that_changes_is_noticed_in_time() {
        let mut trial = offered(Preference::Auto);
        run(&mut trial, 500, 8, (1.0, 1.3));
        assert_eq!(trial.winner(), Some(Version::H1));
        run(&mut trial, 4000, 8, (2.0, 1.0));
        assert_eq!(trial.winner(), Some(Version::H2));
    }
}
