//! Each strict rule refuses.

use panup_emulator::{Config, Emulator, Operation, Outcome};
use serde_json::{Value, json};

use crate::client::*;

fn started() -> Emulator {
    let config = Config {
        slice_size: 10,
        ..Config::default()
    };
    Emulator::start(config).unwrap()
}

#[test]
fn every_endpoint_has_its_host_and_its_method() {
    let emulator = started();
    let (api, server) = (emulator.api(), emulator.servers()[0].clone());
    let id = preupload_id(&create(&emulator, "f", b"12345"));
    let login = json!({"clientID": "emulator-client", "clientSecret": "emulator-secret"});
    let right = [
        (Ask::json(CREATE, &create_body("g", b"x")), &api, &server),
        (slice(&id, 1, b"12345"), &server, &api),
        (complete(&id), &api, &server),
        (Ask::to("GET", DOMAIN), &api, &server),
        (single("h", b"x"), &server, &api),
        (Ask::json(TOKEN, &login), &api, &server),
    ];
    for (ask, good, bad) in right {
        let answer = ask.send(bad);
        assert_eq!(answer.status, 404, "{}", ask.path);
        assert!(answer.message().contains("served by"), "{answer:?}");
        let code = ask.send(good).code();
        assert!([0, 20103].contains(&code), "{}: {code}", ask.path);
        let mut method = ask.clone();
        method.method = if ask.method == "GET" { "POST" } else { "PUT" };
        assert_eq!(method.send(good).status, 405, "{}", ask.path);
    }
    let nowhere = Ask::to("POST", "/upload/v1/file/create").send(&api);
    assert_eq!((nowhere.status, nowhere.code()), (404, 404));
    assert_eq!(emulator.stats().of(Operation::Unknown).refused, 1);
}

#[test]
fn headers_are_needed() {
    let emulator = started();
    let api = emulator.api();
    let ask = || Ask::json(CREATE, &create_body("f", b"x"));
    let no_platform = ask().header("Platform", "").send(&api);
    no_platform.refused("Platform");
    let other = ask().header("Platform", "open-platform").send(&api);
    other.refused("Platform");
    for authorization in ["", "emulator-token", "bearer emulator-token", "Bearer x"] {
        let answer = ask().header("Authorization", authorization).send(&api);
        assert_eq!((answer.status, answer.code()), (200, 401));
    }
    for kind in ["", "text/plain", "multipart/form-data; boundary=x"] {
        let answer = ask().header("Content-Type", kind).send(&api);
        answer.refused("Content-Type");
    }
    let kind = "application/json; charset=utf-8";
    assert_eq!(ask().header("Content-Type", kind).send(&api).code(), 0);
    let upload = single("g", b"x").header("Content-Type", "application/json");
    upload.send(&emulator.servers()[0]).refused("multipart");
    let domain = Ask::to("GET", DOMAIN).body(b"{}".to_vec());
    domain.send(&api).refused("no body");
}

