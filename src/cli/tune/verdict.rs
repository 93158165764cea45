//! What was measured, as a table for people or a line each for scripts, and what follows from it.

use std::time::SystemTime;

use panup::Error;
use serde_json::json;

use super::{complain, human, say, say_object};
use crate::cli::args::Output;
use crate::cli::objects::{Line, Measured, ShortFailure, Tuned, rounded};
use crate::cli::out::lose;
use crate::cli::timings::{Page, Place, stamp};

/// One setting, measured.
#[derive(Debug, Clone)]
pub struct Row {
    /// Bodies in flight; `None` is auto.
    pub concurrency: Option<usize>,
    /// Permits at the end: where auto came out.
    pub permits: usize,
    /// Content bytes that left, resends included.
    pub sent: u64,
    /// From the first byte on.
    pub seconds: f64,
    /// Bytes per second.
    pub rate: f64,
    /// Attempts that were repeated.
    pub retries: u64,
    /// Bytes per second that left, by [`STEP`], from the first byte on.
    pub way: Vec<f64>,
    /// Why the upload failed, if it did.
    pub error: Option<Error>,
}

/// The rows so far; each is printed as it comes.
pub struct Table {
    output: Output,
    budget: u64,
    rows: Vec<Row>,
    /// `--timings`
    picture: Option<Place>,
    at: SystemTime,
}

impl Table {
    /// Empty, its head printed.
    pub fn new(output: Output, budget: u64, picture: Option<Place>) -> Table {
        if !output.json && !output.quiet {
            say(&format!(
                "{:>11}  {:>10}  {:>8}  {:>13}  {:>7}",
                "concurrency", "sent", "seconds", "per second", "retries"
            ));
        }
        Table {
            output,
            budget,
            rows: Vec::new(),
            picture,
            at: SystemTime::now(),
        }
    }

    /// Writes the picture, where one was asked for.
    pub fn draw(&mut self) {
        let Some(place) = self.picture.take() else {
            return;
        };
        match place.write(Page::Tune, &self.data()) {
            Ok(()) => complain(&format!(
                "the table as a picture: {}",
                place.into_path().display()
            )),
            Err(error) => {
                complain(&format!("panup: {error}"));
                lose();
            }
        }
    }

    fn data(&self) -> serde_json::Value {
        let verdict = Verdict::of(&self.rows);
        let rows: Vec<_> = self.rows.iter().map(drawn).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"), "at": stamp(self.at), "budget": self.budget, "sent": self.sent(),
            "best": verdict.and_then(|verdict| verdict.best), "flag": verdict.map(Verdict::flag),
            "verdict": verdict.map(Verdict::text), "step": STEP, "rows": rows,
        })
    }

    /// One more.
    pub fn add(&mut self, row: Row) {
        if self.output.json {
            say_object(&json_line(&row));
        } else if !self.output.quiet {
            say(&text_line(&row));
        }
        if let Some(error) = &row.error {
            complain(&format!("failed    {error}"));
        }
        self.rows.push(row);
    }

    /// Bytes spent so far.
    pub fn sent(&self) -> u64 {
        self.rows.iter().map(|row| row.sent).sum()
    }

    /// Whether an upload failed.
    pub fn failed(&self) -> bool {
        self.rows.iter().any(|row| row.error.is_some())
    }

    /// What follows.
    pub fn finish(&self) {
        let verdict = Verdict::of(&self.rows);
        if self.output.json {
            return say_object(&Line::Tuned(Tuned {
                budget: self.budget,
                sent: self.sent(),
                best: verdict.and_then(|verdict| verdict.best),
                flag: verdict.map(Verdict::flag),
                behind: verdict.and_then(|verdict| verdict.auto_behind),
            }));
        }
        match verdict {
            Some(verdict) => say(&verdict.text()),
            None => complain("nothing was measured"),
        }
        let (sent, budget) = (human(self.sent()), human(self.budget));
        complain(&format!("{sent} sent of {budget}"));
    }
}

fn text_line(row: &Row) -> String {
    let at = match row.concurrency {
        Some(_) => String::new(),
        None => format!("  (reached {})", row.permits),
    };
    format!(
        "{:>11}  {:>10}  {:>8.1}  {:>11}/s  {:>7}{at}",
        name(row.concurrency),
        human(row.sent),
        row.seconds,
        human(row.rate as u64),
        row.retries
    )
}

fn json_line(row: &Row) -> Line {
    Line::Setting(Measured {
        concurrency: row.concurrency.map_or("auto".into(), Into::into),
        permits: row.permits,
        sent: row.sent,
        seconds: rounded(row.seconds),
        bytes_per_second: row.rate.round(),
        retries: row.retries,
        error: row.error.as_ref().map(|error| ShortFailure {
            kind: error.kind().name(),
            message: error.to_string(),
        }),
    })
}

