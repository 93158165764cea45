//! One line of a list of MD5s, written and read as md5sum does both.

use std::path::{Path, PathBuf};

use panup::digest::Md5;

use super::super::args::Lines;

/// What a list says of one file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Its MD5.
    pub md5: Md5,
}

/// `md5  path`, without its end.
pub fn written(md5: &Md5, path: &Path, ask: Lines) -> Vec<u8> {
    let (mark, path) = match &*panup::name_bytes(path.as_os_str()) {
        plain if ask.zero || !plain.iter().any(is_special) => ("", plain.to_vec()),
        special => ("\\", escaped(special)),
    };
    if ask.tag {
        let (begin, end) = (format!("{mark}MD5 ("), format!(") = {md5}"));
        return [begin.into_bytes(), path, end.into_bytes()].concat();
    }
    let mode = if ask.binary { '*' } else { ' ' };
    [format!("{mark}{md5} {mode}").into_bytes(), path].concat()
}

/// `#number md5  path`
pub fn slice(number: usize, md5: &Md5, path: &Path, ask: Lines) -> Vec<u8> {
    [format!("#{number} ").into_bytes(), written(md5, path, ask)].concat()
}

/// `path: verdict`. Only a line end makes a path unfit for a line of text.
pub fn verdict(path: &Path, verdict: &str) -> Vec<u8> {
    let path = match &*panup::name_bytes(path.as_os_str()) {
        path if !path.contains(&b'\n') => path.to_vec(),
        path => [b"\\".to_vec(), escaped(path)].concat(),
    };
    [path, format!(": {verdict}").into_bytes()].concat()
}

/// Reads the lines of one list. Some tools put one blank before the path where md5sum has a blank
/// and a mark; the first line that shows which decides for its list, as in md5sum.
#[derive(Debug, Default)]
pub struct Reader {
    blanks: Option<Blanks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blanks {
    One,
    Marked,
}

impl Reader {
    /// What `line`, without its end, says; `None` where it is no line of a list.
    pub fn read(&mut self, line: &[u8]) -> Option<Entry> {
        let line = line.trim_ascii_start();
        let (line, is_escaped) = match line.strip_prefix(b"\\") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let (md5, path) = match line.strip_prefix(b"MD5") {
            Some(line) => bsd(line)?,
            None => self.gnu(line)?,
        };
        let path = match is_escaped {
            true => unescaped(path)?,
            false => path.to_vec(),
        };
        let path = PathBuf::from(panup::name_from_bytes(&path));
        Some(Entry { path, md5 })
    }

    fn gnu<'l>(&mut self, line: &'l [u8]) -> Option<(Md5, &'l [u8])> {
        let (md5, rest) = line.split_at_checked(HEX)?;
        let rest = rest.strip_prefix(b" ").or(rest.strip_prefix(b"\t"))?;
        let marked = rest.len() > 1 && (rest[0] == b' ' || rest[0] == b'*');
        let path = match (self.blanks, marked) {
            (None | Some(Blanks::Marked), true) => {
                self.blanks = Some(Blanks::Marked);
                &rest[1..]
            }
            (Some(Blanks::Marked), false) => return None,
            (None, false) | (Some(Blanks::One), _) => {
                self.blanks = Some(Blanks::One);
                rest
            }
        };
        (!path.is_empty()).then_some((digits(md5)?, path))
    }
}

/// `MD5 (path) = md5`, from behind the name.
fn bsd(line: &[u8]) -> Option<(Md5, &[u8])> {
    let line = line.strip_prefix(b" ").unwrap_or(line).strip_prefix(b"(")?;
    let end = line.iter().rposition(|&byte| byte == b')')?;
    let rest = line[end + 1..].trim_ascii_start().strip_prefix(b"=")?;
    let md5 = digits(rest.trim_ascii_start())?;
    (end > 0).then_some((md5, &line[..end]))
}

fn digits(md5: &[u8]) -> Option<Md5> {
    std::str::from_utf8(md5).ok()?.parse().ok()
}

fn is_special(byte: &u8) -> bool {
    matches!(byte, b'\\' | b'\n' | b'\r')
}

fn escaped(path: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(path.len() + 8);
    for &byte in path {
        match byte {
            b'\\' => text.extend(b"\\\\"),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            plain => text.push(plain),
        }
    }
    text
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        path.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(path)
}

/// An MD5 in hex.
const HEX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "d41d8cd98f00b204e9800998ecf8427e";

    fn read(line: &str) -> Option<String> {
        let entry = Reader::default().read(line.replace("MD", TEXT).as_bytes())?;
        assert_eq!(entry.md5.to_string(), TEXT);
        Some(entry.path.into_os_string().into_string().expect("ASCII"))
    }

    #[test]
    fn paths_come_back_as_they_went() {
        let md5: Md5 = TEXT.parse().expect("32 digits");
        for path in [
            "a", " a", "a b ", "*a", "a\\b", "a\nb", "\r", "\\n", "(a) = b",
        ] {
            let text = written(&md5, path.as_ref(), Lines::default());
            assert!(!text.contains(&b'\n') && !text.contains(&b'\r'), "{path:?}");
            let entry = Reader::default().read(&text).expect("our own line");
            assert_eq!((entry.path.as_path(), entry.md5), (path.as_ref(), md5));
        }
        assert_eq!(
            written(&md5, "a\\b".as_ref(), Lines::default()),
            format!("\\{TEXT}  a\\\\b").into_bytes()
        );
    }

    #[test]
    fn the_ways_to_write_a_line() {
        let upper = TEXT.to_uppercase();
        let lines = [
            "MD  a",
            "MD *a",
            "  MD  a",
            "\tMD\t a",
            "MD a",
            "5 (a) = MD",
            "5(a)=MD",
        ];
        let lines = lines.map(|line| match line.strip_prefix('5') {
            Some(bsd) => format!("MD5{}", bsd.replace("MD", TEXT)),
            None => line.replace("MD", TEXT),
        });
        for line in lines.iter().chain([&format!("{upper}  a")]) {
            let entry = Reader::default().read(line.as_bytes());
            assert_eq!(entry.expect(line).path, Path::new("a"), "{line}");
        }
    }

    #[test]
    fn what_is_no_line() {
        let lines = [
            "",
            "x",
            "MD",
            "MD ",
            "MDa  b",
            "MD\\  a",
            "\\MD  a\\x",
            "\\MD  a\\",
        ];
        for line in lines {
            assert_eq!(read(line), None, "{line:?}");
        }
        for line in ["MD5 (a) 1", "MD5 () = ", "MD5 a = "] {
            let line = format!("{line}{TEXT}");
            assert_eq!(Reader::default().read(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn the_first_line_decides_how_many_blanks_there_are() {
        let mut reader = Reader::default();
        let mut path = |blanks: &str| {
            let entry = reader.read(format!("{TEXT}{blanks}a").as_bytes());
            entry.map(|entry| entry.path)
        };
        assert_eq!(path(" ").as_deref(), Some(Path::new("a")));
        assert_eq!(path("  ").as_deref(), Some(Path::new(" a")));
        let mut reader = Reader::default();
        let mut path = |blanks: &str| {
            let entry = reader.read(format!("{TEXT}{blanks}a").as_bytes());
            entry.map(|entry| entry.path)
        };
        assert_eq!(path("  ").as_deref(), Some(Path::new("a")));
        assert_eq!(path(" "), None);
    }
}
