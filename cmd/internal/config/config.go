// Package config is every setting of the server in one typed struct: name, default, unit, range and meaning stand at
// the
// field. A value comes from, in this order, a command-line flag, an environment variable LECTERN_…, the YAML file, the
// default. Load reports every fault at once.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Config is what serve runs with; docs.go says what each setting means. Tags: key is the name in the file (dots nest)
// and, in capitals with dots as
// underscores behind LECTERN_, in the environment; min and max are inclusive.
type Config struct {
	// The server as a whole.
	Listen   string `key:"listen" default:":8080"`
	Admin    string `key:"admin" default:"127.0.0.1:9090"`
	Store    string `key:"store" default:"sqlite:data/lectern.db"`
	Redis    string `key:"redis" default:""`
	Broker   string `key:"broker" default:"memory"`
	Dev      bool   `key:"dev" default:"false"`
	Takeover bool   `key:"takeover" default:"false"`

	// What it says.
	Log struct {
		Level  string `key:"log.level" default:"info" oneof:"debug,info,warn,error"`
		Format string `key:"log.format" default:"text" oneof:"text,json"`
	}
	// What is let in.
	Origins []string `key:"origins" default:""`
	URL     string   `key:"url" default:""`
	Words   []string `key:"words" default:""`

	// What stands in front.
	TrustedProxies []string `key:"trusted_proxies" default:""`
	ProxyProtocol  bool     `key:"proxy_protocol" default:"false"`

	// The process.
	Loops         int           `key:"loops" default:"0" min:"0" max:"1024"`
	Shards        int           `key:"shards" default:"0" min:"0" max:"1024"`
	GOGC          int           `key:"gogc" default:"100" min:"20" max:"1000"`
	MemoryPercent int           `key:"memory_percent" default:"90" min:"0" max:"100"`
	Drain         time.Duration `key:"drain" default:"5s" min:"0" max:"5m"`
	RawSend       bool          `key:"raw_send" default:"true"`
	IO            string        `key:"io" default:"auto" oneof:"auto,writes,uring"`

	// Its parts.
	Conns struct {
		Max              int           `key:"conns.max" default:"0" min:"0" max:"10000000"`
		AcceptRate       int           `key:"conns.accept_rate" default:"20000" min:"1" max:"10000000"`
		PerAddressMax    int           `key:"conns.per_address_max" default:"0" min:"0" max:"10000000"`
		HandshakeTimeout time.Duration `key:"conns.handshake_timeout" default:"10s" min:"100ms" max:"5m"`
		AuthTimeout      time.Duration `key:"conns.auth_timeout" default:"5s" min:"100ms" max:"5m"`
		PingEvery        time.Duration `key:"conns.ping_every" default:"30s" min:"1s" max:"1h"`
		OutboxHighBytes  int           `key:"conns.outbox_high_bytes" default:"65536" min:"4096" max:"16777216"`
		OutboxHardBytes  int           `key:"conns.outbox_hard_bytes" default:"1048576" min:"1048576" max:"268435456"`
		PerUserMax       int           `key:"conns.per_user_max" default:"100" min:"0" max:"1000000"`
		RoomsMax         int           `key:"conns.rooms_max" default:"16" min:"1" max:"1000"`
	}
	Messages struct {
		BytesMax        int           `key:"messages.bytes_max" default:"262144" min:"1024" max:"16777216"`
		PerSecond       int           `key:"messages.per_second" default:"50" min:"1" max:"1000000"`
		Burst           int           `key:"messages.burst" default:"200" min:"1" max:"1000000"`
		ChatPerMinute   int           `key:"messages.chat_per_minute" default:"120" min:"1" max:"10000000"`
		ChatBurst       int           `key:"messages.chat_burst" default:"20" min:"1" max:"10000000"`
		Timeout         time.Duration `key:"messages.timeout" default:"30s" min:"1s" max:"10m"`
		PingsPerSecond  int           `key:"messages.pings_per_second" default:"5" min:"1" max:"100000"`
		DeflateMinBytes int           `key:"messages.deflate_min_bytes" default:"512" min:"64" max:"1048576"`
	}
	Rooms struct {
		JoinsPerUser int           `key:"rooms.joins_per_user" default:"20" min:"1" max:"1000000"`
		MembersMax   int           `key:"rooms.members_max" default:"1000000" min:"1" max:"10000000"`
		IdleUnload   time.Duration `key:"rooms.idle_unload" default:"10m" min:"10s" max:"24h"`
		Keep         time.Duration `key:"rooms.keep" default:"0" min:"0" max:"876000h"`
	}
	Quiz struct {
		Lead  time.Duration `key:"quiz.lead" default:"3s" min:"0" max:"30s"`
		Grace time.Duration `key:"quiz.grace" default:"500ms" min:"0" max:"10s"`
	}
	SQLite struct {
		Sync string `key:"sqlite.sync" default:"full" oneof:"full,normal"`
	}
	Postgres struct {
		Conns   int           `key:"postgres.conns" default:"16" min:"2" max:"1000"`
		Timeout time.Duration `key:"postgres.timeout" default:"2s" min:"100ms" max:"20s"`
		Sync    string        `key:"postgres.sync" default:"on" oneof:"on,off"`
	}
	Journal struct {
		Pace time.Duration `key:"journal.pace" default:"0" min:"0" max:"1s"`
	}
	Spool struct {
		File     string `key:"spool.file" default:"data/spool.db"`
		BytesMax int    `key:"spool.bytes_max" default:"1073741824" min:"1048576" max:"1099511627776"`
	}
	Auth struct {
		AccessTTL  time.Duration `key:"auth.access_ttl" default:"15m" min:"1m" max:"24h"`
		RefreshTTL time.Duration `key:"auth.refresh_ttl" default:"168h" min:"1h" max:"2160h"`
		KeyEvery   time.Duration `key:"auth.rotate_keys_every" default:"720h" min:"1h" max:"8760h"`
	}
	Joins struct {
		PerMinute int `key:"joins.per_minute" default:"6000" min:"1" max:"10000000"`
		Wrong     int `key:"joins.wrong_per_minute" default:"60" min:"1" max:"1000000"`
	}
}

