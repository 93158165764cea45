-- The journal's first schema. Times are seconds since 1970, MD5s 16 bytes, identities 40
-- (dev, inode, size, mtime ns, ctime ns; little-endian). `key` and `target` are hashes that
-- stand for long texts in the indexes; the texts are always compared too.

CREATE TABLE place (
    id      INTEGER PRIMARY KEY,
    api     TEXT NOT NULL,
    account TEXT NOT NULL,
    UNIQUE (api, account)
);

-- The hash cache: one row a local path, right for one identity.
CREATE TABLE file (
    id         INTEGER PRIMARY KEY,
    key        INTEGER NOT NULL,
    path       NOT NULL,
    identity   BLOB NOT NULL,
    md5        BLOB NOT NULL,
    at         INTEGER NOT NULL,
    slice_size INTEGER,
    slices     BLOB
);
CREATE INDEX file_key ON file (key);

-- Finished files. `md5` is what was uploaded; the row counts while `file.md5` is the same.
CREATE TABLE finished (
    id      INTEGER PRIMARY KEY,
    target  INTEGER NOT NULL,
    file    INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    parent  INTEGER NOT NULL,
    remote  TEXT NOT NULL,
    md5     BLOB NOT NULL,
    file_id INTEGER NOT NULL,
    at      INTEGER NOT NULL
);
CREATE INDEX finished_target ON finished (target);

-- Uploads begun and not finished. `acked`: bit (n - 1) % 8 of byte (n - 1) / 8 is slice n.
CREATE TABLE upload (
    id           INTEGER PRIMARY KEY,
    target       INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    parent       INTEGER NOT NULL,
    remote       TEXT NOT NULL,
    conflict     INTEGER NOT NULL,
    path         NOT NULL,
    identity     BLOB NOT NULL,
    md5          BLOB NOT NULL,
    preupload_id TEXT NOT NULL,
    slice_size   INTEGER NOT NULL,
    servers      TEXT NOT NULL,
    started      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    acked        BLOB NOT NULL
);
CREATE INDEX upload_target ON upload (target);

-- When old rows were last looked for.
CREATE TABLE pruned (at INTEGER NOT NULL);
INSERT INTO pruned VALUES (0);
