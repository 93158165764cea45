//! Updates. In: facts, inside a transaction. Out: rows. Never: a row that grows without bound, or an ack
//! for a slice that the file does not have.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::cell::{
    Cells, PathCell, conflict_cell, file_id_cell, md5s_cell, path_key, servers_cell, target_key,
};
use super::entry::{Account, Forget, Link, Task, UploadId};
use super::read::RowId;
use crate::digest::{FileDigest, Md5};
use crate::plan::Acked;
use crate::source::Identity;
use crate::system::name_bytes;
use crate::wire::{Conflict, Created};

/// Remembers MD5s; the row's number.
pub(super) fn hashes(
    db: &Connection,
    path: &Path,
    identity: &Identity,
    hashes: &FileDigest,
    now: i64,
) -> rusqlite::Result<i64> {
    let key = path_key(path);
    let known = db
        .prepare_cached("SELECT id, identity, md5 FROM file WHERE key = ?1 AND path = ?2")?
        .query_row(params![key, PathCell(path)], |row| {
            let cells = Cells(row);
            let same = cells.is_identity(1, identity) && cells.md5(2) == Some(hashes.md5);
            Ok((row.get::<_, i64>(0)?, same))
        })
        .optional()?;
    let slice_size = hashes
        .slices
        .as_ref()
        .map(|slices| slices.size.cast_signed());
    let slices = hashes.slices.as_ref().map(|slices| md5s_cell(&slices.md5s));
    match known {
        Some((id, true)) if slices.is_none() => {
            used(db, RowId::File(id), now)?;
            Ok(id)
        }
        Some((id, _)) => {
            db.prepare_cached(
                "UPDATE file SET identity = ?2, md5 = ?3, at = ?4, slice_size = ?5, slices = ?6 \
                 WHERE id = ?1",
            )?
            .execute(params![
                id,
                identity.to_bytes(),
                hashes.md5,
                now,
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
                hashes.md5,
                now,
                slice_size,
                slices
            ]),
    }
}

/// Remembers what `create` answered, or, with no answer, that a call is about to leave.
pub(super) fn begin(
    db: &Connection,
    id: UploadId,
    (task, md5): (&Task, &Md5),
    created: Option<&Created>,
    now: i64,
) -> rusqlite::Result<()> {
    drop_uploads(db, task, md5)?;
    let size = task.identity.size;
    let (preupload_id, slice_size, servers) = match created {
        Some(created) => (
            created.preupload_id.as_str(),
            created.slice_size,
            servers_cell(&created.servers),
        ),
        None => (UNANSWERED, size.max(1), UNANSWERED.to_owned()),
    };
    db.prepare_cached(
        "INSERT INTO upload (id, target, place, parent, remote, conflict, path, size, md5, \
         preupload_id, slice_size, servers, started, at, acked, pending) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, x'', ?14)",
    )?
    .execute(params![
        id.0,
        target_of(task),
        place(db, &task.account)?,
        task.remote.parent(),
        task.remote.path(),
        conflict_cell(task.conflict),
        PathCell(&task.path),
        size.cast_signed(),
        md5,
        preupload_id,
        slice_size.cast_signed(),
        servers,
        now,
        created.is_none(),
    ])?;
    Ok(())
}

/// Adds acks to what the row has: another process may be sending the same upload.
pub(super) fn acks(
    db: &Connection,
    id: UploadId,
    slices: &BTreeSet<u32>,
    now: i64,
) -> rusqlite::Result<()> {
    let known = db
        .prepare_cached("SELECT acked, size, slice_size FROM upload WHERE id = ?1")?
        .query_row([id.0], |row| Ok(acked_and_count(&Cells(row))))
        .optional()?;
    let Some(Some((mut acked, count))) = known else {
        return Ok(());
    };
    let known = |slice: &&u32| u64::from(**slice) <= count;
    for &slice in slices.range(1..).take_while(known) {
        acked.set(slice);
    }
    db.prepare_cached("UPDATE upload SET acked = ?2, at = ?3 WHERE id = ?1")?
        .execute(params![id.0, acked.as_bytes(), now])?;
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
    file_id: Option<i64>,
    now: i64,
) -> rusqlite::Result<()> {
    let known = FileDigest::new(*md5, task.identity.size);
    let file = hashes(db, &task.path, &task.identity, &known, now)?;
    let place = place(db, &task.account)?;
    let (target, parent, remote) = (target_of(task), task.remote.parent(), task.remote.path());
    let size = task.identity.size.cast_signed();
    // Whatever this journal has seen arrive under the same name is gone now, unless both are kept.
    let keeps_both = task.conflict == Conflict::KeepBoth;
    db.prepare_cached(
        "DELETE FROM finished WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND place = ?4 \
         AND (NOT ?5 OR (md5 = ?6 AND size = ?7))",
    )?
    .execute(params![
        target, parent, remote, place, keeps_both, md5, size
    ])?;
    db.prepare_cached(
        "INSERT INTO finished (target, parent, remote, place, file, md5, size, file_id, at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        target,
        parent,
        remote,
        place,
        file,
        md5,
        size,
        file_id_cell(file_id),
        now
    ])?;
    drop_uploads(db, task, md5)
}

/// Whatever else was finished at the task's place is about to be replaced.
pub(super) fn replace(db: &Connection, task: &Task, md5: &Md5) -> rusqlite::Result<()> {
    let place = place(db, &task.account)?;
    db.prepare_cached(
        "DELETE FROM finished WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND place = ?4 \
         AND NOT (md5 = ?5 AND size = ?6)",
    )?
    .execute(params![
        target_of(task),
        task.remote.parent(),
        task.remote.path(),
        place,
        md5,
        task.identity.size.cast_signed()
    ])?;
    Ok(())
}

