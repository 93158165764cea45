//! Without tokio: one file, then many with their progress, on the thread that asks.
#![allow(clippy::print_stdout)] // it is a program

use panup::blocking::Client;
use panup::{Credential, Event, Item, Options, Secret};
use panup_emulator::{Config, Emulator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config::default())?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    let client = Client::new(options)?;
    let outcome = client.upload(Item::bytes("notes.txt", "contents"))?;
    println!("{} {}", outcome.status.name(), outcome.remote);

    let items = (0..20).map(|n| Item::bytes("", format!("{n}")).to(0, format!("many/{n}.txt")));
    let run = client.start(items)?;
    let progress = run.progress().clone();
    for event in run {
        if let Event::File(outcome) = event {
            let now = progress.snapshot();
            let done = now.files_done;
            println!("{done:>3} {} {}", outcome.status.name(), outcome.remote);
        }
    }
    Ok(())
}
