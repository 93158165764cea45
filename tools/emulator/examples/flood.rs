//! How fast the emulator takes slices: a client that only copies one slice into its sockets.
//!
//! `cargo run --release -p panup-emulator --example flood -- CONNECTIONS GIB [verify] [dir=DIR]
//! [bandwidth=BYTES_PER_SECOND]`

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use md5::{Digest, Md5};
use panup_emulator::{Config, Emulator, NetworkConditions, Operation, Place, Store};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(4);
    let named = |name| arguments.iter().find_map(|a| a.strip_prefix(name));
    let (connections, gib) = (number(0), number(1));
    let shaped = NetworkConditions {
        bandwidth: named("bandwidth=").and_then(|bytes| bytes.parse().ok()),
        ..NetworkConditions::default()
    };
    let emulator = Emulator::start(Config {
        verify: named("verify").is_some(),
        store: named("dir=").map_or(Store::Discard, |dir| Store::Dir(dir.into())),
        network: vec![(Place::Server(0), shaped)],
        servers: if shaped.bandwidth.is_some() { 1 } else { 2 },
        ..Config::default()
    })?;
    let slices = gib * (1 << 30) / SLICE as u64;
    let slice: Vec<u8> = (0..SLICE).map(|n| ((n * 31) >> 7) as u8).collect();
    let id = create(&emulator, slices * SLICE as u64)?;
    let form = Form::new(&id, &slice);
    let next = AtomicU64::new(1);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for at in 0..connections {
            let servers = emulator.servers();
            let server = servers[at as usize % servers.len()].clone();
            let (next, form, slice) = (&next, &form, &slice);
            scope.spawn(move || -> io::Result<()> {
                let mut socket = TcpStream::connect(&server["http://".len()..])?;
                loop {
                    let no = next.fetch_add(1, Ordering::Relaxed);
                    if no > slices {
                        return Ok(());
                    }
                    form.send(&mut socket, no, slice)?;
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let done = emulator.stats().of(Operation::Slice).done;
    assert_eq!(done, slices, "{:?}", emulator.stats().calls.last());
    writeln!(
        io::stdout(),
        "{connections} connections: {gib} GiB in {seconds:.2} s, {:.2} GiB/s",
        gib as f64 / seconds
    )
}

struct Form {
    head: String,
    md5: String,
}

impl Form {
    fn new(id: &str, slice: &[u8]) -> Self {
        let sum = Md5::digest(slice);
        Self {
            head: format!(
                "--b\r\nContent-Disposition: form-data; name=\"preuploadID\"\r\n\r\n{id}\r\n"
            ),
            md5: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn send(&self, socket: &mut TcpStream, no: u64, slice: &[u8]) -> io::Result<()> {
        let Self { head, md5 } = self;
        let front = format!(
            "{head}--b\r\nContent-Disposition: form-data; name=\"sliceNo\"\r\n\r\n{no}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"sliceMD5\"\r\n\r\n{md5}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"slice\"; filename=\"blob\"\r\n\r\n"
        );
        let length = front.len() + slice.len() + TAIL.len();
        write!(
            socket,
            "POST /upload/v2/file/slice HTTP/1.1\r\nHost: e\r\nPlatform: open_platform\r\n\
             Authorization: Bearer emulator-token\r\nContent-Length: {length}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n\r\n{front}"
        )?;
        socket.write_all(slice)?;
        socket.write_all(TAIL)?;
        // An answer has some 300 bytes and comes at once.
        socket.read(&mut [0; 4096]).map(drop)
    }
}

fn create(emulator: &Emulator, size: u64) -> io::Result<String> {
    let body = format!(
        r#"{{"parentFileID":0,"filename":"f","etag":"{}","size":{size}}}"#,
        "0".repeat(32)
    );
    let mut socket = TcpStream::connect(&emulator.api()["http://".len()..])?;
    write!(
        socket,
        "POST /upload/v2/file/create HTTP/1.1\r\nHost: e\r\nPlatform: open_platform\r\n\
         Authorization: Bearer emulator-token\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let id = answer
        .split("\"preuploadID\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    id.map(str::to_owned)
        .ok_or_else(|| io::Error::other(answer.clone()))
}

const SLICE: usize = 16 << 20;
const TAIL: &[u8] = b"\r\n--b--\r\n";
