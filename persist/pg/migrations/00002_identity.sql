-- +goose Up
-- One row: which database this is, so that a spool is not written into another one.
CREATE TABLE identity (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    name  uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO identity DEFAULT VALUES;

-- +goose Down
DROP TABLE identity;
