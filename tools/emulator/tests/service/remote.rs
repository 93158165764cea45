//! What the service tells of its files: listings, details, folders, the trash, and changes that
//! come from outside.

use std::fs;

use panup_emulator::{
    Action, Change, Config, Emulator, Fault, Limits, Operation, Quirks, Rate, Store, TooFast,
};
use serde_json::{Value, json};

use crate::client::*;

const LIST: &str = "/api/v2/file/list";
const DETAIL: &str = "/api/v1/file/detail";
const INFOS: &str = "/api/v1/file/infos";
const MKDIR: &str = "/upload/v1/file/mkdir";
const TRASH: &str = "/api/v1/file/trash";

fn started() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

fn list(emulator: &Emulator, query: &str) -> Answer {
    Ask::to("GET", &format!("{LIST}?{query}")).send(&emulator.api())
}

/// Every entry of a folder, page by page.
fn all(emulator: &Emulator, folder: i64) -> Vec<Value> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("parentFileId={folder}&limit=100{cursor}");
        let data = list(emulator, &query).data();
        entries.extend(data["fileList"].as_array().unwrap().clone());
        match data["lastFileId"].as_i64().unwrap() {
            -1 => return entries,
            last => cursor = format!("&lastFileId={last}"),
        }
    }
}

fn put(emulator: &Emulator, path: &str, content: &str) -> i64 {
    let (path, content) = (path.to_owned(), content.to_owned());
    let change = Change::Put { path, content };
    emulator.change(&change).unwrap();
    emulator.files().last().unwrap().file_id
}

fn trash(emulator: &Emulator, ids: &[i64]) -> Answer {
    Ask::json(TRASH, &json!({"fileIDs": ids})).send(&emulator.api())
}

#[test]
fn a_folder_is_listed_in_pages() {
    let emulator = started();
    let folder = emulator.make_folder("many/below").unwrap();
    let many = emulator.make_folder("many").unwrap();
    let ids: Vec<i64> = (0..200)
        .map(|n| put(&emulator, &format!("many/{n}"), "x"))
        .collect();
    let first = list(&emulator, &format!("parentFileId={many}&limit=100")).data();
    let page = first["fileList"].as_array().unwrap();
    assert_eq!(page.len(), 100);
    assert_eq!(first["lastFileId"], page[99]["fileId"]);
    let entries = all(&emulator, many);
    let listed: Vec<i64> = entries
        .iter()
        .map(|entry| entry["fileId"].as_i64().unwrap())
        .collect();
    assert_eq!(listed, [&[folder][..], &ids].concat());
    assert_eq!(emulator.stats().of(Operation::List).calls, 1 + 3);
    assert_eq!(all(&emulator, folder), [] as [Value; 0]);
    // A page that is full and the last.
    let last = format!("parentFileId={many}&limit=100&lastFileId={}", ids[99]);
    assert_eq!(list(&emulator, &last).data()["lastFileId"], -1);
}

#[test]
fn an_entry_has_the_documented_fields() {
    let emulator = started();
    let id = put(&emulator, "folder/你好.txt", "hello");
    let folder = emulator.make_folder("folder").unwrap();
    let entry = &all(&emulator, folder)[0];
    let time = entry["createAt"].as_str().unwrap().to_owned();
    assert_eq!(time.len(), "2026-11-25 20:00:00".len());
    let wanted = json!({
        "fileId": id, "filename": "你好.txt", "type": 0, "size": 5, "etag": md5(b"hello"),
        "status": 0, "parentFileId": folder, "category": 0, "trashed": 0,
        "createAt": time, "updateAt": time,
    });
    assert_eq!(*entry, wanted);
    let above = &all(&emulator, 0)[0];
    assert_eq!((&above["type"], &above["etag"]), (&json!(1), &json!("")));
    let detail = Ask::to("GET", &format!("{DETAIL}?fileID={id}")).send(&emulator.api());
    let wanted = json!({
        "fileID": id, "filename": "你好.txt", "type": 0, "size": 5, "etag": md5(b"hello"),
        "status": 0, "parentFileID": folder, "createAt": time, "trashed": 0,
    });
    assert_eq!(detail.data(), wanted);
    let unknown = Ask::to("GET", &format!("{DETAIL}?fileID=7")).send(&emulator.api());
    assert_eq!((unknown.status, unknown.code()), (200, 5066));
    let infos = Ask::json(INFOS, &json!({"fileIds": [7, id]})).send(&emulator.api());
    assert_eq!(infos.data(), json!({"fileList": [entry]}));
}

