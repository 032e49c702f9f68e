package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"lectern/cmd/internal/config"
	"lectern/protocol/client"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

func TestTokenByHeaderSubprotocolAndMessage(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	token := s.token("ada", wire.RoleHost, "")
	ways := map[string]*conn{
		"header":      s.dial("/ws", "Authorization: Bearer "+token),
		"lower case":  s.dial("/ws", "authorization: bearer "+token, "Sec-WebSocket-Protocol: lectern.v1"),
		"subprotocol": s.dial("/ws", "Sec-WebSocket-Protocol: lectern.v1, bearer."+token),
		"message":     s.dial("/ws", "Sec-WebSocket-Protocol: lectern.v1"),
	}
	ways["message"].do(wire.OpAuth, "", wire.AuthData{Token: token})
	for way, c := range ways {
		me := into[wire.AuthReply](t, c.do(wire.OpAuth, "", wire.AuthData{Token: token}))
		if me.User != "ada" || len(me.Roles) != 1 || me.Roles[0] != wire.RoleHost || me.ExpiresAt <= time.Now().UnixMilli() {
			t.Errorf("%s: %+v", way, me)
		}
		if offered := way == "subprotocol" || way == "message" || way == "lower case"; offered !=
			(c.head.Header.Get("Sec-WebSocket-Protocol") == "lectern.v1") {
			t.Errorf("%s: subprotocol %q", way, c.head.Header.Get("Sec-WebSocket-Protocol"))
		}
		if echoed := c.head.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(echoed, "bearer") {
			t.Errorf("%s: the token is sent back: %s", way, echoed)
		}
	}
}

func TestGuestsOfDev(t *testing.T) {
	t.Parallel()
	s := start(t)
	byQuery := s.dial("/ws?guest=Ada")
	me := into[wire.AuthReply](t, byQuery.do(wire.OpAuth, "", wire.AuthData{Name: "Somebody"}))
	if me.Name != "Ada" || !strings.HasPrefix(me.User, "guest-") {
		t.Fatalf("%+v", me)
	}
	byMessage := s.dial("/ws")
	other := into[wire.AuthReply](t, byMessage.do(wire.OpAuth, "", wire.AuthData{Name: "Ada"}))
	if other.User == me.User {
		t.Fatal("two guests share an id")
	}
	strict := start(t, noDev, func(c *config.Config) { c.Conns.AuthTimeout = 300 * time.Millisecond })
	c := strict.dial("/ws?guest=Ada")
	c.refused(wire.CodeAuthRequired, wire.OpRoomJoin, "r", nil)
	c.refused(wire.CodeAuthRequired, wire.OpAuth, "", wire.AuthData{Name: "Ada"})
	c.refused(wire.CodeInvalidData, wire.OpAuth, "", wire.AuthData{})
	c.goneWith(wire.CloseAuthTimeout)
}

func TestNoTokenInTime(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.Conns.AuthTimeout = 150 * time.Millisecond })
	c := s.dial("/ws")
	began := time.Now()
	c.goneWith(wire.CloseAuthTimeout)
	if waited := time.Since(began); waited < 100*time.Millisecond {
		t.Fatalf("closed after %v already", waited)
	}
	guest := s.dial("/ws")
	guest.do(wire.OpAuth, "", wire.AuthData{Name: "Ada"})
	witness := s.dial("/ws")
	witness.goneWith(wire.CloseAuthTimeout) // it came later, so the guest's time is up too
	guest.do(wire.OpTimeSync, "", wire.TimeSyncData{T0: 1})
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	elsewhere := start(t)
	expired := s.tokenAt(time.Now().Add(-time.Hour), auth.Claims{Subject: "ada", Role: wire.RoleHost})
	foreign := elsewhere.token("ada", wire.RoleAdmin, "")
	good := s.token("ada", wire.RoleHost, "")
	damaged := good[:len(good)-8] + "AAAAAAAA"
	for _, tt := range []struct {
		name, token string
		code        wire.Code
		closed      wire.CloseCode
	}{
		{"expired", expired, wire.CodeTokenExpired, wire.CloseTokenExpired},
		{"of another server", foreign, wire.CodeInvalidToken, wire.CloseInvalidToken},
		{"damaged", damaged, wire.CodeInvalidToken, wire.CloseInvalidToken},
		{"nonsense", "abc", wire.CodeInvalidToken, wire.CloseInvalidToken},
		{"alg none", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", wire.CodeInvalidToken, wire.CloseInvalidToken},
	} {
		c := s.dial("/ws")
		c.refused(tt.code, wire.OpAuth, "", wire.AuthData{Token: tt.token})
		c.refused(wire.CodeAuthRequired, wire.OpRoomJoin, "r", nil)
		c.do(wire.OpAuth, "", wire.AuthData{Token: good}) // a second try is allowed
		s.dial("/ws", "Authorization: Bearer "+tt.token).goneWith(tt.closed)
		s.dial("/ws", "Sec-WebSocket-Protocol: lectern.v1, bearer."+tt.token).goneWith(tt.closed)
	}
}

