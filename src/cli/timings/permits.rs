//! The limiter's decisions: how many bodies may be in flight, since when, and why. In: the counters, ten times a
//! second. Out: its steps. Never: more than a page has room for.

use std::collections::VecDeque;
use std::time::Duration;

use panup::{CongestionSignal, Snapshot, Steering};
use serde_json::{Value, json};

use super::files::seconds;

/// Decisions so far: the first ones, and the last ones.
#[derive(Debug, Default)]
pub struct Permits {
    first: Vec<Decision>,
    last: VecDeque<Decision>,
    left_out: u64,
    steering: Option<Steering>,
    cuts: u64,
}

#[derive(Debug)]
struct Decision {
    at: Duration,
    permits: usize,
    what: &'static str,
    is_cut: bool,
}

impl Permits {
    /// The counters as they are `at` so long after the begin.
    pub fn look(&mut self, at: Duration, now: &Snapshot) {
        let is_cut = now.cuts > self.cuts;
        let what = match (is_cut, now.cut_by) {
            (true, Some(by)) => cut(by),
            _ if now.steering == self.steering => return,
            _ => now.steering.map_or("", step),
        };
        (self.steering, self.cuts) = (now.steering, now.cuts);
        let decision = Decision {
            at,
            permits: now.permits,
            what,
            is_cut,
        };
        if self.first.len() < MOST {
            return self.first.push(decision);
        }
        self.last.push_back(decision);
        if self.last.len() > MOST {
            self.last.pop_front();
            self.left_out += 1;
        }
    }

    /// `{"rows": [{"at", "permits", "what", "cut"}], "left_out"}`
    pub fn data(&self) -> Value {
        let rows = self.first.iter().chain(&self.last).map(|decision| {
            json!({
                "at": seconds(decision.at), "permits": decision.permits, "what": decision.what,
                "cut": decision.is_cut,
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>(), "left_out": self.left_out, "cuts": self.cuts })
    }
}

fn step(steering: Steering) -> &'static str {
    match steering {
        Steering::Fixed => "as asked for",
        Steering::Opening => "opens one by one, as the link shows that it carries them",
        Steering::Doubling => "tries twice as many",
        Steering::Holding => "holds, and measures what these carry",
        Steering::TryingMore => "tries a quarter more",
        Steering::TryingFewer => "tries a quarter fewer",
        _ => "decides otherwise",
    }
}

fn cut(by: CongestionSignal) -> &'static str {
    match by {
        CongestionSignal::Throttled => "cut: the service asks for less",
        CongestionSignal::Failed => "cut: connections failed",
        CongestionSignal::TimedOut => "cut: bodies did not arrive in time",
        CongestionSignal::Stalled => "cut: servers took nothing",
        _ => "cut",
    }
}

/// Of the first decisions, and of the last ones.
const MOST: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_cuts_are_told_once() {
        let (mut permits, mut now) = (Permits::default(), Snapshot::default());
        let mut look = |at: u64, steering, cuts| {
            (now.steering, now.cuts, now.cut_by) =
                (Some(steering), cuts, Some(CongestionSignal::Throttled));
            permits.look(Duration::from_secs(at), &now);
        };
        look(0, Steering::Opening, 0);
        look(1, Steering::Opening, 0);
        look(2, Steering::Holding, 1);
        look(3, Steering::Holding, 1);
        look(4, Steering::Holding, 2);
        let told: Vec<_> = permits
            .first
            .iter()
            .map(|step| (step.at.as_secs(), step.is_cut))
            .collect();
        assert_eq!(told, [(0, false), (2, true), (4, true)]);
        for at in 0..1000 {
            let steering = [Steering::Holding, Steering::TryingMore][at % 2];
            now.steering = Some(steering);
            permits.look(Duration::from_secs(at as u64), &now);
        }
        assert_eq!(permits.first.len() + permits.last.len(), 2 * MOST);
        assert!(permits.left_out > 500);
    }
}
