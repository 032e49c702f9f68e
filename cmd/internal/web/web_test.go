package web

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, target string, header ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryPageIsServedWithItsHeaders(t *testing.T) {
	h := Handler(Options{Version: `1.0"><script>`})
	for address := range pages {
		res := get(t, h, address)
		body := text(t, res)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, "<main id=\"main\"") {
			t.Errorf("%s: status %d, body %.60q", address, res.StatusCode, body)
		}
		if strings.Contains(body, "<script>") {
			t.Errorf("%s: the version was not made plain", address)
		}
		csp := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{
			"default-src 'none'", "script-src 'self';", "style-src 'self';",
			"connect-src 'self' ws://example.com wss://example.com;",
			"base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
		} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy lacks %q: %s", address, want, csp)
			}
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
			"Content-Type": "text/html; charset=utf-8",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", address, name, got, want)
			}
		}
	}
}

var (
	attribute  = regexp.MustCompile(`(?:src|href)="(/[^"]*)"`)
	imported   = regexp.MustCompile(`(?m)^(?:import|export)\b[^'"]*from '([^']+)'|^import '([^']+)'`)
	fromStyles = regexp.MustCompile(`(?:url\(|@import)\s*['"]?([^'")]+)`)
)

// TestEveryReferenceExists walks from the pages over all that they load, at the addresses that a browser would ask for.
func TestEveryReferenceExists(t *testing.T) {
	h := Handler(Options{})
	seen := map[string]bool{}
	var walk func(from, address string)
	walk = func(from, address string) {
		if seen[address] {
			return
		}
		seen[address] = true
		res := get(t, h, address)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s refers to %s: status %d", from, address, res.StatusCode)
			return
		}
		body := text(t, res)
		switch path.Ext(address) {
		case ".js":
			for _, m := range imported.FindAllStringSubmatch(body, -1) {
				walk(address, path.Join(path.Dir(address), m[1]+m[2]))
			}
		case ".css":
			for _, m := range fromStyles.FindAllStringSubmatch(body, -1) {
				walk(address, path.Join(path.Dir(address), m[1]))
			}
		case "":
			for _, m := range attribute.FindAllStringSubmatch(body, -1) {
				walk(address, m[1])
			}
		}
	}
	for address := range pages {
		walk("the list of pages", address)
	}
	s := h.(*site)
	for name := range s.assets {
		if !seen[assetPrefix+s.hash+"/"+name] && name != "sdk/types.js" { // types only
			t.Errorf("nothing refers to the asset %s", name)
		}
	}
}

