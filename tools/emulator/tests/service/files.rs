//! Files arrive: what was sent is what is stored.

use std::fs;
use std::path::Path;

use panup_emulator::{Config, Emulator, Operation, Outcome, Pending, Quirks, Reuse, Store};
use serde_json::json;

use crate::client::*;

const SLICE_SIZE: usize = 100_000;

fn keeping(dir: &Path) -> Config {
    Config {
        store: Store::Dir(dir.to_owned()),
        slice_size: SLICE_SIZE as u64,
        ..Config::default()
    }
}

#[test]
fn sizes_around_the_slice_arrive_whole() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let sizes = [1, 99_999, 100_000, 100_001, 300_007];
    for size in sizes {
        let name = format!("f{size}");
        let data = upload(&emulator, &name, &bytes(size), SLICE_SIZE).data();
        assert_eq!(data["completed"], true);
        assert!(data["fileID"].as_i64().unwrap() > 0);
        assert!(fs::read(dir.path().join(&name)).unwrap() == bytes(size));
    }
    let files = emulator.files();
    assert_eq!(files.len(), sizes.len());
    for (file, size) in files.iter().zip(sizes) {
        assert_eq!((file.size, &file.path), (size as u64, &format!("f{size}")));
        assert_eq!(file.md5, md5(&bytes(size)));
        let local = fs::canonicalize(dir.path()).unwrap().join(&file.path);
        assert_eq!(file.local.as_ref(), Some(&local));
    }
    let stats = emulator.stats();
    assert_eq!(stats.of(Operation::Slice).calls, 1 + 1 + 1 + 2 + 4);
    assert_eq!(stats.of(Operation::Create).calls, 5);
    // Each is told once to wait.
    assert_eq!(stats.of(Operation::Complete).done, 5);
    assert!(stats.of(Operation::Complete).pending >= 5);
    assert!(stats.server(0).calls > 0 && stats.server(1).calls > 0);
    emulator.stop();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), sizes.len(), "no spool is left: {left:?}");
}

#[test]
fn slices_come_in_any_order_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let content = bytes(350_000);
    let id = preupload_id(&create(&emulator, "f", &content));
    let pieces: Vec<&[u8]> = content.chunks(SLICE_SIZE).collect();
    let server = &emulator.servers()[1];
    for no in [4, 2, 1, 3, 2, 1] {
        let sent = slice(&id, no as u64, pieces[no - 1]).send(server);
        assert_eq!(sent.code(), 0);
    }
    assert_eq!(completed(&emulator, &id).data()["completed"], true);
    assert!(fs::read(dir.path().join("f")).unwrap() == content);
}

#[test]
fn a_slice_that_is_sent_again_replaces_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let content = bytes(250_000);
    let id = preupload_id(&create(&emulator, "f", &content));
    let server = &emulator.servers()[0];
    let other = vec![7; SLICE_SIZE];
    assert_eq!(slice(&id, 1, &other).send(server).code(), 0);
    for (at, piece) in content.chunks(SLICE_SIZE).enumerate() {
        assert_eq!(slice(&id, at as u64 + 1, piece).send(server).code(), 0);
    }
    assert_eq!(completed(&emulator, &id).data()["completed"], true);
    assert!(fs::read(dir.path().join("f")).unwrap() == content);
}

