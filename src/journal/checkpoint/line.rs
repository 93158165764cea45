//! One line of a checkpoint: a JSON object whose last member is a check of all before it. In: values. Out:
//! lines, and values of lines that are whole. Never: a line that is believed because it looks like one.

use md5::{Digest, Md5};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `value` as a line with its check, line break included; `None` where it is no JSON object.
pub(super) fn seal(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(value).ok()?;
    (line.pop() == Some(b'}')).then_some(())?;
    let check = check(&line);
    line.extend_from_slice(format!("{CHECK}{check}\"}}\n").as_bytes());
    Some(line)
}

/// The value of a line without its line break; `None` where the line is not what was written.
pub(super) fn open<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    is_whole(line).then_some(())?;
    serde_json::from_slice(line).ok()
}

/// Whether a line is what was written.
pub(super) fn is_whole(line: &[u8]) -> bool {
    let sealed = || {
        let line = line.strip_suffix(b"\"}")?;
        let at = line.len().checked_sub(DIGITS)?;
        let (line, said) = line.split_at(at);
        let line = line.strip_suffix(CHECK.as_bytes())?;
        Some(check(line).as_bytes() == said)
    };
    sealed().unwrap_or(false)
}

/// The first half of the MD5 in hex digits: anything can work it out.
fn check(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    let half = digest.iter().take(DIGITS / 2);
    half.map(|byte| format!("{byte:02x}")).collect()
}

const CHECK: &str = ",\"check\":\"";

const DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_is_an_object_that_is_believed_whole_and_in_no_part() {
        let value = json!({"n": 1, "facts": ["ä", {"check": "x"}]});
        let line = seal(&value).expect("an object");
        let line = line.strip_suffix(b"\n").expect("one line");
        let read: Value = open(line).expect("whole");
        assert_eq!((&read["n"], &read["facts"]), (&value["n"], &value["facts"]));
        for end in 0..line.len() {
            assert!(!is_whole(&line[..end]), "cut at {end}");
        }
        for at in 0..line.len() {
            let mut other = line.to_vec();
            other[at] ^= 1;
            assert!(!is_whole(&other), "changed at {at}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_line() {
        assert_eq!(seal(&json!([1])), None);
        assert!(!is_whole(b""));
        assert!(!is_whole(b"{}"));
    }
}
