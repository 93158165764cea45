//! Multipart bodies framed by hand around a view of the content: a few small text parts, then the
//! bytes where they lie. The gateway wants an exact `Content-Length`, and the content is not copied.

use bytes::Bytes;

use super::message::FileFacts;
use crate::digest::Md5;

/// What stands before and after the content; the body is `head + content + tail`.
#[derive(Debug, Clone)]
pub struct Framed {
    /// The text parts and the head of the file part.
    pub head: Bytes,
    /// The closing boundary.
    pub tail: Bytes,
}

/// A boundary from 128 random bits: a content that happens to hold it is not a case.
#[must_use]
pub fn boundary(chance: &mut fastrand::Rng) -> String {
    format!("panup-{:032x}", chance.u128(..))
}

/// The `Content-Type` header for `boundary`.
#[must_use]
pub fn content_type(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

/// Frames one slice: `preuploadID`, `sliceNo`, `sliceMD5`, `slice`, in the order that every
/// working client uses.
#[must_use]
pub fn slice_frame(boundary: &str, preupload_id: &str, number: u32, md5: &Md5) -> Framed {
    let (number, md5) = (number.to_string(), md5.to_string());
    let texts = [
        ("preuploadID", preupload_id),
        ("sliceNo", number.as_str()),
        ("sliceMD5", md5.as_str()),
    ];
    frame(boundary, &texts, "slice")
}

/// Frames a whole small file for single/create; the file comes last.
#[must_use]
pub fn single_frame(boundary: &str, facts: &FileFacts) -> Framed {
    let (parent, etag, size, filename) = (
        facts.remote.parent().to_string(),
        facts.etag.to_string(),
        facts.size.to_string(),
        facts.remote.filename(),
    );
    let mut texts = vec![
        ("parentFileID", parent.as_str()),
        ("filename", filename.as_str()),
        ("etag", etag.as_str()),
        ("size", size.as_str()),
    ];
    let duplicate = facts.conflict.duplicate().map(|number| number.to_string());
    if let Some(duplicate) = &duplicate {
        texts.push(("duplicate", duplicate));
    }
    texts.push((
        "containDir",
        if facts.remote.contains_folder() {
            "true"
        } else {
            "false"
        },
    ));
    frame(boundary, &texts, "file")
}

/// The content's own file name is a constant: the real one goes in a text part, where quoting
/// cannot be misread.
fn frame(boundary: &str, texts: &[(&str, &str)], file: &str) -> Framed {
    let mut head = String::with_capacity(1024);
    for (name, value) in texts {
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    head.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"blob\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    ));
    Framed {
        head: Bytes::from(head),
        tail: Bytes::from(format!("\r\n--{boundary}--\r\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Conflict, Remote};

    #[test]
    fn a_slice_is_framed_field_by_field() {
        let framed = slice_frame("B", "id==", 3, &Md5([0xff; 16]));
        let expected = "--B\r\nContent-Disposition: form-data; name=\"preuploadID\"\r\n\r\nid==\r\n\
            --B\r\nContent-Disposition: form-data; name=\"sliceNo\"\r\n\r\n3\r\n\
            --B\r\nContent-Disposition: form-data; name=\"sliceMD5\"\r\n\r\nffffffffffffffffffffffffffffffff\r\n\
            --B\r\nContent-Disposition: form-data; name=\"slice\"; filename=\"blob\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n";
        assert_eq!(framed.head, expected);
        assert_eq!(framed.tail, "\r\n--B--\r\n");
    }

    #[test]
    fn single_says_everything_as_text() {
        let remote = Remote::new(5, "d/名.txt").expect("fine");
        let facts = FileFacts {
            remote,
            etag: Md5([0xab; 16]),
            size: 9,
            conflict: Conflict::Overwrite,
        };
        let head = String::from_utf8(single_frame("B", &facts).head.to_vec()).expect("text");
        for (name, value) in [
            ("parentFileID", "5"),
            ("filename", "/d/名.txt"),
            ("etag", "abababababababababababababababab"),
            ("size", "9"),
            ("duplicate", "2"),
            ("containDir", "true"),
        ] {
            assert!(
                head.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n--B")),
                "{name} in {head}"
            );
        }
        assert!(head.ends_with("application/octet-stream\r\n\r\n"));
    }

    #[test]
    fn boundaries_differ() {
        let mut chance = fastrand::Rng::with_seed(1);
        assert_ne!(boundary(&mut chance), boundary(&mut chance));
        assert!(
            boundary(&mut chance).len() <= 70,
            "RFC 2046 allows 70 characters"
        );
    }
}
