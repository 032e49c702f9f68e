-- +goose Up
-- One row: until when a server has been alive for certain.
CREATE TABLE alive (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX rooms_closed ON rooms (closed_at) WHERE closed_at <> 0;

-- +goose Down
DROP INDEX rooms_closed;
DROP TABLE alive;