#[test]
fn every_rule_of_a_listing_refuses() {
    let emulator = started();
    let file = put(&emulator, "f", "x");
    for (query, words) in [
        ("limit=100", "parentFileId"),
        ("parentFileId=0", "limit"),
        ("parentFileId=0&limit=0", "limit is 1 to 100"),
        ("parentFileId=0&limit=101", "limit is 1 to 100"),
        (
            "parentFileID=0&limit=1",
            "there is no parameter parentFileID",
        ),
        (
            "parentFileId=0&limit=1&page=2",
            "there is no parameter page",
        ),
        ("parentFileId=0&limit=1&limit=1", "twice"),
        ("parentFileId=0&limit=1&lastFileId=-1", "lastFileId"),
        ("parentFileId=0&limit=1&searchData=%zz", "percent-encoded"),
        ("parentFileId=0&limit=1&searchMode=2", "searchMode"),
        ("parentFileId=7&limit=1", "父级目录不存在"),
    ] {
        list(&emulator, query).refused(words);
    }
    list(&emulator, &format!("parentFileId={file}&limit=1")).refused("父级目录不存在");
    let good = Ask::to("GET", &format!("{LIST}?parentFileId=0&limit=1"));
    let with = |name, value| good.clone().header(name, value).send(&emulator.api());
    with("Platform", "").refused("Platform");
    assert_eq!(with("Authorization", "Bearer guess").code(), 401);
    let body = good.clone().body(b"{}".to_vec());
    body.send(&emulator.api()).refused("takes no body");
    assert_eq!(good.send(&emulator.servers()[0]).status, 404);
    let posted = Ask::json(LIST, &json!({"parentFileId": 0, "limit": 1}));
    assert_eq!(posted.send(&emulator.api()).status, 405);
    for ids in [json!([]), json!(["1"]), json!(vec![1; 101]), json!(1)] {
        let infos = Ask::json(INFOS, &json!({"fileIds": ids.clone()}));
        infos.send(&emulator.api()).refused("fileIds has to be");
        let trash = Ask::json(TRASH, &json!({"fileIDs": ids}));
        trash.send(&emulator.api()).refused("fileIDs has to be");
    }
}

#[test]
fn a_search_looks_everywhere() {
    let emulator = started();
    for path in ["a/report.txt", "b/c/report.txt", "b/report"] {
        put(&emulator, path, "x");
    }
    let found = |query: &str| {
        let query = format!("parentFileId=0&limit=100&searchData={query}");
        let data = list(&emulator, &query).data();
        data["fileList"].as_array().unwrap().len()
    };
    assert_eq!(found("report"), 3);
    assert_eq!(found("report&searchMode=1"), 1);
    assert_eq!(found("%E4%BD%A0"), 0);
}

#[test]
fn a_folder_is_made_once() {
    let emulator = started();
    let mkdir = |name: &str, parent: i64| {
        let body = json!({"name": name, "parentID": parent});
        Ask::json(MKDIR, &body).send(&emulator.api())
    };
    let id = mkdir("empty", 0).data()["dirID"].as_i64().unwrap();
    mkdir("empty", 0).refused("该目录下已经有同名文件夹");
    let below = mkdir("below", id).data()["dirID"].as_i64().unwrap();
    assert_eq!(emulator.make_folder("empty/below").unwrap(), below);
    mkdir("x", 7).refused("父级目录不存在");
    mkdir("a/b", 0).refused("文件名不合法");
    let quirks = Quirks {
        no_dir_id: true,
        ..Quirks::default()
    };
    let config = Config {
        quirks,
        ..Config::default()
    };
    let silent = Emulator::start(config).unwrap();
    let body = json!({"name": "empty", "parentID": 0});
    let made = Ask::json(MKDIR, &body).send(&silent.api());
    assert_eq!(made.data(), json!({}));
    assert_eq!(all(&silent, 0)[0]["filename"], "empty");
}

#[test]
fn what_is_in_the_trash_is_listed_and_its_name_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        store: Store::Dir(dir.path().to_owned()),
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let old = put(&emulator, "d/f", "old");
    assert_eq!(trash(&emulator, &[old]).data(), Value::Null);
    let folder = emulator.make_folder("d").unwrap();
    let new = put(&emulator, "d/f", "new");
    let entries = all(&emulator, folder);
    let seen = |entry: &Value| (entry["fileId"].as_i64(), entry["trashed"].as_i64());
    let seen: Vec<_> = entries.iter().map(seen).collect();
    assert_eq!(seen, [(Some(old), Some(1)), (Some(new), Some(0))]);
    let there: Vec<i64> = emulator.files().iter().map(|file| file.file_id).collect();
    assert_eq!(there, [new]);
    let gone = &emulator.trash()[0];
    assert_eq!((gone.file_id, gone.path.as_str()), (old, "d/f"));
    assert_eq!(fs::read(gone.local.as_ref().unwrap()).unwrap(), b"old");
    assert_eq!(fs::read(dir.path().join("d/f")).unwrap(), b"new");
    // All or none.
    trash(&emulator, &[new, old]).refused("文件不存在");
    assert_eq!(emulator.files().len(), 1);
    // A folder takes what is below it along.
    assert_eq!(trash(&emulator, &[folder]).code(), 0);
    assert_eq!(emulator.files(), []);
    let detail = Ask::to("GET", &format!("{DETAIL}?fileID={new}")).send(&emulator.api());
    assert_eq!(detail.data()["trashed"], 1);
    list(&emulator, &format!("parentFileId={folder}&limit=1")).refused("父级目录不存在");
    assert_ne!(emulator.make_folder("d").unwrap(), folder);
    emulator.stop();
    assert!(!dir.path().join(".panup-emulator").exists());
}

