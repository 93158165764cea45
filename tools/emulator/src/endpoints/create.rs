//! `create`. In comes the description of a file, out goes the finished file where its content is
//! known, or else a preuploadID, the slice size and the servers.

use std::sync::Arc;

use serde_json::json;

use super::Context;
use super::fields::Fields;
use super::file_request::FileRequest;
use crate::config::Reuse;
use crate::reply::{CallResult, Done, Failure};
use crate::uploads::{PlannedFile, Upload, UploadSettings};

pub(super) async fn serve(context: &mut Context, fields: Fields) -> CallResult {
    let request = FileRequest::read(fields, LARGEST)?;
    let planned = PlannedFile {
        folder: context.ensure_folder(request.parent, &request.folders)?,
        name: request.name,
        content: request.content,
        duplicate: request.duplicate,
    };
    context.state.storage.check_name(&planned)?;
    if let Some(queue) = context.queue.take() {
        return Err(queue.by_content(Arc::clone(&context.state), planned).into());
    }
    if let Some(id) = reused(context, &planned).await? {
        return Ok(Done {
            data: json!({"fileID": id, "reuse": true}),
            reused: true,
        });
    }
    begin(context, planned)
}

async fn reused(context: &Context, planned: &PlannedFile) -> Result<Option<i64>, Failure> {
    let how = context.state.config.quirks.reuse;
    if how == Reuse::Never {
        return Ok(None);
    }
    let (state, planned) = (Arc::clone(&context.state), planned.clone());
    let reuse = tokio::task::spawn_blocking(move || state.storage.reuse(&planned));
    let id = reuse.await.map_err(std::io::Error::other)??;
    Ok(id.map(|id| if how == Reuse::WithoutId { 0 } else { id }))
}

fn begin(context: &mut Context, planned: PlannedFile) -> CallResult {
    let state = &context.state;
    let settings = UploadSettings {
        slice_size: state.config.slice_size,
        polls: state.config.polls,
        verify: state.config.verify,
    };
    let upload = Upload::new(planned, state.storage.spool()?, settings);
    let id = state.uploads.begin(upload);
    context.record.call.preupload_id = Some(Arc::clone(&id));
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
