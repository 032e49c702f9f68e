package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// LoadKeys implements auth.KeyStore.
func (s *Store) LoadKeys(ctx context.Context) ([]auth.StoredKey, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT id, pkcs8, created_at, retires_at FROM signing_keys ORDER BY seq")
	if err != nil {
		return nil, s.explain("read the signing keys", err)
	}
	defer rows.Close()
	var out []auth.StoredKey
	for rows.Next() {
		var k auth.StoredKey
		if err := rows.Scan(&k.ID, &k.PKCS8, &k.CreatedAt, &k.RetiresAt); err != nil {
			return nil, s.explain("read the signing keys", err)
		}
		out = append(out, k)
	}
	return out, s.explain("read the signing keys", rows.Err())
}

// AddKey implements auth.KeyStore.
func (s *Store) AddKey(ctx context.Context, key auth.StoredKey, othersRetireAt int64, onlyFirst bool) error {
	return s.write(ctx, "store a signing key", func(w *writer) error {
		var some, same bool
		err := w.conn.QueryRowContext(context.Background(), "SELECT EXISTS (SELECT 1 FROM signing_keys), "+
			"EXISTS (SELECT 1 FROM signing_keys WHERE id = ?)", key.ID).Scan(&some, &same)
		if err != nil {
			return err
		}
		if same || onlyFirst && some {
			return auth.ErrKeyExists
		}
		if err := w.execText("UPDATE signing_keys SET retires_at = ? WHERE retires_at = 0", othersRetireAt); err != nil {
			return err
		}
		return w.execText("INSERT INTO signing_keys (id, pkcs8, created_at, retires_at) VALUES (?, ?, ?, ?)",
			key.ID, key.PKCS8, key.CreatedAt, key.RetiresAt)
	})
}

// DeleteRetiredKeys implements auth.KeyStore.
func (s *Store) DeleteRetiredKeys(ctx context.Context, at int64) error {
	return s.write(ctx, "delete signing keys", func(w *writer) error {
		return w.execText("DELETE FROM signing_keys WHERE retires_at > 0 AND retires_at <= ?", at)
	})
}

// CreateFamily implements auth.RefreshStore.
func (s *Store) CreateFamily(ctx context.Context, f auth.Family, first auth.RefreshHash) error {
	return s.write(ctx, "store a session", func(w *writer) error {
		err := w.exec(w.stmts.familyInsert, f.ID, f.Subject, f.Name, f.Role.String(), f.Room, f.CreatedAt, f.ExpiresAt,
			f.RevokedAt, first[:])
		if err != nil {
			return err
		}
		return w.exec(w.stmts.tokenInsert, first[:], f.ID)
	})
}

// place is where a token stands in its family.
type place struct {
	newest   bool
	previous bool  // the newest has replaced it
	spentAt  int64 // when the previous one was first spent, Unix milliseconds
}

// family finds the family of a token, used or not.
func (w *writer) family(token auth.RefreshHash) (f auth.Family, p place, err error) {
	var role string
	err = w.row(w.stmts.familyByToken, token[:], token[:], token[:]).Scan(&f.ID, &f.Subject, &f.Name, &role, &f.Room,
		&f.CreatedAt, &f.ExpiresAt, &f.RevokedAt, &p.newest, &p.previous, &p.spentAt)
	if errors.Is(err, sql.ErrNoRows) {
		return f, p, auth.ErrRefreshUnknown
	}
	f.Role, _ = wire.ParseRole(role)
	return f, p, err
}

// RotateRefresh implements auth.RefreshStore.
func (s *Store) RotateRefresh(ctx context.Context, r auth.Rotation) (f auth.Family, err error) {
	err = s.write(ctx, "refresh a session", func(w *writer) error {
		var p place
		var err error
		if f, p, err = w.family(r.Old); err != nil {
			return err
		}
		retry := p.previous && p.spentAt > r.RetrySince
		switch {
		case f.RevokedAt != 0:
			return auth.ErrRefreshRevoked
		case !p.newest && !retry:
			f.RevokedAt = r.At
			if err := w.exec(w.stmts.familyRevoke, r.At, f.ID); err != nil {
				return err
			}
			return &keepError{auth.ErrRefreshReused}
		case f.ExpiresAt <= r.At:
			return auth.ErrRefreshExpired
		}
		f.ExpiresAt = r.ExpiresAt
		spentAt := r.At
		if retry {
			spentAt = p.spentAt
		}
		if err := w.exec(w.stmts.familyRotate, r.Next[:], r.Old[:], spentAt, r.ExpiresAt, f.ID); err != nil {
			return err
		}
		return w.exec(w.stmts.tokenInsert, r.Next[:], f.ID)
	})
	return f, err
}

// RevokeFamily implements auth.RefreshStore.
func (s *Store) RevokeFamily(ctx context.Context, token auth.RefreshHash, now int64) (f auth.Family, err error) {
	err = s.write(ctx, "revoke a session", func(w *writer) error {
		var err error
		if f, _, err = w.family(token); err != nil || f.RevokedAt != 0 {
			return err
		}
		f.RevokedAt = now
		return w.exec(w.stmts.familyRevoke, now, f.ID)
	})
	return f, err
}

// RevokedFamilies implements auth.RefreshStore.
func (s *Store) RevokedFamilies(ctx context.Context, since int64) ([]auth.Revocation, error) {
	rows, err := s.read.QueryContext(ctx,
		"SELECT id, revoked_at FROM refresh_families WHERE revoked_at <> 0 AND revoked_at >= ?", since)
	if err != nil {
		return nil, s.explain("read the revoked sessions", err)
	}
	defer rows.Close()
	var out []auth.Revocation
	for rows.Next() {
		var r auth.Revocation
		if err := rows.Scan(&r.Family, &r.RevokedAt); err != nil {
			return nil, s.explain("read the revoked sessions", err)
		}
		out = append(out, r)
	}
	return out, s.explain("read the revoked sessions", rows.Err())
}

// PurgeRefresh implements auth.RefreshStore. The tokens go with their families.
func (s *Store) PurgeRefresh(ctx context.Context, at int64) error {
	return s.write(ctx, "purge old sessions", func(w *writer) error {
		return w.execText("DELETE FROM refresh_families WHERE expires_at < ?", at)
	})
}
