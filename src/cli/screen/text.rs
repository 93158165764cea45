//! Text for a number of columns. In: names in any script, sizes, times. Out: what fits. Never: more
//! columns than asked for, whatever the terminal thinks of a sequence of emoji.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

use super::super::out::shown;

/// Columns that `text` takes at most.
pub fn columns(text: &str) -> usize {
    clusters(text).map(|(_, columns)| columns).sum()
}

/// `name` with its middle left out where it has more than `most` columns; what a terminal would act on is
/// shown as what it is.
pub fn middle(name: &str, most: usize) -> String {
    let name = shown(name);
    if columns(&name) <= most {
        return name.into_owned();
    }
    if most <= GAP.len() {
        return GAP[..most].to_owned();
    }
    let all: Vec<_> = clusters(&name).collect();
    let room = most - GAP.len();
    // The end of a name says more than its begin.
    let (mut before, mut after) = (0, all.len());
    let (mut left, mut right) = (room / 3, room - room / 3);
    while after > before && all[after - 1].1 <= right {
        right -= all[after - 1].1;
        after -= 1;
    }
    left += right;
    while before < after && all[before].1 <= left {
        left -= all[before].1;
        before += 1;
    }
    let text = |part: &[(&str, usize)]| part.iter().map(|(text, _)| *text).collect::<String>();
    format!("{}{GAP}{}", text(&all[..before]), text(&all[after..]))
}

/// The begin of `text`, up to `most` columns.
pub fn begin(text: &str, most: usize) -> &str {
    let mut room = most;
    let mut end = 0;
    for (cluster, columns) in clusters(text) {
        if columns > room {
            break;
        }
        room -= columns;
        end += cluster.len();
    }
    &text[..end]
}

/// `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn time(time: Duration) -> String {
    let seconds = (time.as_secs_f64().round() as u64).max(1);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => format!("{minutes} min {} s", seconds % 60),
        600..3600 => format!("{minutes} min"),
        _ => format!("{hours} h {} min", minutes % 60),
    }
}

/// `1 file`, `2 files`, `10,000 files`.
pub fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// With a comma before each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is seen as one character, with its columns at most: terminals differ on joined emoji, and none takes
/// more than all parts do.
fn clusters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let (mut end, mut columns, mut joined) = (rest.len(), width(first), false);
        let mut flag = is_flag(first);
        for (at, c) in chars {
            let stays = joined || width(c) == 0 || is_tone(c) || c == EMOJI || flag && is_flag(c);
            if !stays {
                end = at;
                break;
            }
            flag = false;
            joined = c == JOINER;
            columns += width(c);
        }
        let cluster;
        (cluster, rest) = rest.split_at(end);
        Some((cluster, columns))
    })
}

fn width(c: char) -> usize {
    match c {
        // What stands before it becomes an emoji, two columns wide.
        EMOJI => 1,
        JOINER => 0,
        _ => c.width().unwrap_or(0),
    }
}

fn is_flag(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

const JOINER: char = '\u{200d}';
const EMOJI: char = '\u{fe0f}';

/// In the place of what is left out. An ellipsis is two columns wide in some Chinese terminals.
const GAP: &str = "...";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle_by_columns() {
        for (name, most, expected) in [
            ("short.txt", 20, "short.txt"),
            (
                "a-very-long-name-indeed.tar.zst",
                20,
                "a-ver...deed.tar.zst",
            ),
            ("照片照片照片照片.jpg", 20, "照片照片照片照片.jpg"),
            ("照片照片照片照片照.jpg", 16, "照片...片照.jpg"),
            ("照片照片照片", 5, "...片"),
            ("abcdef", 3, "..."),
            ("abcdef", 2, ".."),
            ("a\nb", 9, "a\\nb"),
        ] {
            let cut = middle(name, most);
            assert_eq!(cut, expected, "{name}");
            assert!(columns(&cut) <= most, "{cut}");
        }
    }

    #[test]
    fn no_character_is_torn() {
        let family = "👨‍👩‍👧";
        let name = format!("{}{family}🇨🇳e\u{301}{}", "x".repeat(20), "y".repeat(20));
        for most in 4..60 {
            let cut = middle(&name, most);
            assert!(columns(&cut) <= most, "{most}: {cut}");
            assert!(!cut.contains('👨') || cut.contains(family), "{cut}");
            assert!(!cut.contains('🇨') || cut.contains("🇨🇳"), "{cut}");
            assert!(
                !cut.contains('\u{301}') || cut.contains("e\u{301}"),
                "{cut}"
            );
        }
        assert_eq!(begin("照片x", 3), "照");
        assert_eq!(begin(family, 2), "");
    }

    #[test]
    fn times_and_counts_are_words() {
        for (seconds, expected) in [
            (0.2, "1 s"),
            (59.4, "59 s"),
            (60.0, "1 min 0 s"),
            (200.0, "3 min 20 s"),
            (1800.0, "30 min"),
            (7500.0, "2 h 5 min"),
        ] {
            assert_eq!(time(Duration::from_secs_f64(seconds)), expected);
        }
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(0, "file", "files"), "0 files");
        assert_eq!(count(1_234_567, "file", "files"), "1,234,567 files");
        assert_eq!(
            (grouped(999), grouped(1000)),
            ("999".into(), "1,000".into())
        );
    }
}