#[test]
fn files_change_from_outside() {
    for kept in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let store = match kept {
            true => Store::Dir(dir.path().to_owned()),
            false => Store::Discard,
        };
        let config = Config {
            store,
            ..Config::default()
        };
        let emulator = Emulator::start(config).unwrap();
        let content = bytes(5000);
        for name in [
            "altered", "replaced", "deleted", "trashed", "refused", "same",
        ] {
            let answer = single(name, &content).send(&emulator.servers()[0]);
            assert_eq!(answer.code(), 0);
        }
        let before = emulator.files();
        let changes = json!([
            {"alter": {"path": "altered"}},
            {"alter": {"path": "replaced", "content": "shorter"}},
            {"delete": {"path": "deleted"}},
            {"trash": {"path": "trashed"}},
            {"review": {"path": "refused", "status": 106}},
            {"put": {"path": "new/file", "content": "by another client"}},
        ]);
        let control = |body: &Value| {
            let ask = Ask::to("POST", "/_emulator/files").header("Authorization", "");
            ask.body(body.to_string().into_bytes())
                .send(&emulator.api())
        };
        assert_eq!(control(&changes).status, 200);
        assert_eq!(
            control(&json!([{"delete": {"path": "deleted"}}])).status,
            400
        );
        assert_eq!(control(&json!([{"move": {"path": "same"}}])).status, 400);
        let entries = all(&emulator, 0);
        let entry = |name: &str| entries.iter().find(|entry| entry["filename"] == name);
        let altered = entry("altered").unwrap();
        assert_eq!(
            (&altered["fileId"], &altered["size"]),
            (&json!(before[0].file_id), &json!(5000))
        );
        assert_ne!(altered["etag"], md5(&content));
        assert_eq!(entry("replaced").unwrap()["etag"], md5(b"shorter"));
        assert_eq!(entry("replaced").unwrap()["size"], 7);
        assert_eq!(entry("deleted"), None);
        assert_eq!(entry("trashed").unwrap()["trashed"], 1);
        assert_eq!(entry("refused").unwrap()["status"], 106);
        assert_eq!(entry("same").unwrap()["etag"], md5(&content));
        assert_eq!(emulator.files().len(), 5, "five of seven, and one is new");
        for file in emulator.files() {
            let Some(local) = file.local else { continue };
            assert_eq!(md5(&fs::read(local).unwrap()), file.md5, "{}", file.path);
        }
        let stats = emulator.stats();
        assert_eq!(stats.of(Operation::Trash).calls, 0, "no call did it");
    }
}

#[test]
fn files_that_were_there_before_are_hashed_when_they_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"earlier").unwrap();
    let config = Config {
        store: Store::Dir(dir.path().to_owned()),
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let entry = &all(&emulator, 0)[0];
    assert_eq!(
        (&entry["size"], &entry["etag"]),
        (&json!(7), &json!(md5(b"earlier")))
    );
}

#[test]
fn a_cursor_repeats_and_listing_is_refused() {
    let emulator = started();
    for n in 0..3 {
        put(&emulator, &n.to_string(), "x");
    }
    emulator.inject(Fault::on(Operation::List, Action::RepeatCursor));
    let first = list(&emulator, "parentFileId=0&limit=1").data();
    let cursor = &first["lastFileId"];
    let query = format!("parentFileId=0&limit=1&lastFileId={cursor}");
    for _ in 0..2 {
        let next = list(&emulator, &query).data();
        assert_eq!(next["lastFileId"], *cursor);
        assert_ne!(next["fileList"], first["fileList"]);
    }
    emulator.clear_faults();
    emulator.inject(Fault::on(Operation::List, Action::status(403)));
    assert_eq!(list(&emulator, "parentFileId=0&limit=1").status, 403);
}

#[test]
fn every_call_has_a_rate_of_its_own() {
    let emulator = started();
    let slow = Rate {
        per_second: 0.001,
        burst: 1.0,
        answer: TooFast::Code,
    };
    emulator.set_limits(Limits {
        rates: [(Operation::List, slow)].into(),
        review: 120,
        ..Limits::default()
    });
    let id = put(&emulator, "f", "x");
    let root = "parentFileId=0&limit=1";
    let refused = list(&emulator, root).data()["fileList"][0]["status"].clone();
    assert_eq!(refused, 120, "review refuses all that is stored");
    assert_eq!(list(&emulator, root).code(), 429);
    let detail = Ask::to("GET", &format!("{DETAIL}?fileID={id}"));
    assert_eq!(detail.send(&emulator.api()).code(), 0);
}

#[test]
fn ids_and_numbers_are_spelled_otherwise() {
    let quirks = Quirks {
        file_id_spelling: true,
        numbers_as_strings: true,
        ..Quirks::default()
    };
    let config = Config {
        quirks,
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let id = put(&emulator, "f", "x").to_string();
    let data = list(&emulator, "parentFileId=0&limit=1").data();
    let entry = &data["fileList"][0];
    assert_eq!(
        (&entry["fileID"], &entry["parentFileID"]),
        (&json!(id), &json!("0"))
    );
    assert_eq!(data["lastFileId"], "-1");
}
