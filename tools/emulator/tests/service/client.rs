//! A client by hand: HTTP/1.1 over a plain socket, as little of it as the tests need.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use md5::{Digest, Md5};
use panup_emulator::Emulator;
use serde_json::{Value, json};

/// A request that can still be spoilt.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) chunked: bool,
}

impl Ask {
    /// A request with all that every call needs.
    pub(crate) fn to(method: &'static str, path: &str) -> Self {
        let headers = [
            ("Host", "emulator"),
            ("Authorization", "Bearer emulator-token"),
            ("Platform", "open_platform"),
        ];
        Self {
            method,
            path: path.to_owned(),
            headers: headers.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            body: Vec::new(),
            chunked: false,
        }
    }

    pub(crate) fn json(path: &str, body: &Value) -> Self {
        let ask = Self::to("POST", path).body(body.to_string().into_bytes());
        ask.header("Content-Type", "application/json")
    }

    pub(crate) fn form(path: &str, parts: &[Part]) -> Self {
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
            body.extend_from_slice(part.head.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(&part.body);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        Self::to("POST", path)
            .body(body)
            .header("Content-Type", &kind)
    }

    /// Sets a header in place of what it was; an empty value leaves it out.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        if self.chunked {
            bytes += "Transfer-Encoding: chunked\r\n\r\n";
            let mut bytes = bytes.into_bytes();
            for chunk in self.body.chunks(1000) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            return bytes;
        }
        bytes += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        [bytes.as_bytes(), &self.body].concat()
    }

    /// Sends it on a connection of its own.
    pub(crate) fn send(&self, base: &str) -> Answer {
        self.try_send(base).expect("an answer")
    }

    pub(crate) fn try_send(&self, base: &str) -> io::Result<Answer> {
        Wire::open(base)?.ask(self)
    }
}

/// One part of a form.
pub(crate) struct Part {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn text(name: &str, value: impl ToString) -> Part {
    Part {
        head: format!("Content-Disposition: form-data; name=\"{name}\""),
        body: value.to_string().into_bytes(),
    }
}

pub(crate) fn file(name: &str, bytes: &[u8]) -> Part {
    Part {
        head: format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"blob\"\r\n\
             Content-Type: application/octet-stream"
        ),
        body: bytes.to_vec(),
    }
}

/// Whether a read or a write ended by its time; systems say it in two ways.
pub(crate) fn ran_out_of_patience(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// One connection.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) fn open(base: &str) -> io::Result<Self> {
        let address = base.strip_prefix("http://").expect("a plain address");
        let stream = TcpStream::connect(address)?;
        // A test that hangs shall fail, not hang.
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(stream))
    }

    pub(crate) fn ask(&mut self, ask: &Ask) -> io::Result<Answer> {
        // The other side may answer and close before it has read everything.
        let sent = self.0.write_all(&ask.bytes());
        match self.answer() {
            Err(error) => Err(sent.err().unwrap_or(error)),
            answer => answer,
        }
    }

    /// Reads one answer, which has a `Content-Length` as all of the emulator's have.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head is text");
        let status = head[9..12].parse().expect("a status");
        let mut answer = Answer {
            status,
            head: head.to_lowercase(),
            body: Vec::new(),
        };
        let length = answer.header("content-length").expect("a length");
        answer.body = vec![0; length.parse().expect("a number")];
        self.0.read_exact(&mut answer.body)?;
        Ok(answer)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn code(&self) -> i64 {
        self.json()["code"].as_i64().expect("a code")
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .expect("a message")
            .to_owned()
    }

    pub(crate) fn data(&self) -> Value {
        let answer = self.json();
        assert_eq!(answer["code"], 0, "{answer}");
        answer["data"].clone()
    }

    /// Refused under HTTP 200 with code 1 and a message that has these words.
    #[track_caller]
    pub(crate) fn refused(&self, words: &str) {
        assert_eq!(self.status, 200, "{self:?}");
        let (code, message) = (self.code(), self.message());
        assert_eq!(code, 1, "{message}");
        assert!(message.contains(words), "{message:?} without {words:?}");
    }
}

pub(crate) fn md5(bytes: &[u8]) -> String {
    let sum = Md5::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let scrambled = |n: usize| (n.wrapping_mul(0x9E37_79B9) >> 13) as u8;
    (0..length).map(scrambled).collect()
}

pub(crate) fn create_body(name: &str, content: &[u8]) -> Value {
    json!({
        "parentFileID": 0,
        "filename": name,
        "etag": md5(content),
        "size": content.len(),
    })
}

pub(crate) fn create(emulator: &Emulator, name: &str, content: &[u8]) -> Answer {
    Ask::json(CREATE, &create_body(name, content)).send(&emulator.api())
}

pub(crate) fn preupload_id(answer: &Answer) -> String {
    let data = answer.data();
    data["preuploadID"].as_str().expect("an id").to_owned()
}

pub(crate) fn slice(id: &str, no: u64, content: &[u8]) -> Ask {
    let parts = [
        text("preuploadID", id),
        text("sliceNo", no),
        text("sliceMD5", md5(content)),
        file("slice", content),
    ];
    Ask::form(SLICE, &parts)
}

pub(crate) fn complete(id: &str) -> Ask {
    Ask::json(COMPLETE, &json!({"preuploadID": id}))
}

/// Asks until it is no longer pending.
pub(crate) fn completed(emulator: &Emulator, id: &str) -> Answer {
    loop {
        let answer = complete(id).send(&emulator.api());
        let pending = answer.code() == 20103 || answer.json()["data"]["completed"] == false;
        if !pending {
            return answer;
        }
    }
}

pub(crate) fn single_parts(name: &str, content: &[u8]) -> Vec<Part> {
    vec![
        text("parentFileID", 0),
        text("filename", name),
        text("etag", md5(content)),
        text("size", content.len()),
        file("file", content),
    ]
}

pub(crate) fn single(name: &str, content: &[u8]) -> Ask {
    Ask::form(SINGLE, &single_parts(name, content))
}

/// Uploads a file in slices, in order, to the servers in turn.
pub(crate) fn upload(emulator: &Emulator, name: &str, content: &[u8], slice_size: usize) -> Answer {
    let id = preupload_id(&create(emulator, name, content));
    let servers = emulator.servers();
    for (at, piece) in content.chunks(slice_size).enumerate() {
        let answer = slice(&id, at as u64 + 1, piece).send(&servers[at % servers.len()]);
        assert_eq!(answer.data(), Value::Null);
    }
    completed(emulator, &id)
}

pub(crate) const BOUNDARY: &str = "a.boundary_of-the'tests";
pub(crate) const CREATE: &str = "/upload/v2/file/create";
pub(crate) const SLICE: &str = "/upload/v2/file/slice";
pub(crate) const COMPLETE: &str = "/upload/v2/file/upload_complete";
pub(crate) const DOMAIN: &str = "/upload/v2/file/domain";
pub(crate) const SINGLE: &str = "/upload/v2/file/single/create";
pub(crate) const TOKEN: &str = "/api/v1/access_token";