#[test]
fn every_answer_has_a_trace_id() {
    let emulator = started();
    let good = create(&emulator, "f", b"x");
    let bad = create(&emulator, "f:", b"x");
    for answer in [&good, &bad] {
        let in_body = answer.json()["x-traceID"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-traceid"), Some(&*in_body));
    }
    assert_ne!(good.header("x-traceid"), bad.header("x-traceid"));
}

#[test]
fn create_takes_the_documented_fields_and_no_others() {
    let emulator = started();
    let with = |name: &str, value: Value| {
        let mut body = create_body("f", b"x");
        body[name] = value;
        Ask::json(CREATE, &body).send(&emulator.api())
    };
    let refused = [
        ("parentFileID", json!("0"), "parentFileID"),
        ("parentFileID", json!(-1), "parentFileID"),
        ("parentFileID", json!(4711), "父级目录不存在"),
        ("filename", json!(7), "filename"),
        ("etag", json!("abc"), "etag"),
        ("etag", json!(md5(b"x").to_uppercase()), "etag"),
        ("size", json!("1"), "size"),
        ("size", json!(0), "0"),
        ("size", json!((10_u64 << 30) + 1), "超出"),
        ("duplicate", json!(0), "duplicate"),
        ("duplicate", json!(3), "duplicate"),
        ("duplicate", json!("1"), "duplicate"),
        ("containDir", json!(1), "containDir"),
        ("type", json!(1), "type"),
    ];
    for (name, value, words) in refused {
        with(name, value).refused(words);
    }
    for name in ["parentFileID", "filename", "etag", "size"] {
        let mut body = create_body("f", b"x");
        body.as_object_mut().unwrap().remove(name);
        let answer = Ask::json(CREATE, &body).send(&emulator.api());
        answer.refused(&format!("{name} has to be"));
    }
    assert_eq!(with("size", json!(10_u64 << 30)).code(), 0);
    let lower = json!({"parentfileid": 0, "fileName": "g", "ETAG": md5(b"y"), "size": 1,
        "containdir": false});
    assert_eq!(Ask::json(CREATE, &lower).send(&emulator.api()).code(), 0);
    for body in ["", "{", "[]", "7"] {
        let ask = Ask::json(CREATE, &Value::Null).body(body.into());
        ask.send(&emulator.api()).refused("JSON");
    }
    assert_eq!(emulator.files(), []);
}

#[test]
fn names_are_judged() {
    let emulator = started();
    let server = &emulator.servers()[0];
    let mut bad: Vec<String> = "\"\\/:*?|><".chars().map(|c| format!("a{c}b")).collect();
    bad.extend(["   ".to_owned(), String::new(), "x".repeat(256)]);
    for name in &bad {
        create(&emulator, name, b"x").refused("文件名");
        single(name, b"x").send(server).refused("文件名");
    }
    assert_eq!(single(&"x".repeat(255), b"x").send(server).code(), 0);
    assert_eq!(emulator.files().len(), 1);
}

#[test]
fn slices_are_judged() {
    let emulator = started();
    let content = bytes(25);
    let id = preupload_id(&create(&emulator, "f", &content));
    let server = emulator.servers()[0].clone();
    let send = |no: &str, sum: &str, bytes: &[u8]| {
        let parts = [
            text("preuploadID", &id),
            text("sliceNo", no),
            text("sliceMD5", sum),
            file("slice", bytes),
        ];
        Ask::form(SLICE, &parts).send(&server)
    };
    let first = &content[..10];
    send("0", &md5(first), first).refused("out of range");
    send("4", &md5(first), first).refused("out of range");
    send("-1", &md5(first), first).refused("sliceNo");
    send("one", &md5(first), first).refused("sliceNo");
    send("1", &md5(first), &content[..9]).refused("9 bytes");
    send("1", &md5(first), &content[..11]).refused("11 bytes");
    send("3", &md5(first), first).refused("10 bytes");
    send("1", &md5(first).to_uppercase(), first).refused("sliceMD5");
    send("1", &md5(b"other"), first).refused("md5");
    let unknown = slice("unknown", 1, first).send(&server);
    unknown.refused("preuploadID");
    complete(&id).send(&emulator.api()).refused("文件上传失败");
    assert_eq!(send("1", &md5(first), first).code(), 0);
    assert_eq!(send("3", &md5(&content[20..]), &content[20..]).code(), 0);
    complete(&id).send(&emulator.api()).refused("文件上传失败");
    let said = emulator.stats().calls.pop().unwrap();
    let Outcome::Refused(why) = said.outcome else {
        panic!("{said:?}")
    };
    assert!(why.ends_with("missing: 1, slice 2 is the first"), "{why}");
    assert_eq!(said.preupload_id.as_deref(), Some(&*id));
}

#[test]
fn forms_have_exactly_their_fields() {
    let emulator = started();
    let content = bytes(10);
    let id = preupload_id(&create(&emulator, "f", &content));
    let server = emulator.servers()[0].clone();
    let parts = || {
        vec![
            text("preuploadID", &id),
            text("sliceNo", 1),
            text("sliceMD5", md5(&content)),
            file("slice", &content),
        ]
    };
    let send = |parts: &[Part]| Ask::form(SLICE, parts).send(&server);
    for (at, name) in ["preuploadID", "sliceNo", "sliceMD5", "slice"]
        .into_iter()
        .enumerate()
    {
        let mut missing = parts();
        missing.remove(at);
        send(&missing).refused(name);
        let mut twice = parts();
        let again = twice.remove(at);
        twice.insert(
            at,
            Part {
                head: again.head.clone(),
                body: again.body.clone(),
            },
        );
        twice.push(again);
        send(&twice).refused("twice");
    }
    let mut extra = parts();
    extra.insert(0, text("size", 10));
    send(&extra).refused("no field size");
    let mut spelt = parts();
    spelt[1] = text("sliceno", 1);
    send(&spelt).refused("no field sliceno");
    let mut as_text = parts();
    as_text[3] = text("slice", "0123456789");
    send(&as_text).refused("filename");
    let mut as_file = parts();
    as_file[1] = file("sliceNo", b"1");
    send(&as_file).refused("filename");
    assert_eq!(send(&parts()).code(), 0);
}

#[test]
fn framing_of_forms_is_judged() {
    let emulator = started();
    let content = bytes(10);
    let id = preupload_id(&create(&emulator, "f", &content));
    let server = emulator.servers()[0].clone();
    let good = slice(&id, 1, &content);
    let spoilt = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut ask = good.clone();
        change(&mut ask.body);
        ask.send(&server)
    };
    spoilt(&|body| body.truncate(body.len() - 4)).refused("before its last boundary");
    spoilt(&|body| body.extend_from_slice(b"more")).refused("after the last boundary");
    spoilt(&|body| drop(body.splice(..0, *b"preamble\r\n"))).refused("no boundary");
    spoilt(&|body| body.clear()).refused("before its last boundary");
    // A part's head without its end.
    let mut endless = good.clone();
    endless.body.truncate(BOUNDARY.len() + 4);
    endless.body.resize(20_000, b'x');
    endless.send(&server).refused("8 KiB");
    // One boundary in the header, another in the body.
    let kind = "multipart/form-data; boundary=other";
    let other = good.clone().header("Content-Type", kind);
    other.send(&server).refused("no boundary");
    assert_eq!(good.send(&server).code(), 0);
}

