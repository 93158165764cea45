//! Text that people hand in, as editors, shells and clipboards leave it: lists, sums, tokens and
//! client credentials. In: bytes. Out: what was meant. Never: a secret in an error.

use panup::Error;

use super::usage;

/// The text as UTF-8, without a byte order mark. UTF-16 is decoded where it says so by one; half a character
/// in it becomes the three bytes that names have for it ([`panup::name_bytes`]). Bytes that are neither
/// stay as they are: not every name is Unicode.
///
/// # Errors
/// Why it cannot be read.
pub fn decoded(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let order: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => {
            let marked = bytes.strip_prefix("\u{feff}".as_bytes());
            return Ok(marked.map(<[u8]>::to_vec).unwrap_or(bytes));
        }
    };
    let (units, rest) = bytes[2..].as_chunks::<2>();
    let text = char::decode_utf16(units.iter().copied().map(order));
    let mut decoded = Vec::new();
    let mut breaks_off = false;
    for character in text {
        breaks_off = character.is_err();
        match character {
            Ok(c) => decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => decoded.extend_from_slice(&three_bytes(half.unpaired_surrogate())),
        }
    }
    match breaks_off || !rest.is_empty() {
        false => Ok(decoded),
        true => Err("begins as UTF-16 and goes on as something else; save it as UTF-8".to_owned()),
    }
}

/// Half a character of UTF-16, as UTF-8 would have it.
fn three_bytes(half: u16) -> [u8; 3] {
    let low = |bits: u16| (bits & 0x3f) as u8 | 0x80;
    [0xe0 | (half >> 12) as u8, low(half >> 6), low(half)]
}

/// The lines of a text, with the line ends of Unix or Windows; empty ones are left out. A name that
/// ends in a carriage return and for which `exists` says so is kept.
pub fn lines(text: &[u8], exists: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|&byte| byte == b'\n');
    let lines = lines.map(move |line| match line.strip_suffix(b"\r") {
        Some(bare) if !exists(line) => bare,
        _ => line,
    });
    lines.filter(|line| !line.is_empty())
}

/// A token, a client id or a client secret, which `what` names: one word, without the quotes, the
/// header's name or `Bearer` that it may have been copied with.
///
/// # Errors
/// It is empty, or has a character that no such word has: said without the word itself.
pub fn secret(what: &str, bytes: Vec<u8>) -> Result<String, Error> {
    let refuse = |why: &str| usage(format!("{what} {why}"));
    let text = decoded(bytes).map_err(|why| refuse(&why))?;
    let text = String::from_utf8(text).map_err(|_| refuse("is not UTF-8"))?;
    let word = unquoted(&text);
    let word = unprefixed(word, "Authorization:");
    let word = unquoted(unprefixed(word, "Bearer"));
    let strange = |c: &char| !c.is_ascii_graphic() || "{}\"'".contains(*c);
    match word.chars().find(strange) {
        None if word.is_empty() => Err(refuse("is empty")),
        None => Ok(word.to_owned()),
        Some(c) => Err(refuse(&format!(
            "has U+{:04X}{} in it; it is one word of ASCII letters, digits and signs",
            u32::from(c),
            called(c)
        ))),
    }
}

/// Without the white space around it, and one pair of quotes.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).map_or(text, str::trim)
}

/// Without a first word, in whatever case.
fn unprefixed<'t>(text: &'t str, word: &str) -> &'t str {
    match text.split_at_checked(word.len()) {
        Some((first, rest)) if first.eq_ignore_ascii_case(word) => {
            let apart =
                rest.is_empty() || word.ends_with(':') || rest.starts_with(char::is_whitespace);
            if apart { rest.trim() } else { text }
        }
        _ => text,
    }
}

fn called(c: char) -> String {
    match c {
        ' ' => " (a blank)".to_owned(),
        '\t' => " (a tab)".to_owned(),
        '\r' | '\n' => " (a line end)".to_owned(),
        c if c.is_control() => " (a control character)".to_owned(),
        c => format!(" ({c})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_out_of_what_they_were_copied_with() {
        for text in [
            "T",
            " T\r\n",
            "\u{feff}T",
            "'T'",
            "Bearer T",
            "BEARER\tT",
            "\"Authorization: Bearer T\"",
        ] {
            assert_eq!(secret("it", text.into()).as_deref(), Ok("T"), "{text:?}");
        }
        for text in ["Bearerer", "'T", "a'b"] {
            let taken = secret("it", text.into());
            assert_eq!(taken.is_ok(), text == "Bearerer", "{text}");
        }
    }

    #[test]
    fn a_refused_word_is_not_repeated() {
        for (text, why) in [
            ("", "it is empty"),
            ("Bearer", "it is empty"),
            ("wo rd", "U+0020 (a blank)"),
            ("wo\0rd", "U+0000 (a control character)"),
            ("wo\u{200b}rd", "U+200B"),
        ] {
            let error = secret("it", text.into()).expect_err(text).to_string();
            assert!(error.contains(why) && !error.contains("rd in"), "{error}");
            assert!(!error.contains("wo rd"), "{error}");
        }
    }

    #[test]
    fn utf_16_that_breaks_off_is_refused() {
        assert_eq!(decoded(b"\xff\xfea\0".to_vec()), Ok(b"a".to_vec()));
        for bytes in [&b"\xff\xfea"[..], b"\xff\xfe\x00\xd8"] {
            assert!(decoded(bytes.to_vec()).is_err());
        }
    }

    /// A name of Windows' may have one; the lines around it are none the worse.
    #[test]
    fn half_a_character_within_a_list_spoils_its_own_line_alone() {
        let list = [
            0xfeff, 0x61, 0xa, 0x62, 0xd800, 0xa, 0xdfff, 0xa, 0x540d, 0xa,
        ];
        let bytes = list.iter().flat_map(|unit: &u16| unit.to_le_bytes());
        let text = decoded(bytes.collect()).expect("a list");
        let found: Vec<&[u8]> = lines(&text, |_| false).collect();
        assert_eq!(
            found,
            [
                &b"a"[..],
                b"b\xed\xa0\x80",
                b"\xed\xbf\xbf",
                "名".as_bytes()
            ]
        );
        assert!(secret("it", b"\xff\xfea\0\0\xd8b\0".to_vec()).is_err());
    }
}
