//! Many files from an iterator: their steps and their sum as they come, one file of its own with a handle, and
//! Ctrl-C, which lets land what is in flight.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Duration;

use panup::{Client, Credential, Event, Item, Options, Run, Secret, Step};
use panup_emulator::{Config, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config::default())?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    let client = Client::new(options)?;
    let run = client.start((0..200).map(numbered))?;
    // While it goes: one more, before all that wait, with an end of its own to wait for.
    let mut first = Item::new("Cargo.toml").to(0, "list/Cargo.toml");
    first.priority = 1;
    let handle = run.add(first)?;
    let told = tokio::spawn(async move { handle.await.status.name() });
    follow(run).await;
    println!("the one with a handle: {}", told.await?);
    Ok(())
}

fn numbered(number: usize) -> Item {
    let mut item = Item::bytes("number", format!("{number}")).to(0, format!("list/{number}"));
    item.tag = Some(format!("number {number}").into());
    item
}

async fn follow(mut run: Run) {
    run.tell_steps();
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            event = run.next() => match event {
                Some(Event::File(file)) => if let Some(error) = file.status.error() {
                    eprintln!("{}: {error} ({:?})", file.tag.unwrap_or_default(), error.kind());
                },
                Some(Event::Step(file)) if file.step == Step::Verifying => {
                    println!("{} is verified", file.path.display());
                }
                Some(_) => {}
                None => break,
            },
            _ = beat.tick() => {
                let now = run.snapshot();
                println!("{} of {} files, {} bytes acknowledged", now.files_done, now.files, now.acked);
            }
            _ = tokio::signal::ctrl_c() => run.interrupt(),
        }
    }
    let end = run.summary();
    println!(
        "{} uploaded, {} failed, {:?}",
        end.uploaded, end.failed, end.elapsed
    );
}
