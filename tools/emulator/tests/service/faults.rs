//! Each fault acts, on the call that it was meant for and on no other.

use std::io::{Read, Write};
use std::time::Duration;

use panup_emulator::{Action, Config, Cut, Emulator, Fault, Operation, Outcome, Page, Script};
use serde_json::json;

use crate::client::*;

fn started() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

fn domain(emulator: &Emulator) -> Answer {
    Ask::to("GET", DOMAIN).send(&emulator.api())
}

#[test]
fn the_third_call_and_no_other() {
    let emulator = started();
    let fault = Fault::on(Operation::Domain, Action::status(503));
    emulator.inject(fault.nth(3));
    let statuses = [(); 4].map(|()| domain(&emulator).status);
    assert_eq!(statuses, [200, 200, 503, 200]);
    let outcomes: Vec<_> = emulator
        .stats()
        .calls
        .into_iter()
        .map(|c| c.outcome)
        .collect();
    assert!(matches!(&outcomes[2], Outcome::Faulted(what) if what.contains("503")));
    assert_eq!(outcomes[3], Outcome::Done);
}

#[test]
fn one_server_and_no_other() {
    let emulator = started();
    let fault = Fault::on(Operation::Single, Action::too_fast());
    emulator.inject(fault.at(1));
    let servers = emulator.servers();
    let codes = [0, 1, 0, 1].map(|at| {
        let name = format!("f{at}");
        let mut parts = single_parts(&name, b"x");
        parts.push(text("duplicate", 2));
        Ask::form(SINGLE, &parts).send(&servers[at]).code()
    });
    assert_eq!(codes, [0, 429, 0, 429]);
    emulator.clear_faults();
    assert_eq!(single("g", b"x").send(&servers[1]).code(), 0);
}

#[test]
fn statuses_with_every_kind_of_page() {
    let emulator = started();
    for (page, begins) in [
        (Page::Empty, ""),
        (Page::Html, "<html>"),
        (Page::Json, "{\"message\""),
        (Page::IoTimeout, "i/o timeout"),
    ] {
        let fault = Fault::on(Operation::Create, Action::page(502, page));
        emulator.inject(fault.first(1));
        let answer = create(&emulator, "f", b"x");
        assert_eq!(answer.status, 502);
        let body = String::from_utf8(answer.body).unwrap();
        assert!(body.starts_with(begins) && body.is_empty() == begins.is_empty());
        emulator.clear_faults();
    }
    let action = Action::Http {
        status: 429,
        page: Page::Empty,
        retry_after: Some("7".to_owned()),
        unread: false,
    };
    emulator.inject(Fault::on(Operation::Create, action));
    let answer = create(&emulator, "f", b"x");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(emulator.files(), []);
}

#[test]
fn an_answer_can_come_before_the_body() {
    let emulator = started();
    let action = Action::Http {
        status: 503,
        page: Page::Empty,
        retry_after: None,
        unread: true,
    };
    emulator.inject(Fault::on(Operation::Single, action));
    let ask = single("f", &bytes(1000)).bytes();
    let mut wire = Wire::open(&emulator.servers()[0]).unwrap();
    wire.0.write_all(&ask[..ask.len() - 500]).unwrap();
    assert_eq!(wire.answer().unwrap().status, 503);
}

#[test]
fn body_codes_do_nothing_else() {
    let emulator = started();
    let fault = Fault::on(Operation::Single, Action::queue_full());
    emulator.inject(fault.nth(1));
    let server = &emulator.servers()[0];
    single("f", b"x").send(server).refused("削峰");
    assert_eq!(emulator.files(), []);
    assert_eq!(single("f", b"x").send(server).code(), 0);
}

#[test]
fn a_proxy_on_the_way_answers_as_scripted() {
    let emulator = started();
    let portal = Action::redirect(302, "http://portal.example/");
    emulator.inject(Fault::on(Operation::Create, portal).nth(1));
    let answer = create(&emulator, "f", b"x");
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), Some("http://portal.example/"));
    let page = Action::answer(200, "<html>Sign in</html>");
    emulator.inject(Fault::on(Operation::Create, page).nth(1));
    let answer = create(&emulator, "f", b"x");
    let said = (answer.status, answer.body.as_slice());
    assert_eq!(said, (200, b"<html>Sign in</html>".as_slice()));
}

/// The queue judges as strictly as ever, tells no id, and keeps what it took once.
#[test]
fn the_queue_takes_a_file_and_it_appears_by_itself_or_never() {
    for (appears_after, files) in [(Some(50), 1), (None, 0)] {
        let emulator = started();
        let server = &emulator.servers()[0];
        let queued = Action::Queued { appears_after };
        emulator.inject(Fault::on(Operation::Single, queued.clone()).first(2));
        let mut wrong = single_parts("f", b"x");
        wrong.push(text("sise", 2));
        assert_eq!(Ask::form(SINGLE, &wrong).send(server).code(), 1);
        assert_eq!(emulator.files(), []);
        single("f", b"x").send(server).refused("已成功进入秒传队列");
        assert_eq!(emulator.files(), []);
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(emulator.files().len(), files);
        // Of content that is stored nowhere, create has nothing to let appear.
        emulator.inject(Fault::on(Operation::Create, queued).nth(1));
        let answer = create(&emulator, "g", b"never seen");
        answer.refused("已成功进入秒传队列");
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(emulator.files().len(), files);
    }
}

