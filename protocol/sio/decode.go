package sio

import (
	"encoding/json"
)

// Limits bound what a Decoder holds and walks.
type Limits struct {
	NamespaceBytesMax  int
	AttachmentsMax     int // of one packet
	AttachmentBytesMax int // of all attachments of one packet together
}

// DefaultLimits fit the official server's: it allows ten attachments, and messages of a million bytes.
var DefaultLimits = Limits{NamespaceBytesMax: 256, AttachmentsMax: 10, AttachmentBytesMax: 1e6}

// Decoder puts packets together from one connection's messages. The zero value with Limits set is ready. After an error
// the connection must be closed.
type Decoder struct {
	Limits Limits

	pending Packet // waits for its attachments
	wanted  int
	bytes   int
}

// Waiting is true between a packet and the last of its attachments.
func (d *Decoder) Waiting() bool { return d.wanted > 0 }

// Text takes a text message. ok is false when attachments must come first; then Binary returns the packet. The result
// is borrowed from text.
func (d *Decoder) Text(text []byte) (p Packet, ok bool, err error) {
	if d.wanted > 0 {
		return Packet{}, false, ErrOrder
	}
	p, attachments, err := d.parse(text)
	if err != nil {
		return Packet{}, false, err
	}
	if attachments == 0 {
		return p, true, nil
	}
	p.Data = append([]byte(nil), p.Data...) // text is borrowed, and the packet waits
	p.Attachments = make([][]byte, 0, attachments)
	d.pending, d.wanted, d.bytes = p, attachments, 0
	return Packet{}, false, nil
}

// Binary takes a binary message: an attachment of the packet that waits. ok is true with the last one. The bytes are
// copied.
func (d *Decoder) Binary(data []byte) (p Packet, ok bool, err error) {
	if d.wanted == 0 {
		return Packet{}, false, ErrOrder
	}
	if d.bytes += len(data); d.bytes > d.Limits.AttachmentBytesMax {
		return Packet{}, false, ErrAttachments
	}
	d.pending.Attachments = append(d.pending.Attachments, append([]byte{}, data...))
	if d.wanted--; d.wanted > 0 {
		return Packet{}, false, nil
	}
	p, d.pending, d.bytes = d.pending, Packet{}, 0
	return p, true, nil
}

// parse reads a packet's text: type, then count of attachments and '-', then namespace and ',', then id, then JSON.
func (d *Decoder) parse(text []byte) (p Packet, attachments int, err error) {
	if len(text) == 0 || text[0] < '0' || text[0] >= '0'+byte(types) {
		return p, 0, ErrType
	}
	p = Packet{Type: Type(text[0] - '0'), Namespace: Main, ID: NoID}
	rest := text[1:]
	if p.Type == BinaryEvent || p.Type == BinaryAck {
		n, after, ok := number(rest, int64(d.Limits.AttachmentsMax))
		if !ok || len(after) == 0 || after[0] != '-' {
			return p, 0, ErrAttachments
		}
		attachments, rest = int(n), after[1:]
	}
	if len(rest) > 0 && rest[0] == '/' {
		if p.Namespace, rest, err = d.namespace(rest); err != nil {
			return p, 0, err
		}
	}
	if len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
		n, after, ok := number(rest, IDMax)
		if !ok || p.Type == Connect || p.Type == Disconnect || p.Type == ConnectError {
			return p, 0, ErrID
		}
		p.ID, rest = n, after
	}
	if err := p.checkData(rest, attachments); err != nil {
		return p, 0, err
	}
	if len(rest) > 0 {
		p.Data = rest
	}
	return p, attachments, nil
}

// namespace reads up to the comma or the end. The main one has one name, whoever spells it out.
func (d *Decoder) namespace(rest []byte) (string, []byte, error) {
	end := 0
	for end < len(rest) && rest[end] != ',' {
		if c := rest[end]; c < '!' || c == '"' || c == '\\' || c == 0x7f {
			return "", nil, ErrNamespace
		}
		end++
	}
	if end > d.Limits.NamespaceBytesMax {
		return "", nil, ErrNamespace
	}
	name := Main
	if end > 1 {
		name = string(rest[:end])
	}
	if end < len(rest) {
		end++
	}
	return name, rest[end:], nil
}

// number reads decimal digits, at least one, and refuses what is above most.
func number(b []byte, most int64) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if n = n*10 + int64(b[i]-'0'); n > most {
			return 0, nil, false
		}
	}
	return n, b[i:], i > 0
}

// checkData checks that data is JSON of the kind that the type wants, and that its placeholders name attachments.
func (p *Packet) checkData(data []byte, attachments int) error {
	s := scanner{in: data, numbersBelow: attachments}
	if p.Type == Event || p.Type == Ack { // what looks like a placeholder is an ordinary object here
		s.numbersBelow = anyNumber
	}
	if len(data) > 0 {
		if !s.value() || s.pos != len(data) {
			if s.outside {
				return ErrAttachments
			}
			return ErrPayload
		}
	}
	switch p.Type {
	case Connect:
		if len(data) > 0 && data[0] != '{' {
			return ErrPayload
		}
	case Disconnect:
		if len(data) > 0 {
			return ErrPayload
		}
	case ConnectError:
		if len(data) == 0 || data[0] != '{' && data[0] != '"' {
			return ErrPayload
		}
	case Ack, BinaryAck:
		if len(data) == 0 || data[0] != '[' || p.ID < 0 {
			return ErrPayload
		}
	case Event, BinaryEvent:
		return checkEvent(data)
	}
	return nil
}

// checkEvent wants a name first, which is a number or a string that nobody has reserved.
func checkEvent(data []byte) error {
	if len(data) == 0 || data[0] != '[' {
		return ErrPayload
	}
	s := scanner{in: data, pos: 1, numbersBelow: anyNumber}
	s.space()
	from := s.pos
	switch c := s.peek(); {
	case c == '"':
		_, _ = s.str() // checked before
		name, plain := Name(data[from:s.pos])
		if !plain { // an escaped spelling of a reserved name is reserved
			var text string
			if json.Unmarshal(data[from:s.pos], &text) != nil {
				return ErrPayload
			}
			name = []byte(text)
		}
		if reserved[string(name)] {
			return ErrPayload
		}
		return nil
	case c == '-' || c >= '0' && c <= '9':
		return nil
	}
	return ErrPayload
}
