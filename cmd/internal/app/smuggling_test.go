package app

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request that two readers could read differently is refused, whoever reads it: the loop, which sees the first one of
// a connection, and net/http, which sees those that follow. What is hidden in it is never answered.
func TestSmugglingIsRefusedOnBothSides(t *testing.T) {
	t.Parallel()
	s := start(t)
	host := "Host: " + s.Addr().String() + "\r\n"
	fine := "GET /api/v1/config HTTP/1.1\r\n" + host + "\r\n"
	post := "POST /api/v1/import?filename=a.gift HTTP/1.1\r\n" + host
	upgrade := "GET /ws?guest=a HTTP/1.1\r\n" + host + plainHandshake
	for name, text := range map[string]string{
		"bare line feeds":              strings.ReplaceAll(fine, "\r\n", "\n"),
		"one bare line feed":           "GET / HTTP/1.1\r\n" + host + "X: y\n\r\n",
		"a folded header":              "GET / HTTP/1.1\r\n" + host + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
		"a folded coding":              post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"a space before the colon":     post + "Content-Length : 5\r\n\r\nhello",
		"two lengths":                  post + "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
		"a list of lengths":            post + "Content-Length: 5, 5\r\n\r\nhello",
		"a signed length":              post + "Content-Length: +5\r\n\r\nhello",
		"length and chunks":            post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an underscore":                post + "Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an unknown coding":            post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"two codings":                  post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":                post + strings.Repeat("Transfer-Encoding: chunked\r\n", 2) + "\r\n0\r\n\r\n",
		"chunked after a vertical tab": post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"chunked in 1.0":               strings.Replace(post, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n",
		"a bare line feed in chunks":   post + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
		"a chunk without its end":      post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
		"a size in disguise":           post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
		"a null":                       "GET / HTTP/1.1\r\n" + host + "X: \x00\r\n\r\n",
		"no host":                      "GET / HTTP/1.1\r\n\r\n",
		"two hosts":                    "GET / HTTP/1.1\r\n" + host + host + "\r\n",
		"another version":              "GET / HTTP/1.2\r\n" + host + "\r\n",
		"a huge head":                  "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 9<<10) + "\r\n\r\n",
		"too many headers":             "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 100) + "\r\n",
		"an upgrade with a length":     upgrade + "Content-Length: 5\r\n\r\nhello",
		"an upgrade with chunks":       upgrade + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an upgrade with a fold":       upgrade + "X: y\r\n z\r\n\r\n",
		"an upgrade with two keys":     upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"an upgrade that is a post":    strings.Replace(upgrade, "GET", "POST", 1) + "\r\n",
		"an upgrade to version 14":     strings.Replace(upgrade, "13", "14", 1) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			first := s.answers(text + fine)
			if len(first) != 1 || first[0] < 400 {
				t.Errorf("as the first request, with one behind it: answered %v", first)
			}
			later := s.answers(fine + text + fine)
			// net/http knows no upgrade: it answers such a request as any other, and the connection goes on as HTTP.
			plain := strings.HasPrefix(name, "an upgrade") && len(later) > 1 && later[1] >= 400 && later[1] != 501
			if len(later) < 2 || later[0] != http.StatusOK || later[1] < 400 || len(later) > 2 && !plain {
				t.Errorf("as the second: answered %v", later)
			}
		})
	}
	chunks := "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"
	for _, text := range []string{fine + fine, post + chunks + fine} {
		if got := s.answers(text); len(got) != 2 || got[1] != http.StatusOK {
			t.Errorf("%.40q: answered %v", text, got)
		}
	}
	if got := s.answers(fine + upgrade + "\r\n"); len(got) < 2 || got[1] == http.StatusSwitchingProtocols {
		t.Errorf("an upgrade behind another request: answered %v", got)
	}
}

// answers sends text in two writes, says that no more comes, and gives the status of every answer until the end.
func (s *server) answers(text string) (statuses []int) {
	c := s.raw()
	defer c.Close() //nolint:errcheck // a client of a test
	half := len(text) / 2
	for _, part := range []string{text[:half], text[half:]} {
		if _, err := io.WriteString(c, part); err != nil {
			break // it may have been refused by now; what counts is the answer
		}
	}
	br := bufio.NewReader(c)
	for {
		_ = c.SetReadDeadline(time.Now().Add(answerPatience))
		r, err := http.ReadResponse(br, nil)
		if err != nil {
			return statuses
		}
		statuses = append(statuses, r.StatusCode)
		if r.StatusCode == http.StatusSwitchingProtocols {
			return statuses
		}
		_, _ = io.Copy(io.Discard, r.Body) // refusing may cut it off
		_ = r.Body.Close()
	}
}

// answerPatience is how long an answer may take that might not come: a connection that waits for more is left there.
const answerPatience = 2 * time.Second
