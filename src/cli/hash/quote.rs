//! Names in messages, quoted as md5sum does: as a shell would have to be told of them, where anything in
//! them is special.

use std::path::Path;

/// The name as it is, or in quotes.
pub fn quoted(path: &Path) -> String {
    let bytes = panup::name_bytes(path.as_os_str());
    let whole = std::str::from_utf8(&bytes).ok();
    let plain = whole.filter(|text| !text.chars().any(char::is_control));
    let Some(text) = plain else {
        return escaped(&bytes);
    };
    let chars = || text.chars().enumerate();
    let is_lone = matches!(text, "" | "{" | "}");
    if !is_lone && !chars().any(|(at, c)| is_special(at, c)) {
        return text.to_owned();
    }
    if text.contains('\'') && chars().all(|(at, c)| fits_double_quotes(at, c)) {
        return format!("\"{text}\"");
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// To a shell, or to whoever reads the colon behind it.
fn is_special(at: usize, c: char) -> bool {
    SPECIAL.contains(c) || at == 0 && "~#".contains(c)
}

/// In double quotes it is what it is, to a shell and to C.
fn fits_double_quotes(at: usize, c: char) -> bool {
    match c {
        ' ' | '\'' | ':' => true,
        '~' | '#' => at == 0,
        '{' | '}' => false,
        c => !is_special(at, c),
    }
}

/// With what is not text as `$'\n'`.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::from("'");
    let mut is_open = false;
    let mut switch = |text: &mut String, wanted: bool| {
        if is_open != wanted {
            text.push_str(if wanted { "'$'" } else { "''" });
            is_open = wanted;
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            switch(&mut text, c.is_control());
            match c {
                '\'' => text.push_str(r"'\''"),
                c if c.is_control() => {
                    let mut bytes = [0; 4];
                    text.extend(c.encode_utf8(&mut bytes).bytes().map(code));
                }
                c => text.push(c),
            }
        }
        for &byte in chunk.invalid() {
            switch(&mut text, true);
            text.push_str(&code(byte));
        }
    }
    text + "'"
}

fn code(byte: u8) -> String {
    match byte {
        7 => r"\a".to_owned(),
        8 => r"\b".to_owned(),
        b'\t' => r"\t".to_owned(),
        b'\n' => r"\n".to_owned(),
        11 => r"\v".to_owned(),
        12 => r"\f".to_owned(),
        b'\r' => r"\r".to_owned(),
        byte => format!("\\{byte:03o}"),
    }
}

const SPECIAL: &str = " !\"$&'()*:;<=>?[\\^`|";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, expected) in [
            ("a~#,@%+-]{z}名", "a~#,@%+-]{z}名"),
            ("", "''"),
            ("{", "'{'"),
            ("~h", "'~h'"),
            ("a b", "'a b'"),
            ("it's", "\"it's\""),
            ("it's $x", r"'it'\''s $x'"),
            ("n\nl\r", r"'n'$'\n''l'$'\r'"),
            ("\t", r"''$'\t'"),
        ] {
            assert_eq!(quoted(Path::new(name)), expected, "{name:?}");
        }
        #[cfg(unix)]
        let bytes = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"x\xff a");
        #[cfg(unix)]
        assert_eq!(quoted(Path::new(bytes)), r"'x'$'\377'' a'");
    }
}
