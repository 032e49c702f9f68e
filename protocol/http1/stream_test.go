package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand"
	"net/http"
	"strings"
	"testing"
)

const (
	getHead  = "GET / HTTP/1.1\r\nHost: a\r\n"
	postHead = "POST / HTTP/1.1\r\nHost: a\r\n"
	plainGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
	sized    = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	chunked  = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5;ext=\"x\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
)

// feedSplit feeds in pieces and says how much was let through.
func feedSplit(s *Stream, in []byte, cut func(left int) int) (good int, fail *Error) {
	for good < len(in) && fail == nil {
		n := cut(len(in) - good)
		var took int
		took, fail = s.Feed(in[good : good+n])
		good += took
		if fail == nil && took != n {
			panic("bytes are held back without a reason")
		}
	}
	return good, fail
}

func TestStreamFollowsRequests(t *testing.T) {
	all := plainGet + sized + chunked + "\r\n" + plainGet + chunked + sized
	for name, cut := range map[string]func(int) int{
		"whole": func(left int) int { return left }, "bytes": func(int) int { return 1 },
		"threes": func(left int) int { return min(3, left) },
	} {
		s := NewStream(Limits{})
		if good, fail := feedSplit(&s, []byte(all), cut); fail != nil || good != len(all) {
			t.Errorf("%s: %d of %d bytes, %v", name, good, len(all), fail)
		}
		if s.state != atHead || len(s.head) > 0 {
			t.Errorf("%s: it is not before a head", name)
		}
	}
}

// smuggles are ways to make two readers disagree on where a request ends. Each must fail before a reader behind could
// take what is hidden in it for a request, wherever the bytes are cut.
var smuggles = map[string]string{
	"bare line feeds":              "GET / HTTP/1.1\nHost: a\n\n",
	"one bare line feed":           getHead + "X: y\n\r\n",
	"a folded header":              getHead + "X: y\r\n z\r\n\r\n",
	"a space before the colon":     postHead + "Content-Length : 5\r\n\r\nhello",
	"two lengths":                  postHead + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	"the same length twice":        postHead + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"a list of lengths":            postHead + "Content-Length: 5, 5\r\n\r\nhello",
	"a signed length":              postHead + "Content-Length: +5\r\n\r\nhello",
	"a length in hex":              postHead + "Content-Length: 0x5\r\n\r\nhello",
	"length and chunks":            postHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunks and length":            postHead + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	"an underscore":                postHead + "Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunked in 1.0":               "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"an unknown coding":            postHead + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	"two codings":                  postHead + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"chunked twice":                postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"identity":                     postHead + "Transfer-Encoding: identity\r\n\r\n",
	"a coding with a vertical tab": postHead + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
	"a coding in quotes":           postHead + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
	"a header with a null":         getHead + "X: \x00\r\n\r\n",
	"two hosts":                    getHead + "Host: b\r\n\r\n",
	"no host":                      "GET / HTTP/1.1\r\n\r\n",
	"a version to come":            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
	"http/2":                       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"a huge head":                  getHead + "X: " + strings.Repeat("x", DefaultHeadBytesMax) + "\r\n\r\n",
	"too many headers":             getHead + "" + strings.Repeat("X: y\r\n", DefaultHeadersMax) + "\r\n",
}

