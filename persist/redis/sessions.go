package redis

import (
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

//go:embed lua/create.lua
var createSource string

//go:embed lua/rotate.lua
var rotateSource string

//go:embed lua/revoke.lua
var revokeSource string

//go:embed lua/purge.lua
var purgeSource string

var (
	createScript = rueidis.NewLuaScript(createSource)
	rotateScript = rueidis.NewLuaScript(rotateSource)
	revokeScript = rueidis.NewLuaScript(revokeSource)
	purgeScript  = rueidis.NewLuaScript(purgeSource)
)

var errDuplicateFamily = errors.New("redis: the family or token exists already")

// keptAfterExpiry is how long a family and its tokens stay after they have expired, so that a late client hears that
// its token has expired, and a late thief gives the family away.
const keptAfterExpiry = 24 * time.Hour

// Sessions keeps refresh families in Redis. It implements auth.RefreshStore, with one difference: a spent token is
// recognised as such until a day after its own expiry, not its family's; later it is unknown, which is refused too but
// no longer revokes the family.
//
// A step is durable when it is as durable as Redis is: appendonly yes, with appendfsync always if nobody may have to
// sign in again after a power cut.
type Sessions struct{ c *Client }

// Sessions is the client's refresh store.
func (c *Client) Sessions() *Sessions { return &Sessions{c: c} }

func (s *Sessions) tokenKey(h string) string   { return s.c.key("rt:" + h) }
func (s *Sessions) familyKey(id string) string { return s.c.key("{f:" + id + "}") }

func hexOf(h auth.RefreshHash) string { return hex.EncodeToString(h[:]) }

// keepMs is how long something that expires at a time is kept, in milliseconds from now.
func keepMs(now, expiresAt int64) int64 {
	return max(expiresAt-now, 0) + keptAfterExpiry.Milliseconds()
}

// CreateFamily implements auth.RefreshStore.
func (s *Sessions) CreateFamily(ctx context.Context, f auth.Family, first auth.RefreshHash) error {
	hash, keep := hexOf(first), keepMs(f.CreatedAt, f.ExpiresAt)
	return s.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		if err := s.point(ctx, rdb, hash, f.ID, keep); err != nil {
			return err
		}
		made, err := createScript.Exec(ctx, rdb, []string{s.familyKey(f.ID)}, append([]string{hash, decimal(keep)},
			"sub", f.Subject, "name", f.Name, "role", f.Role.String(), "room", f.Room,
			"created", decimal(f.CreatedAt), "expires", decimal(f.ExpiresAt), "revoked", decimal(f.RevokedAt))).AsInt64()
		if err == nil && made == 0 {
			err = decided{errDuplicateFamily}
		}
		if err != nil {
			if cleanup := s.unpoint(ctx, rdb, hash); cleanup != nil {
				return cleanup
			}
			return err
		}
		return rdb.Do(ctx, rdb.B().Zadd().Key(s.c.key("families")).ScoreMember().
			ScoreMember(float64(f.ExpiresAt), f.ID).Build()).Error()
	})
}

// point makes a token's hash lead to its family, unless it leads somewhere already.
func (s *Sessions) point(ctx context.Context, rdb rueidis.Client, hash, family string, keep int64) error {
	err := rdb.Do(ctx, rdb.B().Set().Key(s.tokenKey(hash)).Value(family).Nx().PxMilliseconds(keep).Build()).Error()
	if rueidis.IsRedisNil(err) {
		return decided{errDuplicateFamily}
	}
	return err
}

func (s *Sessions) unpoint(ctx context.Context, rdb rueidis.Client, hash string) error {
	return rdb.Do(ctx, rdb.B().Del().Key(s.tokenKey(hash)).Build()).Error()
}

