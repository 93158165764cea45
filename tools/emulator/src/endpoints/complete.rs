//! `upload_complete`. In comes a preuploadID, out goes that the file is still being verified, or
//! its id; asking again after the end gives the same answer.

use std::sync::Arc;

use serde_json::json;

use super::Context;
use super::fields::Fields;
use crate::config::Pending;
use crate::reply::{CallResult, Done, Refusal};
use crate::upload_table::Entry;
use crate::uploads::Completion;

pub(super) async fn serve(context: &mut Context, mut fields: Fields) -> CallResult {
    let id = fields.string("preuploadID")?;
    fields.finish()?;
    let (id, entry) = context.state.uploads.find(&id)?;
    context.record.call.preupload_id = Some(Arc::clone(&id));
    let upload = match entry {
        Entry::Done(file) => return Ok(completed(file)),
        Entry::Open(upload) => upload,
    };
    if let Some(queue) = context.queue.take() {
        upload.check_all_there()?;
        return Err(queue
            .completed(Arc::clone(&context.state), id, upload)
            .into());
    }
    match upload.complete()? {
        Completion::Pending(before) => {
            tokio::task::spawn_blocking(move || upload.hash_on());
            pending(context.state.config.pending, before)
        }
        Completion::Whole(planned, spool) => {
            let state = Arc::clone(&context.state);
            let keep = move || {
                let file = state.storage.keep(&planned, spool)?;
                state.uploads.done(&id, file);
                Ok(completed(file))
            };
            let kept = tokio::task::spawn_blocking(keep);
            kept.await.map_err(std::io::Error::other)?
        }
    }
}

fn completed(file: i64) -> Done {
    Done::with(json!({"completed": true, "fileID": file}))
}

fn pending(style: Pending, before: u32) -> CallResult {
    let verifying = match style {
        Pending::Verifying => true,
        Pending::NotCompleted => false,
        Pending::InTurn => before.is_multiple_of(2),
    };
    if verifying {
        return Err(Refusal::code(VERIFYING, "文件正在校验中,请间隔1秒后再试").into());
    }
    Ok(Done::with(json!({"completed": false, "fileID": 0})))
}

/// The undocumented code of a file that is still being verified.
pub(crate) const VERIFYING: i64 = 20103;
