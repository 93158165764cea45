//! In: facts, inside a transaction. Out: rows. Never: a row that grows without bound, or an ack
//! for a slice that the file does not have.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::cell::{Cells, PathCell, conflict_cell, key, now, path_key, servers_cell};
use super::entry::{Account, Forget, Hashes, Md5, Task, UploadId};
use crate::source::Identity;
use crate::wire::{Conflict, Created};

/// Remembers MD5s; the row's number.
pub(super) fn hashes(
    db: &Connection,
    path: &Path,
    identity: &Identity,
    hashes: &Hashes,
) -> rusqlite::Result<i64> {
    let key = path_key(path);
    let known = db
        .prepare_cached("SELECT id, identity, md5 FROM file WHERE key = ?1 AND path = ?2")?
        .query_row(params![key, PathCell(path)], |row| {
            let cells = Cells(row);
            let same = cells.identity(1) == Some(*identity) && cells.md5(2) == Some(hashes.whole);
            Ok((row.get::<_, i64>(0)?, same))
        })
        .optional()?;
    let slice_size = hashes
        .slices
        .as_ref()
        .map(|slices| slices.size.cast_signed());
    let slices = hashes
        .slices
        .as_ref()
        .map(|slices| slices.md5s.as_flattened());
    match known {
        Some((id, true)) if slices.is_none() => Ok(id),
        Some((id, _)) => {
            db.prepare_cached(
                "UPDATE file SET identity = ?2, md5 = ?3, at = ?4, slice_size = ?5, slices = ?6 \
                 WHERE id = ?1",
            )?
            .execute(params![
                id,
                identity.to_bytes(),
                hashes.whole,
                now(),
                slice_size,
                slices
            ])?;
            Ok(id)
        }
        None => db
            .prepare_cached(
                "INSERT INTO file (key, path, identity, md5, at, slice_size, slices) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .insert(params![
                key,
                PathCell(path),
                identity.to_bytes(),
                hashes.whole,
                now(),
                slice_size,
                slices
            ]),
    }
}

pub(super) fn begin(
    db: &Connection,
    id: UploadId,
    (task, md5): (&Task, &Md5),
    created: &Created,
) -> rusqlite::Result<()> {
    drop_uploads(db, task)?;
    db.prepare_cached(
        "INSERT INTO upload (id, target, place, parent, remote, conflict, path, identity, md5, \
         preupload_id, slice_size, servers, started, at, acked) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, x'')",
    )?
    .execute(params![
        id.0,
        target_key(task),
        place(db, &task.account)?,
        task.remote.parent(),
        task.remote.path(),
        conflict_cell(task.conflict),
        PathCell(&task.path),
        task.identity.to_bytes(),
        md5,
        created.preupload_id,
        created.slice_size.cast_signed(),
        servers_cell(&created.servers),
        now(),
    ])?;
    Ok(())
}

/// Adds acks to what the row has: another process may be sending the same upload.
pub(super) fn acks(db: &Connection, id: UploadId, slices: &[u32]) -> rusqlite::Result<()> {
    let known = db
        .prepare_cached("SELECT acked, identity, slice_size FROM upload WHERE id = ?1")?
        .query_row([id.0], |row| Ok(bitmap_and_count(&Cells(row))))
        .optional()?;
    let Some(Some((mut bits, count))) = known else {
        return Ok(());
    };
    for &slice in slices
        .iter()
        .filter(|&&slice| slice > 0 && u64::from(slice) <= count)
    {
        let at = slice as usize - 1;
        if bits.len() <= at / 8 {
            bits.resize(at / 8 + 1, 0);
        }
        bits[at / 8] |= 1 << (at % 8);
    }
    db.prepare_cached("UPDATE upload SET acked = ?2, at = ?3 WHERE id = ?1")?
        .execute(params![id.0, bits, now()])?;
    Ok(())
}

pub(super) fn abandon(db: &Connection, id: UploadId) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM upload WHERE id = ?1")?
        .execute([id.0])?;
    Ok(())
}