// familyOf is the family that a token's hash leads to.
func (s *Sessions) familyOf(ctx context.Context, rdb rueidis.Client, hash string) (string, error) {
	id, err := rdb.Do(ctx, rdb.B().Get().Key(s.tokenKey(hash)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", decided{auth.ErrRefreshUnknown}
	}
	return id, err
}

// RotateRefresh implements auth.RefreshStore.
func (s *Sessions) RotateRefresh(ctx context.Context, r auth.Rotation) (f auth.Family, err error) {
	old, next, keep := hexOf(r.Old), hexOf(r.Next), keepMs(r.At, r.ExpiresAt)
	err = s.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		id, err := s.familyOf(ctx, rdb, old)
		if err != nil {
			return err
		}
		if err := s.point(ctx, rdb, next, id, keep); err != nil {
			return err
		}
		verdict, fields, err := answerOf(rotateScript.Exec(ctx, rdb, []string{s.familyKey(id)}, []string{
			old, next, decimal(r.At), decimal(r.ExpiresAt), decimal(r.RetrySince), decimal(keep),
		}))
		if err != nil {
			return err // whether it ran is not known: the pointer may be needed
		}
		if f, err = familyFrom(id, fields); err != nil {
			return err
		}
		return s.settleRotation(ctx, rdb, verdict, f, next)
	})
	return f, err
}

// settleRotation does what follows from the script's verdict in other slots, and turns it into an error.
func (s *Sessions) settleRotation(ctx context.Context, rdb rueidis.Client, verdict string, f auth.Family,
	next string,
) error {
	if verdict == "ok" {
		return rdb.Do(ctx, rdb.B().Zadd().Key(s.c.key("families")).ScoreMember().
			ScoreMember(float64(f.ExpiresAt), f.ID).Build()).Error()
	}
	if verdict == "duplicate" {
		return decided{errDuplicateFamily}
	}
	err := map[string]error{
		"unknown": auth.ErrRefreshUnknown, "revoked": auth.ErrRefreshRevoked, "reused": auth.ErrRefreshReused,
		"expired": auth.ErrRefreshExpired,
	}[verdict]
	if err == nil {
		return fmt.Errorf("redis: the script answered %q", verdict)
	}
	if cleanup := s.unpoint(ctx, rdb, next); cleanup != nil {
		return cleanup
	}
	if f.RevokedAt != 0 {
		if listing := s.listRevoked(ctx, rdb, f); listing != nil {
			return listing
		}
	}
	return decided{err}
}

// listRevoked puts a revoked family on the list that the servers read. It is done again whenever the family is met, so
// that a crash between the two steps heals with the next use of its tokens.
func (s *Sessions) listRevoked(ctx context.Context, rdb rueidis.Client, f auth.Family) error {
	return rdb.Do(ctx, rdb.B().Zadd().Key(s.c.key("revoked")).ScoreMember().
		ScoreMember(float64(f.RevokedAt), f.ID).Build()).Error()
}

// RevokeFamily implements auth.RefreshStore.
func (s *Sessions) RevokeFamily(ctx context.Context, token auth.RefreshHash, now int64) (f auth.Family, err error) {
	hash := hexOf(token)
	err = s.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		id, err := s.familyOf(ctx, rdb, hash)
		if err != nil {
			return err
		}
		verdict, fields, err := answerOf(revokeScript.Exec(ctx, rdb, []string{s.familyKey(id)},
			[]string{hash, decimal(now)}))
		if err != nil {
			return err
		}
		if verdict == "unknown" {
			return decided{auth.ErrRefreshUnknown}
		}
		if f, err = familyFrom(id, fields); err != nil {
			return err
		}
		return s.listRevoked(ctx, rdb, f)
	})
	return f, err
}

// RevokedFamilies implements auth.RefreshStore.
func (s *Sessions) RevokedFamilies(ctx context.Context, since int64) (out []auth.Revocation, err error) {
	err = s.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		list, err := rdb.Do(ctx, rdb.B().Zrangebyscore().Key(s.c.key("revoked")).Min(decimal(since)).Max("+inf").
			Withscores().Build()).AsZScores()
		for _, z := range list {
			out = append(out, auth.Revocation{Family: z.Member, RevokedAt: int64(z.Score)})
		}
		return err
	})
	return out, err
}

