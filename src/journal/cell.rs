//! Database cells and what they mean. In: values, which may be anything at all. Out: what they mean, or `None`.
//! Never: a panic or an allocation sized by a number that a cell claims.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Row;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};

use super::entry::Account;
use crate::digest::{FileDigest, Md5};
use crate::plan::Acked;
use crate::source::Identity;
use crate::system::{name_bytes, name_from_bytes};
use crate::wire::Conflict;

/// A path as a cell: text where it is UTF-8, so that people can read the table; bytes elsewhere.
pub(super) struct PathCell<'a>(pub(super) &'a Path);

impl ToSql for PathCell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        if let Some(text) = self.0.to_str() {
            return Ok(ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())));
        }
        Ok(match name_bytes(self.0.as_os_str()) {
            Cow::Borrowed(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Cow::Owned(bytes) => ToSqlOutput::Owned(Value::Blob(bytes)),
        })
    }
}

impl ToSql for Md5 {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

/// The cells of one row, by position.
pub(super) struct Cells<'a, 'b>(pub(super) &'a Row<'b>);

impl Cells<'_, '_> {
    fn value(&self, at: usize) -> Option<ValueRef<'_>> {
        self.0.get_ref(at).ok()
    }

    fn bytes(&self, at: usize) -> Option<&[u8]> {
        match self.value(at)? {
            ValueRef::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn number(&self, at: usize) -> Option<i64> {
        match self.value(at)? {
            ValueRef::Integer(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn text(&self, at: usize) -> Option<&str> {
        match self.value(at)? {
            ValueRef::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    pub(super) fn path(&self, at: usize) -> Option<PathBuf> {
        match self.value(at)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(name_from_bytes(bytes).into()),
            _ => None,
        }
    }

    /// A file's id at the service, where it was said.
    pub(super) fn file_id(&self, at: usize) -> Option<Option<i64>> {
        let id = self.number(at)?;
        Some((id != UNKNOWN_ID).then_some(id))
    }

    /// A slice size: at least one byte.
    pub(super) fn slice_size(&self, at: usize) -> Option<u64> {
        u64::try_from(self.number(at)?)
            .ok()
            .filter(|&size| size > 0)
    }

    /// A file's length.
    pub(super) fn size(&self, at: usize) -> Option<u64> {
        u64::try_from(self.number(at)?).ok()
    }

    pub(super) fn md5(&self, at: usize) -> Option<Md5> {
        self.bytes(at)?.try_into().ok().map(Md5)
    }

    /// Whether it holds `identity`, as the journal keeps it.
    pub(super) fn is_identity(&self, at: usize, identity: &Identity) -> bool {
        self.bytes(at) == Some(&identity.to_bytes())
    }

    pub(super) fn time(&self, at: usize) -> Option<SystemTime> {
        let seconds = u64::try_from(self.number(at)?).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    pub(super) fn acked(&self, at: usize) -> Option<Acked> {
        let bits = self.bytes(at)?.to_vec();
        Some(Acked::from_bytes(bits))
    }

    /// The MD5s of a file of `size` bytes. Those of its slices, if there is one for each.
    pub(super) fn digest(
        &self,
        [md5, slice_size, slices]: [usize; 3],
        size: u64,
    ) -> Option<FileDigest> {
        let digest = FileDigest::new(self.md5(md5)?, size);
        let slices = || {
            let slice_size = self.slice_size(slice_size)?;
            let (md5s, rest) = self.bytes(slices)?.as_chunks::<16>();
            let whole = rest.is_empty() && md5s.len() as u64 == size.div_ceil(slice_size);
            let md5s = || md5s.iter().copied().map(Md5).collect();
            whole.then(|| (slice_size, md5s()))
        };
        Some(match slices() {
            Some((slice_size, md5s)) => digest.with_slices(slice_size, md5s),
            None => digest,
        })
    }
}

/// The MD5s of slices as one cell, 16 bytes each.
pub(super) fn md5s_cell(md5s: &[Md5]) -> Vec<u8> {
    md5s.iter().flat_map(|md5| md5.0).collect()
}

/// Server addresses as one cell, a line each: an address has no line break.
pub(super) fn servers_cell(servers: &[String]) -> String {
    servers.join("\n")
}

pub(super) fn servers(cell: &str) -> Vec<String> {
    cell.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn file_id_cell(id: Option<i64>) -> i64 {
    id.unwrap_or(UNKNOWN_ID)
}

pub(super) fn conflict_cell(conflict: Conflict) -> i64 {
    match conflict {
        // Both say the same to the service.
        Conflict::Fail | Conflict::Skip => 0,
        Conflict::KeepBoth => 1,
        Conflict::Overwrite => 2,
    }
}

/// Seconds since 1970, as the tables keep times; `ahead` more for tests.
pub(super) fn now(ahead: i64) -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(ahead)
}

/// A number that stands for some texts in an index, so that a row costs 8 bytes there and not a
/// path. Two that meet by chance cost a comparison: the rows themselves are compared as well.
/// FNV-1a, because it must give the same number in every version of panup.
pub(super) fn key(parts: &[&[u8]]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for part in parts {
        part.iter().copied().for_each(&mut mix);
        mix(0); // neither paths nor names hold a zero byte
    }
    hash.cast_signed()
}

pub(super) fn path_key(path: &Path) -> i64 {
    key(&[&name_bytes(path.as_os_str())])
}

/// The number that stands for a remote place of an account, in the indexes and among claims.
pub(super) fn target_key(account: &Account, parent: i64, remote: &str) -> i64 {
    key(&[
        account.api.as_bytes(),
        account.name.as_bytes(),
        &parent.to_le_bytes(),
        remote.as_bytes(),
    ])
}

/// Stands in the tables for the id of a file that the service did not say: it gives none.
const UNKNOWN_ID: i64 = 0;
