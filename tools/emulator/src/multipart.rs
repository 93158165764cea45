//! `multipart/form-data`, part by part. In comes a body, out go part heads, short texts and a
//! file's bytes as they arrived, uncopied; it refuses whatever RFC 7578 does not allow and never
//! holds more than a part's head and a frame.

use bytes::{Bytes, BytesMut};

use crate::reply::{Failure, Refusal};
use crate::request_body::RequestBody;
use crate::writer::Writer;

/// A form that is being read.
pub(crate) struct Multipart<'a> {
    body: &'a mut RequestBody,
    /// `\r\n--` and the boundary.
    delimiter: Vec<u8>,
    /// Bytes that were read and not yet used.
    held: Bytes,
    /// What of the last frame is not yet in `held`.
    rest: Bytes,
    /// Bytes that were taken out of the body, those in `held` and `rest` included.
    taken: u64,
    begun: bool,
}

/// The head of one part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
}

impl<'a> Multipart<'a> {
    /// A form in `body`, with the boundary that `content_type` names.
    pub(crate) fn new(body: &'a mut RequestBody, content_type: &str) -> Result<Self, Refusal> {
        let boundary = boundary(content_type).ok_or_else(|| {
            Refusal::business(format!(
                "Content-Type is not multipart/form-data with a boundary: {content_type:?}"
            ))
        })?;
        Ok(Self {
            body,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // So that the first delimiter is like all others.
            held: Bytes::from_static(b"\r\n"),
            rest: Bytes::new(),
            taken: 0,
            begun: false,
        })
    }

    /// The head of the next part; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        if !self.begun {
            self.delimiter().await?;
            self.begun = true;
        }
        self.hold(2).await?;
        match &self.held.split_to(2)[..] {
            b"\r\n" => self.head().await.map(Some),
            b"--" => self.epilogue().await.map(|()| None),
            _ => Err(malformed("a boundary that does not end its line")),
        }
    }

    /// The text of a part whose head was just read.
    pub(crate) async fn text(&mut self) -> Result<String, Failure> {
        let mut text = BytesMut::new();
        while let Some(piece) = self.up_to_delimiter().await? {
            if text.len() + piece.len() > LONGEST_TEXT {
                return Err(malformed("a text field of more than 64 KiB"));
            }
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text.into()).map_err(|_| malformed("a text field that is not UTF-8"))
    }

    /// The bytes of a part whose head was just read, into `writer`; their number is returned.
    ///
    /// With `expected`, and where the `Content-Length` says that exactly so many bytes and the
    /// last delimiter follow, they are counted instead of searched: the tail is checked all the
    /// same.
    pub(crate) async fn file(
        &mut self,
        expected: Option<u64>,
        writer: &mut Writer,
    ) -> Result<u64, Failure> {
        if let Some(bytes) = expected.filter(|&bytes| self.is_last(bytes)) {
            self.counted(bytes, writer).await?;
            return Ok(bytes);
        }
        let mut bytes = 0;
        while let Some(piece) = self.up_to_delimiter().await? {
            bytes += piece.len() as u64;
            writer.push(piece).await?;
        }
        Ok(bytes)
    }

    /// Whether `bytes` and the closing delimiter are all that the body still has.
    fn is_last(&self, bytes: u64) -> bool {
        let held = (self.held.len() + self.rest.len()) as u64;
        let closing = self.delimiter.len() as u64 + 2;
        self.body.length.is_some_and(|length| {
            let left = (length + held).saturating_sub(self.taken);
            left == bytes + closing || left == bytes + closing + 2
        })
    }

    async fn counted(&mut self, bytes: u64, writer: &mut Writer) -> Result<(), Failure> {
        let mut left = bytes;
        while left > 0 {
            self.hold(1).await?;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let piece = self.held.split_to(self.held.len().min(most));
            left -= piece.len() as u64;
            writer.push(piece).await?;
        }
        self.delimiter().await
    }

    async fn delimiter(&mut self) -> Result<(), Failure> {
        self.hold(self.delimiter.len()).await?;
        if self.held.split_to(self.delimiter.len())[..] != self.delimiter {
            return Err(malformed("no boundary where one has to be"));
        }
        Ok(())
    }

    /// Bytes of this part; none once its delimiter was reached, which is then used up.
    async fn up_to_delimiter(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let sure = (self.held.len() + 1).saturating_sub(self.delimiter.len());
            match find(&self.held, &self.delimiter) {
                Some(0) => {
                    let _ = self.held.split_to(self.delimiter.len());
                    return Ok(None);
                }
                Some(at) => return Ok(Some(self.held.split_to(at))),
                None if sure > 0 => return Ok(Some(self.held.split_to(sure))),
                None => self.more().await?,
            }
        }
    }

    async fn head(&mut self) -> Result<Part, Failure> {
        let end = loop {
            if let Some(end) = find(&self.held, b"\r\n\r\n") {
                break end;
            }
            if self.held.len() > LONGEST_HEAD {
                return Err(malformed("a part's head of more than 8 KiB"));
            }
            self.more().await?;
        };
        let head = self.held.split_to(end + 4);
        let text = std::str::from_utf8(&head[..end])
            .map_err(|_| malformed("a part's head that is not UTF-8"))?;
        part(text).ok_or_else(|| malformed(&format!("a part's head: {text:?}")))
    }

    async fn epilogue(&mut self) -> Result<(), Failure> {
        let mut tail = BytesMut::new();
        loop {
            tail.extend_from_slice(&std::mem::take(&mut self.held));
            if tail.len() > 2 {
                break;
            }
            match self.pull().await? {
                Some(bytes) => self.held = bytes,
                None => break,
            }
        }
        match &tail[..] {
            b"" | b"\r\n" => Ok(()),
            _ => Err(malformed("bytes after the last boundary")),
        }
    }

    /// At least `bytes` in `held`.
    async fn hold(&mut self, bytes: usize) -> Result<(), Failure> {
        while self.held.len() < bytes {
            self.more().await?;
        }
        Ok(())
    }

    /// More in `held`: a whole frame where nothing is held, or else only as much of it as a
    /// search across the seam needs, because joining copies.
    async fn more(&mut self) -> Result<(), Failure> {
        let ended = || malformed("the body ends before its last boundary");
        let mut frame = self.pull().await?.ok_or_else(ended)?;
        if self.held.is_empty() {
            self.held = frame;
            return Ok(());
        }
        let piece = frame.split_to(frame.len().min(SEAM));
        self.held = [&self.held[..], &piece[..]].concat().into();
        self.rest = frame;
        Ok(())
    }

    async fn pull(&mut self) -> Result<Option<Bytes>, Failure> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let frame = self.body.frame().await?;
        self.taken += frame.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(frame)
    }
}

