package mem

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"lectern/rooms/auth"
)

// secrets is the signing keys and refresh families.
type secrets struct {
	keys     []auth.StoredKey
	families map[string]*family
	tokens   map[auth.RefreshHash]*family
}

type family struct {
	auth.Family
	newest   auth.RefreshHash
	previous auth.RefreshHash // what newest has replaced, or zero; a retry leaves it
	spentAt  int64            // when previous was first spent, Unix milliseconds
}

func newSecrets() secrets {
	return secrets{families: make(map[string]*family), tokens: make(map[auth.RefreshHash]*family)}
}

// LoadKeys implements auth.KeyStore.
func (s *Store) LoadKeys(ctx context.Context) ([]auth.StoredKey, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	out := slices.Clone(s.keys)
	for i := range out {
		out[i].PKCS8 = bytes.Clone(out[i].PKCS8)
	}
	return out, nil
}

// AddKey implements auth.KeyStore.
func (s *Store) AddKey(ctx context.Context, key auth.StoredKey, othersRetireAt int64, onlyFirst bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if onlyFirst && len(s.keys) > 0 ||
		slices.ContainsFunc(s.keys, func(k auth.StoredKey) bool { return k.ID == key.ID }) {
		return auth.ErrKeyExists
	}
	for i := range s.keys {
		if s.keys[i].RetiresAt == 0 {
			s.keys[i].RetiresAt = othersRetireAt
		}
	}
	key.PKCS8 = bytes.Clone(key.PKCS8)
	s.keys = append(s.keys, key)
	return nil
}

// DeleteRetiredKeys implements auth.KeyStore.
func (s *Store) DeleteRetiredKeys(ctx context.Context, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.keys = slices.DeleteFunc(s.keys, func(k auth.StoredKey) bool { return k.RetiresAt > 0 && k.RetiresAt <= at })
	return nil
}

// CreateFamily implements auth.RefreshStore.
func (s *Store) CreateFamily(ctx context.Context, f auth.Family, first auth.RefreshHash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.families[f.ID] != nil || s.tokens[first] != nil {
		return errDuplicateFamily
	}
	stored := &family{Family: f, newest: first}
	s.families[f.ID], s.tokens[first] = stored, stored
	return nil
}

// RotateRefresh implements auth.RefreshStore.
func (s *Store) RotateRefresh(ctx context.Context, r auth.Rotation) (auth.Family, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return auth.Family{}, err
	}
	f := s.tokens[r.Old]
	if f == nil {
		return auth.Family{}, auth.ErrRefreshUnknown
	}
	retry := f.previous == r.Old && f.spentAt > r.RetrySince
	switch {
	case f.RevokedAt != 0:
		return f.Family, auth.ErrRefreshRevoked
	case f.newest != r.Old && !retry:
		f.RevokedAt = r.At
		return f.Family, auth.ErrRefreshReused
	case f.ExpiresAt <= r.At:
		return f.Family, auth.ErrRefreshExpired
	case s.tokens[r.Next] != nil:
		return auth.Family{}, errDuplicateFamily
	}
	if !retry {
		f.previous, f.spentAt = r.Old, r.At
	}
	f.newest, f.ExpiresAt = r.Next, r.ExpiresAt
	s.tokens[r.Next] = f
	return f.Family, nil
}

// RevokeFamily implements auth.RefreshStore.
func (s *Store) RevokeFamily(ctx context.Context, token auth.RefreshHash, now int64) (auth.Family, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return auth.Family{}, err
	}
	f := s.tokens[token]
	if f == nil {
		return auth.Family{}, auth.ErrRefreshUnknown
	}
	if f.RevokedAt == 0 {
		f.RevokedAt = now
	}
	return f.Family, nil
}

// RevokedFamilies implements auth.RefreshStore.
func (s *Store) RevokedFamilies(ctx context.Context, since int64) ([]auth.Revocation, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var out []auth.Revocation
	for _, f := range s.families {
		if f.RevokedAt != 0 && f.RevokedAt >= since {
			out = append(out, auth.Revocation{Family: f.ID, RevokedAt: f.RevokedAt})
		}
	}
	return out, nil
}

// PurgeRefresh implements auth.RefreshStore.
func (s *Store) PurgeRefresh(ctx context.Context, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	for hash, f := range s.tokens {
		if f.ExpiresAt < at {
			delete(s.tokens, hash)
			delete(s.families, f.ID)
		}
	}
	return nil
}

var errDuplicateFamily = errors.New("mem: family or refresh token exists already")
