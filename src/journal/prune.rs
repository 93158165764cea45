//! Rows that are too many or too old. In: the database, its limit, and what the clock says. Out:
//! which rows go. Never: a decision made
//! from one reading of the clock; a clock that is wrong for a run, in either direction, costs nothing.

use rusqlite::{Connection, params};

use super::cell::Cells;

/// What the journal knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    /// What the clock said, by the last run that was asked.
    seen: i64,
    /// What it said before, and a run some days later agreed that it was past.
    sure: i64,
}

impl Time {
    fn read(db: &Connection) -> rusqlite::Result<Time> {
        db.query_row("SELECT at, sure FROM pruned LIMIT 1", [], |row| {
            let cells = Cells(row);
            Ok(Time {
                seen: cells.number(0).unwrap_or(0),
                sure: cells.number(1).unwrap_or(0),
            })
        })
    }

    /// What is known once the clock has said `now`.
    fn after(self, now: i64) -> Time {
        if now < self.seen {
            // One of the two is wrong; the earlier one drops nothing.
            return Time {
                seen: now,
                sure: self.sure.min(now),
            };
        }
        if now.saturating_sub(self.seen) < APART {
            return self;
        }
        Time {
            seen: now,
            sure: self.seen,
        }
    }
}

/// Whether the clock says anything new.
pub(super) fn is_due(db: &Connection, now: i64) -> rusqlite::Result<bool> {
    let time = Time::read(db)?;
    Ok(time.after(now) != time)
}

/// Drops unfinished uploads of which nothing was heard for [`UPLOAD_DAYS`]; how many. How long a
/// preuploadID lives is not documented; one that is gone costs a new start, a row of it nothing.
pub(super) fn stale(db: &Connection, now: i64) -> rusqlite::Result<usize> {
    let time = Time::read(db)?.after(now);
    db.execute(
        "UPDATE pruned SET at = ?1, sure = ?2",
        [time.seen, time.sure],
    )?;
    let before = time.sure.saturating_sub(UPLOAD_DAYS * DAY);
    let found: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM upload WHERE at < ?1)",
        [before],
        |row| row.get(0),
    )?;
    // Where all rows are as old as that, it is the clock that is far ahead.
    if !found || newest(db)? < before {
        return Ok(0);
    }
    db.execute("DELETE FROM upload WHERE at < ?1", [before])
}

/// The files that were not of use for longest, if the database takes more than `limit` bytes: about
/// so many that a tenth of the limit is free afterwards.
pub(super) fn victims(db: &Connection, limit: u64) -> rusqlite::Result<Vec<i64>> {
    let number = |pragma: &str| -> rusqlite::Result<u64> {
        let number: i64 = db.pragma_query_value(None, pragma, |row| row.get(0))?;
        Ok(number.unsigned_abs())
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    let bytes = pages * number("page_size")?;
    if bytes <= limit {
        return Ok(Vec::new());
    }
    let excess = bytes - limit / 10 * 9;
    let files: i64 = db.query_row("SELECT count(*) FROM file", [], |row| row.get(0))?;
    let share = u128::from(files.unsigned_abs()) * u128::from(excess);
    let count = i64::try_from(share.div_ceil(u128::from(bytes))).unwrap_or(i64::MAX);
    db.prepare("SELECT id FROM file ORDER BY at, id LIMIT ?1")?
        .query_map(params![count], |row| row.get(0))?
        .collect()
}

pub(super) fn drop_files(db: &Connection, files: &[i64]) -> rusqlite::Result<()> {
    let mut drop_one = db.prepare_cached("DELETE FROM file WHERE id = ?1")?;
    for id in files {
        drop_one.execute([id])?;
    }
    Ok(())
}

/// When any row was last of use.
fn newest(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row(
        "SELECT max((SELECT coalesce(max(at), 0) FROM upload), \
         (SELECT coalesce(max(at), 0) FROM finished), (SELECT coalesce(max(at), 0) FROM file))",
        [],
        |row| Ok(Cells(row).number(0).unwrap_or(0)),
    )
}

const DAY: i64 = 24 * 60 * 60;

/// After three months no upload is resumed.
pub(super) const UPLOAD_DAYS: i64 = 90;

/// How far apart two runs are that agree on the time.
const APART: i64 = 3 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_what_two_runs_days_apart_agree_on() {
        let (year, now) = (365 * DAY, 20_000 * DAY);
        let time = Time {
            seen: now,
            sure: now - APART,
        };
        assert_eq!(time.after(now + DAY), time, "nothing new within days");
        assert_eq!(time.after(now + APART).sure, now);
        // One run in the future, and the next one right again.
        let ahead = time.after(now + 2 * year);
        assert_eq!(ahead.sure, now);
        assert_eq!(
            ahead.after(now + DAY),
            Time {
                seen: now + DAY,
                sure: now
            }
        );
        // One run in 1970: what is sure is less, and is right again after two runs more.
        let reset = time.after(0);
        assert_eq!(reset, Time { seen: 0, sure: 0 });
        let back = reset.after(now).after(now + APART);
        assert_eq!(back.sure, now);
    }
}
