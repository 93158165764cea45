//! What was found, as lines. In come outcomes, out go rows and what was best on a link.

use std::fmt;
use std::io;

use crate::args::Setting;
use crate::cell::Outcome;
use crate::wire::Link;

/// One cell.
pub struct Row {
    /// The link.
    pub link: Link,
    /// The setting.
    pub setting: Setting,
    /// What was seen, or why nothing was.
    pub outcome: io::Result<Outcome>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { link, setting, .. } = self;
        let rtt = link.rtt.as_millis();
        write!(
            f,
            "{:>6} {rtt:>5} {:>8} {setting:>7} |",
            link.mbit, link.loss
        )?;
        match &self.outcome {
            Ok(outcome) => write!(
                f,
                " {:>7.1} % {:>7.1} % {:>8} {:>7} {:>7}",
                100.0 * outcome.settled,
                100.0 * outcome.before,
                outcome.retries,
                outcome.tally.full,
                outcome.tally.lost
            ),
            Err(error) => write!(f, " {error}"),
        }
    }
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
        "{} Mbit/s, {} ms, loss {}: {} is best with {:.1} %{has}",
        row.link.mbit,
        row.link.rtt.as_millis(),
        row.link.loss,
        row.setting,
        100.0 * best
    ))
}

/// The columns of a row.
pub const HEAD: &str =
    "  mbit   rtt     loss setting |   settled    before  retries    full    lost";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Tally;

    #[test]
    fn the_best_is_named_and_a_failure_is_none() {
        let rows = [
            row(Setting::Auto, Ok(0.90)),
            row(Setting::Fixed(4), Err(io::Error::other("gone"))),
            row(Setting::Fixed(16), Ok(0.96)),
        ];
        let expected = "100 Mbit/s, 80 ms, loss 0: 16 is best with 96.0 %; auto has 93.8 % of that";
        assert_eq!(verdict(&rows).as_deref(), Some(expected));
        assert_eq!(verdict(&rows[1..2]), None);
    }

    #[test]
    fn columns_stand_below_their_names() {
        let line = row(Setting::Fixed(16), Ok(0.5)).to_string();
        assert_eq!(line.len(), HEAD.len());
        assert_eq!(line.find('|'), HEAD.find('|'));
    }

    fn row(setting: Setting, settled: io::Result<f64>) -> Row {
        let outcome = settled.map(|settled| Outcome {
            settled,
            before: 0.5,
            retries: 0,
            tally: Tally::default(),
        });
        let link = Link {
            mbit: 100,
            rtt: std::time::Duration::from_millis(80),
            loss: 0.0,
            queue: 0,
        };
        Row {
            link,
            setting,
            outcome,
        }
    }
}