#[test]
fn the_boundary_inside_of_a_file_ends_it_unless_its_length_says_otherwise() {
    let emulator = started();
    let server = emulator.servers()[0].clone();
    let content = format!("ab\r\n--{BOUNDARY}\r\ncd").into_bytes();
    let counted = single("counted", &content).send(&server);
    assert_eq!(counted.code(), 0);
    let searched = single("searched", &content).chunked().send(&server);
    searched.refused("multipart");
}

#[test]
fn singles_are_judged() {
    let emulator = started();
    let server = emulator.servers()[0].clone();
    let with = |at: usize, part: Part| {
        let mut parts = single_parts("f", b"12345");
        parts[at] = part;
        Ask::form(SINGLE, &parts).send(&server)
    };
    with(0, text("parentFileID", 99)).refused("父级目录不存在");
    with(0, text("parentFileID", "")).refused("parentFileID");
    with(2, text("etag", md5(b"54321"))).refused("md5");
    with(3, text("size", 4)).refused("5 bytes");
    with(3, text("size", 6)).refused("5 bytes");
    with(3, text("size", (1_u64 << 30) + 1)).refused("超出");
    with(4, text("file", "12345")).refused("filename");
    let mut empty = single_parts("f", b"");
    Ask::form(SINGLE, &empty).send(&server).refused("0");
    empty.pop();
    Ask::form(SINGLE, &empty)
        .send(&server)
        .refused("file is missing");
    for (name, value) in [
        ("containDir", "1"),
        ("containDir", "True"),
        ("duplicate", "0"),
        ("duplicate", "one"),
        ("sliceNo", "1"),
    ] {
        let mut parts = single_parts("f", b"12345");
        parts.push(text(name, value));
        Ask::form(SINGLE, &parts).send(&server).refused(name);
    }
    assert_eq!(emulator.files(), []);
    assert_eq!(single("f", b"12345").send(&server).code(), 0);
}

#[test]
fn preupload_ids_end() {
    let emulator = started();
    let server = &emulator.servers()[0];
    let id = preupload_id(&create(&emulator, "f", b"12345"));
    assert_eq!(slice(&id, 1, b"12345").send(server).code(), 0);
    assert_eq!(completed(&emulator, &id).code(), 0);
    slice(&id, 1, b"12345").send(server).refused("completed");
    complete("unknown")
        .send(&emulator.api())
        .refused("preuploadID");
    let id = preupload_id(&create(&emulator, "g", b"1234"));
    emulator.forget_uploads();
    slice(&id, 1, b"1234").send(server).refused("preuploadID");
    complete(&id).send(&emulator.api()).refused("preuploadID");
}

#[test]
fn a_name_taken_while_slices_come_is_refused_at_the_end() {
    let emulator = started();
    let server = &emulator.servers()[0];
    let id = preupload_id(&create(&emulator, "f", b"12345"));
    assert_eq!(single("f", b"first").send(server).code(), 0);
    assert_eq!(slice(&id, 1, b"12345").send(server).code(), 0);
    completed(&emulator, &id).refused("已存在");
    assert_eq!(emulator.files().len(), 1);
}