/// Notes that a finished content is what the task's file holds too.
pub(super) fn seen(db: &Connection, task: &Task, md5: &Md5, now: i64) -> rusqlite::Result<()> {
    let known = FileDigest::new(*md5, task.identity.size);
    let file = hashes(db, &task.path, &task.identity, &known, now)?;
    db.prepare_cached(
        "UPDATE finished SET file = ?1, at = max(CAST(at AS INTEGER), ?2) \
         WHERE target = ?3 AND md5 = ?4 AND size = ?5",
    )?
    .execute(params![
        file,
        now,
        target_of(task),
        md5,
        task.identity.size.cast_signed()
    ])?;
    Ok(())
}

/// Notes that a row was of use. A clock that went back makes nothing older.
pub(super) fn used(db: &Connection, row: RowId, now: i64) -> rusqlite::Result<()> {
    let (table, id) = match row {
        RowId::File(id) => (
            "UPDATE file SET at = max(CAST(at AS INTEGER), ?2) WHERE id = ?1",
            id,
        ),
        RowId::Finished(id) => (
            "UPDATE finished SET at = max(CAST(at AS INTEGER), ?2) WHERE id = ?1",
            id,
        ),
        RowId::Upload(id) => (
            "UPDATE upload SET at = max(CAST(at AS INTEGER), ?2) WHERE id = ?1",
            id,
        ),
    };
    db.prepare_cached(table)?.execute([id, now]).map(drop)
}

/// The upload's content is read from another path now.
pub(super) fn moved(db: &Connection, id: UploadId, path: &Path) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE upload SET path = ?2 WHERE id = ?1")?
        .execute(params![id.0, PathCell(path)])?;
    Ok(())
}

/// Remembers a link; of those that were of use longest ago some are dropped.
pub(super) fn link(db: &Connection, link: &Link, now: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO link (network, server, permits, rate, loses, at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        link.network,
        link.server,
        link.found.permits as i64,
        link.found.bytes_per_second.cast_signed(),
        link.loses,
        now
    ])?;
    db.prepare_cached(
        "DELETE FROM link WHERE (network, server) IN \
         (SELECT network, server FROM link ORDER BY at DESC LIMIT -1 OFFSET ?1)",
    )?
    .execute([LINKS])?;
    Ok(())
}

pub(super) fn forget_link(db: &Connection, network: &str, server: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM link WHERE network = ?1 AND server = ?2")?
        .execute([network, server])?;
    Ok(())
}

/// The row stays, since finished files are listed by it.
pub(super) fn forget_hashes(db: &Connection, path: &Path) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE file SET identity = x'', md5 = x'', slice_size = NULL, slices = NULL \
         WHERE key = ?1 AND path = ?2",
    )?
    .execute(params![path_key(path), PathCell(path)])?;
    Ok(())
}

/// Drops rows; how many.
pub(super) fn forget(db: &Connection, what: &Forget) -> rusqlite::Result<u64> {
    let dropped = match what {
        Forget::Unfinished => db.execute("DELETE FROM upload", [])?,
        Forget::Everything => {
            let dropped =
                db.execute("DELETE FROM upload", [])? + db.execute("DELETE FROM finished", [])?;
            db.execute("DELETE FROM place", [])?;
            db.execute("DELETE FROM link", [])?;
            dropped + db.execute("DELETE FROM file", [])?
        }
        Forget::Path(path) => {
            let name = name_bytes(path.as_os_str());
            // Windows has two.
            let below = ["/", std::path::MAIN_SEPARATOR_STR];
            let [below, or_below] = below.map(|end| [&*name, end.as_bytes()].concat());
            let cells = params![&*name, below, or_below];
            let uploads = db.execute(&format!("DELETE FROM upload WHERE {UNDER}"), cells)?;
            let files = db.execute(&format!("DELETE FROM file WHERE {UNDER}"), cells)?;
            uploads + files + drop_orphans(db)?
        }
    };
    Ok(dropped as u64)
}

/// The number of an account, given to it where it is new.
pub(super) fn place(db: &Connection, account: &Account) -> rusqlite::Result<i64> {
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

fn target_of(task: &Task) -> i64 {
    target_key(&task.account, task.remote.parent(), task.remote.path())
}

/// Drops what was begun of this path, or of this content, for the same place.
fn drop_uploads(db: &Connection, task: &Task, md5: &Md5) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM upload WHERE target = ?1 AND (path = ?2 OR (md5 = ?3 AND size = ?4))",
    )?
    .execute(params![
        target_of(task),
        PathCell(&task.path),
        md5,
        task.identity.size.cast_signed()
    ])?;
    Ok(())
}

/// Finished files whose local file was dropped: row numbers are used again.
pub(super) fn drop_orphans(db: &Connection) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM finished WHERE file NOT IN (SELECT id FROM file)",
        [],
    )
}

fn acked_and_count(cells: &Cells) -> Option<(Acked, u64)> {
    let count = cells.size(1)?.div_ceil(cells.slice_size(2)?);
    Some((cells.acked(0)?, count))
}

/// Links that are kept: a dozen networks with several servers each.
const LINKS: i64 = 64;

/// The preuploadID and the servers of a pending call, for a panup of the second schema that has the
/// journal open: it refuses the file by them. Others look at the column `pending`.
const UNANSWERED: &str = "?";

/// A path itself, or below it as a folder; compared as bytes, since not every path is text.
const UNDER: &str = "CAST(path AS BLOB) = ?1 \
    OR substr(CAST(path AS BLOB), 1, length(?2)) IN (?2, ?3)";
