//! The control page, which the real service does not have. In come requests below [`PREFIX`] on
//! the API base, out go statistics and files as JSON, and scripts are applied; these calls need
//! no token and are not counted.

use hyper::Method;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde::Serialize;

use crate::call_log::BytesRead;
use crate::reply::Reply;
use crate::request_body::RequestBody;
use crate::state::{Script, State, lock};

/// `GET` stats, `GET` files, `POST` faults (a script), `DELETE` faults.
pub(crate) async fn answer(state: &State, head: &Parts, incoming: Incoming) -> Reply {
    let what = &head.uri.path()[PREFIX.len()..];
    match (&head.method, what) {
        (&Method::GET, "stats") => json(&state.call_log.snapshot()),
        (&Method::GET, "files") => json(&state.storage.files()),
        (&Method::DELETE, "faults") => {
            lock(&state.faults).clear();
            json(&"cleared")
        }
        (&Method::POST, "faults") => match script(incoming).await {
            Ok(script) => {
                state.apply(script);
                json(&"applied")
            }
            Err(error) => Reply::control(400, error.into_bytes()),
        },
        _ => Reply::control(404, b"stats, files and faults are here".to_vec()),
    }
}

async fn script(incoming: Incoming) -> Result<Script, String> {
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
