//! What the service tells of what is there: listings, details, folders, the trash. Ids are spelt
//! `fileId` here and `fileID` in uploads; both are read.

use serde_json::json;

use super::envelope::Fields;
use crate::digest::Md5;
use crate::error::{Delivery, Error, Kind, Operation, Result};

/// A file or folder that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: i64,
    /// Its name, without a path.
    pub name: String,
    /// File or folder.
    pub kind: EntryKind,
    /// Its size, in bytes.
    pub size: u64,
    /// Its MD5; folders have none.
    pub etag: Option<Md5>,
    /// It lies in the trash, where its user can take it back from.
    pub trashed: bool,
    /// The service's review refused it: the content is not there for others.
    pub refused: bool,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// What is in the folder.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<i64>,
}

/// Entries of one page, and ids in one call, at most.
pub const PAGE: usize = 100;

/// Path and query of `file/list`: the page of `folder` that begins after the entry `after`.
#[must_use]
pub fn list_path(folder: i64, after: Option<i64>) -> String {
    let after = after.map_or_else(String::new, |id| format!("&lastFileId={id}"));
    format!(
        "{}?parentFileId={folder}&limit={PAGE}{after}",
        super::path::LIST
    )
}

/// Reads the reply to `file/list`.
///
/// # Errors
/// [`Kind::Protocol`] where a field that must be there is not.
pub fn list_reply(data: &Fields) -> Result<ListPage> {
    let entries = entries(data)?;
    let next = data.number("lastFileId")?;
    Ok(ListPage {
        entries,
        next: (next != LAST_PAGE).then_some(next),
    })
}

/// Path and query of `file/detail`.
#[must_use]
pub fn detail_path(id: i64) -> String {
    format!("{}?fileID={id}", super::path::DETAIL)
}

/// Reads the reply to `file/detail`.
///
/// # Errors
/// [`Kind::Protocol`] where a field that must be there is not.
pub fn detail_reply(data: &Fields) -> Result<Entry> {
    entry(data)
}

/// Whether `file/detail` was answered with "there is no such file", which is an answer and no failure.
#[must_use]
pub fn is_unknown_file(error: &Error) -> bool {
    error.operation() == Operation::Detail && error.code() == Some(UNKNOWN_FILE)
}

/// The JSON body of `file/infos`.
#[must_use]
pub fn infos_body(ids: &[i64]) -> Vec<u8> {
    json!({ "fileIds": ids }).to_string().into_bytes()
}

/// Reads the reply to `file/infos`: those of the ids that are there.
///
/// # Errors
/// [`Kind::Protocol`] where a field that must be there is not.
pub fn infos_reply(data: &Fields) -> Result<Vec<Entry>> {
    entries(data)
}

/// The JSON body of `mkdir`.
#[must_use]
pub fn mkdir_body(parent: i64, name: &str) -> Vec<u8> {
    json!({ "name": name, "parentID": parent })
        .to_string()
        .into_bytes()
}

/// Reads the reply to `mkdir`: the folder's id, which some accounts are not told.
///
/// # Errors
/// [`Kind::Protocol`] where it is no number.
pub fn mkdir_reply(data: &Fields) -> Result<Option<i64>> {
    data.id("dirID")
}

/// Whether `mkdir` was refused because there is such a folder.
#[must_use]
pub fn is_folder_there(error: &Error) -> bool {
    error.operation() == Operation::Mkdir
        && error.code() == Some(1)
        && error.message().contains("同名")
}

/// The JSON body of `trash`.
#[must_use]
pub fn trash_body(ids: &[i64]) -> Vec<u8> {
    json!({ "fileIDs": ids }).to_string().into_bytes()
}

fn entries(data: &Fields) -> Result<Vec<Entry>> {
    data.list("fileList").iter().map(entry).collect()
}

