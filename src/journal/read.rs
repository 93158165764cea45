//! Queries. In: questions about files. Out: what the tables hold, compared field by field. Never: a write,
//! or trust in a row: one that does not decode is not there.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cell::{Cells, PathCell, conflict_cell, path_key, servers, target_key};
use super::entry::{
    Account, Begun, Counts, Finished, FinishedFile, Link, PendingCall, Task, Unfinished, Upload,
    UploadId,
};
use crate::digest::{FileDigest, Md5};
use crate::policy::Found;
use crate::source::Identity;
use crate::wire::Created;

/// A row that answered a request, and when it was last of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) row: RowId,
    pub(super) at: i64,
}

/// Which row of which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowId {
    File(i64),
    Finished(i64),
    Upload(i64),
}

pub(super) fn hashes(
    connection: &Connection,
    path: &Path,
    identity: &Identity,
) -> rusqlite::Result<Option<(FileDigest, Used)>> {
    let mut statement = connection.prepare_cached(
        "SELECT md5, slice_size, slices, id, at FROM file \
         WHERE key = ?1 AND path = ?2 AND identity = ?3",
    )?;
    let row = |row: &Row| {
        let cells = Cells(row);
        let hashes = cells.digest([0, 1, 2], identity.size);
        Ok(hashes.zip(used(&cells, 3, RowId::File)))
    };
    let found = statement.query_row(
        params![path_key(path), PathCell(path), identity.to_bytes()],
        row,
    );
    Ok(found.optional()?.flatten())
}

/// The finished upload of the content that the file has by its identity.
pub(super) fn finished(
    connection: &Connection,
    task: &Task,
) -> rusqlite::Result<Option<(Finished, [Used; 2])>> {
    let mut statement = connection.prepare_cached(
        "SELECT finished.md5, file_id, finished.at, finished.id, file.id, file.at FROM file \
         JOIN finished ON finished.md5 = file.md5 JOIN place ON place.id = finished.place \
         WHERE key = ?1 AND path = ?2 AND identity = ?3 AND finished.size = ?4 \
         AND target = ?5 AND parent = ?6 AND remote = ?7 AND api = ?8 AND account = ?9 \
         ORDER BY finished.id DESC LIMIT 1",
    )?;
    let (remote, account) = (&task.remote, &*task.account);
    let found = statement.query_row(
        params![
            path_key(&task.path),
            PathCell(&task.path),
            task.identity.to_bytes(),
            task.identity.size.cast_signed(),
            target_key(account, remote.parent(), remote.path()),
            remote.parent(),
            remote.path(),
            account.api,
            account.name,
        ],
        |row| {
            let cells = Cells(row);
            let rows = || {
                let finished = RowId::Finished(cells.number(3)?);
                let at = cells.number(2)?;
                Some([Used { row: finished, at }, used(&cells, 4, RowId::File)?])
            };
            Ok(finished_at(&cells, 0).zip(rows()))
        },
    );
    Ok(found.optional()?.flatten())
}

/// Whether anything at all may be known at the task's place; it is mostly a new one, and then this is the
/// only question.
pub(super) fn may_be_known(connection: &Connection, task: &Task) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM finished WHERE target = ?1) \
         OR EXISTS (SELECT 1 FROM upload WHERE target = ?1)",
    )?;
    let (remote, account) = (&task.remote, &*task.account);
    let target = target_key(account, remote.parent(), remote.path());
    statement.query_row([target], |row| row.get(0))
}

/// The finished upload of such a content, whatever file it was read from.
pub(super) fn finished_as(
    connection: &Connection,
    task: &Task,
    md5: &Md5,
) -> rusqlite::Result<Option<Finished>> {
    let mut statement = connection.prepare_cached(
        "SELECT md5, file_id, at FROM finished JOIN place ON place.id = finished.place \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND api = ?4 AND account = ?5 \
         AND md5 = ?6 AND size = ?7 ORDER BY finished.id DESC LIMIT 1",
    )?;
    let found = statement.query_row(content(task, md5), |row| Ok(finished_at(&Cells(row), 0)));
    Ok(found.optional()?.flatten())
}

