//! A server that answers each path with a text and keeps what it was asked. It knows nothing of the
//! service, so that what the client says is judged by the test and nobody else.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Such as `POST /upload/v2/file/create`.
    pub call: String,
    /// Header values by lower-case name.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The server; it answers for as long as the test's process lives.
pub struct Canned {
    /// Such as `http://127.0.0.1:40001`.
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Canned {
    /// A server whose answers are those of `answers`, which is told the server's own address.
    pub fn start(answers: impl Fn(&str) -> Vec<(&'static str, String)>) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let answers: Arc<HashMap<&str, String>> = Arc::new(answers(&url).into_iter().collect());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, kept) = (Arc::clone(&answers), Arc::clone(&kept));
                std::thread::spawn(move || converse(stream, &answers, &kept));
            }
        });
        Canned { url, seen }
    }

    /// The requests so far, in their order.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no test panics in it").clone()
    }

    /// The only request of `call`.
    pub fn only(&self, call: &str) -> Request {
        let mut of_call: Vec<Request> = self.seen();
        of_call.retain(|request| request.call == call);
        assert_eq!(of_call.len(), 1, "{call}");
        of_call.remove(0)
    }
}

fn converse(stream: TcpStream, answers: &HashMap<&str, String>, kept: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let path = request.call.split(' ').nth(1).unwrap_or_default();
        let body = answers.get(path).map_or("{}", String::as_str);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        kept.lock().expect("no test panics in it").push(request);
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let call = line.trim_end().strip_suffix(" HTTP/1.1")?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or("0", String::as_str);
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        call,
        headers,
        body,
    })
}
