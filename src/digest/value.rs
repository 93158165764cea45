//! The 16 bytes of an MD5 and their only spelling, lower-case hex.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Kind, Operation};

/// An MD5. Shown as 32 lower-case hex digits, as the service wants it; read in either case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Md5(pub [u8; 16]);

impl Md5 {
    /// The 16 bytes, in the order of the hex digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        f.pad(std::str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Md5 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text.as_bytes()).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                Operation::Check,
                format!("not an MD5 of 32 hex digits: {text:?}"),
            )
        })
    }
}

fn parse(text: &[u8]) -> Option<Md5> {
    let text: &[u8; 32] = text.try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(Md5(bytes))
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_in_lower_case_and_read_in_either() {
        let text = "d41d8cd98f00b204e9800998ecf8427e";
        let md5: Md5 = text.to_uppercase().parse().expect("32 hex digits");
        assert_eq!(md5.as_bytes()[..3], [0xd4, 0x1d, 0x8c]);
        assert_eq!(md5.to_string(), text);
        assert_eq!(format!("{md5:?}"), text);
    }

    #[test]
    fn anything_but_32_hex_digits_is_refused() {
        let good = "d41d8cd98f00b204e9800998ecf8427e";
        for bad in [
            "",
            &good[1..],
            &format!("{good}0"),
            &good.replace('d', "g"),
            &good.replace("d4", "+4"),
        ] {
            let error = bad.parse::<Md5>().expect_err(bad);
            assert_eq!(error.kind(), Kind::Invalid, "{bad}");
        }
    }
}
