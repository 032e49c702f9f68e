package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// LoadKeys implements auth.KeyStore.
func (s *Store) LoadKeys(ctx context.Context) (out []auth.StoredKey, err error) {
	err = s.call(ctx, "read the signing keys", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT id, pkcs8, created_at, retires_at FROM signing_keys ORDER BY seq")
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k auth.StoredKey, err error) {
			err = row.Scan(&k.ID, &k.PKCS8, &k.CreatedAt, &k.RetiresAt)
			k.ID = decodeText(k.ID)
			return k, err
		})
		return err
	})
	return out, err
}

// AddKey implements auth.KeyStore.
func (s *Store) AddKey(ctx context.Context, key auth.StoredKey, othersRetireAt int64, onlyFirst bool) error {
	return s.inTx(ctx, "store a signing key", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		var some, same bool
		err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM signing_keys), "+
			"EXISTS (SELECT 1 FROM signing_keys WHERE id = $1)", encodeText(key.ID)).Scan(&some, &same)
		if err != nil {
			return err
		}
		if same || onlyFirst && some {
			return auth.ErrKeyExists
		}
		_, err = tx.Exec(ctx, "UPDATE signing_keys SET retires_at = $1 WHERE retires_at = 0", othersRetireAt)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO signing_keys (id, pkcs8, created_at, retires_at) VALUES ($1, $2, $3, $4)",
			encodeText(key.ID), blob(key.PKCS8), key.CreatedAt, key.RetiresAt)
		return err
	})
}

// DeleteRetiredKeys implements auth.KeyStore.
func (s *Store) DeleteRetiredKeys(ctx context.Context, at int64) error {
	return s.write(ctx, "delete signing keys", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DELETE FROM signing_keys WHERE retires_at > 0 AND retires_at <= $1", at)
		return err
	})
}

const (
	insertFamily = "INSERT INTO refresh_families (id, subject, name, role, room, created_at, expires_at, revoked_at, " +
		"newest, previous, spent_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
	insertToken = "INSERT INTO refresh_tokens (hash, family) VALUES ($1, $2)"
)

// CreateFamily implements auth.RefreshStore. Both rows travel together, in one transaction.
func (s *Store) CreateFamily(ctx context.Context, f auth.Family, first auth.RefreshHash) error {
	return s.write(ctx, "store a session", func(ctx context.Context) error {
		b := new(pgx.Batch)
		b.Queue(insertFamily, encodeText(f.ID), encodeText(f.Subject), encodeText(f.Name), f.Role.String(),
			encodeText(f.Room), f.CreatedAt, f.ExpiresAt, f.RevokedAt, first[:], []byte{}, int64(0))
		b.Queue(insertToken, first[:], encodeText(f.ID))
		return s.pool.SendBatch(ctx, b).Close()
	})
}

// place is where a token stands in its family.
type place struct {
	newest   bool
	previous bool  // the newest has replaced it
	spentAt  int64 // when the previous one was first spent, Unix milliseconds
}

// family finds the family of a token, used or not, and keeps others from changing it.
func family(ctx context.Context, tx pgx.Tx, token auth.RefreshHash) (f auth.Family, p place, err error) {
	var role string
	err = tx.QueryRow(ctx, "SELECT f.id, f.subject, f.name, f.role, f.room, f.created_at, f.expires_at, f.revoked_at, "+
		"f.newest = $1, f.previous = $1, f.spent_at FROM refresh_families f "+
		"WHERE f.id = (SELECT family FROM refresh_tokens WHERE hash = $1) FOR UPDATE", token[:]).
		Scan(&f.ID, &f.Subject, &f.Name, &role, &f.Room, &f.CreatedAt, &f.ExpiresAt, &f.RevokedAt, &p.newest, &p.previous,
			&p.spentAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, p, auth.ErrRefreshUnknown
	}
	f.ID, f.Subject, f.Name, f.Room = decodeText(f.ID), decodeText(f.Subject), decodeText(f.Name), decodeText(f.Room)
	f.Role, _ = wire.ParseRole(role)
	return f, p, err
}

func revoke(ctx context.Context, tx pgx.Tx, f *auth.Family, at int64) error {
	f.RevokedAt = at
	_, err := tx.Exec(ctx, "UPDATE refresh_families SET revoked_at = $1 WHERE id = $2", at, encodeText(f.ID))
	return err
}

// RotateRefresh implements auth.RefreshStore.
func (s *Store) RotateRefresh(ctx context.Context, r auth.Rotation) (f auth.Family, err error) {
	var outcome error // of a transaction that is kept
	err = s.inTx(ctx, "refresh a session", func(ctx context.Context, tx pgx.Tx) error {
		outcome = nil
		var p place
		var err error
		if f, p, err = family(ctx, tx, r.Old); err != nil {
			return err
		}
		retry := p.previous && p.spentAt > r.RetrySince
		switch {
		case f.RevokedAt != 0:
			return auth.ErrRefreshRevoked
		case !p.newest && !retry:
			outcome = auth.ErrRefreshReused
			return revoke(ctx, tx, &f, r.At)
		case f.ExpiresAt <= r.At:
			return auth.ErrRefreshExpired
		}
		f.ExpiresAt = r.ExpiresAt
		spentAt := r.At
		if retry {
			spentAt = p.spentAt
		}
		b := new(pgx.Batch)
		b.Queue("UPDATE refresh_families SET newest = $1, previous = $2, spent_at = $3, expires_at = $4 WHERE id = $5",
			r.Next[:], r.Old[:], spentAt, r.ExpiresAt, encodeText(f.ID))
		b.Queue(insertToken, r.Next[:], encodeText(f.ID))
		return tx.SendBatch(ctx, b).Close()
	})
	if err == nil {
		err = outcome
	}
	return f, err
}

// RevokeFamily implements auth.RefreshStore.
func (s *Store) RevokeFamily(ctx context.Context, token auth.RefreshHash, now int64) (f auth.Family, err error) {
	err = s.inTx(ctx, "revoke a session", func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if f, _, err = family(ctx, tx, token); err != nil || f.RevokedAt != 0 {
			return err
		}
		return revoke(ctx, tx, &f, now)
	})
	return f, err
}

// RevokedFamilies implements auth.RefreshStore.
func (s *Store) RevokedFamilies(ctx context.Context, since int64) (out []auth.Revocation, err error) {
	err = s.call(ctx, "read the revoked sessions", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT id, revoked_at FROM refresh_families "+
			"WHERE revoked_at <> 0 AND revoked_at >= $1", since)
		if err != nil {
			return err
		}
		var r auth.Revocation
		_, err = pgx.ForEachRow(rows, []any{&r.Family, &r.RevokedAt}, func() error {
			r.Family = decodeText(r.Family)
			out = append(out, r)
			return nil
		})
		return err
	})
	return out, err
}

// PurgeRefresh implements auth.RefreshStore. The tokens go with their families.
func (s *Store) PurgeRefresh(ctx context.Context, at int64) error {
	return s.write(ctx, "purge old sessions", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DELETE FROM refresh_families WHERE expires_at < $1", at)
		return err
	})
}
