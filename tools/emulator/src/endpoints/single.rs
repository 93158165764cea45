//! `single/create`. In comes a form with a whole small file, out goes the finished file's id;
//! the bytes are always read and checked, also where they are known already.

use std::sync::Arc;

use serde_json::json;

use super::Context;
use super::fields::Fields;
use super::file_request::FileRequest;
use super::slice::{check_file, check_text, unknown};
use crate::multipart::Multipart;
use crate::reply::{CallResult, Done, Failure, Refusal};
use crate::request_body::RequestBody;
use crate::store::{Spool, Sum, hex};
use crate::uploads::PlannedFile;
use crate::writer::Writer;

pub(super) async fn serve(
    context: &mut Context,
    content_type: &str,
    body: &mut RequestBody,
) -> CallResult {
    let mut form = Multipart::new(body, content_type)?;
    let mut fields = Fields::default();
    let mut arrived = None;
    while let Some(part) = form.next().await? {
        match (part.name.as_str(), arrived.is_some()) {
            ("file", true) => return Err(Refusal::business("file is there twice").into()),
            ("file", false) => {
                check_file(&part)?;
                let expected = fields.peek_number("size");
                arrived = Some(receive(context, expected, &mut form).await?);
            }
            ("parentFileID" | "filename" | "etag" | "size" | "duplicate" | "containDir", _) => {
                check_text(&part)?;
                fields.text(part.name, form.text().await?)?;
            }
            _ => return Err(unknown(&part)),
        }
    }
    let arrived = arrived.ok_or_else(|| Refusal::business("file is missing"))?;
    accept(context, FileRequest::read(fields, LARGEST)?, arrived).await
}

struct Arrived {
    bytes: u64,
    sum: Option<Sum>,
    spool: Option<Spool>,
}

async fn receive(
    context: &Context,
    expected: Option<u64>,
    form: &mut Multipart<'_>,
) -> Result<Arrived, Failure> {
    if let Some(size) = expected.filter(|&size| size > LARGEST) {
        let said = format!("文件大小超出限制: {size} bytes, {LARGEST} at most");
        return Err(Refusal::business(said).into());
    }
    let spool = context.state.storage.spool()?;
    let region = spool.as_ref().map(|spool| spool.region(0, LARGEST));
    let mut writer = Writer::new(context.state.config.verify, region);
    let bytes = form.file(expected, &mut writer).await?;
    let sum = writer.finish().await?;
    Ok(Arrived { bytes, sum, spool })
}

async fn accept(context: &mut Context, request: FileRequest, arrived: Arrived) -> CallResult {
    let Arrived { bytes, sum, spool } = arrived;
    let size = request.content.size;
    if bytes != size {
        return Err(
            Refusal::business(format!("file has {bytes} bytes, and size is {size}")).into(),
        );
    }
    if let Some(sum) = sum.filter(|sum| *sum != request.content.sum) {
        let detail = format!("file is {}, not {}", hex(&sum), hex(&request.content.sum));
        return Err(Refusal::business("文件md5校验失败").because(detail).into());
    }
    let planned = PlannedFile {
        folder: context.ensure_folder(request.parent, &request.folders)?,
        name: request.name,
        content: request.content,
        duplicate: request.duplicate,
    };
    if let Some(queue) = context.queue.take() {
        context.state.storage.check_name(&planned)?;
        let state = Arc::clone(&context.state);
        return Err(queue.with_bytes(state, planned, spool).into());
    }
    let file = match spool {
        None => context.state.storage.keep(&planned, None)?,
        Some(spool) => {
            let state = Arc::clone(&context.state);
            let keep = move || state.storage.keep(&planned, Some(spool));
            let kept = tokio::task::spawn_blocking(keep);
            kept.await.map_err(std::io::Error::other)??
        }
    };
    Ok(Done::with(json!({"fileID": file, "completed": true})))
}

/// "1 GB", read as binary: what lies between the two readings is accepted.
const LARGEST: u64 = 1 << 30;
