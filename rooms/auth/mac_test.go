package auth_test

import (
	"testing"
	"time"

	"lectern/persist/mem"
	"lectern/rooms/auth"
)

// A MAC is good for its purpose and data alone, after a restart, and for as long as the key that made it verifies.
func TestMAC(t *testing.T) {
	now := start
	store := mem.New(func() time.Time { return now })
	i := issuer(t, store, auth.Config{})
	mac := i.MAC("a", []byte("data"))
	good := func(i *auth.Issuer) bool { return i.CheckMAC("a", []byte("data"), mac[:]) }
	forged := mac
	forged[31] ^= 1
	if !good(i) || i.CheckMAC("b", []byte("data"), mac[:]) || i.CheckMAC("a", []byte("date"), mac[:]) ||
		i.CheckMAC("a", []byte("data"), forged[:]) || i.CheckMAC("a", []byte("data"), mac[:31]) ||
		i.CheckMAC("a", []byte("data"), nil) {
		t.Fatal("a MAC must be good for its own purpose and data, and for nothing else")
	}
	if again := issuer(t, store, auth.Config{}); !good(again) || again.MAC("a", []byte("data")) != mac {
		t.Error("it does not survive a restart")
	}
	if good(issuer(t, mem.New(func() time.Time { return now }), auth.Config{})) {
		t.Error("another server takes it")
	}
	if err := i.RotateKeys(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if i.MAC("a", []byte("data")) == mac || !good(i) {
		t.Error("after a rotation the new key makes, and the old one still verifies")
	}
	now = now.Add(24 * time.Hour)
	if err := i.ReloadKeys(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if good(i) {
		t.Error("a key that no longer verifies tokens still verifies MACs")
	}
}
