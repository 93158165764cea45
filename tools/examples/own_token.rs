//! Tokens from wherever the caller keeps them, fetched when they are needed.
#![allow(clippy::print_stdout)] // it is a program

use std::time::{Duration, SystemTime};

use panup::{
    Client, Credential, Error, Item, Kind, Operation, Options, Secret, Token, TokenSource,
};
use panup_emulator::{Config, Emulator};

/// What asks a vault, a sidecar or a queue.
async fn ask_the_vault(token: &str) -> Result<String, std::io::Error> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(token.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config::default())?;
    let in_the_vault = emulator.token().to_owned();

    // Asked once for all tasks: when no token is there, when it is about to end, when it was refused.
    let source = TokenSource::new(move |request| {
        let in_the_vault = in_the_vault.clone();
        async move {
            if request.refused.is_some() {
                println!("the last token was refused");
            }
            let token = ask_the_vault(&in_the_vault).await.map_err(|error| {
                Error::new(Kind::Auth, Operation::Login, format!("the vault: {error}"))
            })?;
            let end = SystemTime::now() + Duration::from_secs(3600);
            Ok(Token::new(Secret::new(&token)).until(end))
        }
    });
    // With `shared_as` and `Options::state_dir` all processes of this machine share its tokens.
    let source = source
        .within(Duration::from_secs(10))
        .shared_as("vault/backup");

    let state = tempfile::tempdir()?;
    let mut options = Options::new(Credential::Source(source));
    options.api = emulator.api();
    options.state_dir = Some(state.path().join("panup"));
    options.account = Some("backup".to_owned());
    let client = Client::new(options)?;
    let outcome = client.upload(Item::bytes("notes.txt", "contents")).await?;
    println!("{} {}", outcome.status.name(), outcome.remote);
    Ok(())
}