func TestTokenExpiresOnAnOpenConnection(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	ttl := 15 * time.Minute
	soon := s.tokenAt(time.Now().Add(time.Second-ttl), auth.Claims{Subject: "ada", Role: wire.RoleHost})
	left := s.dial("/ws", "Authorization: Bearer "+soon)
	renewed := s.dial("/ws", "Authorization: Bearer "+soon)
	renewed.join("r", wire.JoinData{})
	before := into[wire.AuthReply](t, renewed.do(wire.OpAuth, "", wire.AuthData{Token: soon}))
	after := into[wire.AuthReply](t, renewed.do(wire.OpAuth, "", wire.AuthData{Token: s.token("ada", wire.RoleHost, "")}))
	if after.ExpiresAt <= before.ExpiresAt {
		t.Fatalf("renewing moved the end from %d to %d", before.ExpiresAt, after.ExpiresAt)
	}
	left.goneWith(wire.CloseTokenExpired)
	renewed.do(wire.OpRoomPresence, "r", nil) // still a member
	other := s.token("bob", wire.RoleAdmin, "")
	renewed.refused(wire.CodeForbidden, wire.OpAuth, "", wire.AuthData{Token: other})
}

func TestRevokedFamilyIsClosed(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	ctx := context.Background()
	access, refresh, _, err := s.issuer.Login(ctx, time.Now(), auth.Claims{Subject: "ada", Role: wire.RoleParticipant})
	if err != nil {
		t.Fatal(err)
	}
	bystander, _, _, err := s.issuer.Login(ctx, time.Now(), auth.Claims{Subject: "ada", Role: wire.RoleParticipant})
	if err != nil {
		t.Fatal(err)
	}
	c1, c2 := s.dial("/ws", "Authorization: Bearer "+access), s.dial("/ws", "Authorization: Bearer "+access)
	other := s.dial("/ws", "Authorization: Bearer "+bystander)
	if err := s.issuer.RevokeFamily(ctx, time.Now(), refresh); err != nil {
		t.Fatal(err)
	}
	c1.goneWith(wire.CloseTokenRevoked)
	c2.goneWith(wire.CloseTokenRevoked)
	other.do(wire.OpTimeSync, "", wire.TimeSyncData{})
	s.dial("/ws", "Authorization: Bearer "+access).goneWith(wire.CloseInvalidToken)
}

func TestClientStopsAtAFinalCode(t *testing.T) {
	t.Parallel()
	s := start(t, noDev)
	claims := auth.Claims{Subject: "ada", Role: wire.RoleHost}
	access, refresh, _, err := s.issuer.Login(context.Background(), time.Now(), claims)
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan bool, 8)
	c, ended := s.sdk(client.Config{
		Token:   func(context.Context) (string, error) { return access, nil },
		Changed: func(ready bool) { up <- ready },
	})
	receive(t, up, "connection")
	if me := c.Me(); me.User != "ada" {
		t.Fatalf("%+v", me)
	}
	if err := s.issuer.RevokeFamily(context.Background(), time.Now(), refresh); err != nil {
		t.Fatal(err)
	}
	err = receive(t, ended, "end of the client")
	final, ok := err.(*client.ClosedError)
	if !ok || final.Code != wire.CloseTokenRevoked {
		t.Fatalf("%v", err)
	}
}
