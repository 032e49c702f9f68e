package gateway

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"lectern/rooms/quota"
)

func TestUsersAreCounted(t *testing.T) {
	var u users
	u.init(2, quota.Limit{Count: 1, Per: time.Second, Burst: 3})
	now := int64(1_000_000)
	for i, c := range []struct {
		user string
		want bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}} {
		if u.enter(c.user, now) != c.want {
			t.Fatalf("step %d: a user may have two connections, whatever others have", i)
		}
	}
	for range 3 {
		if ok, _ := u.join("a", now); !ok {
			t.Fatal("three joins at once are refused")
		}
	}
	if ok, retryAfterMs := u.join("a", now); ok || retryAfterMs != 1000 {
		t.Errorf("the fourth join: %v, come back after %d ms", ok, retryAfterMs)
	}
	if ok, _ := u.join("b", now); !ok {
		t.Error("another user pays for it")
	}
	u.leave("a", now)
	if !u.enter("a", now) {
		t.Error("a connection that has gone still counts")
	}
	u.leave("a", now)
	u.leave("a", now)
	u.enter("a", now)
	if ok, _ := u.join("a", now); ok {
		t.Error("coming back gives the joins anew")
	}
	if ok, _ := u.join("a", now+1000); !ok {
		t.Error("a second gives none back")
	}
}

// Users who have gone are forgotten, though many of them left while their joins had not come back.
func TestUsersAreForgotten(t *testing.T) {
	var u users
	u.init(0, quota.Limit{Count: 1, Per: time.Second, Burst: 3})
	size := func() (n int) {
		for i := range u.stripes {
			n += len(u.stripes[i].use)
		}
		return n
	}
	const each = 40_000
	for round := range 4 {
		now := int64(1_000_000 + 10_000*round)
		for i := range each {
			name := strconv.Itoa(round*each + i)
			u.enter(name, now)
			u.join(name, now)
			u.leave(name, now)
		}
	}
	if n := size(); n > 3*each {
		t.Errorf("%d users are remembered of whom none is here", n)
	}
	u.enter("x", 0)
	u.leave("x", 1)
	if _, known := u.of("x").use["x"]; known {
		t.Error("a user who took nothing is remembered")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				u.enter("many", 0)
				u.leave("many", 0)
			}
		})
	}
	all.Wait()
	if use := u.of("many").use["many"]; use.conns != 0 {
		t.Errorf("%d connections are left of none", use.conns)
	}
}
