//! The file that a create or single/create asks for: which, how large, whereto. In come fields,
//! out goes a request that is right by itself; whether it can be done is for the tree to say.

use super::fields::Fields;
use super::name;
use crate::node::Content;
use crate::reply::Refusal;
use crate::tree::Duplicate;

/// A file that a client wants to store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileRequest {
    pub(crate) parent: i64,
    pub(crate) folders: Vec<String>,
    pub(crate) name: String,
    pub(crate) content: Content,
    pub(crate) duplicate: Duplicate,
}

impl FileRequest {
    /// The request in `fields`, for a file of at most `largest` bytes.
    pub(crate) fn read(mut fields: Fields, largest: u64) -> Result<Self, Refusal> {
        let parent = fields.id("parentFileID")?;
        let filename = fields.string("filename")?;
        let sum = fields.md5("etag")?;
        let size = fields.number("size")?;
        let duplicate = duplicate(fields.optional_number("duplicate")?)?;
        let contain_dir = fields.flag("containDir")?;
        fields.finish()?;
        if size == 0 {
            return Err(Refusal::business("文件大小不能为0"));
        }
        if size > largest {
            return Err(Refusal::business(format!(
                "文件大小超出限制: {size} bytes, {largest} at most"
            )));
        }
        let (folders, name) = name::split(&filename, contain_dir)?;
        Ok(Self {
            parent,
            folders,
            name,
            content: Content { sum, size },
            duplicate,
        })
    }
}

fn duplicate(number: Option<u64>) -> Result<Duplicate, Refusal> {
    match number {
        None => Ok(Duplicate::Refuse),
        Some(1) => Ok(Duplicate::KeepBoth),
        Some(2) => Ok(Duplicate::Overwrite),
        Some(other) => Err(Refusal::business(format!(
            "duplicate is 1 or 2, not {other}"
        ))),
    }
}
