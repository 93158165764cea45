//! What was found, as lines. In come outcomes, out go rows and what was best on a link.

use std::fmt;
use std::io;

use clap::ValueEnum;

use crate::args::Setting;
use crate::cell::{Outcome, Phase, Second};
use crate::wire::{Link, NOTICED, Weather};

/// One cell.
pub struct Row {
    /// The link.
    pub link: Link,
    /// The setting.
    pub setting: Setting,
    /// What was asked for the sockets.
    pub sockets: String,
    /// What was seen, or why nothing was.
    pub outcome: io::Result<Outcome>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            link,
            setting,
            sockets,
            ..
        } = self;
        let rtt = link.rtt.as_millis();
        write!(
            f,
            "{:>6} {rtt:>5} {:>8} {:>8} {setting:>7} {sockets:>7} |",
            link.mbit,
            link.loss,
            named(link.weather)
        )?;
        match &self.outcome {
            Ok(outcome) => write!(
                f,
                " {:>7.1} % {:>7.1} % {:>8} {:>7} {:>7} {:>5.0} ms {:>6} {:>7} {:>5.1}",
                100.0 * outcome.settled,
                100.0 * outcome.before,
                outcome.retries,
                outcome.tally.full,
                outcome.tally.lost,
                outcome.wait,
                self.back().map_or("-".to_owned(), |back| match back {
                    Some(seconds) => format!("{seconds} s"),
                    None => "never".to_owned(),
                }),
                outcome
                    .rival
                    .map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
                outcome.load,
            ),
            Err(error) => write!(f, " {error}"),
        }
    }
}

impl Row {
    /// Nothing was seen, or the link was not used again within so many seconds.
    pub fn has_failed(&self, back_within: Option<u64>) -> bool {
        let (Ok(outcome), Some(most)) = (&self.outcome, back_within) else {
            return self.outcome.is_err();
        };
        let changes = !self.link.weather.changes().is_empty() || outcome.rival_goes;
        changes && outcome.back.is_none_or(|seconds| seconds > most)
    }

    /// After how many seconds the link was used again, `Some(None)` if never; `None` where it did not change.
    fn back(&self) -> Option<Option<u64>> {
        let outcome = self.outcome.as_ref().ok()?;
        let changes = !self.link.weather.changes().is_empty() || outcome.rival_goes;
        changes.then_some(outcome.back)
    }

    /// What was seen, tabs between its columns; `None` where the cell failed, which is then tried again.
    pub fn fields(&self) -> Option<String> {
        let outcome = self.outcome.as_ref().ok()?;
        let back = self.back().map_or_else(String::new, |back| {
            back.map_or("never".to_owned(), |seconds| seconds.to_string())
        });
        let rival = outcome.rival.map(|share| format!("{share:.4}"));
        let columns = [
            format!("{:.4}", outcome.settled),
            format!("{:.4}", outcome.before),
            outcome.retries.to_string(),
            outcome.tally.full.to_string(),
            outcome.tally.lost.to_string(),
            format!("{:.1}", outcome.wait),
            back,
            rival.unwrap_or_default(),
            format!("{:.1}", outcome.load),
            format!("{:.3}", jain(&outcome.clients)),
        ];
        Some(columns.join("\t"))
    }

    /// The share of each second, where the link changes.
    pub fn picture(&self) -> Option<String> {
        let outcome = self.outcome.as_ref().ok()?;
        let bar = |second: &Second| BARS[((second.share * 8.0).round() as usize).min(8)];
        let bars: String = outcome.seconds.iter().map(bar).collect();
        (self.link.weather != Weather::Steady).then(|| format!("       {bars}"))
    }
}

impl Row {
    /// Before a rival, beside it, and after it.
    pub fn phases(&self) -> Vec<String> {
        let Ok(outcome) = &self.outcome else {
            return Vec::new();
        };
        let line = |phase: &Phase| {
            let (ours, theirs) = phase.shares;
            format!(
                "       seconds {} to {}: ours {:.1} %, the rival's {:.1} %, wait {:.0} ms, {:.1} % of packets above {} ms",
                phase.seconds.start,
                phase.seconds.end,
                100.0 * ours,
                100.0 * theirs,
                phase.wait,
                100.0 * phase.late,
                NOTICED.as_millis(),
            )
        };
        outcome.phases.iter().map(line).collect()
    }
}

impl Row {
    /// What each of several clients had.
    pub fn clients(&self) -> Option<String> {
        let shares = &self.outcome.as_ref().ok()?.clients;
        let each = shares.iter().map(|share| format!("{:.1}", 100.0 * share));
        let each: Vec<String> = each.collect();
        let index = jain(shares);
        (shares.len() > 1).then(|| {
            format!(
                "       each: {} %; Jain's index {index:.3}",
                each.join(", ")
            )
        })
    }
}