pub(super) fn finish(
    db: &Connection,
    task: &Task,
    md5: &Md5,
    file_id: i64,
) -> rusqlite::Result<()> {
    let known = Hashes {
        whole: *md5,
        slices: None,
    };
    let file = hashes(db, &task.path, &task.identity, &known)?;
    let place = place(db, &task.account)?;
    let (target, parent, remote) = (target_key(task), task.remote.parent(), task.remote.path());
    // Whatever this journal has seen arrive under the same name is gone now, unless both are kept.
    let keeps_both = task.conflict == Conflict::KeepBoth;
    db.prepare_cached(
        "DELETE FROM finished WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND place = ?4 \
         AND (file = ?5 OR NOT ?6)",
    )?
    .execute(params![target, parent, remote, place, file, keeps_both])?;
    db.prepare_cached(
        "INSERT INTO finished (target, parent, remote, place, file, md5, file_id, at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        target,
        parent,
        remote,
        place,
        file,
        md5,
        file_id,
        now()
    ])?;
    drop_uploads(db, task)
}

/// Drops rows; how many.
pub(super) fn forget(db: &Connection, what: &Forget) -> rusqlite::Result<u64> {
    let dropped = match what {
        Forget::Unfinished => db.execute("DELETE FROM upload", [])?,
        Forget::Everything => {
            let dropped =
                db.execute("DELETE FROM upload", [])? + db.execute("DELETE FROM finished", [])?;
            db.execute("DELETE FROM place", [])?;
            dropped + db.execute("DELETE FROM file", [])?
        }
        Forget::Path(path) => {
            let below = [path.as_os_str().as_bytes(), b"/"].concat();
            let cells = params![path.as_os_str().as_bytes(), below];
            let uploads = db.execute(&format!("DELETE FROM upload WHERE {UNDER}"), cells)?;
            let files = db.execute(&format!("DELETE FROM file WHERE {UNDER}"), cells)?;
            uploads + files + drop_orphans(db)?
        }
    };
    Ok(dropped as u64)
}

/// Drops what is old or too much, at most once a day. Whether it looked.
pub(super) fn prune(db: &Connection) -> rusqlite::Result<bool> {
    let now = now();
    let looked = db.execute(
        "UPDATE pruned SET at = ?1 WHERE at NOT BETWEEN ?1 - ?2 AND ?1",
        [now, DAY],
    )?;
    if looked == 0 {
        return Ok(false);
    }
    db.execute(
        "DELETE FROM upload WHERE at < ?1",
        [now - UPLOAD_DAYS * DAY],
    )?;
    db.execute("DELETE FROM file WHERE at < ?1", [now - FILE_DAYS * DAY])?;
    db.execute(
        "DELETE FROM file WHERE id <= \
         (SELECT id FROM file ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        [FILES],
    )?;
    drop_orphans(db)?;
    Ok(true)
}

/// The number that stands for a remote place in the indexes.
pub(super) fn target_key(task: &Task) -> i64 {
    key(&[
        task.account.api.as_bytes(),
        task.account.name.as_bytes(),
        &task.remote.parent().to_le_bytes(),
        task.remote.path().as_bytes(),
    ])
}

fn place(db: &Connection, account: &Account) -> rusqlite::Result<i64> {
    let found = db
        .prepare_cached("SELECT id FROM place WHERE api = ?1 AND account = ?2")?
        .query_row(params![account.api, account.name], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => db
            .prepare_cached("INSERT INTO place (api, account) VALUES (?1, ?2)")?
            .insert(params![account.api, account.name]),
    }
}

fn drop_uploads(db: &Connection, task: &Task) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM upload WHERE target = ?1 AND path = ?2")?
        .execute(params![target_key(task), PathCell(&task.path)])?;
    Ok(())
}

/// Finished files whose local file was dropped: row numbers are used again.
fn drop_orphans(db: &Connection) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM finished WHERE file NOT IN (SELECT id FROM file)",
        [],
    )
}

fn bitmap_and_count(cells: &Cells) -> Option<(Vec<u8>, u64)> {
    let count = cells.identity(1)?.size.div_ceil(cells.slice_size(2)?);
    Some((cells.bitmap(0)?, count))
}

/// A path itself, or below it as a folder; compared as bytes, since not every path is text.
const UNDER: &str = "CAST(path AS BLOB) = ?1 \
    OR substr(CAST(path AS BLOB), 1, length(?2)) = ?2";

const DAY: i64 = 24 * 60 * 60;

/// How long a preuploadID lives is not documented; after three months nobody goes on with it.
const UPLOAD_DAYS: i64 = 90;

/// Hashing a file again once a year costs little, and rows of files long gone go.
const FILE_DAYS: i64 = 365;

/// About 200 MB of rows.
const FILES: i64 = 500_000;
