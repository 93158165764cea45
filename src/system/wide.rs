//! Windows' names as bytes. In: UTF-16 that may have surrogates without their other half. Out: UTF-8, with
//! such a surrogate as its three bytes (WTF-8), and back. Never: two names that become one.

/// UTF-16 as bytes.
pub(super) fn to_bytes(units: impl Iterator<Item = u16>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => bytes.extend_from_slice(&three_bytes(lone.unpaired_surrogate())),
        }
    }
    bytes
}

/// The UTF-16 of such bytes; what they cannot have been is U+FFFD.
pub(super) fn from_bytes(bytes: &[u8]) -> Vec<u16> {
    let mut units = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (text, wrong, length) = match std::str::from_utf8(rest) {
            Ok(text) => (text, &rest[..0], 0),
            Err(error) => {
                let (text, wrong) = rest.split_at(error.valid_up_to());
                let length = error.error_len().unwrap_or(wrong.len());
                (std::str::from_utf8(text).unwrap_or_default(), wrong, length)
            }
        };
        units.extend(text.encode_utf16());
        rest = match surrogate(wrong) {
            Some(lone) => {
                units.push(lone);
                &wrong[3..]
            }
            None => {
                units.extend((length > 0).then_some(UNKNOWN));
                &wrong[length..]
            }
        };
    }
    units
}

/// As UTF-8 would have it, if surrogates were characters.
fn three_bytes(unit: u16) -> [u8; 3] {
    let low = |unit: u16| (unit & 0x3f) as u8 | 0x80;
    [0xed, low(unit >> 6), low(unit)]
}

/// The surrogate at the front of `bytes`.
fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        &[0xed, high @ 0xa0..=0xbf, low @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(high & 0x3f) << 6 | u16::from(low & 0x3f))
        }
        _ => None,
    }
}

/// The replacement character.
const UNKNOWN: u16 = 0xfffd;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_went() {
        let lone = [0xd800, 0xdbff, 0xdc00, 0xdfff];
        let mut names: Vec<Vec<u16>> = ["", "a", "名 1", "\u{1f600}x"]
            .map(|text| text.encode_utf16().collect())
            .into();
        for unit in lone {
            names.push(vec![unit]);
            names.push(vec![0x61, unit, 0x540d]);
            names.push(vec![0xdc00, unit, 0xdc01]);
        }
        let mut all = std::collections::HashSet::new();
        for name in names {
            let bytes = to_bytes(name.iter().copied());
            assert_eq!(from_bytes(&bytes), name, "{bytes:x?}");
            let text = String::from_utf16(&name).ok();
            assert_eq!(text.as_deref(), std::str::from_utf8(&bytes).ok());
            all.insert(bytes);
        }
        assert_eq!(all.len(), 16, "none became another");
    }

    #[test]
    fn other_bytes_are_no_name_and_no_panic() {
        for (bytes, text) in [
            (&b"a\xffb"[..], "a\u{fffd}b"),
            (b"\xed", "\u{fffd}"),
            (b"\xed\xa0", "\u{fffd}\u{fffd}"),
            (b"\xe5\x90", "\u{fffd}"),
            (b"\xd6\xd0\xce\xc4", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            let units = from_bytes(bytes);
            assert_eq!(String::from_utf16_lossy(&units), text, "{bytes:x?}");
        }
    }
}
