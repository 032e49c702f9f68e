-- +goose Up
CREATE SEQUENCE room_ids;
CREATE TABLE rooms (
    id         bigint  PRIMARY KEY, -- of room_ids: in the order of the first records
    room       text    NOT NULL UNIQUE,
    born       integer NOT NULL, -- year and month of its first record, as 202611: the partition of all its records
    owner      text    NOT NULL,
    created_at bigint  NOT NULL, -- Unix milliseconds, as all times here
    closed_at  bigint  NOT NULL,
    records    bigint  NOT NULL  -- also the last index: indexes are gapless from 1
);
CREATE INDEX rooms_live ON rooms (id) WHERE created_at <> 0 AND closed_at = 0;
CREATE INDEX rooms_owner ON rooms (owner, id);
CREATE INDEX rooms_born ON rooms (born, closed_at);

-- All records of a room lie in one partition, so that the primary key holds for the room wherever it is.
CREATE TABLE records (
    born    integer NOT NULL,
    room_id bigint  NOT NULL,
    idx     bigint  NOT NULL,
    at      bigint  NOT NULL,
    kind    text    NOT NULL,
    data    bytea   NOT NULL,
    PRIMARY KEY (born, room_id, idx)
) PARTITION BY RANGE (born);

CREATE SEQUENCE quiz_changes;
CREATE TABLE quizzes (
    id         text    PRIMARY KEY,
    owner      text    NOT NULL,
    title      text    NOT NULL,
    language   text    NOT NULL,
    questions  integer NOT NULL,
    updated_at bigint  NOT NULL,
    change     bigint  NOT NULL, -- of quiz_changes, to order those of one millisecond
    body       bytea   NOT NULL  -- wire.Quiz as JSON
);
CREATE INDEX quizzes_owner ON quizzes (owner, change);

CREATE TABLE signing_keys (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    pkcs8      bytea  NOT NULL, -- private
    created_at bigint NOT NULL,
    retires_at bigint NOT NULL
);

CREATE TABLE refresh_families (
    id         text   PRIMARY KEY,
    subject    text   NOT NULL,
    name       text   NOT NULL,
    role       text   NOT NULL,
    room       text   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint NOT NULL,
    newest     bytea  NOT NULL, -- the hash of the only token that may be used
    previous   bytea  NOT NULL, -- the hash of the token that newest replaced
    spent_at   bigint NOT NULL  -- when that was first spent
);
CREATE INDEX refresh_families_expiry ON refresh_families (expires_at);
CREATE INDEX refresh_families_revoked ON refresh_families (revoked_at) WHERE revoked_at <> 0;

CREATE TABLE refresh_tokens (
    hash   bytea PRIMARY KEY, -- SHA-256; every token of the family, used or not
    family text  NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);

-- One row: until when a server has been alive for certain.
CREATE TABLE alive (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    until bigint  NOT NULL
);

-- +goose StatementBegin
-- make_partition makes the partition of a month such as 202611, where it is missing.
CREATE FUNCTION make_partition(month integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(format('records_%s', month)) IS NULL THEN
        PERFORM pg_advisory_xact_lock(7812231, month);
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF records FOR VALUES FROM (%s) TO (%s)',
            format('records_%s', month), month, month + 1);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- drop_partition removes a month with all that its rooms recorded.
CREATE FUNCTION drop_partition(month integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', format('records_%s', month));
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- claim_rooms moves rooms on from the number of records that the caller knows. A room that has another number by now
-- has another writer, or the caller wrote before and doesn't know it: nothing is changed then.
CREATE FUNCTION claim_rooms(ids bigint[], have bigint[], records_now bigint[], owners text[], created bigint[],
    closed bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    claimed integer;
BEGIN
    UPDATE rooms r SET records = c.records, owner = c.owner, created_at = c.created, closed_at = c.closed
    FROM unnest(ids, have, records_now, owners, created, closed) AS c (id, have, records, owner, created, closed)
    WHERE r.id = c.id AND r.records = c.have;
    GET DIAGNOSTICS claimed = ROW_COUNT;
    IF claimed <> cardinality(ids) THEN
        RAISE EXCEPTION 'a room has moved on' USING ERRCODE = 'LE001';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION claim_rooms(bigint[], bigint[], bigint[], text[], bigint[], bigint[]);
DROP FUNCTION drop_partition(integer);
DROP FUNCTION make_partition(integer);
DROP TABLE alive;
DROP TABLE refresh_tokens;
DROP TABLE refresh_families;
DROP TABLE signing_keys;
DROP TABLE quizzes;
DROP SEQUENCE quiz_changes;
DROP TABLE records;
DROP TABLE rooms;
DROP SEQUENCE room_ids;