// purgeBatch bounds the families that are looked at between two looks at the clock.
const purgeBatch = 256

// PurgeRefresh implements auth.RefreshStore.
func (s *Sessions) PurgeRefresh(ctx context.Context, at int64) error {
	for {
		var due []string
		err := s.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) (err error) {
			due, err = rdb.Do(ctx, rdb.B().Zrangebyscore().Key(s.c.key("families")).Min("-inf").Max("("+decimal(at)).
				Limit(0, purgeBatch).Build()).AsStrSlice()
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range due {
			if err := s.purge(ctx, id, at); err != nil {
				return err
			}
		}
		if len(due) < purgeBatch {
			return nil
		}
	}
}

func (s *Sessions) purge(ctx context.Context, id string, at int64) error {
	return s.c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		hashes, err := purgeScript.Exec(ctx, rdb, []string{s.familyKey(id)}, []string{decimal(at)}).AsStrSlice()
		if rueidis.IsRedisNil(err) { // prolonged, by a rotation that may not have come to list it anew
			return s.listAnew(ctx, rdb, id)
		}
		if err != nil {
			return err
		}
		for _, h := range hashes {
			if err := s.unpoint(ctx, rdb, h); err != nil {
				return err
			}
		}
		for _, list := range []string{"revoked", "families"} {
			if err := rdb.Do(ctx, rdb.B().Zrem().Key(s.c.key(list)).Member(id).Build()).Error(); err != nil {
				return err
			}
		}
		return nil
	})
}

// listAnew lists a family under its present expiry, so that a purge does not meet it for ever.
func (s *Sessions) listAnew(ctx context.Context, rdb rueidis.Client, id string) error {
	expires, err := rdb.Do(ctx, rdb.B().Hget().Key(s.familyKey(id)).Field("expires").Build()).AsInt64()
	if rueidis.IsRedisNil(err) { // gone since; the next purge takes it off the list
		return nil
	}
	if err != nil {
		return err
	}
	return rdb.Do(ctx, rdb.B().Zadd().Key(s.c.key("families")).ScoreMember().
		ScoreMember(float64(expires), id).Build()).Error()
}

// answerOf takes a script's verdict and fields apart.
func answerOf(r rueidis.RedisResult) (verdict string, fields []string, err error) {
	parts, err := r.ToArray()
	if err != nil {
		return "", nil, err
	}
	if len(parts) == 0 {
		return "", nil, errors.New("redis: the script answered nothing")
	}
	if verdict, err = parts[0].ToString(); err != nil || len(parts) == 1 {
		return verdict, nil, err
	}
	fields, err = parts[1].AsStrSlice()
	return verdict, fields, err
}

// familyFrom reads what rotate.lua and revoke.lua return; no fields are no family.
func familyFrom(id string, fields []string) (auth.Family, error) {
	if len(fields) == 0 {
		return auth.Family{}, nil
	}
	if len(fields) != 7 {
		return auth.Family{}, fmt.Errorf("redis: the family %s has %d fields", id, len(fields))
	}
	f := auth.Family{ID: id, Subject: fields[0], Name: fields[1], Room: fields[3]}
	role, ok := wire.ParseRole(fields[2])
	if !ok {
		return auth.Family{}, fmt.Errorf("redis: the family %s has the role %q", id, fields[2])
	}
	f.Role = role
	for i, to := range []*int64{&f.CreatedAt, &f.ExpiresAt, &f.RevokedAt} {
		n, err := strconv.ParseInt(fields[4+i], 10, 64)
		if err != nil {
			return auth.Family{}, fmt.Errorf("redis: the family %s is damaged: %w", id, err)
		}
		*to = n
	}
	return f, nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

var _ auth.RefreshStore = (*Sessions)(nil)