/// Whether another content than this one was finished at the task's place.
pub(super) fn is_another_finished(
    connection: &Connection,
    task: &Task,
    md5: &Md5,
) -> rusqlite::Result<Option<()>> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM finished JOIN place ON place.id = finished.place \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND api = ?4 AND account = ?5 \
         AND NOT (md5 = ?6 AND size = ?7) LIMIT 1",
    )?;
    let found = statement.query_row(content(task, md5), |_| Ok(()));
    found.optional()
}

/// Whether any content of the task's size was finished or begun at its place.
pub(super) fn is_of_size(connection: &Connection, task: &Task) -> rusqlite::Result<Option<()>> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM place WHERE api = ?4 AND account = ?5 \
         AND (EXISTS (SELECT 1 FROM finished WHERE target = ?1 AND parent = ?2 AND remote = ?3 \
         AND place = place.id AND size = ?6) \
         OR EXISTS (SELECT 1 FROM upload WHERE target = ?1 AND parent = ?2 AND remote = ?3 \
         AND place = place.id AND size = ?6)) LIMIT 1",
    )?;
    let (remote, account) = (&task.remote, &*task.account);
    let (parent, path) = (remote.parent(), remote.path());
    let place = (target_key(account, parent, path), parent, path);
    let found = statement.query_row(
        params![
            place.0,
            place.1,
            place.2,
            account.api,
            account.name,
            task.identity.size.cast_signed(),
        ],
        |_| Ok(()),
    );
    found.optional()
}

/// The newest upload of another content that is under way to the task's place.
pub(super) fn another_begun(
    connection: &Connection,
    task: &Task,
    md5: &Md5,
) -> rusqlite::Result<Option<(Md5, u64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT md5, size FROM upload JOIN place ON place.id = upload.place \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND api = ?4 AND account = ?5 \
         AND NOT (md5 = ?6 AND size = ?7) AND pending = 0 ORDER BY at DESC LIMIT 1",
    )?;
    let found = statement.query_row(content(task, md5), |row| {
        let cells = Cells(row);
        Ok(cells.md5(0).zip(cells.size(1)))
    });
    Ok(found.optional()?.flatten())
}

/// The parameters of a request about a content at a place, from ?1 to ?7.
fn content<'a>(
    task: &'a Task,
    md5: &'a Md5,
) -> (i64, i64, &'a str, &'a str, &'a str, &'a Md5, i64) {
    let (remote, account) = (&task.remote, &*task.account);
    let (parent, path) = (remote.parent(), remote.path());
    (
        target_key(account, parent, path),
        parent,
        path,
        &account.api,
        &account.name,
        md5,
        task.identity.size.cast_signed(),
    )
}

/// What was found of links, the newest first.
pub(super) fn links(connection: &Connection) -> rusqlite::Result<Vec<Link>> {
    let mut statement = connection.prepare_cached(
        "SELECT network, server, permits, rate, loses FROM link ORDER BY at DESC",
    )?;
    let row = |row: &Row| {
        let cells = Cells(row);
        let link = || {
            Some(Link {
                network: cells.text(0)?.to_owned(),
                server: cells.text(1)?.to_owned(),
                found: Found {
                    permits: usize::try_from(cells.number(2)?).ok()?,
                    bytes_per_second: u64::try_from(cells.number(3)?).ok()?,
                },
                loses: cells.number(4)? != 0,
            })
        };
        Ok(link())
    };
    let links: rusqlite::Result<Vec<Option<Link>>> = statement.query_map([], row)?.collect();
    Ok(links?.into_iter().flatten().collect())
}

/// The unfinished upload of such a content, and the path that it was read from.
pub(super) fn begun(
    connection: &Connection,
    task: &Task,
    md5: &Md5,
) -> rusqlite::Result<Option<(Begun, PathBuf, Used)>> {
    let mut statement = connection.prepare_cached(
        "SELECT upload.id, at, preupload_id, slice_size, servers, acked, started, path, pending \
         FROM upload JOIN place ON place.id = upload.place \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND api = ?4 AND account = ?5 \
         AND md5 = ?6 AND size = ?7 AND conflict = ?8 ORDER BY at DESC, upload.id LIMIT 1",
    )?;
    let (remote, account) = (&task.remote, &*task.account);
    let found = statement.query_row(
        params![
            target_key(account, remote.parent(), remote.path()),
            remote.parent(),
            remote.path(),
            account.api,
            account.name,
            md5,
            task.identity.size.cast_signed(),
            conflict_cell(task.conflict),
        ],
        |row| {
            let cells = Cells(row);
            let found = || {
                let used = used(&cells, 0, RowId::Upload)?;
                Some((begun_of(&cells)?, cells.path(7)?, used))
            };
            Ok(found())
        },
    );
    Ok(found.optional()?.flatten())
}

