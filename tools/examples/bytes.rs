//! Bytes in memory, as a file: they are hashed and sent from where they are.
#![allow(clippy::print_stdout)] // it is a program

use panup::{Client, Credential, Item, Options, Secret};
use panup_emulator::{Config, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config::default())?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    let client = Client::new(options)?;
    let report = (1..=100_000).map(|n| format!("{n}\n")).collect::<String>();
    let item = Item::bytes("numbers.txt", report).to(0, "reports/2026/numbers.txt");
    let outcome = client.upload(item).await?;
    println!(
        "{} {}: {} bytes, file id {:?}",
        outcome.status.name(),
        outcome.remote,
        outcome.size,
        outcome.status.file_id()
    );
    Ok(())
}