#[test]
fn a_bad_attempt_does_not_spoil_a_good_slice() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let content = bytes(250_000);
    let id = preupload_id(&create(&emulator, "f", &content));
    let server = &emulator.servers()[0];
    for (at, piece) in content.chunks(SLICE_SIZE).enumerate() {
        assert_eq!(slice(&id, at as u64 + 1, piece).send(server).code(), 0);
    }
    let zeros = vec![0; SLICE_SIZE];
    let bad = [
        text("preuploadID", &id),
        text("sliceNo", 2),
        text("sliceMD5", md5(b"something else")),
        file("slice", &zeros),
    ];
    Ask::form(SLICE, &bad).send(server).refused("md5");
    // And one whose client goes away in the middle.
    let mut cut = slice(&id, 3, &content[200_000..]).bytes();
    let half = cut.len() - 30_000;
    cut.truncate(half);
    cut[half - 10_000..].fill(0);
    let mut wire = Wire::open(server).unwrap();
    std::io::Write::write_all(&mut wire.0, &cut).unwrap();
    drop(wire);
    assert_eq!(completed(&emulator, &id).data()["completed"], true);
    assert!(fs::read(dir.path().join("f")).unwrap() == content);
}

#[test]
fn a_file_that_is_not_its_etag_is_refused_for_good() {
    for store in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = keeping(dir.path());
        if !store {
            config.store = Store::Discard;
        }
        // Of one slice: also a discarded file is then checked as a whole.
        let sizes: &[usize] = if store { &[50_000, 250_000] } else { &[50_000] };
        let emulator = Emulator::start(config).unwrap();
        for &size in sizes {
            let promised = bytes(size);
            let mut sent = bytes(size);
            sent[size / 2] ^= 1;
            let id = preupload_id(&create(&emulator, "f", &promised));
            for (at, piece) in sent.chunks(SLICE_SIZE).enumerate() {
                let server = &emulator.servers()[0];
                assert_eq!(slice(&id, at as u64 + 1, piece).send(server).code(), 0);
            }
            let answer = completed(&emulator, &id);
            answer.refused("文件上传失败");
            complete(&id).send(&emulator.api()).refused("文件上传失败");
        }
        assert_eq!(emulator.files(), []);
        assert!(!dir.path().join("f").exists());
    }
}

#[test]
fn singles_arrive_with_the_file_last_or_first() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let server = &emulator.servers()[0];
    let content = bytes(700_000);
    let data = single("last", &content).send(server).data();
    assert_eq!(data["completed"], true);
    let mut parts = single_parts("first", &content);
    parts.rotate_right(1);
    assert_eq!(Ask::form(SINGLE, &parts).send(server).code(), 0);
    let chunked = single("chunked", &content).chunked().send(server);
    assert_eq!(chunked.code(), 0);
    for name in ["last", "first", "chunked"] {
        assert!(
            fs::read(dir.path().join(name)).unwrap() == content,
            "{name}"
        );
    }
    let framings = emulator.stats().framings;
    assert_eq!(format!("{framings:?}"), "{ContentLength: 2, Chunked: 1}");
}

#[test]
fn slices_arrive_with_the_file_first_and_without_a_final_line_break() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let content = bytes(150_000);
    let id = preupload_id(&create(&emulator, "f", &content));
    let server = &emulator.servers()[0];
    let first = [
        file("slice", &content[..SLICE_SIZE]),
        text("sliceMD5", md5(&content[..SLICE_SIZE])),
        text("sliceNo", 1),
        text("preuploadID", &id),
    ];
    assert_eq!(Ask::form(SLICE, &first).send(server).code(), 0);
    let mut second = slice(&id, 2, &content[SLICE_SIZE..]);
    second.body.truncate(second.body.len() - 2);
    assert_eq!(second.send(server).code(), 0);
    assert_eq!(completed(&emulator, &id).data()["completed"], true);
    assert!(fs::read(dir.path().join("f")).unwrap() == content);
}

