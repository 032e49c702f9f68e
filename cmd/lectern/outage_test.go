package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern/persist/pgtest"
	"lectern/protocol/client"
	"lectern/protocol/wire"
)

// serveOn starts a server on a database that may go away, with settings of its own.
func serveOn(t *testing.T, p *pgtest.Instance, settings string) *served {
	t.Helper()
	config := filepath.Join(t.TempDir(), "lectern.yaml")
	yaml := fmt.Sprintf("spool: {file: %s, bytes_max: 1048576}\n%s", filepath.Join(t.TempDir(), "spool.db"), settings)
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return serveProgram(t, "--dev", "--store", p.Database(t), "--config", config)
}

// room makes a client that has joined a room of its own.
func room(t *testing.T, s *served) (*client.Client, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	c := &crowd{t: t, ctx: ctx, base: s.base, address: strings.TrimPrefix(s.base, "http://"), room: "lounge"}
	t.Cleanup(func() {
		cancel()
		c.running.Wait()
	})
	return c.connect(token(t, s.base, `{"name":"Ada","role":"host"}`), nil), ctx
}

// ready is what the admin port says of the server.
func (s *served) ready(t *testing.T) (int, string) {
	t.Helper()
	_, rest, _ := strings.Cut(s.text, "admin")
	admin := strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0])
	status, text := call(t, "GET", admin+"readyz", "", nil)
	return status, string(text)
}

// A database that takes its time delays what rooms say, because none of it may be seen before it is durable.
// Connections and pages don't notice.
func TestSlowDatabaseDelaysAcknowledgementsOnly(t *testing.T) {
	t.Parallel()
	p := pgtest.New(t, "fsync=off")
	s := serveOn(t, p, "postgres: {timeout: 20s}\n")
	one, ctx := room(t, s)
	say := func(text string) error {
		return one.Retry(ctx, wire.OpChatSend, "lounge", wire.ChatSendData{Text: text, Key: text}, nil)
	}
	if err := say("before"); err != nil {
		t.Fatal(err)
	}
	p.Freeze()
	defer p.Thaw()
	said := make(chan error, 1)
	go func() { said <- say("meanwhile") }()
	for range 20 {
		began := time.Now()
		if err := one.Request(ctx, wire.OpTimeSync, "", wire.TimeSyncData{T0: 1}, nil); err != nil {
			t.Fatal(err)
		}
		if status, _ := call(t, "GET", s.base+"/join", "", nil); status != 200 {
			t.Errorf("the page: %d", status)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("what needs no database took %s", took)
		}
		waitUntil(ctx, time.Now())
	}
	select {
	case err := <-said:
		t.Fatalf("a message was acknowledged while nothing could be stored: %v", err)
	default:
	}
	if status, text := s.ready(t); status != 200 || strings.Contains(text, "away") {
		t.Errorf("%d %s", status, text)
	}
	p.Thaw()
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	s.stop(t)
}

// A server whose database is away says so, once in the log and as long as it lasts on /readyz; with a full spool it
// refuses what must be recorded, keeps everybody, and takes it again afterwards.
func TestOutageUntilTheSpoolIsFull(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("sends a megabyte of chat, which takes long with the race detector")
	}
	p := pgtest.New(t, "fsync=off")
	s := serveOn(t, p, "postgres: {timeout: 1s}\n")
	one, ctx := room(t, s)
	publish := func(n int) error {
		data := wire.PublishData{
			Event: "x:y", Key: fmt.Sprint("k", n), Payload: []byte(`"` + strings.Repeat("x", 20_000) + `"`),
		}
		return one.Request(ctx, wire.OpRoomPublish, "lounge", data, nil)
	}
	if err := publish(0); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	n := 1
	var full error
	for ; full == nil && n < 200; n++ {
		full = publish(n)
	}
	if full == nil || !strings.Contains(full.Error(), "storage is full") || n < 40 {
		t.Fatalf("after %d messages: %v", n, full)
	}
	if status, text := s.ready(t); status != 503 || !strings.Contains(text, "spool is full") {
		t.Errorf("%d %s", status, text)
	}
	if err := one.Request(ctx, wire.OpQuizState, "lounge", nil, nil); err != nil {
		t.Errorf("what records nothing is refused: %v", err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for publish(n) != nil && ctx.Err() == nil {
		waitUntil(ctx, time.Now().Add(50*time.Millisecond))
	}
	for status, text := 0, ""; text != "ready\n" && ctx.Err() == nil; {
		if status, text = s.ready(t); status != 200 && status != 503 {
			t.Fatal(status, text)
		}
		waitUntil(ctx, time.Now().Add(20*time.Millisecond))
	}
	s.stop(t)
	for _, once := range []string{
		"the database is away;", "the spool is full", "the spool has room again", "the database is back;",
		"records go to the database again",
	} {
		if got := strings.Count(s.logs.String(), once); got != 1 {
			t.Errorf("the log says %d times %q", got, once)
		}
	}
}
