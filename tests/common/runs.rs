//! Runs of the library: started, followed to their end, and what came of them.

use std::time::{Duration, Instant};

use panup::{Client, Error, Event, Item, Options, Outcome, Run, Status};

/// Uploads `items` in one run; every file's outcome, in the order in which they ended.
pub async fn upload(client: &Client, items: impl IntoIterator<Item = Item>) -> Vec<Outcome> {
    let items: Vec<Item> = items.into_iter().collect();
    outcomes(client.start(items).expect("threads")).await
}

/// Follows a run to its end.
pub async fn outcomes(mut run: Run) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while let Some(event) = run.next().await {
        if let Event::File(outcome) = event {
            outcomes.push(outcome);
        }
    }
    outcomes
}

/// Follows a run to its end, with what it warned of.
pub async fn outcomes_and_warnings(mut run: Run) -> (Vec<Outcome>, Vec<Error>) {
    let (mut outcomes, mut warnings) = (Vec::new(), Vec::new());
    while let Some(event) = run.next().await {
        match event {
            Event::File(outcome) => outcomes.push(outcome),
            Event::Warning(warning) => warnings.push(warning.error),
            _ => {}
        }
    }
    (outcomes, warnings)
}

/// Uploads `items` in one run, from outside any runtime. A run that is not over after `limit`
/// hangs, which is a failure of its own.
pub fn run_within(limit: Duration, client: &Client, items: Vec<Item>) -> Vec<Outcome> {
    within(limit, async {
        outcomes(client.start(items).expect("threads")).await
    })
}

/// Runs `work` to its end on two threads of its own, and fails where that takes longer.
pub fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async { tokio::time::timeout(limit, work).await });
    ended.expect("it hangs")
}

/// The error of a file that was meant to fail, or to be interrupted.
pub fn failure(outcome: &Outcome) -> &Error {
    let Some(error) = outcome.status.error() else {
        panic!("{} did not fail: {outcome:?}", outcome.path.display());
    };
    error
}

/// Uploads `items` with `options`; every one must arrive.
pub async fn upload_all(options: Options, items: impl IntoIterator<Item = Item>) -> Vec<Outcome> {
    let client = Client::new(options).expect("options that make sense");
    let outcomes = upload(&client, items).await;
    for outcome in &outcomes {
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
    }
    outcomes
}

/// Polls until it is so; not for ever.
pub fn wait(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
