//! The emulator in one's own tests: the service on real sockets, in this process, with faults on order.
#![allow(clippy::print_stdout)] // it is a program

use panup::{Client, Credential, Item, Options, Secret};
use panup_emulator::{Action, Config, Cut, Emulator, Fault, Operation};

/// What is to be tested: it is given options, so that a test can give it other ones.
async fn back_up(options: Options) -> panup::Result<i64> {
    let client = Client::new(options)?;
    let item = Item::bytes("", vec![7; 40 << 20]).to(0, "backup/today");
    let outcome = client.upload(item).await?;
    Ok(outcome.status.file_id().unwrap_or_default())
}

/// In a test file this is a `#[tokio::test]`.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emulator = Emulator::start(Config::default())?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    // The second slice is cut off after 4 KiB: it has to be sent again.
    emulator.inject(Fault::on(Operation::Slice, Action::Close(Cut::After(4096))).nth(2));
    let id = back_up(options).await?;

    let (stats, files) = (emulator.stats(), emulator.files());
    assert_eq!((files.len(), files[0].file_id), (1, id));
    assert_eq!(files[0].path, "backup/today");
    assert_eq!(
        stats.of(Operation::Slice).calls,
        4,
        "three slices, one twice"
    );
    println!(
        "{} is there after {} slices",
        files[0].path,
        stats.of(Operation::Slice).calls
    );
    Ok(())
}
