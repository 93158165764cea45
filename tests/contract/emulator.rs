//! The emulator, called by hand as the documents say: it takes what they describe, answers in the
//! shape of their samples, and refuses what they forbid.

use std::io::{Read, Write};
use std::net::TcpStream;

use panup_emulator::{CLIENT_ID, CLIENT_SECRET, Config, Emulator};
use serde_json::{Value, json};

use crate::samples::{self, shape};

#[test]
fn every_answer_has_the_shape_of_its_sample() {
    let (emulator, api) = service();
    let created = post(&api, CREATE, &create("a.bin", None));
    assert_eq!(shape(&created), shape(&samples::json(samples::CREATE)));
    assert_eq!(created["data"]["reuse"], false);
    assert_eq!(created["data"]["sliceSize"], 16_777_216);
    let server = created["data"]["servers"][0].as_str().expect("a server");
    let id = created["data"]["preuploadID"].as_str().expect("an id");
    let sliced = form(server, SLICE, &slice(id));
    assert_eq!(shape(&sliced), shape(&samples::json(samples::SLICE)));
    let completed = post(&api, COMPLETE, &json!({"preuploadID": id}));
    assert_eq!(shape(&completed), shape(&samples::json(samples::COMPLETE)));
    assert_eq!(completed["data"]["completed"], true);
    assert_ne!(completed["data"]["fileID"], 0);
    let domain = call(
        &api,
        "GET",
        DOMAIN,
        &["Content-Type: application/json"],
        b"",
    );
    assert_eq!(shape(&domain), shape(&samples::json(samples::DOMAIN)));
    let server = domain["data"][0].as_str().expect("a server");
    let single = form(server, SINGLE, &single("b.bin"));
    assert_eq!(shape(&single), shape(&samples::json(samples::SINGLE)));
    let keys = json!({"clientID": CLIENT_ID, "clientSecret": CLIENT_SECRET});
    let login = post(&api, TOKEN, &keys);
    assert_eq!(shape(&login), shape(&samples::json(samples::TOKEN)));
    let names: Vec<String> = emulator.files().into_iter().map(|file| file.path).collect();
    assert_eq!(names, ["a.bin", "b.bin"]);
}

#[test]
fn known_content_is_answered_with_reuse_and_no_upload() {
    let (_emulator, api) = service();
    let domain = call(
        &api,
        "GET",
        DOMAIN,
        &["Content-Type: application/json"],
        b"",
    );
    let server = domain["data"][0].as_str().expect("a server");
    form(server, SINGLE, &single("first.bin"));
    let reused = post(&api, CREATE, &create("second.bin", None));
    assert_eq!(reused["data"]["reuse"], true);
    assert!(reused["data"]["fileID"].as_i64().expect("an id") > 0);
    assert_eq!(reused["data"].get("preuploadID"), None);
}

#[test]
fn duplicate_means_what_the_table_says() {
    let (emulator, api) = service();
    let paths = || -> Vec<String> {
        let mut paths: Vec<String> = emulator.files().into_iter().map(|file| file.path).collect();
        paths.sort();
        paths
    };
    let domain = call(
        &api,
        "GET",
        DOMAIN,
        &["Content-Type: application/json"],
        b"",
    );
    form(
        domain["data"][0].as_str().expect("a server"),
        SINGLE,
        &single("name.bin"),
    );
    assert_ne!(post(&api, CREATE, &create("name.bin", None))["code"], 0);
    assert_eq!(paths(), ["name.bin"]);
    assert_eq!(post(&api, CREATE, &create("name.bin", Some(2)))["code"], 0);
    assert_eq!(paths(), ["name.bin"]);
    assert_eq!(post(&api, CREATE, &create("name.bin", Some(1)))["code"], 0);
    assert_eq!(paths().len(), 2);
}

#[test]
fn what_the_documents_forbid_is_refused() {
    let (emulator, api) = service();
    let with = |name: &str, value: Value| {
        let mut body = create("fine.bin", None);
        body[name] = value;
        body
    };
    let forbidden = "\"\\/:*?|><".chars().map(|c| json!(format!("a{c}b")));
    let names = forbidden.chain([json!("   "), json!("n".repeat(256))]);
    let mut refused: Vec<Value> = names.map(|name| with("filename", name)).collect();
    refused.push(with("size", json!((10u64 << 30) + 1)));
    refused.push(with("parentFileID", json!(999_999)));
    for required in ["parentFileID", "filename", "etag", "size"] {
        let mut body = create("fine.bin", None);
        body.as_object_mut().expect("fields").remove(required);
        refused.push(body);
    }
    for body in refused {
        let answer = post(&api, CREATE, &body);
        assert_ne!(answer["code"], 0, "{body}");
        assert!(!answer["message"].as_str().expect("words").is_empty());
    }
    assert!(emulator.files().is_empty());
}

