package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"

	clientjs "lectern/protocol/client/js"
	"lectern/protocol/schema"
)

//go:embed pages assets
var files embed.FS

// pages are the addresses of the pages and the files behind them.
var pages = map[string]string{
	"/":        "pages/index.html",
	"/join":    "pages/join.html",
	"/play":    "pages/play.html",
	"/host":    "pages/host.html",
	"/screen":  "pages/screen.html",
	"/receipt": "pages/receipt.html",
	"/console": "pages/console.html",
}

const (
	assetPrefix  = "/assets/"
	schemaPrefix = "/schemas/"
	hashChars    = 12
	gzipBytesMin = 512
	cacheForever = "public, max-age=31536000, immutable"
	cacheAsk     = "no-cache"
)

// Options change what Handler serves. The zero value is the usual.
type Options struct {
	// Version is told in the pages (meta name lectern-version) and makes assets of two versions distinct.
	Version string
}

// file is one file ready to be served.
type file struct {
	contentType string
	etag        string
	plain       []byte
	gzipped     []byte // nil where it would not be smaller
}

// site is everything that is served, built once and only read afterwards.
type site struct {
	pages  map[string]*file // by address
	assets map[string]*file // by path under /assets/
	public map[string]*file // by address: what tools of other origins may read, too
	hash   string
}

// Handler serves the pages at /, /join, /play, /host, /screen, /receipt and /console, what they load under /assets/,
// and the descriptions of the messages under /schemas/ and at /asyncapi.json. Other addresses are answered with 404,
// other methods than GET and HEAD with 405. It may be used by any number of goroutines.
func Handler(opts Options) http.Handler {
	s, err := build(opts)
	if err != nil {
		// The files are part of the binary, and the tests read every one of them.
		panic(fmt.Sprintf("web: embedded files are not readable: %v", err))
	}
	return s
}

func build(opts Options) (*site, error) {
	s := &site{pages: map[string]*file{}, assets: map[string]*file{}, public: map[string]*file{}}
	raw, err := readAssets()
	if err != nil {
		return nil, err
	}
	s.hash = hashOf(opts.Version, raw)
	for name, content := range raw {
		s.assets[name] = newFile(name, content)
	}
	for address, name := range pages {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		content = bytes.ReplaceAll(content, []byte(`"`+assetPrefix), []byte(`"`+assetPrefix+s.hash+"/"))
		meta := fmt.Sprintf("<meta name=\"lectern-version\" content=%q>\n</head>", plainVersion(opts.Version))
		content = bytes.Replace(content, []byte("</head>"), []byte(meta), 1)
		s.pages[address] = newFile(name, content)
	}
	return s, s.addSchemas()
}

// addSchemas publishes the descriptions of the messages under /schemas/ and at /asyncapi.json.
func (s *site) addSchemas() error {
	return fs.WalkDir(schema.Files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(schema.Files(), name)
		if err != nil {
			return err
		}
		f := newFile(name, content)
		switch name {
		case "asyncapi.json":
			s.public["/asyncapi.json"] = f
			return nil
		case "index.json":
			s.public[schemaPrefix] = f
		default:
			f.contentType = "application/schema+json"
		}
		s.public[schemaPrefix+name] = f
		return nil
	})
}

// readAssets gives the content of every asset by its path under /assets/.
func readAssets() (map[string][]byte, error) {
	raw := map[string][]byte{}
	add := func(fsys fs.FS, root, prefix string) error {
		return fs.WalkDir(fsys, root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(fsys, name)
			raw[prefix+strings.TrimPrefix(name, root+"/")] = content
			return err
		})
	}
	if err := add(files, "assets", ""); err != nil {
		return nil, err
	}
	return raw, add(clientjs.Files, ".", "sdk/")
}

// hashOf changes with any name, any byte and the version. The order of a map must not matter, so the digests are XORed.
func hashOf(version string, raw map[string][]byte) string {
	sum := sha256.Sum256([]byte(version))
	for name, content := range raw {
		one := sha256.New()
		one.Write([]byte(name))
		one.Write([]byte{0})
		one.Write(content)
		for i, b := range one.Sum(nil) {
			sum[i] ^= b
		}
	}
	return hex.EncodeToString(sum[:])[:hashChars]
}

var versionChars = regexp.MustCompile(`[^0-9A-Za-z.+_-]`)

// plainVersion keeps a version from being anything but text in an attribute.
func plainVersion(version string) string { return versionChars.ReplaceAllString(version, "") }

func newFile(name string, content []byte) *file {
	sum := sha256.Sum256(content)
	f := &file{
		contentType: typeOf(name),
		etag:        `"` + hex.EncodeToString(sum[:])[:2*hashChars] + `"`,
		plain:       content,
	}
	if len(content) >= gzipBytesMin {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = w.Write(content) // into memory: can't fail
		_ = w.Close()
		if b.Len() < len(content) {
			f.gzipped = b.Bytes()
		}
	}
	return f
}

// typeOf does not depend on the machine's MIME tables for what we have.
func typeOf(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy(r.Host))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD here", http.StatusMethodNotAllowed)
		return
	}
	f, cache := s.find(r.URL.Path)
	if f == nil {
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}
	header.Set("Cache-Control", cache)
	if s.public[r.URL.Path] == f {
		header.Set("Access-Control-Allow-Origin", "*")
	}
	f.serve(w, r)
}

// find is the file at an address and how long it may be kept; nil when there is none.
func (s *site) find(address string) (*file, string) {
	if f, ok := s.pages[address]; ok {
		return f, cacheAsk
	}
	if f, ok := s.public[address]; ok {
		return f, cacheAsk
	}
	name, ok := strings.CutPrefix(address, assetPrefix)
	if !ok {
		return nil, ""
	}
	if rest, ok := strings.CutPrefix(name, s.hash+"/"); ok {
		return s.assets[rest], cacheForever
	}
	return s.assets[name], cacheAsk
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	header.Set("Vary", "Accept-Encoding")
	body, etag := f.plain, f.etag
	if f.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = f.gzipped, strings.TrimSuffix(f.etag, `"`)+`-gz"`
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away is its own business
	}
}

// acceptsGzip reads an Accept-Encoding header (RFC 9110 section 12.5.3); a quality of zero refuses.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			quality, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			return !ok || strings.Trim(quality, "0.") != ""
		}
	}
	return false
}

// matches compares an If-None-Match header weakly (RFC 9110 section 13.1.2).
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}

var hostChars = regexp.MustCompile(`^[0-9A-Za-z.\-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// policy is the Content-Security-Policy. 'self' covers the WebSocket of the same origin in present browsers; older ones
// take it for http only, so the host is named too, if it is a plain one.
func policy(host string) string {
	connect := "'self'"
	if hostChars.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}
