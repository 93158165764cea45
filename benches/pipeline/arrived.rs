//! What arrived, from the emulator's own statistics: what sockets took on this side would be the
//! kernel's buffers as well, which swallow a hundred megabytes of a slow link at once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Body bytes that the upload servers of the emulator at `api` have read so far.
pub fn bytes(api: &str) -> u64 {
    let address = api.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the emulator is there");
    write!(
        stream,
        "GET /_emulator/stats HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("answered");
    let json = page.split_once("\r\n\r\n").expect("a body").1;
    let stats: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let places = stats["places"].as_array().expect("places");
    let servers = places.iter().skip(1);
    servers
        .map(|place| place["body_bytes"].as_u64().expect("a number"))
        .sum()
}
