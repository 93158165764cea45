//! The control page, which the real service does not have. In come requests below [`PREFIX`] on
//! the API base, out go statistics and files as JSON, and scripts are applied; these calls need
//! no token and are not counted.

use std::sync::Arc;

use hyper::Method;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call_log::BytesRead;
use crate::change::Change;
use crate::reply::Reply;
use crate::request_body::RequestBody;
use crate::state::{Script, State, lock};

/// `GET` stats, files and trash, `POST` faults (a script) and files (changes), `DELETE` faults.
pub(crate) async fn answer(state: &Arc<State>, head: &Parts, incoming: Incoming) -> Reply {
    let what = &head.uri.path()[PREFIX.len()..];
    match (&head.method, what) {
        (&Method::GET, "stats") => json(&state.call_log.snapshot()),
        (&Method::GET, "files") => json(&state.storage.files()),
        (&Method::GET, "trash") => json(&state.storage.files_in_trash()),
        (&Method::POST, "files") => match change(state, incoming).await {
            Ok(()) => json(&"changed"),
            Err(error) => Reply::control(400, error.into_bytes()),
        },
        (&Method::DELETE, "faults") => {
            lock(&state.faults).clear();
            json(&"cleared")
        }
        (&Method::POST, "faults") => match read::<Script>(incoming).await {
            Ok(script) => {
                state.apply(script);
                json(&"applied")
            }
            Err(error) => Reply::control(400, error.into_bytes()),
        },
        _ => Reply::control(404, b"stats, files, trash and faults are here".to_vec()),
    }
}

/// Makes all changes of an array, in its order, up to the first that cannot be made.
async fn change(state: &Arc<State>, incoming: Incoming) -> Result<(), String> {
    let changes: Vec<Change> = read(incoming).await?;
    let state = Arc::clone(state);
    let make = move || {
        changes
            .iter()
            .try_for_each(|change| change.make(&state.storage))
    };
    let made = tokio::task::spawn_blocking(make).await;
    made.map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| error.to_string())
}

async fn read<T: DeserializeOwned>(incoming: Incoming) -> Result<T, String> {
    let mut body = RequestBody::new(incoming, BytesRead::default());
    let bytes = body
        .small()
        .await
        .map_err(|trouble| format!("{trouble:?}"))?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

fn json(value: &impl Serialize) -> Reply {
    match serde_json::to_vec_pretty(value) {
        Ok(text) => Reply::control(200, text),
        Err(error) => Reply::control(500, error.to_string().into_bytes()),
    }
}

/// Nothing of the service begins like this.
pub(crate) const PREFIX: &str = "/_emulator/";
