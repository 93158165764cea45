//! A pause of the whole run while something else answers for the service: a portal, a firewall, a
//! page about maintenance. In: foreign answers, answers of the service, the time. Out: how long
//! nothing is to be asked. Never: a sleep, nor a call given up.

use std::time::{Duration, Instant};

/// Whether every call meets a foreign answer, and until when to wait because of it.
#[derive(Debug, Clone, Default)]
pub struct Lull {
    /// Foreign answers since the service last answered itself.
    in_a_row: u32,
    /// Pauses since then.
    pauses: u32,
    until: Option<Instant>,
}

impl Lull {
    /// An answer was not the service's. Answers the pause that begins with it, if one does: calls that
    /// were on their way together are answered together, and make one pause.
    pub fn foreign(&mut self, now: Instant) -> Option<Duration> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < STRAY || self.pauses >= MOST || !self.left(now).is_zero() {
            return None;
        }
        let pause = (SHORTEST * 2_u32.pow(self.pauses.min(DOUBLED))).min(LONGEST);
        self.pauses += 1;
        self.until = Some(now + pause);
        Some(pause)
    }

    /// The service itself answered, whatever it said.
    pub fn answered(&mut self) {
        *self = Lull::default();
    }

    /// How long nothing is to be asked.
    #[must_use]
    pub fn left(&self, now: Instant) -> Duration {
        self.until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

/// Fewer may be one server's, or a moment's.
const STRAY: u32 = 3;

/// After so many pauses, a minute and a half, it is lasting: files end one by one as they do where
/// nothing answers at all, and the run comes to its end.
const MOST: u32 = 12;

/// How often a pause is twice the one before.
const DOUBLED: u32 = 3;

const SHORTEST: Duration = Duration::from_secs(1);

const LONGEST: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_while_nobody_else_answers_and_come_to_an_end() {
        let (begin, mut at) = (Instant::now(), Duration::ZERO);
        let mut lull = Lull::default();
        let mut pauses = Vec::new();
        for _ in 0..100 {
            // Sixty calls that were on their way together.
            let begun: Vec<_> = (0..60).filter_map(|_| lull.foreign(begin + at)).collect();
            assert!(begun.len() <= 1);
            pauses.extend(begun.iter().map(Duration::as_secs));
            at += lull.left(begin + at);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
        assert_eq!(lull.left(begin + at), Duration::ZERO);
        lull.answered();
        let again = (0..3).filter_map(|_| lull.foreign(begin + at)).next();
        assert_eq!(again, Some(SHORTEST));
    }

    #[test]
    fn what_one_server_says_pauses_nothing_while_another_serves() {
        let mut lull = Lull::default();
        for _ in 0..100 {
            assert_eq!(lull.foreign(Instant::now()), None);
            assert_eq!(lull.foreign(Instant::now()), None);
            lull.answered();
        }
    }
}