// chunkFaults are bodies behind a good head.
var chunkFaults = map[string]string{
	"no size":                     "\r\nhello\r\n0\r\n\r\n",
	"a size that is none":         "hello\r\n",
	"a space in front":            " 5\r\nhello\r\n0\r\n\r\n",
	"a space behind":              "5 \r\nhello\r\n0\r\n\r\n",
	"a sign":                      "+5\r\nhello\r\n0\r\n\r\n",
	"a prefix":                    "0x5\r\nhello\r\n0\r\n\r\n",
	"a size that overflows":       "10000000000000005\r\nhello\r\n0\r\n\r\n",
	"a bare line feed":            "5\nhello\r\n0\r\n\r\n",
	"a bare carriage return":      "5\rX\r\nhello\r\n0\r\n\r\n",
	"a longer chunk":              "5\r\nhello!\r\n0\r\n\r\n",
	"a chunk without its end":     "5\r\nhello0\r\n\r\n",
	"a line feed as its end":      "5\r\nhello\n0\r\n\r\n",
	"a line feed in extensions":   "5;a\nhello\r\n0\r\n\r\n",
	"endless extensions":          "5;" + strings.Repeat("x", 300) + "\r\nhello\r\n0\r\n\r\n",
	"a folded trailer":            "0\r\nX: y\r\n z\r\n\r\n",
	"a bare line feed at the end": "0\r\n\n",
	"endless trailers":            "0\r\n" + strings.Repeat("X: y\r\n", 4000) + "\r\n",
}

func TestStreamRefusesSmuggling(t *testing.T) {
	faults := map[string]string{}
	for name, in := range smuggles {
		faults[name] = in
	}
	for name, body := range chunkFaults {
		faults["chunks: "+name] = postHead + "Transfer-Encoding: chunked\r\n\r\n" + body
	}
	for name, in := range faults {
		head, _, _ := strings.Cut(in, "\r\n\r\n")
		inBody := strings.HasPrefix(name, "chunks: ")
		for i := range 3 {
			cut := []func(int) int{
				func(left int) int { return left }, func(int) int { return 1 }, func(left int) int { return min(7, left) },
			}[i]
			s := NewStream(Limits{})
			all := plainGet + chunked + in + plainGet
			good, fail := feedSplit(&s, []byte(all), cut)
			if fail == nil {
				t.Errorf("%s: let through", name)
				continue
			}
			if good -= len(plainGet + chunked); good < 0 || !inBody && good > len(head)+3 || s.FailedInHead() == inBody {
				t.Errorf("%s: %d bytes of it are let through, failed in the head: %v", name, good, s.FailedInHead())
			}
			if n, fail := s.Feed([]byte(plainGet)); n != 0 || fail == nil {
				t.Errorf("%s: it goes on after the fault", name)
			}
		}
	}
}

// FuzzStream compares with net/http, which reads what the Stream lets through: the same requests with the same bodies,
// and where one ends the other begins.
func FuzzStream(f *testing.F) {
	f.Add([]byte(plainGet+sized+chunked), int64(1))
	for _, in := range smuggles {
		f.Add([]byte(plainGet+in), int64(2))
	}
	for _, body := range chunkFaults {
		f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+body), int64(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed int64) {
		rng := rand.New(rand.NewSource(seed))
		whole, split := NewStream(Limits{HeadBytesMax: 512}), NewStream(Limits{HeadBytesMax: 512})
		good, fail := whole.Feed(in)
		goodSplit, failSplit := feedSplit(&split, in, func(left int) int { return 1 + rng.Intn(min(left, 20)) })
		if (fail == nil) != (failSplit == nil) || fail == nil && good != goodSplit {
			t.Fatalf("whole %d %v, cut %d %v", good, fail, goodSplit, failSplit)
		}
		if fail != nil {
			return
		}
		bytewise, ours := NewStream(Limits{HeadBytesMax: 512}), 0
		for i := range in {
			_, _ = bytewise.Feed(in[i : i+1])
			if bytewise.state == atHead && len(bytewise.head) == 0 {
				ours++
			}
		}
		theirs, strict := 0, false
		br := bufio.NewReader(bytes.NewReader(in))
		for {
			if next, _ := br.Peek(2); string(next) == "\r\n" { // the server skips it too
				_, _ = br.Discard(2)
			}
			req, err := http.ReadRequest(br)
			if err == nil {
				_, err = io.Copy(io.Discard, req.Body)
			}
			if err != nil { // stricter, or the rest is not whole
				strict = !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
				break
			}
			theirs++
		}
		if theirs > ours || theirs < ours && !strict {
			t.Fatalf("net/http sees %d requests in %q, the Stream %d", theirs, in, ours)
		}
	})
}
