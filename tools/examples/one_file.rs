//! One file, to its end.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use panup::{Client, Credential, Item, Options, Secret};
use panup_emulator::{Config, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config::default())?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    let client = Client::new(options)?;
    let item = Item::new("Cargo.toml").to(0, "backup/2026/Cargo.toml");
    let outcome = client.upload(item).await?;
    println!(
        "{} {}: file id {:?}",
        outcome.status.name(),
        outcome.remote,
        outcome.status.file_id()
    );
    Ok(())
}