// field is one setting with its place in the struct.
type field struct {
	key   string
	value reflect.Value
	tag   reflect.StructTag
}

func fields(v reflect.Value) []field {
	var all []field
	for i := range v.NumField() {
		t := v.Type().Field(i)
		if key, ok := t.Tag.Lookup("key"); ok {
			all = append(all, field{key, v.Field(i), t.Tag})
		} else {
			all = append(all, fields(v.Field(i))...)
		}
	}
	return all
}

// Default is the configuration with nothing set.
func Default() *Config {
	c := new(Config)
	for _, f := range fields(reflect.ValueOf(c).Elem()) {
		if err := f.set(f.tag.Get("default")); err != nil {
			panic(err) // a default that breaks its own rule
		}
	}
	return c
}

// Load reads the file (empty: none), the environment and the flags (by key; only those that were given). The error
// lists
// every fault.
func Load(path string, environ []string, flags map[string]string) (*Config, error) {
	c := new(Config)
	all := fields(reflect.ValueOf(c).Elem())
	known := make(map[string]bool, len(all))
	for _, f := range all {
		known[f.key] = true
	}
	k := koanf.New(".")
	var faults []error
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if os.IsNotExist(err) {
				return nil, fmt.Errorf("config: the file %s does not exist", path)
			}
			return nil, fmt.Errorf("config: %s is not valid YAML: %w", path, err)
		}
	}
	faults = append(faults, unknownKeys(k.All(), known, "the file "+path)...)
	fromEnv, envFaults := readEnviron(environ, known)
	faults = append(faults, envFaults...)
	if err := k.Load(confmap.Provider(fromEnv, "."), nil); err != nil {
		return nil, err
	}
	given := make(map[string]any, len(flags))
	for key, v := range flags {
		given[key] = v
	}
	if err := k.Load(confmap.Provider(given, "."), nil); err != nil {
		return nil, err
	}
	for _, f := range all {
		text := f.tag.Get("default")
		if k.Exists(f.key) {
			text = textOf(k, f.key)
		}
		if err := f.set(text); err != nil {
			faults = append(faults, err)
		}
	}
	faults = append(faults, c.crossCheck()...)
	if len(faults) > 0 {
		sort.Slice(faults, func(i, j int) bool { return faults[i].Error() < faults[j].Error() })
		return nil, fmt.Errorf("config: %d settings are wrong:\n%w", len(faults), errors.Join(faults...))
	}
	return c, nil
}

func textOf(k *koanf.Koanf, key string) string {
	if list, ok := k.Get(key).([]any); ok {
		parts := make([]string, len(list))
		for i, p := range list {
			parts[i] = fmt.Sprint(p)
		}
		return strings.Join(parts, ",")
	}
	return k.String(key)
}

func unknownKeys(given map[string]any, known map[string]bool, where string) (faults []error) {
	for key := range given {
		if !known[key] {
			faults = append(faults, fmt.Errorf("  %s: there is no such setting (in %s)", key, where))
		}
	}
	return faults
}

// readEnviron finds LECTERN_ variables: underscores may stand for dots or for themselves, so names are looked up.
func readEnviron(environ []string, known map[string]bool) (found map[string]any, faults []error) {
	byEnv := make(map[string]string, len(known))
	for key := range known {
		byEnv[EnvName(key)] = key
	}
	found = make(map[string]any)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		key, ok := byEnv[name]
		if !ok {
			faults = append(faults, fmt.Errorf("  %s: there is no such setting (in the environment)", name))
			continue
		}
		found[key] = value
	}
	return found, faults
}

