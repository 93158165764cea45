//! What is framed can be taken apart again by somebody who knows multipart and nothing of panup.
#![no_main]

use libfuzzer_sys::fuzz_target;
use panup::Conflict;
use panup::digest::Md5;
use panup::internals::wire::{self, FileFacts, Framed, Remote};

fuzz_target!(|data: &[u8]| {
    let Some((&[seed, parent, length], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let cut = usize::from(length).min(rest.len());
    let (text, content) = rest.split_at(cut);
    let text = String::from_utf8_lossy(text);
    let boundary = wire::boundary(&mut fastrand::Rng::with_seed(u64::from(seed)));
    if text.contains(&boundary) || contains(content, boundary.as_bytes()) {
        // 128 random bits: not a case.
        return;
    }
    let number = u32::from(parent);
    let slice = wire::slice_frame(&boundary, &text, number, &MD5);
    let texts = [
        ("preuploadID", text.to_string()),
        ("sliceNo", number.to_string()),
        ("sliceMD5", MD5.to_string()),
    ];
    take_apart(&boundary, &slice, content, &texts);
    let Ok(remote) = Remote::new(i64::from(parent), &text) else {
        return;
    };
    let facts = FileFacts {
        remote: remote.clone(),
        etag: MD5,
        size: content.len() as u64,
        conflict: Conflict::Overwrite,
    };
    let _ = wire::create_body(&facts);
    let folder = remote.contains_folder();
    let texts = [
        ("parentFileID", parent.to_string()),
        ("filename", remote.filename()),
        ("etag", MD5.to_string()),
        ("size", content.len().to_string()),
        ("duplicate", "2".to_owned()),
        ("containDir", folder.to_string()),
    ];
    take_apart(&boundary, &wire::single_frame(&boundary, &facts), content, &texts);
});

fn take_apart(boundary: &str, framed: &Framed, content: &[u8], texts: &[(&str, String)]) {
    let body = [&framed.head[..], content, &framed.tail[..]].concat();
    let mut rest = &body[..];
    for (name, value) in texts {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        rest = rest.strip_prefix(head.as_bytes()).expect("a text part");
        rest = rest.strip_prefix(value.as_bytes()).expect("its value");
        rest = rest.strip_prefix(b"\r\n").expect("its end");
    }
    let start = rest.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, rest) = rest.split_at(start.expect("the file's head") + 4);
    assert!(contains(head, b"filename=\""));
    let end = format!("\r\n--{boundary}--\r\n");
    assert_eq!(rest.strip_suffix(end.as_bytes()), Some(content));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

const MD5: Md5 = Md5([7; 16]);