fn malformed(what: &str) -> Failure {
    Refusal::business(format!("multipart: {what}")).into()
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim();
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| unquoted(value))
    })?;
    // RFC 2046, 5.1.1: 1 to 70 characters, the last not a space.
    let fits = (1..=70).contains(&boundary.len()) && !boundary.ends_with(' ');
    let legal = |c: char| c.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(c);
    (fits && boundary.chars().all(legal)).then_some(boundary)
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// A part's head without its last line break.
fn part(head: &str) -> Option<Part> {
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-disposition") {
            if disposition.is_some() {
                return None;
            }
            disposition = Some(value.trim());
        }
    }
    let mut parameters = quoted_parameters(disposition?)?;
    let name = parameters.remove_named("name")?;
    let filename = parameters.remove_named("filename");
    parameters.0.is_empty().then_some(Part { name, filename })
}

struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn remove_named(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }
}

/// `form-data; a="b"; c="d"`: values have to be quoted, as every client in use does.
fn quoted_parameters(disposition: &str) -> Option<Parameters> {
    let mut rest = disposition.strip_prefix("form-data")?;
    let mut parameters = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix(';')?.trim_start().split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        parameters.push((name.to_ascii_lowercase(), value.to_owned()));
        rest = after.trim_start();
    }
    Some(Parameters(parameters))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = haystack[from..]
            .iter()
            .position(|byte| *byte == needle[0])?;
        let at = from + found;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Many times the longest of the real ones: a path of some hundred characters.
const LONGEST_TEXT: usize = 64 << 10;

/// Real heads have about 120 bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// More than any head or delimiter needs, little enough to copy.
const SEAM: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_taken_from_the_header() {
        let form = |rest: &str| format!("multipart/form-data; {rest}");
        assert_eq!(boundary(&form("boundary=abc")), Some("abc"));
        assert_eq!(
            boundary(&form("charset=x; Boundary=\"a b:c\"")),
            Some("a b:c")
        );
        assert_eq!(boundary("application/json"), None);
        assert_eq!(boundary("multipart/mixed; boundary=abc"), None);
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary(&form("boundary=")), None);
        assert_eq!(boundary(&form("boundary=a@b")), None);
        let longest = "x".repeat(70);
        assert_eq!(
            boundary(&form(&format!("boundary={longest}"))),
            Some(&*longest)
        );
        assert_eq!(boundary(&form(&format!("boundary={longest}x"))), None);
    }

    #[test]
    fn part_heads_are_read() {
        let head = "Content-Disposition: form-data; name=\"slice\"; filename=\"blob\"\r\n\
                    Content-Type: application/octet-stream";
        let wanted = Part {
            name: "slice".to_owned(),
            filename: Some("blob".to_owned()),
        };
        assert_eq!(part(head), Some(wanted));
        assert_eq!(part("Content-Disposition: form-data; name=unquoted"), None);
        assert_eq!(part("Content-Disposition: attachment; name=\"a\""), None);
        assert_eq!(part("Content-Type: text/plain"), None);
        assert_eq!(part("nonsense"), None);
    }

    #[test]
    fn needles_are_found_or_not() {
        assert_eq!(find(b"--\r\r\n--x", b"\r\n--x"), Some(3));
        assert_eq!(find(b"\r\n--", b"\r\n--x"), None);
        assert_eq!(find(b"", b"\r\n--x"), None);
    }
}