#[test]
fn known_content_is_reused_under_every_name() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let content = bytes(1000);
    let first = single("a", &content).send(&emulator.servers()[0]).data();
    let second = create(&emulator, "b", &content).data();
    assert_eq!(second["reuse"], true);
    assert_ne!(second["fileID"], first["fileID"]);
    let keys: Vec<_> = second.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["fileID", "reuse"]);
    assert!(fs::read(dir.path().join("b")).unwrap() == content);
    // Overwriting one leaves the other as it was.
    let mut body = create_body("a", b"new");
    body["duplicate"] = json!(2);
    let id = preupload_id(&Ask::json(CREATE, &body).send(&emulator.api()));
    let sent = slice(&id, 1, b"new").send(&emulator.servers()[0]);
    assert_eq!(sent.code(), 0);
    assert_eq!(completed(&emulator, &id).code(), 0);
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
    assert!(fs::read(dir.path().join("b")).unwrap() == content);
    // Another size is another file.
    let mut body = create_body("c", &content);
    body["size"] = json!(999);
    let other = Ask::json(CREATE, &body).send(&emulator.api()).data();
    assert_eq!(other["reuse"], false);
    let calls = emulator.stats();
    assert_eq!(calls.of(Operation::Create).reused, 1);
}

#[test]
fn folders_are_made_and_names_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let mut parts = single_parts("/你好/1 2/测试.mp4", b"film");
    parts.push(text("containDir", true));
    let server = &emulator.servers()[0];
    assert_eq!(Ask::form(SINGLE, &parts).send(server).code(), 0);
    let mut body = create_body("你好/1 2/b", b"two");
    body["containDir"] = json!(true);
    let id = preupload_id(&Ask::json(CREATE, &body).send(&emulator.api()));
    assert_eq!(slice(&id, 1, b"two").send(server).code(), 0);
    assert_eq!(completed(&emulator, &id).code(), 0);
    let paths: Vec<_> = emulator.files().into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["你好/1 2/测试.mp4", "你好/1 2/b"]);
    assert_eq!(fs::read(dir.path().join("你好/1 2/b")).unwrap(), b"two");

    let folder = emulator.make_folder("你好/1 2").unwrap();
    let mut parts = single_parts("c", b"three");
    parts[0] = text("parentFileID", folder);
    assert_eq!(Ask::form(SINGLE, &parts).send(server).code(), 0);
    assert_eq!(fs::read(dir.path().join("你好/1 2/c")).unwrap(), b"three");
    let long = "长".repeat(255);
    assert_eq!(single(&long, b"long").send(server).code(), 0);
    let kept = emulator.files().pop().unwrap();
    assert_eq!(kept.path, long);
    assert_eq!(fs::read(kept.local.unwrap()).unwrap(), b"long");
    assert_eq!(emulator.stats().folder_races, 0);
}

#[test]
fn what_was_there_before_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("x")).unwrap();
    fs::write(dir.path().join("x/a"), "mine").unwrap();
    let emulator = Emulator::start(keeping(dir.path())).unwrap();
    let mut parts = single_parts("x/a", b"new");
    parts.push(text("containDir", true));
    let server = &emulator.servers()[0];
    Ask::form(SINGLE, &parts).send(server).refused("已存在");
    assert_eq!(fs::read(dir.path().join("x/a")).unwrap(), b"mine");
    parts.push(text("duplicate", 1));
    assert_eq!(Ask::form(SINGLE, &parts).send(server).code(), 0);
    assert_eq!(fs::read(dir.path().join("x/a(1)")).unwrap(), b"new");
}

#[test]
fn the_three_ways_with_a_taken_name() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let server = &emulator.servers()[0];
    assert_eq!(single("a.txt", b"1").send(server).code(), 0);
    single("a.txt", b"2").send(server).refused("已存在");
    create(&emulator, "a.txt", b"2").refused("已存在");
    for (duplicate, content) in [(1, b"3"), (2, b"4")] {
        let mut parts = single_parts("a.txt", content);
        parts.push(text("duplicate", duplicate));
        assert_eq!(Ask::form(SINGLE, &parts).send(server).code(), 0);
    }
    let files: Vec<_> = emulator
        .files()
        .into_iter()
        .map(|file| (file.path, file.md5))
        .collect();
    let wanted = [("a(1).txt", b"3"), ("a.txt", b"4")];
    assert_eq!(files, wanted.map(|(n, c)| (n.to_owned(), md5(c))));
}

