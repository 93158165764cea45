//! Dates as the service writes them. In comes a time, out goes text in China's time zone; no
//! other is ever needed.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-08-01T12:00:00+08:00` and the like.
pub(crate) fn rfc3339(moment: SystemTime) -> String {
    format!("{}+08:00", local(moment).replace(' ', "T"))
}

/// `2026-08-01 12:00:00` and the like, as listings have it.
pub(crate) fn local(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let local = since.as_secs() + CHINA;
    let (days, seconds) = (local / 86_400, local % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Days since 1970-01-01 as a date of the Gregorian calendar (Howard Hinnant's algorithm, for
/// days that are not negative).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Seconds that China is ahead of UTC.
const CHINA: u64 = 8 * 3600;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_around_their_corners() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T08:00:00+08:00");
        assert_eq!(at(951_782_399), "2000-02-29T07:59:59+08:00");
        assert_eq!(at(1_709_222_400), "2024-03-01T00:00:00+08:00");
        assert_eq!(at(1_767_196_799), "2025-12-31T23:59:59+08:00");
        assert_eq!(at(4_107_542_400), "2100-03-01T08:00:00+08:00");
    }
}
