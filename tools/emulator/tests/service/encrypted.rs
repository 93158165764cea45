//! TLS, ALPN and HTTP/2, by hyper's client: the raw one cannot.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use panup_emulator::{Action, Config, Emulator, Fault, Http, Limits, Operation, Tls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Ask, DOMAIN, single};

async fn connect(
    emulator: &Emulator,
    base: &str,
    name: &str,
    alpn: &[&[u8]],
) -> TlsStream<TcpStream> {
    let pem = emulator.ca_pem().expect("TLS has a CA");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let port = base.rsplit_once(':').unwrap().1.parse().unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap()
}

fn chosen(stream: &TlsStream<TcpStream>) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

fn request(ask: &Ask, base: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(ask.method)
        .uri(format!("{base}{}", ask.path));
    for (name, value) in &ask.headers {
        if name != "Host" {
            request = request.header(name, value);
        }
    }
    request.body(Full::new(ask.body.clone().into())).unwrap()
}

fn start(tls: Tls, limits: Limits) -> Emulator {
    let config = Config {
        tls,
        limits,
        h2_streams: 4,
        ..Config::default()
    };
    Emulator::start(config).unwrap()
}

#[tokio::test]
async fn alpn_offers_what_is_configured_under_both_names() {
    let offers: [&[u8]; 2] = [b"h2", b"http/1.1"];
    for (tls, wanted) in [(Tls::Both, &b"h2"[..]), (Tls::Http1, b"http/1.1")] {
        let emulator = start(tls, Limits::default());
        assert!(emulator.api().starts_with("https://localhost:"));
        for name in ["localhost", "127.0.0.1"] {
            let stream = connect(&emulator, &emulator.api(), name, &offers).await;
            assert_eq!(chosen(&stream), Some(wanted));
        }
    }
    assert_eq!(start(Tls::Off, Limits::default()).ca_pem(), None);
}

#[tokio::test]
async fn http1_inside_of_tls() {
    let emulator = start(Tls::Both, Limits::default());
    let server = &emulator.servers()[0];
    let stream = connect(&emulator, server, "localhost", &[b"http/1.1"]).await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = single("f", b"x").header("Host", "");
    let mut request = request(&ask, "");
    request
        .headers_mut()
        .insert("host", "localhost".parse().unwrap());
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(emulator.files().len(), 1);
    assert_eq!(emulator.stats().versions.get(&Http::Http1), Some(&1));
}

#[tokio::test]
async fn http2_carries_streams_side_by_side_on_one_connection() {
    let emulator = start(Tls::Both, Limits::default());
    let server = emulator.servers()[1].clone();
    let stream = connect(&emulator, &server, "localhost", &[b"h2"]).await;
    // Until it has seen the server's settings a client guesses, and refused streams are its price.
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_max_send_streams(1)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let content = crate::client::bytes(3 << 20);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..8 {
        let request = request(&single(&format!("f{n}"), &content), &server);
        let mut sender = sender.clone();
        calls.spawn(async move { sender.send_request(request).await });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.len(), 8);
    for answer in answers {
        let body = answer
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], 0, "{body}");
    }
    assert_eq!(emulator.files().len(), 8);
    let stats = emulator.stats();
    assert_eq!(stats.server(1).connections, 1);
    assert_eq!(stats.versions.get(&Http::Http2), Some(&8));
    assert!(stats.of(Operation::Single).peak <= 4, "{stats:?}");
}

#[tokio::test]
async fn http2_is_told_to_go_away_and_streams_are_reset() {
    let limits = Limits {
        calls_per_connection: Some(3),
        ..Limits::default()
    };
    let emulator = start(Tls::Both, limits);
    emulator.inject(Fault::on(Operation::Domain, Action::Reset).nth(2));
    let api = emulator.api();
    let stream = connect(&emulator, &api, "localhost", &[b"h2"]).await;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let conversation = tokio::spawn(connection);
    let ask = Ask::to("GET", DOMAIN);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = sender.send_request(request(&ask, &api)).await;
        statuses.push(answer.ok().map(|answer| answer.status().as_u16()));
    }
    assert_eq!(statuses, [Some(200), None, Some(200), Some(200)]);
    let ended = tokio::time::timeout(Duration::from_secs(10), conversation).await;
    ended.expect("GOAWAY ends the connection").unwrap().unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn http2_connections_are_cut_with_all_their_streams() {
    use panup_emulator::Cut;

    let emulator = start(Tls::Both, Limits::default());
    emulator.inject(Fault::on(Operation::Domain, Action::Close(Cut::AfterBody)).nth(2));
    let api = emulator.api();
    let stream = connect(&emulator, &api, "localhost", &[b"h2"]).await;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let conversation = tokio::spawn(connection);
    let ask = Ask::to("GET", DOMAIN);
    assert!(sender.send_request(request(&ask, &api)).await.is_ok());
    assert!(sender.send_request(request(&ask, &api)).await.is_err());
    let ended = tokio::time::timeout(Duration::from_secs(10), conversation).await;
    let _ = ended.expect("the connection is gone");
    assert!(sender.is_closed());
}