#[test]
fn completion_is_asked_for_as_often_as_configured() {
    for (pending, codes) in [
        (Pending::Verifying, [20103, 20103, 20103, 0]),
        (Pending::NotCompleted, [0, 0, 0, 0]),
        (Pending::InTurn, [20103, 0, 20103, 0]),
    ] {
        let config = Config {
            polls: 3,
            pending,
            ..Config::default()
        };
        let emulator = Emulator::start(config).unwrap();
        let id = preupload_id(&create(&emulator, "f", b"x"));
        let sent = slice(&id, 1, b"x").send(&emulator.servers()[0]);
        assert_eq!(sent.code(), 0);
        let answers = [(); 4].map(|()| complete(&id).send(&emulator.api()));
        assert_eq!(answers.each_ref().map(Answer::code), codes);
        let last = answers[3].data();
        assert_eq!(last["completed"], true);
        // Asked once more, it says the same.
        assert_eq!(complete(&id).send(&emulator.api()).data(), last);
        let outcomes: Vec<_> = emulator
            .stats()
            .calls_of(Operation::Complete)
            .map(|call| call.outcome.clone())
            .collect();
        let pending = Outcome::Pending;
        let wanted = [
            pending.clone(),
            pending.clone(),
            pending,
            Outcome::Done,
            Outcome::Done,
        ];
        assert_eq!(outcomes, wanted);
    }
}

#[test]
fn quirks_show_in_the_answers() {
    let config = Config {
        servers: 3,
        polls: 0,
        first_id: 9_007_199_254_740_993,
        quirks: Quirks {
            no_scheme: true,
            trailing_slash: true,
            file_id_spelling: true,
            numbers_as_strings: true,
            extra_fields: true,
            reuse: Reuse::WithoutId,
            ..Quirks::default()
        },
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let created = create(&emulator, "f", b"x").data();
    assert_eq!(created["sliceSize"], "16777216");
    assert_eq!(created["fileId"], "0");
    let bare = |base: &String| format!("{}/", base.strip_prefix("http://").unwrap());
    let wanted: Vec<_> = emulator.servers().iter().map(bare).collect();
    assert_eq!(created["servers"], json!(wanted));
    let domain = Ask::to("GET", DOMAIN).send(&emulator.api()).data();
    assert_eq!(domain, json!(wanted));
    let done = single("g", b"y").send(&emulator.servers()[2]).data();
    assert_eq!(done["fileId"], "9007199254740993");
    let reused = create(&emulator, "h", b"y").data();
    assert_eq!(reused["reuse"], true);
    assert_eq!(reused["fileId"], "0");
}

#[test]
fn advertised_servers_are_handed_out() {
    let config = Config {
        servers: 1,
        advertise: vec!["https://front.example:8443".to_owned()],
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let domain = Ask::to("GET", DOMAIN).send(&emulator.api()).data();
    assert_eq!(domain, json!(["https://front.example:8443"]));
    let contradiction = Config {
        servers: 2,
        advertise: vec!["https://front.example:8443".to_owned()],
        ..Config::default()
    };
    assert!(Emulator::start(contradiction).is_err());
}

#[test]
fn without_verification_only_md5s_are_not_looked_at() {
    let config = Config {
        verify: false,
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let server = &emulator.servers()[0];
    let mut parts = single_parts("a", b"bytes");
    parts[2] = text("etag", md5(b"others"));
    assert_eq!(Ask::form(SINGLE, &parts).send(server).code(), 0);
    parts[3] = text("size", 6);
    Ask::form(SINGLE, &parts).send(server).refused("6");
    let id = preupload_id(&create(&emulator, "b", b"12345"));
    slice(&id, 1, b"1234").send(server).refused("4 bytes");
    assert_eq!(slice(&id, 1, b"54321").send(server).code(), 0);
    assert_eq!(completed(&emulator, &id).code(), 0);
}
