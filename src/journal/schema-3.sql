-- A call that can make a file has a row before it leaves. `pending`: its answer is not known, so
-- there is nothing to go on with. The other columns hold what the second schema wrote for that,
-- '?' for preuploadID and servers: a panup of that schema may have the journal open meanwhile.

ALTER TABLE upload ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
UPDATE upload SET pending = 1 WHERE preupload_id = '?' AND servers = '?';
CREATE TRIGGER upload_pending AFTER INSERT ON upload
    WHEN NEW.preupload_id = '?' AND NEW.servers = '?'
BEGIN
    UPDATE upload SET pending = 1 WHERE id = NEW.id;
END;
