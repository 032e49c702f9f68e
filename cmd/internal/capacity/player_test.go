package capacity

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"lectern/bench/client"
	"lectern/netpoll/simnet"
	"lectern/protocol/ws"
)

// player is one participant's client.
type player struct {
	*simnet.Client
	rest             []byte // an incomplete frame
	upgraded, joined bool
	// Counts of the current question.
	questions, acks, ranks int
	score, rank            int64
}

func (p *player) upgrade(name string) {
	p.Write(fmt.Appendf(nil, "GET /ws?guest=%s HTTP/1.1\r\nHost: capacity\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
		"Sec-WebSocket-Protocol: lectern.v1\r\n\r\n", name))
}

func (p *player) send(id int, op, room, data string) {
	text := append([]byte(nil), `{"id":`...)
	text = strconv.AppendInt(text, int64(id), 10)
	text = append(text, `,"op":"`+op+`"`...)
	if room != "" {
		text = append(text, `,"room":"`+room+`"`...)
	}
	if data != "" {
		text = append(text, `,"data":`+data...)
	}
	p.Write(ws.AppendMaskedText(nil, append(text, '}'), 0x12345678))
}

// read hands every message that has arrived to on.
func (p *player) read(on func(f *client.Fields) error) error {
	b := p.Read()
	if len(p.rest) > 0 {
		b = append(p.rest, b...)
		p.rest = nil
	}
	if !p.upgraded {
		head, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
		if !ok {
			p.rest = b
			return nil
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			return fmt.Errorf("capacity: the server answers %q", head)
		}
		p.upgraded, b = true, rest
	}
	var s client.Scanner
	var f client.Fields
	for len(b) > 0 {
		payload, size := frame(b)
		if size == 0 {
			p.rest = append([]byte(nil), b...)
			return nil
		}
		if b[0] != 0x81 {
			return fmt.Errorf("capacity: the server sends a frame that begins with %#x", b[0])
		}
		for s.Reset(payload); s.Next(&f); {
			if err := on(&f); err != nil {
				return err
			}
		}
		if err := s.Err(); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// frame cuts the first server frame; size is zero when it is incomplete.
func frame(b []byte) (payload []byte, size int) {
	if len(b) < 2 {
		return nil, 0
	}
	head, n := 2, int(b[1])
	switch {
	case n == 126 && len(b) >= 4:
		head, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		head, n = 10, int(binary.BigEndian.Uint64(b[2:]))
	case n >= 126:
		return nil, 0
	}
	if len(b) < head+n {
		return nil, 0
	}
	return b[head : head+n], head + n
}