#[test]
fn connections_are_closed_before_within_and_after_the_body() {
    let content = bytes(1 << 20);
    for (cut, stored) in [
        (Cut::BeforeBody, 0),
        (Cut::After(100_000), 0),
        (Cut::AfterBody, 0),
        (Cut::AfterCommit, 1),
        (Cut::InAnswer, 1),
    ] {
        let emulator = started();
        let fault = Fault::on(Operation::Single, Action::Close(cut));
        emulator.inject(fault.nth(1));
        let server = &emulator.servers()[0];
        assert!(single("f", &content).try_send(server).is_err(), "{cut:?}");
        assert_eq!(emulator.files().len(), stored, "{cut:?}");
        while emulator.stats().calls.is_empty() {
            std::thread::yield_now();
        }
        let call = emulator.stats().calls.remove(0);
        assert!(matches!(call.outcome, Outcome::Faulted(_)), "{call:?}");
        let whole = single("f", &content).body.len() as u64;
        let read = call.body_bytes;
        let fits = match cut {
            Cut::BeforeBody => read == 0,
            Cut::After(bytes) => (bytes..whole).contains(&read),
            _ => read == whole,
        };
        assert!(fits, "{cut:?}: {read} of {whole}");
    }
}

#[test]
fn half_an_answer_is_half_an_answer() {
    let emulator = started();
    let fault = Fault::on(Operation::Domain, Action::Close(Cut::InAnswer));
    emulator.inject(fault);
    let mut wire = Wire::open(&emulator.api()).unwrap();
    wire.0.write_all(&Ask::to("GET", DOMAIN).bytes()).unwrap();
    let mut all = String::new();
    let _ = wire.0.read_to_string(&mut all);
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    let promised = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let promised: usize = promised.unwrap().parse().unwrap();
    assert_eq!(body.len(), promised / 2);
}

#[test]
fn streams_are_reset() {
    let emulator = started();
    emulator.inject(Fault::on(Operation::Domain, Action::Reset).nth(1));
    assert!(Ask::to("GET", DOMAIN).try_send(&emulator.api()).is_err());
    assert_eq!(domain(&emulator).code(), 0);
}

