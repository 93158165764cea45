-- An upload is known by its target, its MD5 and its size, whatever path it was read from. A
-- file's identity says only whether its MD5 must be worked out again; it is 32 bytes now (inode,
-- size, mtime ns, ctime ns; little-endian): device numbers change from mount to mount.
-- The lower 6 bytes of the length, from the 17th on of an old identity: above all that is taken.

ALTER TABLE finished ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE finished SET size = coalesce((
    SELECT (SELECT sum((instr('123456789ABCDEF', substr(hex(identity), at, 1)) * 16
                      + instr('123456789ABCDEF', substr(hex(identity), at + 1, 1))) << (4 * (at - 33)))
            FROM (SELECT 33 AS at UNION ALL VALUES (35), (37), (39), (41), (43)))
    FROM file WHERE file.id = finished.file AND file.md5 = finished.md5), 0);
-- Their file was another one since: they counted for nothing.
DELETE FROM finished WHERE size = 0;

ALTER TABLE upload ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE upload SET size = (
    SELECT sum((instr('123456789ABCDEF', substr(hex(identity), at, 1)) * 16
              + instr('123456789ABCDEF', substr(hex(identity), at + 1, 1))) << (4 * (at - 33)))
    FROM (SELECT 33 AS at UNION ALL VALUES (35), (37), (39), (41), (43)));
ALTER TABLE upload DROP COLUMN identity;

UPDATE file SET identity = substr(identity, 9) WHERE typeof(identity) = 'blob' AND length(identity) = 40;

-- `at` is what the clock said at the last look, `sure` what it said some days before that: rows
-- are old by the second.
ALTER TABLE pruned ADD COLUMN sure INTEGER NOT NULL DEFAULT 0;
