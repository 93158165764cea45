//! Durations as people write them: `500ms`, `30s`, `2m`, `1h`, or seconds as a bare number.

use std::time::Duration;

/// The duration that `text` stands for, above zero.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no duration; write for example 500ms, 30s or 2m");
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| refused())?;
    let seconds = match unit.trim() {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(refused()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(lasts) if !lasts.is_zero() && lasts <= LONGEST => Ok(lasts),
        _ => Err(refused()),
    }
}

/// Longer than any run; what is added to a moment must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("500ms", 500),
            ("30", 30_000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "s",
            "0",
            "0.0000000001s",
            "-1s",
            "1d",
            "1e9h",
            "999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
