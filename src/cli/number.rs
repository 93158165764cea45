//! Whole numbers as arguments, and what to write instead of what is none.

use std::str::FromStr;

/// A whole number from 0.
///
/// # Errors
/// What to write instead.
pub fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    let refused = |_| "write a whole number, such as 4".to_owned();
    text.parse().map_err(refused)
}

/// A whole number from 1.
///
/// # Errors
/// What to write instead.
pub fn positive<T: FromStr + PartialEq + Default>(text: &str) -> Result<T, String> {
    match whole(text) {
        Ok(number) if number != T::default() => Ok(number),
        _ => Err("write a whole number from 1, such as 4".to_owned()),
    }
}

/// The id of a remote folder.
///
/// # Errors
/// What to write instead.
pub fn folder_id(text: &str) -> Result<i64, String> {
    let id = text.parse().ok().filter(|id| *id >= 0);
    id.ok_or_else(|| {
        "a folder's id is a whole number, 0 for the root; a name goes to --dest".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told_what_to_write() {
        assert_eq!(whole("0"), Ok(0_usize));
        assert_eq!(positive("7"), Ok(7_u16));
        for text in ["", "x", "-1", "1.5", "99999"] {
            for refused in [whole::<u16>(text), positive::<u16>(text)] {
                let words = refused.expect_err(text);
                assert!(words.starts_with("write a whole number"), "{words}");
            }
        }
        assert!(positive::<u64>("0").is_err());
        assert_eq!(folder_id("0"), Ok(0));
        for text in ["-5", "photos", "1.0"] {
            assert!(folder_id(text).is_err(), "{text}");
        }
    }
}
