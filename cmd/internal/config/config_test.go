package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEverySettingIsDocumented(t *testing.T) {
	settings := Settings()
	seen := make(map[string]bool)
	for _, s := range settings {
		if s.Doc == "" {
			t.Errorf("%s has no description", s.Key)
		}
		if seen[s.Env] {
			t.Errorf("%s is the variable of two settings", s.Env)
		}
		seen[s.Env] = true
	}
	for key := range docs {
		if !seen[EnvName(key)] {
			t.Errorf("docs describe %s, which is no setting", key)
		}
	}
	if len(settings) >= 60 {
		t.Errorf("%d settings; below 60 was agreed", len(settings))
	}
}

func TestDefaultsKeepTheirOwnRules(t *testing.T) {
	c, err := Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("Load without anything: %+v, Default: %+v", c, Default())
	}
	if c.Listen != ":8080" || c.Admin != "127.0.0.1:9090" || c.Dev || c.Auth.AccessTTL != 15*time.Minute ||
		c.Auth.RefreshTTL != 7*24*time.Hour {
		t.Errorf("%+v", c)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lectern.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	path := writeFile(t, "listen: :1\nadmin: 127.0.0.1:1\nconns:\n  max: 1\nquiz:\n  lead: 1s\n")
	env := []string{"LECTERN_LISTEN=:2", "LECTERN_ADMIN=127.0.0.1:2", "LECTERN_CONNS_MAX=2", "PATH=/bin"}
	c, err := Load(path, env, map[string]string{"listen": ":3"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":3" || c.Admin != "127.0.0.1:2" || c.Conns.Max != 2 || c.Quiz.Lead != time.Second ||
		c.Quiz.Grace != 500*time.Millisecond {
		t.Errorf("%+v", c)
	}
}

func TestLists(t *testing.T) {
	path := writeFile(t, "origins: [https://a.example, https://b.example]\nwords: x.txt\n")
	c, err := Load(path, []string{"LECTERN_WORDS= y.txt , z.txt,"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(c.Origins, " ") != "https://a.example https://b.example" || strings.Join(c.Words,
		" ") != "y.txt z.txt" {
		t.Errorf("origins %q, words %q", c.Origins, c.Words)
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	path := writeFile(t, "loops: many\nconns:\n  max: -1\n  no_such: 1\ndrain: 10\nlog:\n  level: loud\n")
	env := []string{
		"LECTERN_DEV=perhaps", "LECTERN_TYPO=1", "LECTERN_REDIS=http://x", "LECTERN_BROKER=kafka://x",
		"LECTERN_CONNS_OUTBOX_HIGH_BYTES=2097152", "LECTERN_CONNS_OUTBOX_HARD_BYTES=1048576", "LECTERN_AUTH_ACCESS_TTL=1ms",
	}
	_, err := Load(path, env, map[string]string{"store": "mysql://x"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`loops: "many" must be a whole number`, "conns.max: -1 must be between 0 and 10000000",
		"conns.no_such: there is no such setting", "LECTERN_TYPO: there is no such setting",
		`drain: "10" must be a duration such as`, `log.level: "loud" must be one of debug, info, warn, error`,
		`dev: "perhaps" must be true or false`, "redis: use redis://", "broker: this version has only memory",
		"conns.outbox_hard_bytes: must not be below", "auth.access_ttl: 1ms must be between", `store: "mysql" is not a store`,
		path,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s", want)
		}
	}
	if !strings.HasPrefix(err.Error(), "config: 12 settings are wrong:\n") {
		t.Errorf("first line: %.60s", err.Error())
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestUnreadableFiles(t *testing.T) {
	if _, err := Load("/no/such.yaml", nil, nil); err == nil || !strings.Contains(err.Error(),
		"/no/such.yaml does not exist") {
		t.Errorf("%v", err)
	}
	if _, err := Load(writeFile(t, "a: [\n"), nil, nil); err == nil || !strings.Contains(err.Error(),
		"is not valid YAML") {
		t.Errorf("%v", err)
	}
}

func TestStoreKinds(t *testing.T) {
	for store, want := range map[string]string{
		"memory": "memory ", "sqlite:a/b.db": "sqlite a/b.db",
		"sqlite::memory:": "sqlite :memory:", "postgres://u:p@h/db": "postgres postgres://u:p@h/db",
		"postgresql:///db": "postgres postgresql:///db",
	} {
		c := Default()
		c.Store = store
		if kind, path, err := c.StoreKind(); err != nil || kind+" "+path != want {
			t.Errorf("%s: %s %s %v", store, kind, path, err)
		}
	}
	for _, store := range []string{"", "sqlite:", "postgres:db", "postgres://", "mysql://u:secret@h/db"} {
		c := Default()
		c.Store = store
		if _, _, err := c.StoreKind(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", store, err)
		}
	}
}

func TestStoreNameHidesThePassword(t *testing.T) {
	for store, want := range map[string]string{
		"memory":                                 "memory",
		"sqlite:a/b.db":                          "sqlite:a/b.db",
		"postgres://u:secret@h:5432/db":          "postgres://u:xxxxx@h:5432/db",
		"postgres://h/db?user=u&password=secret": "postgres://h/db?password=xxxxx&user=u",
		"postgres://u:secret@h:%zz/db":           "postgres://…",
	} {
		c := Default()
		c.Store = store
		if got := c.StoreName(); got != want {
			t.Errorf("%s: %s", store, got)
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	env := []string{"LECTERN_TRUSTED_PROXIES=127.0.0.1, 10.0.0.0/8,2001:db8::/32", "LECTERN_PROXY_PROTOCOL=true"}
	c, err := Load("", env, nil)
	if err != nil || len(c.TrustedProxies) != 3 || !c.ProxyProtocol {
		t.Errorf("%+v, %v", c, err)
	}
	for env, want := range map[string]string{
		"LECTERN_TRUSTED_PROXIES=nginx":       `trusted_proxies: "nginx" is neither`,
		"LECTERN_TRUSTED_PROXIES=10.0.0.0/40": `trusted_proxies: "10.0.0.0/40" is neither`,
		"LECTERN_PROXY_PROTOCOL=true":         "proxy_protocol: nobody is trusted",
	} {
		if _, err := Load("", []string{env}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", env, err)
		}
	}
}
