//! `slice`. In comes a form with one slice, out goes nothing but that it is there; its length
//! and MD5 have to be exactly right, and one that is not leaves what was there before.

use serde_json::Value;

use super::Context;
use super::fields::Fields;
use crate::multipart::{Multipart, Part};
use crate::reply::{CallResult, Done, Failure, Refusal};
use crate::request_body::RequestBody;
use crate::store::{Region, Spool, Sum, hex};
use crate::upload_table::Entry;
use crate::uploads::{SliceBytes, Upload};
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
            ("slice", true) => return Err(Refusal::business("slice is there twice").into()),
            ("slice", false) => {
                check_file(&part)?;
                arrived = Some(receive(context, &fields, &mut form).await?);
            }
            ("preuploadID" | "sliceNo" | "sliceMD5", _) => {
                check_text(&part)?;
                fields.text(part.name, form.text().await?)?;
            }
            _ => return Err(unknown(&part)),
        }
    }
    let arrived = arrived.ok_or_else(|| Refusal::business("slice is missing"))?;
    accept(context, fields, arrived).await
}

/// A slice's bytes, hashed and either in place or aside.
struct Arrived {
    bytes: u64,
    sum: Option<Sum>,
    at: At,
}

enum At {
    /// Discarded.
    Nowhere,
    /// In its place, not yet counted.
    Place(InPlace),
    /// In a file of its own, until it is known to be right.
    Aside(Spool),
}

/// The permission to write a slice in its place; dropping it without success gives it back.
struct InPlace {
    upload: Upload,
    no: u64,
    region: Region,
}

impl Drop for InPlace {
    fn drop(&mut self) {
        self.upload.abandon(self.no, &self.region.lease);
    }
}

async fn receive(
    context: &mut Context,
    fields: &Fields,
    form: &mut Multipart<'_>,
) -> Result<Arrived, Failure> {
    let known = fields
        .peek_string("preuploadID")
        .zip(fields.peek_number("sliceNo"));
    let (mut expected, mut at) = (None, At::Nowhere);
    if let Some((id, no)) = known {
        let upload = open(context, id, no)?;
        expected = Some(upload.expected(no)?);
        if let Some(region) = upload.direct_region(no) {
            at = At::Place(InPlace { upload, no, region });
        }
    }
    if matches!(at, At::Nowhere)
        && let Some(spool) = context.state.storage.spool()?
    {
        at = At::Aside(spool);
    }
    let region = match &at {
        At::Nowhere => None,
        At::Place(place) => Some(place.region.clone()),
        At::Aside(spool) => Some(spool.region(0, u64::MAX)),
    };
    let mut writer = Writer::new(context.state.config.verify, region);
    let bytes = form.file(expected, &mut writer).await?;
    let sum = writer.finish().await?;
    Ok(Arrived { bytes, sum, at })
}

/// The upload that `id` stands for, noted with the call.
fn open(context: &mut Context, id: &str, no: u64) -> Result<Upload, Refusal> {
    context.record.call.slice_no = u32::try_from(no).ok();
    let (id, entry) = context.state.uploads.find(id)?;
    context.record.call.preupload_id = Some(id);
    match entry {
        Entry::Open(upload) => Ok(upload),
        Entry::Done(_) => Err(Refusal::business("preuploadID is completed already")),
    }
}

async fn accept(context: &mut Context, mut fields: Fields, arrived: Arrived) -> CallResult {
    let id = fields.string("preuploadID")?;
    let no = fields.number("sliceNo")?;
    let claimed = fields.md5("sliceMD5")?;
    fields.finish()?;
    let upload = open(context, &id, no)?;
    let expected = upload.expected(no)?;
    let Arrived { bytes, sum, at } = arrived;
    if bytes != expected {
        return Err(Refusal::business(format!(
            "slice {no} has {bytes} bytes and needs {expected}"
        ))
        .into());
    }
    if let Some(sum) = sum.filter(|sum| *sum != claimed) {
        let detail = format!("slice {no} is {}, not {}", hex(&sum), hex(&claimed));
        return Err(Refusal::business("分片md5校验失败").because(detail).into());
    }
    if !count(upload.clone(), no, (claimed, at)).await? {
        // Another attempt at the same slice was found right before this one.
        let said = format!("slice {no} was replaced while it arrived");
        return Err(Refusal::business(said).into());
    }
    if upload.hashes_whole() {
        tokio::task::spawn_blocking(move || upload.hash_on());
    }
    Ok(Done::with(Value::Null))
}

async fn count(upload: Upload, no: u64, (sum, at): (Sum, At)) -> Result<bool, Failure> {
    match at {
        At::Nowhere => Ok(upload.accept(no, sum, SliceBytes::Discarded)?),
        At::Place(_in_place) => Ok(upload.accept(no, sum, SliceBytes::InPlace)?),
        At::Aside(spool) => {
            let bytes = upload.expected(no)?;
            let job = move || {
                let aside = spool.region(0, bytes);
                upload.accept(no, sum, SliceBytes::Aside(&aside))
            };
            let job = tokio::task::spawn_blocking(job);
            Ok(job.await.map_err(std::io::Error::other)??)
        }
    }
}

/// A file's part says so by a file name.
pub(super) fn check_file(part: &Part) -> Result<(), Refusal> {
    if part.filename.as_deref().is_none_or(str::is_empty) {
        return Err(Refusal::business(format!(
            "{} has to be a file, with a filename",
            part.name
        )));
    }
    Ok(())
}

/// A text's part has none.
pub(super) fn check_text(part: &Part) -> Result<(), Refusal> {
    if part.filename.is_some() {
        return Err(Refusal::business(format!(
            "{} has to be a text, without a filename",
            part.name
        )));
    }
    Ok(())
}

pub(super) fn unknown(part: &Part) -> Failure {
    Refusal::business(format!("there is no field {}", part.name)).into()
}
