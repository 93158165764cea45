//! `create`. In comes a file that somebody wants to store, out goes the finished file where its
//! content is known, or else a preuploadID, the slice size and the servers.

use std::sync::Arc;

use serde_json::json;

use super::Errand;
use super::fields::Fields;
use super::order::Order;
use crate::config::Reuse;
use crate::reply::{Done, Judged, Trouble};
use crate::uploads::{Promise, Terms};

pub(super) async fn judge(errand: &mut Errand, fields: Fields) -> Judged {
    let order = Order::read(fields, LARGEST)?;
    let promise = Promise {
        folder: errand.land(order.parent, &order.folders)?,
        name: order.name,
        content: order.content,
        duplicate: order.duplicate,
    };
    errand.state.storage.check_name(&promise)?;
    if let Some(queue) = errand.queue.take() {
        return Err(queue.instantly(Arc::clone(&errand.state), promise).into());
    }
    if let Some(id) = reused(errand, &promise).await? {
        return Ok(Done {
            data: json!({"fileID": id, "reuse": true}),
            reused: true,
        });
    }
    begin(errand, promise)
}

async fn reused(errand: &Errand, promise: &Promise) -> Result<Option<i64>, Trouble> {
    let how = errand.state.config.quirks.reuse;
    if how == Reuse::Never {
        return Ok(None);
    }
    let (state, promise) = (Arc::clone(&errand.state), promise.clone());
    let reuse = tokio::task::spawn_blocking(move || state.storage.reuse(&promise));
    let id = reuse.await.map_err(std::io::Error::other)??;
    Ok(id.map(|id| if how == Reuse::WithoutId { 0 } else { id }))
}

fn begin(errand: &mut Errand, promise: Promise) -> Judged {
    let state = &errand.state;
    let terms = Terms {
        slice_size: state.config.slice_size,
        polls: state.config.polls,
        verify: state.config.verify,
    };
    let id = state.storage.begin(promise, terms)?;
    errand.visit.call.preupload_id = Some(Arc::clone(&id));
    Ok(Done::with(json!({
        "fileID": 0,
        "reuse": false,
        "preuploadID": *id,
        "sliceSize": state.config.slice_size,
        "servers": state.servers,
    })))
}

/// "10 GB", read as binary: what lies between the two readings is accepted.
const LARGEST: u64 = 10 << 30;
