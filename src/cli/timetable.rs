//! `--limit-rate`, one rate or a timetable of them. In: the text, and the client whose rate it is. Out: the
//! rate of each hour. Never: a rate that the client refused at the beginning.

use std::str::FromStr;
use std::time::Duration;

use panup::{Client, Error};
use time::{OffsetDateTime, UtcOffset};

use super::size::Rate;

/// `10M`, or `08:00,512K 19:00,10M 23:00,off`: from that local time on, each day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRate {
    /// By the second of the day at which it begins; never empty.
    changes: Vec<(u32, Option<u64>)>,
    zone: UtcOffset,
}

impl FromStr for LimitRate {
    type Err = String;

    fn from_str(text: &str) -> Result<LimitRate, String> {
        // Asked for here, where the process has one thread yet.
        let zone = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
        if !text.contains([',', ':']) {
            let Rate(rate) = text.parse()?;
            return Ok(LimitRate {
                changes: vec![(0, Some(rate))],
                zone,
            });
        }
        let mut changes = Vec::new();
        for entry in text.split_whitespace() {
            changes.push(change(entry)?);
        }
        changes.sort_unstable_by_key(|&(from, _)| from);
        if changes.is_empty() || changes.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err(format!("{text:?} {MEANT}; each time once"));
        }
        Ok(LimitRate { changes, zone })
    }
}

fn change(entry: &str) -> Result<(u32, Option<u64>), String> {
    let refused = || format!("{entry:?} {MEANT}");
    let (hour, rate) = entry.split_once(',').ok_or_else(refused)?;
    let (hours, minutes) = hour.split_once(':').ok_or_else(refused)?;
    let number = |text: &str, most: u32| {
        let number = text.parse().ok().filter(|&number: &u32| number <= most);
        let plain = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        number.filter(|_| plain).ok_or_else(refused)
    };
    let from = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
    if rate == "off" {
        return Ok((from, None));
    }
    let Rate(rate) = rate.parse()?;
    Ok((from, Some(rate)))
}

const MEANT: &str =
    "is no entry of a timetable; write for example \"08:00,512K 19:00,10M 23:00,off\"";

impl LimitRate {
    /// The rate of this moment.
    pub fn now(&self) -> Option<u64> {
        self.at(self.second())
    }

    /// Of a day that has more than one; of what begins last at its end the next one begins with.
    fn at(&self, second: u32) -> Option<u64> {
        let begun = self.changes.iter().rev().find(|&&(from, _)| from <= second);
        begun.or(self.changes.last()).and_then(|&(_, rate)| rate)
    }

    fn second(&self) -> u32 {
        let (hour, minute, second) = OffsetDateTime::now_utc().to_offset(self.zone).to_hms();
        u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second)
    }

    /// Sees that `client` takes each rate, divided among `workers`, and sets that of this moment.
    ///
    /// # Errors
    /// The client refuses one: a body would not arrive in time.
    pub fn begin(&self, client: &Client, workers: u32) -> Result<(), Error> {
        for &(_, rate) in &self.changes {
            client.set_limit_rate(share(rate, workers))?;
        }
        client.set_limit_rate(share(self.now(), workers))
    }

    /// Changes the rate of `client` by the hour, after [`LimitRate::begin`].
    async fn follow(&self, client: &Client, workers: u32) {
        let mut rate = self.now();
        loop {
            // The clock may be set, and the machine may sleep.
            tokio::time::sleep(LOOK).await;
            let now = self.now();
            if now != rate && client.set_limit_rate(share(now, workers)).is_ok() {
                tracing::info!(
                    bytes_per_second = now,
                    "--limit-rate: another hour, another rate"
                );
                rate = now;
            }
        }
    }
}

/// `task` to its end, and meanwhile the rate of `client` by the hour.
pub async fn following<T>(
    rate: Option<&LimitRate>,
    (client, workers): (&Client, u32),
    task: impl Future<Output = T>,
) -> T {
    let Some(rate) = rate else { return task.await };
    tokio::select! {
        ended = task => ended,
        () = rate.follow(client, workers) => unreachable!("it goes on for ever"),
    }
}

fn share(rate: Option<u64>, workers: u32) -> Option<u64> {
    rate.map(|rate| (rate / u64::from(workers)).max(1))
}

/// How late a change may be.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> LimitRate {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn each_hour_has_the_rate_that_began_last() {
        let table = table("19:00,10M  08:00,512K 23:30,off");
        let at = |hour: u32, minute: u32| table.at(hour * 3600 + minute * 60);
        for (hour, minute, rate) in [
            (0, 0, None),
            (7, 59, None),
            (8, 0, Some(512 << 10)),
            (18, 59, Some(512 << 10)),
            (19, 0, Some(10 << 20)),
            (23, 29, Some(10 << 20)),
            (23, 30, None),
        ] {
            assert_eq!(at(hour, minute), rate, "{hour}:{minute}");
        }
    }

    #[test]
    fn one_rate_is_for_the_whole_day() {
        for second in [0, 1, 43_200, 86_399] {
            assert_eq!(table("80Mbit").at(second), Some(10_000_000));
            assert_eq!(table("12:00,1M").at(second), Some(1 << 20));
        }
    }

    #[test]
    fn what_is_no_timetable_is_refused_with_an_example() {
        for wrong in [
            ",",
            ":",
            "8,1M",
            "24:00,1M",
            "08:60,1M",
            "08:00",
            "08:00,",
            "08:00,fast",
            "08:00,1M 08:00,2M",
            "008:00,1M",
            "-8:00,1M",
            "08:00 1M",
            "+8:00,1M",
        ] {
            let words = wrong.parse::<LimitRate>().expect_err(wrong);
            assert!(words.contains("write for example"), "{wrong}: {words}");
        }
    }
}