#[test]
fn both_headers_are_required() {
    let (_emulator, api) = service();
    let body = create("a.bin", None).to_string();
    for left_out in ["Authorization", "Platform"] {
        let headers: Vec<&str> = HEADERS
            .into_iter()
            .chain(["Content-Type: application/json"])
            .filter(|header| !header.starts_with(left_out))
            .collect();
        let answer = send(&api, "POST", CREATE, &headers, body.as_bytes());
        assert_ne!(answer["code"], 0, "without {left_out}");
    }
}

#[test]
fn a_slice_is_checked_against_its_md5_and_the_file_against_its_etag() {
    let (_emulator, api) = service();
    let mut wrong = create("a.bin", None);
    wrong["etag"] = json!("0123456789abcdef0123456789abcdef");
    let created = post(&api, CREATE, &wrong);
    let server = created["data"]["servers"][0].as_str().expect("a server");
    let id = created["data"]["preuploadID"].as_str().expect("an id");
    let mut damaged = slice(id);
    damaged[2].1 = "0123456789abcdef0123456789abcdef".to_owned();
    assert_ne!(form(server, SLICE, &damaged)["code"], 0);
    assert_eq!(form(server, SLICE, &slice(id))["code"], 0);
    let completed = post(&api, COMPLETE, &json!({"preuploadID": id}));
    assert_eq!(completed["code"], 1);
    assert_eq!(completed["message"], "文件上传失败");
}

fn service() -> (Emulator, String) {
    let config = Config {
        polls: 0,
        ..Config::default()
    };
    let emulator = Emulator::start(config).expect("an emulator");
    let api = emulator.api();
    (emulator, api)
}

fn create(name: &str, duplicate: Option<u8>) -> Value {
    let mut body = json!({
        "parentFileID": 0, "filename": name, "etag": MD5, "size": CONTENT.len(), "containDir": false,
    });
    if let Some(duplicate) = duplicate {
        body["duplicate"] = json!(duplicate);
    }
    body
}

type Parts = Vec<(&'static str, String)>;

fn slice(id: &str) -> Parts {
    vec![
        ("preuploadID", id.to_owned()),
        ("sliceNo", "1".to_owned()),
        ("sliceMD5", MD5.to_owned()),
        ("slice", CONTENT.to_owned()),
    ]
}

fn single(name: &str) -> Parts {
    vec![
        ("parentFileID", "0".to_owned()),
        ("filename", name.to_owned()),
        ("etag", MD5.to_owned()),
        ("size", CONTENT.len().to_string()),
        ("file", CONTENT.to_owned()),
    ]
}

fn post(api: &str, path: &str, body: &Value) -> Value {
    let headers = ["Content-Type: application/json"];
    call(api, "POST", path, &headers, body.to_string().as_bytes())
}

/// A form with the file last, as a browser would send it.
fn form(server: &str, path: &str, parts: &Parts) -> Value {
    let mut body = String::new();
    for (name, value) in parts {
        let file = if ["slice", "file"].contains(name) {
            "; filename=\"x\"\r\nContent-Type: application/octet-stream"
        } else {
            ""
        };
        body += &format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
        );
    }
    body += "--xyz--\r\n";
    let headers = ["Content-Type: multipart/form-data; boundary=xyz"];
    call(server, "POST", path, &headers, body.as_bytes())
}

/// A call with both headers that every call needs.
fn call(server: &str, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Value {
    let headers: Vec<&str> = HEADERS.iter().chain(headers).copied().collect();
    send(server, method, path, &headers, body)
}

/// HTTP/1.1 in its plainest form.
fn send(server: &str, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Value {
    let address = server.strip_prefix("http://").expect("a plain server");
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for header in headers {
        head += &format!("{header}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {head}\n{body}"))
}

const HEADERS: [&str; 2] = [
    "Authorization: Bearer emulator-token",
    "Platform: open_platform",
];

const CREATE: &str = "/upload/v2/file/create";
const SLICE: &str = "/upload/v2/file/slice";
const COMPLETE: &str = "/upload/v2/file/upload_complete";
const DOMAIN: &str = "/upload/v2/file/domain";
const SINGLE: &str = "/upload/v2/file/single/create";
const TOKEN: &str = "/api/v1/access_token";

const CONTENT: &str = "hello, 123";

/// By md5sum.
const MD5: &str = "8bd28125c87d6283155cfc1ddef1693a";