const envPrefix = "LECTERN_"

// EnvName is the environment variable of a setting.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (f field) set(text string) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("  %s: "+format, append([]any{f.key}, args...)...)
	}
	switch f.value.Interface().(type) {
	case string:
		if allowed := f.tag.Get("oneof"); allowed != "" && !contains(strings.Split(allowed, ","), text) {
			return fail("%q must be one of %s", text, strings.ReplaceAll(allowed, ",", ", "))
		}
		f.value.SetString(text)
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fail("%q must be true or false", text)
		}
		f.value.SetBool(b)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fail("%q must be a whole number", text)
		}
		low, _ := strconv.Atoi(f.tag.Get("min"))
		high, _ := strconv.Atoi(f.tag.Get("max"))
		if n < low || n > high {
			return fail("%d must be between %d and %d", n, low, high)
		}
		f.value.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fail("%q must be a duration such as 500ms, 10s or 15m", text)
		}
		low, _ := time.ParseDuration(f.tag.Get("min"))
		high, _ := time.ParseDuration(f.tag.Get("max"))
		if d < low || d > high {
			return fail("%s must be between %s and %s", d, low, high)
		}
		f.value.SetInt(int64(d))
	case []string:
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		f.value.Set(reflect.ValueOf(list))
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// crossCheck finds settings that are right by themselves and wrong together, or not built yet.
func (c *Config) crossCheck() (faults []error) {
	if scheme, rest, ok := strings.Cut(c.Redis, "://"); c.Redis != "" &&
		(!ok || rest == "" || (scheme != "redis" && scheme != "rediss")) {
		faults = append(faults, errors.New("  redis: use redis://[USER:PASSWORD@]HOST:PORT[/DB], or rediss:// for TLS"))
	}
	if c.Broker != "memory" {
		faults = append(faults, fmt.Errorf("  broker: this version has only memory, not %q", c.Broker))
	}
	if _, _, err := c.StoreKind(); err != nil {
		faults = append(faults, err)
	}
	if c.Conns.OutboxHardBytes < c.Conns.OutboxHighBytes {
		faults = append(faults, errors.New("  conns.outbox_hard_bytes: must not be below conns.outbox_high_bytes"))
	}
	return append(faults, c.checkProxies()...)
}

func (c *Config) checkProxies() (faults []error) {
	for _, text := range c.TrustedProxies {
		_, addrErr := netip.ParseAddr(text)
		if _, err := netip.ParsePrefix(text); err != nil && addrErr != nil {
			faults = append(faults,
				fmt.Errorf("  trusted_proxies: %q is neither an address nor a range such as 10.0.0.0/8", text))
		}
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		faults = append(faults, errors.New("  proxy_protocol: nobody is trusted to speak it; set trusted_proxies too"))
	}
	return faults
}

// StoreKind splits the setting store into kind and path: a file, or the URL of a PostgreSQL database.
func (c *Config) StoreKind() (kind, path string, err error) {
	if c.Store == "memory" {
		return "memory", "", nil
	}
	if path, ok := strings.CutPrefix(c.Store, "sqlite:"); ok && path != "" {
		return "sqlite", path, nil
	}
	scheme, rest, _ := strings.Cut(c.Store, ":")
	if (scheme == "postgres" || scheme == "postgresql") && strings.HasPrefix(rest, "//") && len(rest) > 2 {
		return "postgres", c.Store, nil
	}
	return "", "", fmt.Errorf("  store: %q is not a store of this version; use sqlite:FILE, "+
		"postgres://USER:PASSWORD@HOST/DATABASE or memory", scheme)
}

// StoreName is the setting store as it may be shown: without a password.
func (c *Config) StoreName() string {
	if kind, _, err := c.StoreKind(); kind != "postgres" || err != nil {
		return c.Store
	}
	u, err := url.Parse(c.Store)
	if err != nil {
		return "postgres://…"
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}

// Setting describes one setting, for help texts and the documentation.
type Setting struct{ Key, Env, Default, Range, Doc string }

// Settings lists all of them in the order of the struct.
func Settings() []Setting {
	var list []Setting
	for _, f := range fields(reflect.ValueOf(new(Config)).Elem()) {
		s := Setting{Key: f.key, Env: EnvName(f.key), Default: f.tag.Get("default"), Doc: docs[f.key]}
		switch {
		case f.tag.Get("oneof") != "":
			s.Range = strings.ReplaceAll(f.tag.Get("oneof"), ",", " | ")
		case f.tag.Get("max") != "":
			s.Range = f.tag.Get("min") + " … " + f.tag.Get("max")
		}
		list = append(list, s)
	}
	return list
}
