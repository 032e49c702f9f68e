package gateway

import (
	"hash/maphash"

	"lectern/netpoll"
	"lectern/netpoll/frame"
	"lectern/protocol/native"
	"lectern/protocol/wire"
	"lectern/protocol/ws"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// group is a run of events that the same members get: encoded once per variant. After seal it is immutable.
type group struct {
	room     string
	epoch    string
	lastSeq  uint64 // of the events; 0: none can be resumed
	audience effect.Audience
	class    netpoll.Class
	key      uint64 // conflation, for ClassState
	except   wire.ConnID
	events   int
	text     []byte  // '[' and the events as JSON, separated by commas
	list     []event // the events one by one, if a variant that has members wants that
	frames   [variantCount]*frame.Frame
}

// event is one event of a group.
type event struct {
	name         string
	seq          uint64
	ts           int64
	dataAt, upTo int32 // of its data in group.text; equal: it has none
}

// data is the event's data as JSON; empty: it has none. It is shared: read only.
func (g *group) data(e *event) []byte { return g.text[e.dataAt:e.upTo:e.upTo] }

// groupBytesMax bounds one batch, so that a frame stays far below what clients accept.
const groupBytesMax = 256 << 10

// add appends an event; apart notes where it is.
func (g *group) add(it *rooms.Delivery, apart bool) {
	if g.events == 0 {
		g.text = append(make([]byte, 0, 256), '[')
	} else {
		g.text = append(g.text, ',')
	}
	g.events++
	if it.Seq > 0 {
		g.lastSeq = it.Seq
	}
	var dataAt int
	g.text, dataAt = native.AppendEventAt(g.text, it.Name, it.Room, it.Seq, it.TS, it.Data)
	if apart {
		g.list = append(g.list, event{it.Name, it.Seq, it.TS, int32(dataAt), int32(len(g.text) - 1)})
	}
}

// seal makes the frames of the variants that are wanted.
func (g *group) seal(wanted *[variantCount]bool, cfg *Config) {
	if g.events > 1 {
		g.text = append(g.text, ']')
	}
	for v := range variants {
		if wanted[v] && variants[v].encode != nil {
			g.frames[v] = variants[v].encode(g, cfg)
		}
	}
}

// json is the events as lectern.v1 has them: one object, or an array of them.
func (g *group) json() []byte {
	if g.events > 1 {
		return g.text
	}
	return g.text[1:]
}

func (g *group) encodeText(*Config) *frame.Frame {
	text := g.json()
	f := frame.Get(ws.HeaderSize(len(text)) + len(text))
	f.Buf = ws.AppendText(f.Buf, text)
	f.Seal()
	return f
}

// encodeZipped is the deflated frame where that pays, else the plain one.
func (g *group) encodeZipped(cfg *Config) *frame.Frame {
	text := g.json()
	if len(text) >= cfg.DeflateBytesMin {
		f := frame.Get(ws.HeaderSize(len(text)) + len(text)/2)
		f.Buf = ws.AppendTextDeflated(f.Buf, text)
		f.Seal()
		if f.Len() < ws.HeaderSize(len(text))+len(text) {
			return f
		}
		f.Release()
	}
	if plain := g.frames[variantText]; plain != nil {
		plain.Retain()
		return plain
	}
	return g.encodeText(cfg)
}

func (g *group) release() {
	for _, f := range g.frames {
		if f != nil {
			f.Release()
		}
	}
}

var stateSeed = maphash.MakeSeed()

// stateKey tells state events apart: the newest of a room, name and key replaces an older one.
func stateKey(it *rooms.Delivery) uint64 {
	var h maphash.Hash
	h.SetSeed(stateSeed)
	h.WriteString(it.Room)
	h.WriteByte(0)
	h.WriteString(it.Name)
	h.WriteByte(0)
	h.WriteString(it.Key)
	return max(h.Sum64(), 1)
}

// sharedMax bounds the frames that a loop keeps for one delivery on behalf of dialects whose words differ.
const sharedMax = 256

// sharedKey names a frame that members share who would get the same words: those of one group, of one variant, whose
// own part (a subscription's id, say) is the same.
type sharedKey struct {
	group *group
	own   string
}

// shared is the frame of a group for all members of this loop with the same own part, made by build the first time.
// It lives until the delivery is done. nil: there are too many different ones, so each member gets its own bytes.
func (ls *loopState) sharedFrame(g *group, own string, build func(dst []byte) []byte) *frame.Frame {
	if g == ls.lastShared.group && own == ls.lastShared.own { // nearly always there is one
		return ls.lastFrame
	}
	key := sharedKey{g, own}
	f := ls.shared[key]
	if f == nil {
		if len(ls.shared) >= sharedMax {
			return nil
		}
		f = frame.Get(len(g.text) + 256)
		f.Buf = build(f.Buf)
		f.Seal()
		ls.shared[key] = f
	}
	ls.lastShared, ls.lastFrame = key, f
	return f
}

// dropShared releases the frames of a delivery that is done.
func (ls *loopState) dropShared() {
	ls.lastShared, ls.lastFrame = sharedKey{}, nil
	if len(ls.shared) == 0 {
		return
	}
	for _, f := range ls.shared {
		f.Release()
	}
	clear(ls.shared)
}