func TestFilesKeepToThePolicy(t *testing.T) {
	s, err := build(Options{})
	if err != nil {
		t.Fatal(err)
	}
	outside := regexp.MustCompile(`(?i)https?://[^\s'"]*`)
	inline := regexp.MustCompile(`(?i)<[a-z][^>]*\s(?:on[a-z]+|style)\s*=|<style|<script(?:\s[^>]*)?>[^<]|javascript:`)
	risky := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|` +
		`\beval\(|new Function|setAttribute\('style'`)
	check := func(name, body string) {
		for _, found := range outside.FindAllString(body, -1) {
			if !strings.HasPrefix(found, "http://www.w3.org/") { // a namespace, never fetched
				t.Errorf("%s names an outside address: %s", name, found)
			}
		}
		if found := inline.FindString(body); found != "" && path.Ext(name) != ".js" {
			t.Errorf("%s has something inline: %s", name, found)
		}
		if found := risky.FindString(body); found != "" {
			t.Errorf("%s builds markup or code from text: %s", name, found)
		}
	}
	for name, f := range s.pages {
		check(name, string(f.plain))
	}
	for name, f := range s.assets {
		check(name, string(f.plain))
	}
}

func TestAssetsAreCachedByHash(t *testing.T) {
	h := Handler(Options{})
	s := h.(*site)
	res := get(t, h, "/assets/"+s.hash+"/js/play.js")
	if got := res.Header.Get("Cache-Control"); got != cacheForever {
		t.Errorf("a hashed asset has Cache-Control %q", got)
	}
	res = get(t, h, "/assets/js/play.js")
	if got := res.Header.Get("Cache-Control"); got != cacheAsk {
		t.Errorf("an asset without hash has Cache-Control %q", got)
	}
	etag := res.Header.Get("ETag")
	res = get(t, h, "/assets/js/play.js", "If-None-Match", `"other", W/`+etag)
	if res.StatusCode != http.StatusNotModified || text(t, res) != "" {
		t.Errorf("a known ETag gives status %d", res.StatusCode)
	}
	if one, two := Handler(Options{Version: "1"}).(*site), Handler(Options{Version: "2"}).(*site); one.hash == two.hash {
		t.Error("two versions have the same hash")
	}
}

func TestGzip(t *testing.T) {
	h := Handler(Options{})
	plain := text(t, get(t, h, "/assets/js/play.js"))
	res := get(t, h, "/assets/js/play.js", "Accept-Encoding", "br;q=1, gzip;q=0.8")
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal("no gzip for a client that takes it")
	}
	r, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || string(b) != plain {
		t.Errorf("unzipped content differs (%v)", err)
	}
	for _, refusing := range []string{"", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"} {
		if res := get(t, h, "/assets/js/play.js", "Accept-Encoding", refusing); res.Header.Get("Content-Encoding") != "" {
			t.Errorf("Accept-Encoding %q got %s", refusing, res.Header.Get("Content-Encoding"))
		}
	}
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	h := Handler(Options{})
	for _, address := range []string{
		"/nothing", "/assets/", "/assets/js", "/assets/../web.go", "/assets/sdk/embed.go", "/pages/index.html",
	} {
		if res := get(t, h, address); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", address, res.StatusCode)
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/join", nil))
	if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") == "" {
		t.Errorf("POST: status %d, Allow %q", rec.Code, rec.Header().Get("Allow"))
	}
}

func TestPolicyOfOddHosts(t *testing.T) {
	for host, want := range map[string]string{
		"school.example:8080": "connect-src 'self' ws://school.example:8080 wss://school.example:8080;",
		"[::1]:8080":          "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080;",
		"x; script-src *":     "connect-src 'self';",
		"":                    "connect-src 'self';",
	} {
		if got := policy(host); !strings.Contains(got, want) {
			t.Errorf("host %q: %s", host, got)
		}
	}
}

// dictionary reads the keys and texts of a language file.
func dictionary(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := files.ReadFile("assets/js/" + name)
	if err != nil {
		t.Fatal(err)
	}
	dict := map[string]string{}
	entry := regexp.MustCompile(`'([a-z]\w*\.\w+)':\s+('(?:[^'\\]|\\.)*'|"[^"]*")`)
	for _, m := range entry.FindAllStringSubmatch(string(b), -1) {
		if _, twice := dict[m[1]]; twice {
			t.Errorf("%s has %s twice", name, m[1])
		}
		dict[m[1]] = m[2]
	}
	return dict
}

func TestLanguagesAreComplete(t *testing.T) {
	en, de := dictionary(t, "en.js"), dictionary(t, "de.js")
	placeholder := regexp.MustCompile(`\{\w+\}`)
	for key, value := range en {
		other, ok := de[key]
		if !ok {
			t.Errorf("de.js lacks %s", key)
			continue
		}
		want, got := placeholder.FindAllString(value, -1), placeholder.FindAllString(other, -1)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(slices.Compact(want), slices.Compact(got)) {
			t.Errorf("%s: placeholders %v in English, %v in German", key, want, got)
		}
	}
	for key := range de {
		if _, ok := en[key]; !ok {
			t.Errorf("en.js lacks %s", key)
		}
	}
	if len(en) < 150 {
		t.Errorf("only %d texts were found; has the form of the files changed?", len(en))
	}
}

// TestTextsExist checks that every key that the pages ask for is there, and that no text is left over.
func TestTextsExist(t *testing.T) {
	en := dictionary(t, "en.js")
	s, err := build(Options{})
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`'([a-z]\w*\.\w+|points|streak)'`)
	prefix := regexp.MustCompile("`(control|error|outcome|role|scoring|stop|type)\\.\\$\\{")
	used, prefixes := map[string]bool{}, map[string]bool{}
	for name, f := range s.assets {
		base := path.Base(name)
		if !strings.HasPrefix(name, "js/") || base == "en.js" || base == "de.js" {
			continue
		}
		for _, m := range asked.FindAllStringSubmatch(string(f.plain), -1) {
			used[m[1]] = true
		}
		for _, m := range prefix.FindAllStringSubmatch(string(f.plain), -1) {
			prefixes[m[1]] = true
		}
	}
	names := regexp.MustCompile(`^(lectern\.|.*\.(js|css|svg|html|txt)$)`)
	for key := range used {
		_, plain := en[key]
		_, plural := en[key+"_other"]
		if !plain && !plural && !names.MatchString(key) && strings.Contains(key, ".") {
			t.Errorf("no text for %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(en)) {
		base := strings.TrimSuffix(strings.TrimSuffix(key, "_one"), "_other")
		if !used[base] && !used[key] && !prefixes[strings.Split(key, ".")[0]] {
			t.Errorf("nobody asks for the text %s", key)
		}
	}
}

// TestSchemasAreServed: the index names only what is there, tools of other origins may read all of it, and pages stay
// with their own origin.
func TestSchemasAreServed(t *testing.T) {
	h := Handler(Options{})
	var index struct {
		Message, Frame, Error string
		Ops                   []struct{ Op, Request, Reply string }
		Events                []struct{ Event, Schema string }
	}
	if err := json.Unmarshal([]byte(text(t, get(t, h, "/schemas/"))), &index); err != nil {
		t.Fatal(err)
	}
	names := []string{index.Message, index.Frame, index.Error}
	for _, op := range index.Ops {
		names = append(names, op.Request, op.Reply)
	}
	for _, ev := range index.Events {
		names = append(names, ev.Schema)
	}
	if len(names) < 60 {
		t.Errorf("the index names %d files only", len(names))
	}
	for _, name := range names {
		res := get(t, h, "/schemas/"+name)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/schema+json" ||
			res.Header.Get("Access-Control-Allow-Origin") != "*" || !json.Valid([]byte(text(t, res))) {
			t.Errorf("%s: %s %v", name, res.Status, res.Header)
		}
	}
	if res := get(t, h, "/asyncapi.json"); res.StatusCode != http.StatusOK ||
		res.Header.Get("Content-Type") != "application/json" || !strings.Contains(text(t, res), `"asyncapi": "3.0.0"`) {
		t.Errorf("asyncapi.json: %s %v", res.Status, res.Header)
	}
	for _, address := range []string{"/", "/assets/js/dom.js"} {
		if got := get(t, h, address).Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s may be read by other origins: %s", address, got)
		}
	}
	if res := get(t, h, "/schemas/requests/nope.json"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a schema that is not there: %s", res.Status)
	}
}
