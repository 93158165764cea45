//! `--metrics`: what Prometheus reads while a run goes on.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use panup_emulator::{Action, Fault, Operation};

use crate::common::program::{Finished, QUICK, finish, plain, upload};
use crate::common::{SLICE, Scene, wait};

#[test]
fn counters_are_there_while_a_run_goes_on_and_only_grow() {
    let scene = Scene::small();
    scene.file("large", 12 * SLICE);
    scene.file("small", 100);
    // The large one is under way for as long as the test looks.
    let verifying = Action::Code {
        code: 20103,
        message: "文件正在校验中,请间隔1秒后再试".to_owned(),
    };
    scene
        .emulator
        .inject(Fault::on(Operation::Complete, verifying));
    let (child, address) = start(&scene);
    let mut first = Samples::new();
    wait("something was sent", || {
        first = parsed(&body(&get(&address, "GET /metrics HTTP/1.1")));
        value(&first, "panup_calls_total{call=\"slice\",outcome=\"ok\"}") >= 1.0
            && value(&first, "panup_files_total{status=\"uploaded\"}") >= 1.0
    });
    assert_eq!(value(&first, "panup_files_queued"), 1.0);
    assert_eq!(
        value(&first, "panup_bytes_listed"),
        (12 * SLICE + 100) as f64
    );
    assert!(value(&first, "panup_permits") >= 1.0);
    assert!(scene.emulator.servers().iter().any(|server| {
        let series = format!("panup_server_bytes_sent_total{{server=\"{server}\"}}");
        value(&first, &series) >= SLICE as f64
    }));
    let then = parsed(&body(&get(&address, "GET /metrics HTTP/1.0")));
    for (series, earlier) in first.iter().filter(|(series, _)| series.contains("_total")) {
        assert!(then[series] >= *earlier, "{series} went back");
    }
    assert!(get(&address, "GET /secret HTTP/1.1").starts_with("HTTP/1.1 404"));
    assert!(get(&address, "POST /metrics HTTP/1.1").starts_with("HTTP/1.1 405"));
    // One that says nothing keeps nobody waiting.
    let _silent = TcpStream::connect(&address).expect("there");
    scene.emulator.clear_faults();
    let finished = Finished::from(child.wait_with_output().expect("ours")).exit(0);
    assert_eq!(
        finished.events().last().expect("a summary")["event"],
        "summary"
    );
    assert_eq!(scene.emulator.files().len(), 2);
}

#[test]
fn an_address_that_others_reach_is_typed_in_full_and_warned_of() {
    let scene = Scene::small();
    scene.file("f", 10);
    let open = finish(upload(&scene).args(["--metrics", "0.0.0.0:0", "f"])).exit(0);
    assert!(
        open.stderr.contains("whoever reaches this address"),
        "{open:?}"
    );
    let own = finish(upload(&scene).args(["--metrics", "0", "f"])).exit(0);
    assert!(own.stderr.contains("http://127.0.0.1:"), "{own:?}");
    assert!(!own.stderr.contains("whoever"), "{own:?}");
    finish(upload(&scene).args(["--metrics", "everywhere", "f"])).exit(2);
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("bound").to_string();
    finish(upload(&scene).args(["--metrics", &taken, "f"])).exit(2);
}

fn start(scene: &Scene) -> (Child, String) {
    let mut command = plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api(), "--json"]);
    command
        .args(QUICK)
        .args(["--single-max=64K", "--concurrency=2"]);
    command.args(["--metrics", "0", "small", "large"]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a binary");
    let mut line = String::new();
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    errors.read_line(&mut line).expect("told");
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    (child, address.expect("an address").to_owned())
}

fn get(address: &str, line: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("there");
    write!(
        socket,
        "{line}\r\nhost: {address}\r\ncontent-length: 0\r\n\r\n"
    )
    .expect("taken");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    answer
}

fn body(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

type Samples = BTreeMap<String, f64>;

#[track_caller]
fn value(samples: &Samples, series: &str) -> f64 {
    samples.get(series).copied().unwrap_or_default()
}

/// The exposition format, strictly: each family once, in one piece, with help and type before it; names and
/// labels as the conventions want them; no series twice.
#[track_caller]
fn parsed(text: &str) -> Samples {
    assert!(text.ends_with('\n'));
    let (mut samples, mut families) = (Samples::new(), BTreeSet::new());
    let (mut help, mut family) = (String::new(), (String::new(), String::new()));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, told) = rest.split_once(' ').expect("a text");
            assert!(
                told.ends_with('.') && families.insert(name.to_owned()),
                "{line}"
            );
            help = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, help, "help before type");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            family = (name.to_owned(), kind.to_owned());
        } else {
            let (series, number) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            assert_eq!(name, family.0, "{line}");
            let legal = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(legal(name) && name.starts_with("panup_"), "{line}");
            if let Some(labels) = series
                .strip_prefix(name)
                .filter(|labels| !labels.is_empty())
            {
                let labels = labels
                    .strip_prefix('{')
                    .and_then(|labels| labels.strip_suffix('}'));
                for label in labels.expect("in braces").split(',') {
                    let (label, quoted) = label.split_once('=').expect("a label");
                    assert!(legal(label) && quoted.len() > 2, "{line}");
                    assert!(quoted.starts_with('"') && quoted.ends_with('"'), "{line}");
                }
            }
            let number: f64 = number.parse().expect("a number");
            assert!(number.is_finite() && number >= 0.0, "{line}");
            assert!(
                samples.insert(series.to_owned(), number).is_none(),
                "{line}: twice"
            );
        }
    }
    samples
}
