-- What uploads have found of the way from a network of this machine to a server (host and port): how many bodies in flight
-- carry how many bytes a second, and whether packets are lost on it that no full queue lost.

CREATE TABLE link (
    network TEXT NOT NULL,
    server TEXT NOT NULL,
    permits INTEGER NOT NULL,
    rate INTEGER NOT NULL,
    loses INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (network, server)
) WITHOUT ROWID;
