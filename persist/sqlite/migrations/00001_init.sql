-- +goose Up
CREATE TABLE rooms (
    id         INTEGER PRIMARY KEY,
    room       TEXT    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL DEFAULT 0, -- Unix milliseconds, as all times here
    closed_at  INTEGER NOT NULL DEFAULT 0,
    records    INTEGER NOT NULL DEFAULT 0  -- also the last index: indexes are gapless from 1
) STRICT;
CREATE INDEX rooms_live ON rooms (id) WHERE created_at <> 0 AND closed_at = 0;
CREATE INDEX rooms_owner ON rooms (owner, id);

CREATE TABLE records (
    room_id INTEGER NOT NULL REFERENCES rooms (id),
    idx     INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (room_id, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE quizzes (
    id         TEXT    PRIMARY KEY,
    owner      TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    language   TEXT    NOT NULL,
    questions  INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    change     INTEGER NOT NULL, -- counts changes, to order those of one millisecond
    body       BLOB    NOT NULL  -- wire.Quiz as JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX quizzes_owner ON quizzes (owner, change);

CREATE TABLE signing_keys (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    pkcs8      BLOB    NOT NULL, -- private
    created_at INTEGER NOT NULL,
    retires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE refresh_families (
    id         TEXT    PRIMARY KEY,
    subject    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    room       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL,
    newest     BLOB    NOT NULL -- the hash of the only token that may be used
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families_expiry ON refresh_families (expires_at);
CREATE INDEX refresh_families_revoked ON refresh_families (revoked_at) WHERE revoked_at <> 0;

CREATE TABLE refresh_tokens (
    hash   BLOB PRIMARY KEY, -- SHA-256; every token of the family, used or not
    family TEXT NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);

-- +goose Down
DROP TABLE refresh_tokens;
DROP TABLE refresh_families;
DROP TABLE signing_keys;
DROP TABLE quizzes;
DROP TABLE records;
DROP TABLE rooms;
