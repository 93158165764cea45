//! Moments as people write them: how long ago, or a date.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A moment. `7d` is seven days ago; a date without a zone is in local time, and begins its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub SystemTime);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let moment = match age(text) {
            Some(age) => SystemTime::now().checked_sub(age),
            None => date(text, local),
        };
        moment.map(Moment).ok_or_else(|| {
            format!(
                "{text:?} is no time; write for example 12h, 7d or 2w (ago), 2026-11-26, \
                 \"2026-11-26 08:30\" (local time) or 2026-11-26T08:30:00+08:00"
            )
        })
    }
}

fn age(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds as f64).ok()
}

/// `zone` is asked for the offset where the text names none.
fn date(text: &str, zone: impl Fn(PrimitiveDateTime) -> UtcOffset) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(whole) = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339) {
        return Some(whole.into());
    }
    let (day, hour) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let local = PrimitiveDateTime::new(day_of(day)?, hour_of(hour)?);
    Some(local.assume_offset(zone(local)).into())
}

fn day_of(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month: u8 = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}

fn hour_of(text: &str) -> Option<Time> {
    let mut parts = text.splitn(3, ':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second = parts.next().map_or(Ok(0), str::parse).ok()?;
    Time::from_hms(hour, minute, second).ok()
}

/// The machine's offset at that local time; where summer time begins or ends in between, the later guess.
fn local(moment: PrimitiveDateTime) -> UtcOffset {
    let at = |guess| UtcOffset::local_offset_at(moment.assume_offset(guess)).ok();
    let offset = at(UtcOffset::UTC).and_then(at);
    offset.unwrap_or(UtcOffset::UTC)
}

const DAY: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let east = |_| UtcOffset::from_hms(8, 0, 0).expect("a zone");
        let since = |moment: SystemTime| moment.duration_since(SystemTime::UNIX_EPOCH);
        date(text, east).map(|moment| since(moment).expect("later").as_secs())
    }

    #[test]
    fn dates() {
        // 2026-11-26 00:00 at +08:00.
        let midnight = 1_795_622_400;
        for (text, after) in [
            ("2026-11-26", 0),
            ("2026-11-26 08:30", 30_600),
            ("2026-11-26T08:30", 30_600),
            ("2026-11-26 08:30:05", 30_605),
            ("2026-11-26T00:00:00Z", 28_800),
            ("2026-11-26 00:00:00Z", 28_800),
            ("2026-11-26T08:30:00+08:00", 30_600),
        ] {
            assert_eq!(seconds(text), Some(midnight + after), "{text}");
        }
        for text in [
            "",
            "26-11-26",
            "2026-13-01",
            "2026-02-30",
            "2026-11-26 25:00",
            "2026-11-26T",
            "yesterday",
            "2026-11",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn ages() {
        for (text, seconds) in [
            ("90s", 90),
            ("1.5m", 90),
            ("12h", 12 * 3600),
            ("7d", 7 * DAY),
            ("2w", 14 * DAY),
        ] {
            assert_eq!(age(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["7", "d", "7x", "-7d", "1e9d", "7 days"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
