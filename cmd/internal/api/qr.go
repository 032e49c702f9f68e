package api

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"

	qrcode "github.com/skip2/go-qrcode"

	"lectern/protocol/wire"
)

type qrRequest struct {
	PIN   string `path:"pin" maxLength:"12"`
	Host  string `header:"Host"`
	Proto string `header:"X-Forwarded-Proto"`
}

// qr draws the code as one SVG path: sharp on any projector, a few kilobytes.
func (a *API) qr(_ context.Context, in *qrRequest) (*fileReply, error) {
	if _, ok := a.PINs.Room(in.PIN); !ok {
		if missing := a.PINs.Missing(); missing != nil {
			return nil, fail(missing)
		}
		return nil, fail(wire.NewError(wire.CodeUnknownRoom, "no game has this PIN"))
	}
	code, err := qrcode.New(a.base(in)+"/join?pin="+url.QueryEscape(in.PIN), qrcode.Medium)
	if err != nil {
		return nil, fail(wire.NewError(wire.CodeInternal, "the QR code can't be made"))
	}
	return &fileReply{ContentType: "image/svg+xml", Body: svg(code.Bitmap())}, nil
}

// base is the URL that pupils reach the server by.
func (a *API) base(in *qrRequest) string {
	if a.URL != "" {
		return strings.TrimSuffix(a.URL, "/")
	}
	proto := "http"
	if in.Proto == "https" {
		proto = "https"
	}
	return proto + "://" + in.Host
}

func svg(bitmap [][]bool) []byte {
	var b bytes.Buffer
	n := len(bitmap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, n, n)
	fmt.Fprintf(&b, `<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, n, n)
	for y, row := range bitmap {
		for x := 0; x < n; x++ {
			start := x
			for x < n && row[x] {
				x++
			}
			if x > start {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", start, y, x-start, x-start)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes()
}
