-- +goose Up
-- What a retry of a refresh whose reply was lost is told by.
ALTER TABLE refresh_families ADD COLUMN previous BLOB NOT NULL DEFAULT x''; -- the hash of the token that newest replaced
ALTER TABLE refresh_families ADD COLUMN spent_at INTEGER NOT NULL DEFAULT 0; -- when that was first spent

-- +goose Down
ALTER TABLE refresh_families DROP COLUMN spent_at;
ALTER TABLE refresh_families DROP COLUMN previous;