fn entry(data: &Fields) -> Result<Entry> {
    let id = data.id("fileId")?;
    let kind = match data.number("type")? {
        0 => EntryKind::File,
        1 => EntryKind::Folder,
        _ => return Err(read_only(data.missing("type", "0 or 1"))),
    };
    let size = match kind {
        EntryKind::File => u64::try_from(data.number("size")?)
            .map_err(|_| read_only(data.missing("size", "a number of bytes")))?,
        EntryKind::Folder => 0,
    };
    Ok(Entry {
        id: id.ok_or_else(|| read_only(data.missing("fileId", "a number")))?,
        name: data.required_text("filename")?,
        kind,
        size,
        etag: data.text("etag").and_then(|text| text.trim().parse().ok()),
        trashed: data.flag("trashed"),
        refused: data.number("status").unwrap_or_default() > LAST_GOOD_STATUS,
    })
}

/// A call that only reads has changed nothing, whatever its answer was.
fn read_only(error: Error) -> Error {
    match error.kind() {
        Kind::Protocol => error.with_delivery(Delivery::NotDone),
        _ => error,
    }
}

/// `lastFileId` of the last page.
const LAST_PAGE: i64 = -1;

/// A `status` above was refused by review.
const LAST_GOOD_STATUS: i64 = 100;

/// The code of `file/detail` for an id that is nobody's.
const UNKNOWN_FILE: i64 = 5066;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Raw, open};

    fn data(operation: Operation, data: &str) -> Fields {
        let body = format!(r#"{{"code":0,"message":"ok","data":{data}}}"#);
        open(Raw {
            operation,
            host: "https://api.example",
            status: 200,
            location: None,
            retry_after: None,
            body: body.as_bytes(),
        })
        .expect("a success")
    }

    const FILE: &str = r#"{"fileId":"7","filename":"a.bin","type":0,"size":"5","etag":"5D41402ABC4B2A76B9719D911017C592",
        "status":0,"parentFileId":3,"trashed":0}"#;

    #[test]
    fn a_page_is_read_as_gateways_write_it() {
        let page = format!(
            r#"{{"lastFileId":9.0,"fileList":[{FILE},{{"fileID":8,"filename":"d","type":1,"etag":"","trashed":1,"status":101}}]}}"#
        );
        let page = list_reply(&data(Operation::List, &page)).expect("a page");
        assert_eq!(page.next, Some(9));
        let [file, folder] = &page.entries[..] else {
            panic!("two entries")
        };
        assert_eq!((file.id, file.size), (7, 5));
        assert_eq!(file.etag, "5d41402abc4b2a76b9719d911017c592".parse().ok());
        assert!(!file.trashed && !file.refused);
        assert_eq!((folder.kind, folder.etag), (EntryKind::Folder, None));
        assert!(folder.trashed && folder.refused);
    }

    #[test]
    fn the_last_page_and_an_empty_folder() {
        for list in ["[]", "null"] {
            let page = format!(r#"{{"lastFileId":-1,"fileList":{list}}}"#);
            let page = list_reply(&data(Operation::List, &page)).expect("a page");
            assert_eq!((page.entries.len(), page.next), (0, None));
        }
    }

    #[test]
    fn an_entry_without_what_makes_it_one_is_an_error() {
        for field in [
            "\"fileId\":\"7\",",
            "\"filename\":\"a.bin\",",
            "\"type\":0,",
            "\"size\":\"5\",",
        ] {
            let broken = FILE.replace(field, "");
            let page = format!(r#"{{"lastFileId":-1,"fileList":[{broken}]}}"#);
            let error = list_reply(&data(Operation::List, &page)).expect_err(field);
            assert_eq!(error.kind(), Kind::Protocol, "{field}");
        }
        assert!(list_reply(&data(Operation::List, r#"{"fileList":[]}"#)).is_err());
    }

    #[test]
    fn the_paths_and_bodies_are_the_documents_own() {
        let first = "/api/v2/file/list?parentFileId=0&limit=100";
        assert_eq!(list_path(0, None), first);
        assert_eq!(list_path(0, Some(9)), format!("{first}&lastFileId=9"));
        assert_eq!(detail_path(7), "/api/v1/file/detail?fileID=7");
        assert_eq!(infos_body(&[1, 2]), br#"{"fileIds":[1,2]}"#);
        assert_eq!(trash_body(&[1]), br#"{"fileIDs":[1]}"#);
        assert_eq!(mkdir_body(3, "d"), br#"{"name":"d","parentID":3}"#);
    }
}