fn drawn(row: &Row) -> serde_json::Value {
    json!({
        "concurrency": row.concurrency, "permits": row.permits, "sent": row.sent, "seconds": row.seconds,
        "rate": row.rate, "retries": row.retries, "error": row.error.as_ref().map(Error::to_string),
        "way": row.way.iter().map(|rate| rate.round()).collect::<Vec<_>>(),
    })
}

fn name(concurrency: Option<usize>) -> String {
    concurrency.map_or("auto".to_owned(), |count| count.to_string())
}

/// What the rows show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The fewest bodies in flight that are as good as any; `None` is auto.
    best: Option<usize>,
    rate: f64,
    /// How far auto is behind the best fixed setting, as a share; below 0 it is ahead.
    auto_behind: Option<f64>,
}

impl Verdict {
    /// `None` where nothing was measured.
    fn of(rows: &[Row]) -> Option<Verdict> {
        let good = || {
            rows.iter()
                .filter(|row| row.error.is_none() && row.rate > 0.0)
        };
        let fixed = || good().filter(|row| row.concurrency.is_some());
        let auto = good().find(|row| row.concurrency.is_none());
        let top = fixed().map(|row| row.rate).fold(0.0, f64::max);
        // Fewer bodies for nearly the same goodput are easier on the service and on other users of the link.
        let enough = fixed().filter(|row| row.rate >= top * AS_GOOD);
        let fixed = enough.min_by_key(|row| row.concurrency);
        let auto_behind = auto.filter(|_| top > 0.0).map(|auto| 1.0 - auto.rate / top);
        let best = match (fixed, auto) {
            (Some(_), Some(auto)) if auto.rate >= top * NEAR => auto,
            (Some(fixed), _) => fixed,
            (None, auto) => auto?,
        };
        Some(Verdict {
            best: best.concurrency,
            rate: best.rate,
            auto_behind,
        })
    }

    fn flag(self) -> String {
        format!("--concurrency {}", name(self.best))
    }

    fn text(self) -> String {
        let auto = match self.auto_behind {
            Some(behind) if behind < 0.0 => format!("; auto was {:.0} % ahead", -behind * 100.0),
            Some(behind) => format!("; auto was {:.0} % behind the best", behind * 100.0),
            None => String::new(),
        };
        let rate = human(self.rate as u64);
        match self.best {
            Some(_) => format!("use {} ({rate}/s{auto})", self.flag()),
            None => format!("no flag is needed: auto does it ({rate}/s{auto})"),
        }
    }
}

/// Between two points of a setting's way, in seconds.
pub const STEP: f64 = 0.25;

/// A fixed setting is as good as the best from here on.
const AS_GOOD: f64 = 0.95;

/// So near the best fixed setting, auto is the better choice: it follows the link when it changes.
const NEAR: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rates: &[(Option<usize>, f64)]) -> Option<Verdict> {
        let row = |&(concurrency, rate): &(Option<usize>, f64)| Row {
            concurrency,
            permits: 1,
            sent: 1,
            seconds: 1.0,
            rate,
            retries: 0,
            way: Vec::new(),
            error: None,
        };
        Verdict::of(&rates.iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn auto_where_it_is_near_and_the_fewest_where_it_is_not() {
        let fixed = [
            (Some(1), 50.0),
            (Some(4), 97.0),
            (Some(8), 100.0),
            (Some(16), 80.0),
        ];
        let with = |auto: f64| {
            let rows: Vec<_> = fixed.into_iter().chain([(None, auto)]).collect();
            verdict(&rows).expect("measured")
        };
        assert_eq!(with(91.0).best, None);
        assert_eq!(with(120.0).best, None);
        assert_eq!(with(80.0).best, Some(4));
        assert!(
            with(80.0).text().contains("--concurrency 4 "),
            "{}",
            with(80.0).text()
        );
        assert!(
            with(80.0).text().contains("20 % behind"),
            "{}",
            with(80.0).text()
        );
        assert!(with(120.0).text().contains("20 % ahead"));
    }

    #[test]
    fn what_failed_does_not_count() {
        assert_eq!(verdict(&[]), None);
        assert_eq!(verdict(&[(Some(2), 0.0), (None, 0.0)]), None);
        assert_eq!(verdict(&[(Some(2), 5.0)]).expect("one").best, Some(2));
        assert_eq!(verdict(&[(None, 5.0)]).expect("one").best, None);
    }
}
