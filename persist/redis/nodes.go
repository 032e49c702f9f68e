package redis

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"lectern/persist"
)

// How often a server reports, and after how long without a report it counts as gone.
const (
	ReportEvery = 5 * time.Second
	nodeTTL     = 4 * ReportEvery
)

// nodeRoomsMax bounds the rooms in a report; those with the most members come first.
const nodeRoomsMax = 1000

// Report replaces the server's report. It blocks for a round trip or two.
func (c *Client) Report(ctx context.Context, n persist.Node) error {
	if len(n.Members) > nodeRoomsMax {
		n.Members = largest(n.Members, nodeRoomsMax)
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		return firstError(rdb.DoMulti(ctx,
			rdb.B().Set().Key(c.key("node:"+n.ID)).Value(string(text)).PxMilliseconds(nodeTTL.Milliseconds()).Build(),
			rdb.B().Zadd().Key(c.key("nodes")).ScoreMember().ScoreMember(float64(n.SeenAt), n.ID).Build()))
	})
}

// Retire takes the server's report back, when it stops.
func (c *Client) Retire(ctx context.Context, id string) error {
	return c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		return firstError(rdb.DoMulti(ctx, rdb.B().Del().Key(c.key("node:"+id)).Build(),
			rdb.B().Zrem().Key(c.key("nodes")).Member(id).Build()))
	})
}

// Nodes lists the servers whose report is recent, the oldest report first.
func (c *Client) Nodes(ctx context.Context) (nodes []persist.Node, err error) {
	err = c.with(ctx, func(ctx context.Context, rdb rueidis.Client) error {
		ids, err := rdb.Do(ctx, rdb.B().Zrange().Key(c.key("nodes")).Min("0").Max("-1").Build()).AsStrSlice()
		if err != nil {
			return err
		}
		for _, id := range ids {
			text, err := rdb.Do(ctx, rdb.B().Get().Key(c.key("node:"+id)).Build()).ToString()
			if rueidis.IsRedisNil(err) { // gone without a word
				if err := rdb.Do(ctx, rdb.B().Zrem().Key(c.key("nodes")).Member(id).Build()).Error(); err != nil {
					return err
				}
				continue
			}
			var n persist.Node
			if err == nil {
				err = json.Unmarshal([]byte(text), &n)
			}
			if err != nil {
				return err
			}
			nodes = append(nodes, n)
		}
		return nil
	})
	return nodes, err
}

func firstError(results []rueidis.RedisResult) error {
	var errs []error
	for _, r := range results {
		errs = append(errs, r.Error())
	}
	return errors.Join(errs...)
}

// largest keeps the rooms with the most members.
func largest(members map[string]int, most int) map[string]int {
	rooms := slices.Collect(maps.Keys(members))
	slices.SortFunc(rooms, func(a, b string) int {
		return cmp.Or(cmp.Compare(members[b], members[a]), cmp.Compare(a, b))
	})
	kept := make(map[string]int, most)
	for _, room := range rooms[:most] {
		kept[room] = members[room]
	}
	return kept
}