#[test]
fn answers_are_spoilt_after_the_work_is_done() {
    let emulator = started();
    let server = emulator.servers()[0].clone();
    let spoil = |name: &str, action: Action| {
        emulator.inject(Fault::on(Operation::Single, action));
        let answer = single(name, b"x").send(&server);
        emulator.clear_faults();
        answer
    };
    let truncated = spoil("a", Action::TruncatedJson);
    assert_eq!(truncated.status, 200);
    assert!(truncated.body.starts_with(b"{"));
    assert!(serde_json::from_slice::<serde_json::Value>(&truncated.body).is_err());
    let wrong = spoil("b", Action::WrongJson);
    assert!(wrong.json().get("code").is_none());
    let no_id = spoil("c", Action::NoFileId);
    assert_eq!(no_id.data(), json!({"completed": true, "fileID": 0}));
    let not_yet = spoil("d", Action::NotCompleted);
    assert_eq!(not_yet.data(), json!({"completed": false, "fileID": 0}));
    let code = Action::DoneBut {
        code: 20103,
        message: "文件正在校验中".to_owned(),
    };
    assert_eq!(spoil("e", code).code(), 20103);
    let names: Vec<_> = emulator.files().into_iter().map(|file| file.path).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn answers_and_reading_are_stalled() {
    let emulator = started();
    // An hour: the client's patience ends first.
    let hour = 3_600_000;
    emulator.inject(Fault::on(Operation::Domain, Action::StallAnswer { millis: hour }).nth(1));
    let mut wire = Wire::open(&emulator.api()).unwrap();
    let patience = std::time::Duration::from_millis(100);
    wire.0.set_read_timeout(Some(patience)).unwrap();
    let waited = wire.ask(&Ask::to("GET", DOMAIN)).unwrap_err();
    assert!(ran_out_of_patience(&waited), "{waited}");
    assert_eq!(domain(&emulator).code(), 0);

    let stall = Action::StallReading {
        after: 1000,
        millis: hour,
    };
    emulator.inject(Fault::on(Operation::Single, stall).nth(1));
    let mut wire = Wire::open(&emulator.servers()[0]).unwrap();
    wire.0.set_write_timeout(Some(patience)).unwrap();
    let stalled = wire.0.write_all(&single("f", &bytes(64 << 20)).bytes());
    assert!(ran_out_of_patience(&stalled.unwrap_err()));
    assert_eq!(emulator.stats().of(Operation::Single).in_flight, 1);
    drop(wire);
    assert_eq!(single("g", b"x").send(&emulator.servers()[0]).code(), 0);
}

#[test]
fn a_last_call_closes_its_connection() {
    let emulator = started();
    emulator.inject(Fault::on(Operation::Domain, Action::LastCall).nth(2));
    let mut wire = Wire::open(&emulator.api()).unwrap();
    let ask = Ask::to("GET", DOMAIN);
    assert_eq!(wire.ask(&ask).unwrap().header("connection"), None);
    assert_eq!(wire.ask(&ask).unwrap().header("connection"), Some("close"));
    assert_eq!(wire.0.read(&mut [0]).unwrap(), 0);
}

#[test]
fn chunked_is_refused_once() {
    let emulator = started();
    emulator.inject(Fault::on(Operation::Single, Action::RefuseChunked).first(2));
    let server = &emulator.servers()[0];
    assert_eq!(single("f", b"x").send(server).code(), 0);
    assert_eq!(single("g", b"x").chunked().send(server).status, 411);
    assert_eq!(single("h", b"x").chunked().send(server).code(), 0);
}

#[test]
fn tokens_and_uploads_go_at_a_call() {
    let emulator = started();
    let content = bytes(5);
    let id = preupload_id(&create(&emulator, "f", &content));
    emulator.inject(Fault::on(Operation::Slice, Action::ForgetUploads).nth(2));
    emulator.inject(Fault::on(Operation::Domain, Action::ExpireTokens).nth(2));
    let server = &emulator.servers()[0];
    assert_eq!(slice(&id, 1, &content).send(server).code(), 0);
    slice(&id, 1, &content).send(server).refused("preuploadID");
    let codes = [(); 3].map(|()| domain(&emulator).code());
    assert_eq!(codes, [0, 401, 401]);
}

#[test]
fn a_server_dies_at_a_call_and_comes_back() {
    let emulator = started();
    emulator.inject(Fault::on(Operation::Domain, Action::Kill { server: 1 }).nth(1));
    emulator.inject(Fault::on(Operation::Domain, Action::Revive { server: 1 }).nth(2));
    let servers = emulator.servers();
    assert_eq!(domain(&emulator).code(), 0);
    // The order was given before the answer; it is carried out at about the same time.
    while Wire::open(&servers[1]).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(single("f", b"x").send(&servers[0]).code(), 0);
    assert_eq!(domain(&emulator).code(), 0);
    while Wire::open(&servers[1]).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(single("g", b"x").send(&servers[1]).code(), 0);
}

#[test]
fn scripts_come_over_http() {
    let emulator = started();
    let script = json!({
        "faults": [{"operation": "domain", "when": {"nth": 2}, "action": {"http": {"status": 500}}}],
        "network": [{"place": {"server": 0}, "latency_ms": 1}, {"place": "api", "jitter_ms": 1}],
        "limits": {"refuse_chunked": true, "rates": {"create": {"per_second": 0.001}}},
    });
    let parsed: Script = serde_json::from_value(script.clone()).unwrap();
    assert_eq!((parsed.faults.len(), parsed.network.len()), (1, 2));
    let older = json!({"weather": [{"place": "api", "jitter_ms": 1}]});
    let older: Script = serde_json::from_value(older).unwrap();
    assert_eq!(older.network, parsed.network[1..], "scripts that are kept");
    let control = |method, body: &str| {
        let ask = Ask::to(method, "/_emulator/faults").header("Authorization", "");
        ask.body(body.into()).send(&emulator.api()).status
    };
    assert_eq!(control("POST", &script.to_string()), 200);
    assert_eq!(control("POST", "{\"fault\": []}"), 400);
    let statuses = [(); 2].map(|()| domain(&emulator).status);
    assert_eq!(statuses, [200, 500]);
    let codes = ["f", "g"].map(|name| create(&emulator, name, b"x").code());
    assert_eq!(codes, [0, 429]);
    let chunked = single("h", b"x").chunked().send(&emulator.servers()[0]);
    assert_eq!(chunked.status, 411);

    let stats = Ask::to("GET", "/_emulator/stats")
        .send(&emulator.api())
        .json();
    assert_eq!(stats["operations"]["domain"]["calls"], 2);
    assert_eq!(stats["operations"]["domain"]["faulted"], 1);
    assert_eq!(stats["calls"][0]["operation"], "domain");
    assert_eq!(stats["calls"][0]["http"], "http1");
    assert_eq!(stats["statuses"]["500"], 1);
    let files = Ask::to("GET", "/_emulator/files")
        .send(&emulator.api())
        .json();
    assert_eq!(files, json!([]));

    emulator.inject(Fault::on(Operation::Domain, Action::status(500)));
    assert_eq!(control("DELETE", ""), 200);
    assert_eq!(domain(&emulator).status, 200);
}
