//! An upload that is cut off and goes on: what was acknowledged is not sent again, by whatever process.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Duration;

use panup::{Client, Credential, Item, Options, Resume, Secret};
use panup_emulator::{Config, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config {
        slice_size: 1 << 20,
        ..Config::default()
    })?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    // Without this folder nothing is remembered.
    let folder = tempfile::tempdir()?;
    options.state_dir = Some(folder.path().to_owned());
    // Slow enough to be interrupted.
    options.limit_rate = Some(8 << 20);
    let bytes = vec![7; 16 << 20];

    let client = Client::new(options.clone())?;
    let run = client.start([])?;
    let file = run.add(Item::bytes("archive", bytes.clone()))?;
    while file.now().is_none_or(|now| now.acked_slices < 4) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.interrupt();
    let first = file.await;
    println!("{}: {} bytes were sent", first.status.name(), first.sent);
    run.finish().await;
    drop(client);

    // As another process would: the same options, the same contents, the same place.
    options.limit_rate = None;
    options.resume = Resume::Everything; // as by default
    let second = Client::new(options)?
        .upload(Item::bytes("archive", bytes))
        .await?;
    println!(
        "{}: {} bytes were left to send",
        second.status.name(),
        second.sent
    );
    assert!(second.sent < second.size);
    Ok(())
}
