package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"lectern/protocol/wire"
)

func TestTokensAreRenewedOnTheOpenConnection(t *testing.T) {
	s := startFake(t)
	s.expires = func() time.Time { return time.UnixMilli(6000) } // a second ahead, on the clock that time:sync tells
	asked := make(chan int, 16)
	n := 0
	c, _ := s.run(t, Config{Token: func(context.Context) (string, error) {
		n++
		asked <- n
		return fmt.Sprintf("t%d", n), nil
	}})
	if _, err := c.Join(t.Context(), "r", wire.JoinData{}); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 2; want++ {
		if got := <-asked; got != want {
			t.Fatalf("token %d was asked for, want %d", got, want)
		}
	}
	if err := c.Request(t.Context(), wire.OpTimeSync, "", wire.TimeSyncData{T0: 1}, nil); err != nil {
		t.Fatal(err) // behind the auth on the same connection
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) != 1 || !slices.Equal(s.tokens[:1], []string{"t1"}) {
		t.Errorf("%d connections, tokens %v", len(s.conns), s.tokens)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	c, err := New(Config{URL: "ws://127.0.0.1:1/ws", WaitingMax: 1}) // never run: there is no connection
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- c.Request(ctx, wire.OpQuizState, "r", nil, nil) }()
	for queued := 0; queued == 0; runtime.Gosched() {
		c.mu.Lock()
		queued = c.queued
		c.mu.Unlock()
	}
	if err := c.Request(ctx, wire.OpQuizState, "r", nil, nil); !errors.Is(err, ErrQueueFull) {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that waits: %v", err)
	}
	if err := c.Request(ctx, wire.OpQuizState, "r", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("its place is not free again: %v", err)
	}
}

func TestRetryComesBackWhenToldTo(t *testing.T) {
	s := startFake(t)
	s.busy = 3
	c, _ := s.run(t, Config{})
	reply, err := c.Answer(t.Context(), "r", wire.AnswerData{Question: 1, Answer: json.RawMessage(`1`), Key: "k"})
	if err != nil || reply.Receipt != "receipt-1" {
		t.Fatalf("%+v, %v", reply, err)
	}
	s.mu.Lock()
	s.busy = 1
	s.mu.Unlock()
	err = c.Request(t.Context(), wire.OpQuizAnswer, "r", wire.AnswerData{Question: 1, Key: "k2"}, nil)
	if refused := (*wire.Error)(nil); !errors.As(err, &refused) || refused.Code != wire.CodeUnavailable {
		t.Errorf("Request must not try again by itself: %v", err)
	}
}

func TestAdvice(t *testing.T) {
	refused := wire.NewError(wire.CodeUnavailable, "m")
	refused.RetryAfterMs = 40
	if got := adviceOf(fmt.Errorf("greeting: %w", refused)); got != 40*time.Millisecond {
		t.Errorf("a refusal: %v", got)
	}
	if got := adviceOf(fmt.Errorf("dial: %w", &refusedHandshake{after: time.Second})); got != time.Second {
		t.Errorf("a handshake: %v", got)
	}
}

func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startFakeOn(t, tls.NewListener(l, &tls.Config{Certificates: certified.TLS.Certificates}))
	c, _ := s.run(t, Config{URL: "wss://" + l.Addr().String() + "/ws", TLS: &tls.Config{RootCAs: roots}})
	if _, err := c.Join(t.Context(), "r", wire.JoinData{}); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t.Context(), &Config{URL: "ftp://x/"}, nil); err == nil {
		t.Error("ftp is spoken")
	}
}
