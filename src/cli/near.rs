//! Names that are a slip away from each other.

/// Whether `typed` is `guess` but for a slip: a beginning of it, or a letter or two.
pub fn is_near(typed: &str, guess: &str) -> bool {
    let [typed, guess] = [typed, guess].map(|option| option.trim_start_matches('-'));
    let begins = typed.len() >= 3 && (guess.starts_with(typed) || typed.starts_with(guess));
    begins || distance(typed, guess) <= (typed.len() / 3).min(2)
}

/// The one of `names` that is a letter or two away from `typed`.
pub fn nearest<'a>(typed: &str, names: &'a [String]) -> Option<&'a str> {
    let slips = |name: &String| distance(&typed.to_lowercase(), &name.to_lowercase());
    let (slips, name) = names.iter().map(|name| (slips(name), name)).min()?;
    let most = if typed.len() < 5 { 1 } else { 2 };
    (slips <= most).then_some(name.as_str())
}

/// Letters to put in, take out or replace, as Levenshtein counts them.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_a_slip_away() {
        for (typed, guess, near) in [
            ("--exclud", "--exclude", true),
            ("--inculde", "--include", true),
            ("--files", "--files-from", true),
            ("--limitrate", "--limit-rate", true),
            ("--no-progress", "--no-resume", false),
            ("--color", "--follow", false),
            ("--order", "--force", false),
            ("--as", "--api", false),
        ] {
            assert_eq!(is_near(typed, guess), near, "{typed} {guess}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_of_several() {
        let names = ["quiet", "api", "concurrency"].map(str::to_owned);
        assert_eq!(nearest("concurency", &names), Some("concurrency"));
        assert_eq!(nearest("quite", &names), Some("quiet"));
        assert_eq!(nearest("colour", &names), None);
    }
}