/// Jain's index: 1 where all have the same, 1 by their number where one has all.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| {
        (sum + share, squares + share * share)
    });
    sum * sum / (shares.len() as f64 * squares).max(f64::MIN_POSITIVE)
}

/// From nothing to all of the link, or more where its queue had something left.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A weather's name.
pub fn named(weather: Weather) -> String {
    let value = weather.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Which of a link's settings was best, and what `auto` has of it.
pub fn verdict(rows: &[Row]) -> Option<String> {
    let seen = |row: &Row| row.outcome.as_ref().ok().map(|outcome| outcome.settled);
    let shares = rows.iter().filter_map(|row| Some((row, seen(row)?)));
    let (row, best) = shares
        .clone()
        .max_by(|one, other| one.1.total_cmp(&other.1))?;
    let auto = shares.clone().find(|(row, _)| row.setting == Setting::Auto);
    let has = match auto {
        Some((_, auto)) => format!("; auto has {:.1} % of that", 100.0 * auto / best),
        None => String::new(),
    };
    Some(format!(
        "{} Mbit/s, {} ms, loss {}, {}: {} ({}) is best with {:.1} %{has}",
        row.link.mbit,
        row.link.rtt.as_millis(),
        row.link.loss,
        named(row.link.weather),
        row.setting,
        row.sockets,
        100.0 * best
    ))
}

/// The columns of a row.
pub const HEAD: &str = "  mbit   rtt     loss  weather setting sockets |   settled    before  retries    full    lost     wait   back   rival  load";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::Tally;

    #[test]
    fn the_best_is_named_and_a_failure_is_none() {
        let rows = [
            row(Setting::Auto, Ok(0.90)),
            row(Setting::Fixed(4), Err(io::Error::other("gone"))),
            row(Setting::Fixed(16), Ok(0.96)),
        ];
        let expected = "100 Mbit/s, 80 ms, loss 0, steady: 16 (auto) is best with 96.0 %; auto has 93.8 % of that";
        assert_eq!(verdict(&rows).as_deref(), Some(expected));
        assert_eq!(verdict(&rows[1..2]), None);
    }

    #[test]
    fn the_shares_of_several_are_told_with_their_index() {
        let mut row = row(Setting::Auto, Ok(0.9));
        assert_eq!(row.clients(), None, "it is alone");
        row.outcome = row.outcome.map(|outcome| Outcome {
            clients: vec![0.6, 0.3],
            ..outcome
        });
        let said = "       each: 60.0, 30.0 %; Jain's index 0.900";
        assert_eq!(row.clients().as_deref(), Some(said));
        assert!((jain(&[0.2; 5]) - 1.0).abs() < 1e-9);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn columns_stand_below_their_names() {
        let line = row(Setting::Fixed(16), Ok(0.5)).to_string();
        assert_eq!(line.len(), HEAD.len());
        assert_eq!(line.find('|'), HEAD.find('|'));
    }

    #[test]
    fn a_link_that_is_not_used_again_in_time_has_failed() {
        let mut row = row(Setting::Auto, Ok(0.9));
        assert!(!row.has_failed(Some(15)), "it did not change");
        row.link.weather = Weather::Halves;
        assert!(row.has_failed(Some(15)) && !row.has_failed(None), "never");
        for (back, failed) in [(15, false), (16, true)] {
            row.outcome = row.outcome.map(|outcome| Outcome {
                back: Some(back),
                ..outcome
            });
            assert_eq!(row.has_failed(Some(15)), failed, "{back}");
        }
        row.outcome = Err(io::Error::other("gone"));
        assert!(row.has_failed(Some(15)) && row.has_failed(None));
    }

    #[test]
    fn a_picture_is_drawn_where_the_link_changes() {
        let mut row = row(Setting::Auto, Ok(0.5));
        assert_eq!(row.picture(), None);
        row.link.weather = Weather::Halves;
        assert_eq!(row.picture().as_deref(), Some("        ▄█"));
    }

    pub(crate) fn row(setting: Setting, settled: io::Result<f64>) -> Row {
        let outcome = settled.map(|settled| Outcome {
            settled,
            before: 0.5,
            retries: 0,
            tally: Tally::default(),
            wait: 4.2,
            back: None,
            seconds: [0.0, 0.5, 1.0]
                .map(|share| Second {
                    share,
                    ..Second::default()
                })
                .into(),
            rival: None,
            clients: vec![settled],
            phases: Vec::new(),
            rival_goes: false,
            load: 0.5,
        });
        let link = Link {
            mbit: 100,
            rtt: std::time::Duration::from_millis(80),
            loss: 0.0,
            queue: 0,
            weather: Weather::Steady,
        };
        Row {
            link,
            setting,
            sockets: "auto".to_owned(),
            outcome,
        }
    }
}
