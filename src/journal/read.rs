//! In: questions about files. Out: what the tables hold, compared field by field. Never: a write,
//! or trust in a row: one that does not decode is not there.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cell::{Cells, PathCell, conflict_cell, path_key, servers};
use super::entry::{
    Account, Counts, Finished, FinishedFile, Hashes, Md5, Task, Unfinished, Upload, UploadId,
};
use super::write::target_key;
use crate::plan::Acked;
use crate::source::Identity;
use crate::wire::Created;

pub(super) fn hashes(
    connection: &Connection,
    path: &Path,
    identity: &Identity,
) -> rusqlite::Result<Option<Hashes>> {
    let mut statement = connection.prepare_cached(
        "SELECT md5, slice_size, slices FROM file \
         WHERE key = ?1 AND path = ?2 AND identity = ?3",
    )?;
    let row = |row: &Row| {
        let cells = Cells(row);
        let slices = cells.slices(1, 2, identity.size);
        Ok(cells.md5(0).map(|whole| Hashes { whole, slices }))
    };
    let found = statement.query_row(
        params![path_key(path), PathCell(path), identity.to_bytes()],
        row,
    );
    Ok(found.optional()?.flatten())
}

pub(super) fn finished(connection: &Connection, task: &Task) -> rusqlite::Result<Option<Finished>> {
    let mut statement = connection.prepare_cached(
        "SELECT finished.md5, file_id, finished.at FROM finished \
         JOIN file ON file.id = finished.file JOIN place ON place.id = finished.place \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND api = ?4 AND account = ?5 \
         AND path = ?6 AND identity = ?7 AND file.md5 = finished.md5",
    )?;
    let (remote, account) = (&task.remote, &*task.account);
    let found = statement.query_row(
        params![
            target_key(task),
            remote.parent(),
            remote.path(),
            account.api,
            account.name,
            PathCell(&task.path),
            task.identity.to_bytes(),
        ],
        |row| Ok(finished_at(&Cells(row), 0)),
    );
    Ok(found.optional()?.flatten())
}

pub(super) fn resume(
    connection: &Connection,
    task: &Task,
    md5: &Md5,
) -> rusqlite::Result<Option<Upload>> {
    let mut statement = connection.prepare_cached(
        "SELECT upload.id, preupload_id, slice_size, servers, acked, started \
         FROM upload JOIN place ON place.id = upload.place \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND api = ?4 AND account = ?5 \
         AND path = ?6 AND identity = ?7 AND md5 = ?8 AND conflict = ?9",
    )?;
    let (remote, account) = (&task.remote, &*task.account);
    let found = statement.query_row(
        params![
            target_key(task),
            remote.parent(),
            remote.path(),
            account.api,
            account.name,
            PathCell(&task.path),
            task.identity.to_bytes(),
            md5,
            conflict_cell(task.conflict),
        ],
        |row| Ok(upload(&Cells(row))),
    );
    Ok(found.optional()?.flatten())
}

pub(super) fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<Unfinished>> {
    let mut statement = connection.prepare_cached(
        "SELECT upload.id, api, account, parent, remote, path, identity, slice_size, acked, \
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
        "SELECT finished.md5, file_id, finished.at, api, account, parent, remote, path, identity \
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

fn upload(cells: &Cells) -> Option<Upload> {
    let created = Created {
        preupload_id: cells.text(1).filter(|id| !id.is_empty())?.to_owned(),
        slice_size: cells.slice_size(2)?,
        servers: servers(cells.text(3)?),
    };
    (!created.servers.is_empty()).then_some(())?;
    Some(Upload {
        id: UploadId(cells.number(0)?),
        created,
        acked: Acked::from_bytes(cells.bitmap(4)?),
        started: cells.time(5)?,
    })
}

fn progress(cells: &Cells) -> Option<Unfinished> {
    let size = cells.identity(6)?.size;
    let slices = size.div_ceil(cells.slice_size(7)?);
    let bits: u64 = cells
        .bitmap(8)?
        .iter()
        .map(|byte| u64::from(byte.count_ones()))
        .sum();
    Some(Unfinished {
        id: UploadId(cells.number(0)?),
        account: account(cells, 1)?,
        parent: cells.number(3)?,
        remote: cells.text(4)?.to_owned(),
        path: cells.path(5)?,
        size,
        slices,
        acked: bits.min(slices),
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
        size: cells.identity(8)?.size,
    })
}

fn finished_at(cells: &Cells, at: usize) -> Option<Finished> {
    Some(Finished {
        md5: cells.md5(at)?,
        file_id: cells.number(at + 1)?,
        at: cells.time(at + 2)?,
    })
}

fn account(cells: &Cells, at: usize) -> Option<Account> {
    Some(Account {
        api: cells.text(at)?.to_owned(),
        name: cells.text(at + 1)?.to_owned(),
    })
}
