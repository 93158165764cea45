//! The client, answered with the documents' samples: what it says is what they ask for, and it
//! reads what they show.

use std::collections::HashMap;
use std::path::PathBuf;

use panup::{Client, Conflict, Credential, Item, Options, Outcome, Secret, Status};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::canned::{Canned, Request};
use crate::samples;

#[tokio::test(flavor = "multi_thread")]
async fn create_slice_and_complete() {
    let service = service();
    let outcome = upload(&service, |options, item| {
        options.single_max = 0;
        options.on_conflict = Conflict::Overwrite;
        item.parent_id = 42;
        item.remote = "你好/123/测试文件.mp4".to_owned();
    })
    .await;
    assert!(
        matches!(outcome.status, Status::Uploaded(11_522_654)),
        "{outcome:?}"
    );
    let create = service.only("POST /upload/v2/file/create");
    assert_headers(&create, Some("application/json"));
    let said: Value = serde_json::from_slice(&create.body).expect("JSON");
    let documented = json!({
        "parentFileID": 42,
        "filename": "/你好/123/测试文件.mp4",
        "etag": MD5,
        "size": CONTENT.len(),
        "duplicate": 2,
        "containDir": true,
    });
    assert_eq!(said, documented);
    let slice = service.only("POST /upload/v2/file/slice");
    assert_headers(&slice, None);
    let expected = [
        ("preuploadID", samples::PREUPLOAD_ID.as_bytes()),
        ("sliceNo", b"1"),
        ("sliceMD5", MD5.as_bytes()),
        ("slice", CONTENT),
    ];
    assert_parts(&slice, &expected);
    let complete = service.only("POST /upload/v2/file/upload_complete");
    assert_headers(&complete, Some("application/json"));
    let said: Value = serde_json::from_slice(&complete.body).expect("JSON");
    assert_eq!(said, json!({"preuploadID": samples::PREUPLOAD_ID}));
    assert_eq!(service.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn domain_and_single() {
    let service = service();
    let outcome = upload(&service, |options, _| {
        options.on_conflict = Conflict::KeepBoth;
    })
    .await;
    assert!(
        matches!(outcome.status, Status::Uploaded(11_522_653)),
        "{outcome:?}"
    );
    let domain = service.only("GET /upload/v2/file/domain");
    assert_headers(
        &domain,
        domain
            .headers
            .get("content-type")
            .map(|_| "application/json"),
    );
    assert!(domain.body.is_empty());
    let single = service.only("POST /upload/v2/file/single/create");
    assert_headers(&single, None);
    let size = CONTENT.len().to_string();
    let parts = parts(&single);
    let texts: HashMap<&str, &[u8]> = parts
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let mut expected: HashMap<&str, &[u8]> = HashMap::from([
        ("parentFileID", b"0".as_slice()),
        ("filename", b"file.bin"),
        ("etag", MD5.as_bytes()),
        ("size", size.as_bytes()),
        ("duplicate", b"1"),
        ("file", CONTENT),
    ]);
    // Optional, false by default: both ways of saying so are right.
    if texts.contains_key("containDir") {
        expected.insert("containDir", b"false");
    }
    assert_eq!(texts, expected);
    assert_eq!(
        parts.last().expect("parts").0,
        "file",
        "the file comes last"
    );
    assert_eq!(service.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_the_services_business_by_default() {
    let service = service();
    upload(&service, |options, _| options.single_max = 0).await;
    let create = service.only("POST /upload/v2/file/create");
    let said: Value = serde_json::from_slice(&create.body).expect("JSON");
    assert_eq!(said.get("duplicate"), None);
    assert_ne!(said.get("containDir"), Some(&json!(true)));
    assert_eq!(said["filename"], "file.bin");
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_ends_the_upload() {
    let service = Canned::start(|_| vec![("/upload/v2/file/create", samples::REUSED.to_owned())]);
    let outcome = upload(&service, |options, _| options.single_max = 0).await;
    assert!(
        matches!(outcome.status, Status::Reused(Some(11_522_655))),
        "{outcome:?}"
    );
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_by_client_credentials() {
    let service = service();
    upload(&service, |options, _| {
        let (id, secret) = ("an-id".to_owned(), Secret::new("a-secret"));
        options.credential = Credential::Client { id, secret };
    })
    .await;
    let login = service.only("POST /api/v1/access_token");
    assert_eq!(login.headers["platform"], "open_platform");
    assert_eq!(login.headers["content-type"], "application/json");
    assert_eq!(login.headers.get("authorization"), None);
    let said: Value = serde_json::from_slice(&login.body).expect("JSON");
    assert_eq!(
        said,
        json!({"clientID": "an-id", "clientSecret": "a-secret"})
    );
    let single = service.only("POST /upload/v2/file/single/create");
    assert_eq!(single.headers["authorization"], "Bearer eyJhbGciOi.J9");
}

/// A service that answers everything with the documents' samples.
fn service() -> Canned {
    Canned::start(|own| {
        vec![
            ("/upload/v2/file/create", samples::create(own)),
            ("/upload/v2/file/slice", samples::SLICE.to_owned()),
            (
                "/upload/v2/file/upload_complete",
                samples::COMPLETE.to_owned(),
            ),
            ("/upload/v2/file/domain", samples::domain(own)),
            ("/upload/v2/file/single/create", samples::SINGLE.to_owned()),
            ("/api/v1/access_token", samples::TOKEN.to_owned()),
        ]
    })
}

/// Uploads [`CONTENT`] as `file.bin`, with what `change` makes of it.
async fn upload(service: &Canned, change: impl FnOnce(&mut Options, &mut Item)) -> Outcome {
    let (_folder, path) = file();
    let mut options = Options::new(Credential::Token(Secret::new("a-token")));
    options.api.clone_from(&service.url);
    // The samples have no listing.
    options.look = panup::Look::Never;
    let mut item = Item::new(path);
    change(&mut options, &mut item);
    let client = Client::new(options).expect("options that make sense");
    client.upload(item).await.expect("the samples are answers")
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.bin");
    std::fs::write(&path, CONTENT).expect("written");
    (folder, path)
}

fn assert_headers(request: &Request, content_type: Option<&str>) {
    assert_eq!(request.headers["authorization"], "Bearer a-token");
    assert_eq!(request.headers["platform"], "open_platform");
    assert!(!request.headers.contains_key("transfer-encoding"));
    if let Some(content_type) = content_type {
        assert_eq!(request.headers["content-type"], content_type);
    }
}

fn assert_parts(request: &Request, expected: &[(&str, &[u8])]) {
    let parts = parts(request);
    let parts: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    assert_eq!(parts, expected);
}

/// The parts of a form by name, split as RFC 7578 has it and by nothing else.
fn parts(request: &Request) -> Vec<(String, Vec<u8>)> {
    let boundary = request.headers["content-type"]
        .strip_prefix("multipart/form-data; boundary=")
        .expect("a form")
        .trim_matches('"');
    let body: &[u8] = &request.body;
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut rest = body
        .strip_prefix(&delimiter[2..])
        .expect("the first delimiter");
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let head_end = find(part, b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(part[..head_end].to_vec()).expect("text");
        let value = &part[head_end + 4..];
        let end = find(value, &delimiter).expect("a delimiter");
        parts.push((name(&head), value[..end].to_vec()));
        rest = &value[end + delimiter.len()..];
    }
    assert_eq!(rest, b"--\r\n", "the last delimiter ends the body");
    parts
}

/// The name of a part; a file has a file name, in ASCII, and a type.
fn name(head: &str) -> String {
    let (_, after) = head.split_once("; name=\"").expect("a name");
    let (name, after) = after.split_once('"').expect("its end");
    let is_file = ["slice", "file"].contains(&name);
    assert_eq!(after.contains("filename=\""), is_file, "{head}");
    assert!(head.is_ascii(), "{head}");
    if is_file {
        assert!(head.contains("application/octet-stream"), "{head}");
    }
    name.to_owned()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Every byte that a careless frame would trip over.
const CONTENT: &[u8] = b"--\r\n\0\xff; name=\"slice\"\r\n--";

/// By md5sum.
const MD5: &str = "80b905b099196f8ac37a2d47544d89f1";
