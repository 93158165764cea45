//! Names that the service refuses, written as it takes them.

use std::borrow::Cow;

/// `remote` with the forbidden signs in their full-width forms, and names of blanks only with blanks that
/// can be seen.
pub fn full_width(remote: &str) -> Cow<'_, str> {
    let blank = |name: &str| !name.is_empty() && name.chars().all(|c| c == ' ');
    if !remote.contains(FORBIDDEN) && !remote.split('/').any(blank) {
        return Cow::Borrowed(remote);
    }
    let names = remote.split('/').map(|name| match blank(name) {
        true => "␠".repeat(name.len()),
        false => name.chars().map(wide).collect(),
    });
    Cow::Owned(names.collect::<Vec<String>>().join("/"))
}

fn wide(c: char) -> char {
    match c {
        '"' => '＂',
        '\\' => '＼',
        ':' => '：',
        '*' => '＊',
        '?' => '？',
        '|' => '｜',
        '>' => '＞',
        '<' => '＜',
        c => c,
    }
}

const FORBIDDEN: [char; 8] = ['"', '\\', ':', '*', '?', '|', '>', '<'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_refuses_is_written_as_it_takes_it() {
        for (name, expected) in [
            ("a/b c", "a/b c"),
            ("a:b/c*", "a：b/c＊"),
            ("\"\\?|<>", "＂＼？｜＜＞"),
            ("a/  /b", "a/␠␠/b"),
            (" ", "␠"),
        ] {
            assert_eq!(full_width(name), expected);
            assert!(panup::remote_folder(&full_width(name)).is_ok(), "{name}");
        }
    }
}