pub(super) fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<Unfinished>> {
    let mut statement = connection.prepare_cached(
        "SELECT upload.id, api, account, parent, remote, path, size, slice_size, acked, \
         started FROM upload JOIN place ON place.id = upload.place ORDER BY started, upload.id",
    )?;
    let rows = statement.query_map([], |row| Ok(progress(&Cells(row))))?;
    rows.filter_map(Result::transpose).collect()
}

pub(super) fn finished_files(
    connection: &Connection,
    limit: u32,
) -> rusqlite::Result<Vec<FinishedFile>> {
    let mut statement = connection.prepare_cached(
        "SELECT finished.md5, file_id, finished.at, api, account, parent, remote, path, size \
         FROM finished JOIN file ON file.id = finished.file \
         JOIN place ON place.id = finished.place ORDER BY finished.id DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| Ok(finished_file(&Cells(row))))?;
    rows.filter_map(Result::transpose).collect()
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let sql = "SELECT (SELECT count(*) FROM upload), (SELECT count(*) FROM finished), \
        (SELECT count(*) FROM file)";
    connection.query_row(sql, [], |row| {
        let count = |at| {
            Cells(row)
                .number(at)
                .and_then(|count| u64::try_from(count).ok())
                .unwrap_or(0)
        };
        Ok(Counts {
            unfinished: count(0),
            finished: count(1),
            hashed: count(2),
        })
    })
}

/// The row whose number is at `at`, with its time behind it. One without a time is old.
fn used(cells: &Cells, at: usize, table: fn(i64) -> RowId) -> Option<Used> {
    Some(Used {
        row: table(cells.number(at)?),
        at: cells.number(at + 1).unwrap_or(0),
    })
}

fn begun_of(cells: &Cells) -> Option<Begun> {
    let pending = cells.number(8)? != 0;
    if !pending {
        return upload(cells).map(Begun::Upload);
    }
    Some(Begun::Pending(PendingCall {
        id: UploadId(cells.number(0)?),
        started: cells.time(6)?,
    }))
}

fn upload(cells: &Cells) -> Option<Upload> {
    let created = Created {
        preupload_id: cells.text(2).filter(|id| !id.is_empty())?.to_owned(),
        slice_size: cells.slice_size(3)?,
        servers: servers(cells.text(4)?),
    };
    (!created.servers.is_empty()).then_some(())?;
    Some(Upload {
        id: UploadId(cells.number(0)?),
        created,
        acked: cells.acked(5)?,
        started: cells.time(6)?,
    })
}

fn progress(cells: &Cells) -> Option<Unfinished> {
    let size = cells.size(6)?;
    let slices = size.div_ceil(cells.slice_size(7)?);
    Some(Unfinished {
        id: UploadId(cells.number(0)?),
        account: account(cells, 1)?,
        parent: cells.number(3)?,
        remote: cells.text(4)?.to_owned(),
        path: cells.path(5)?,
        size,
        slices,
        acked: cells.acked(8)?.count().min(slices),
        started: cells.time(9)?,
    })
}

fn finished_file(cells: &Cells) -> Option<FinishedFile> {
    Some(FinishedFile {
        finished: finished_at(cells, 0)?,
        account: account(cells, 3)?,
        parent: cells.number(5)?,
        remote: cells.text(6)?.to_owned(),
        path: cells.path(7)?,
        size: cells.size(8)?,
    })
}

fn finished_at(cells: &Cells, at: usize) -> Option<Finished> {
    Some(Finished {
        md5: cells.md5(at)?,
        file_id: cells.file_id(at + 1)?,
        at: cells.time(at + 2)?,
    })
}

fn account(cells: &Cells, at: usize) -> Option<Account> {
    Some(Account {
        api: cells.text(at)?.to_owned(),
        name: cells.text(at + 1)?.to_owned(),
    })
}
