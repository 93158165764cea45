//! Adoption of rows that an account wrote under another name. In: both names. Out: its rows under the new name. Never: a
//! finished file of what may be another account; that file would never be sent.

use rusqlite::{Connection, OptionalExtension, params};

use super::cell::{Cells, target_key};
use super::entry::Account;
use super::write::place;

/// Gives `account` what was written down under `legacy`, the name that earlier versions made of
/// the same token. Where nothing is known of the account and one other token is, its unfinished
/// uploads are tried too: the service refuses what is not the account's own.
pub(super) fn adopt(
    db: &Connection,
    account: &Account,
    legacy: Option<&str>,
) -> rusqlite::Result<()> {
    if let Some(own) = own(db, account, legacy)? {
        let to = place(db, account)?;
        move_uploads(db, own, to, account)?;
        drop_older(db, own, to, account)?;
        move_finished(db, own, to, account)?;
        db.execute("DELETE FROM place WHERE id = ?1", [own])?;
    }
    if let Some(other) = other(db, account)? {
        move_uploads(db, other, place(db, account)?, account)?;
    }
    Ok(())
}

/// Whether [`adopt`] has anything to do.
pub(super) fn is_due(
    db: &Connection,
    account: &Account,
    legacy: Option<&str>,
) -> rusqlite::Result<bool> {
    Ok(own(db, account, legacy)?.is_some() || other(db, account)?.is_some())
}

/// The place whose name was made of the account's own token.
fn own(db: &Connection, account: &Account, legacy: Option<&str>) -> rusqlite::Result<Option<i64>> {
    let Some(name) = legacy.filter(|&name| name != account.name) else {
        return Ok(None);
    };
    db.query_row(
        "SELECT id FROM place WHERE api = ?1 AND account = ?2",
        params![account.api, name],
        |row| row.get(0),
    )
    .optional()
}

/// The place of the only other token at this API, if it has unfinished uploads and the account has
/// nothing.
fn other(db: &Connection, account: &Account) -> rusqlite::Result<Option<i64>> {
    let known: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM place WHERE api = ?1 AND account = ?2 AND \
         (EXISTS (SELECT 1 FROM upload WHERE place = place.id) \
          OR EXISTS (SELECT 1 FROM finished WHERE place = place.id)))",
        params![account.api, account.name],
        |row| row.get(0),
    )?;
    if known {
        return Ok(None);
    }
    let mut tokens = db.prepare(
        "SELECT id, EXISTS (SELECT 1 FROM upload WHERE place = place.id) FROM place \
         WHERE api = ?1 AND account <> ?2 AND account LIKE 'token-%' LIMIT 2",
    )?;
    let tokens = tokens.query_map(params![account.api, account.name], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let tokens: Vec<(i64, bool)> = tokens.collect::<Result<_, _>>()?;
    match tokens[..] {
        [(other, true)] => Ok(Some(other)),
        _ => Ok(None),
    }
}

fn move_uploads(db: &Connection, from: i64, to: i64, account: &Account) -> rusqlite::Result<()> {
    move_rows(db, "upload", from, to, account)
}

fn move_finished(db: &Connection, from: i64, to: i64, account: &Account) -> rusqlite::Result<()> {
    move_rows(db, "finished", from, to, account)
}

fn move_rows(
    db: &Connection,
    table: &str,
    from: i64,
    to: i64,
    account: &Account,
) -> rusqlite::Result<()> {
    let mut update = db.prepare(&format!(
        "UPDATE {table} SET place = ?2, target = ?3 WHERE id = ?1"
    ))?;
    each(db, table, from, |id, parent, remote| {
        let target = target_key(account, parent, remote);
        update.execute(params![id, to, target]).map(drop)
    })
}

/// Where both names know a remote path, the newest row says what is there.
fn drop_older(db: &Connection, from: i64, to: i64, account: &Account) -> rusqlite::Result<()> {
    let mut newest = db.prepare(
        "SELECT CAST(max(at) AS INTEGER) FROM finished \
         WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND place = ?4",
    )?;
    let mut drop_row = db.prepare("DELETE FROM finished WHERE id = ?1")?;
    let mut drop_place = db.prepare(
        "DELETE FROM finished WHERE target = ?1 AND parent = ?2 AND remote = ?3 AND place = ?4",
    )?;
    each(db, "finished", from, |id, parent, remote| {
        let cells = params![target_key(account, parent, remote), parent, remote, to];
        let Some(theirs) = newest.query_row(cells, |row| row.get::<_, Option<i64>>(0))? else {
            return Ok(());
        };
        let ours: Option<i64> = db.query_row(
            "SELECT CAST(at AS INTEGER) FROM finished WHERE id = ?1",
            [id],
            |row| row.get(0),
        )?;
        if Some(theirs) >= ours {
            drop_row.execute([id]).map(drop)
        } else {
            drop_place.execute(cells).map(drop)
        }
    })
}

/// Shows each row of a place to `change`: number, remote folder, remote path. Some at a time, since
/// there may be millions.
fn each(
    db: &Connection,
    table: &str,
    place: i64,
    mut change: impl FnMut(i64, i64, &str) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut select = db.prepare(&format!(
        "SELECT id, parent, remote FROM {table} WHERE place = ?1 AND id > ?2 ORDER BY id LIMIT 1000"
    ))?;
    let mut last = i64::MIN;
    loop {
        let rows = select.query_map([place, last], |row| {
            let cells = Cells(row);
            let remote = cells.number(1).zip(cells.text(2).map(str::to_owned));
            Ok((row.get(0)?, remote))
        })?;
        let rows: Vec<(i64, Option<(i64, String)>)> = rows.collect::<Result<_, _>>()?;
        let Some(&(end, _)) = rows.last() else {
            return Ok(());
        };
        last = end;
        for (id, remote) in &rows {
            // A row that says nothing stays where it is.
            if let Some((parent, remote)) = remote {
                change(*id, *parent, remote)?;
            }
        }
    }
}
