package gateway

import (
	"sync/atomic"

	"lectern/netpoll/frame"
	"lectern/protocol/http1"
	"lectern/protocol/session"
	"lectern/protocol/stomp"
	"lectern/protocol/wire"
	"lectern/rooms"
)

// dialect is what a connection speaks. It is chosen once, by the path of its handshake (endpoints), and kept in the
// member; from then on nothing asks which one it is. A dialect turns messages into requests for member.perform, says
// replies and events in its own words, and sends bytes with member.conn.Send and SendBytes, framed as its transport
// wants them. What it must remember of a connection (acks that are awaited, subscriptions, namespaces) is its own
// value; one without memory is an empty struct and costs nothing. Everything runs on the connection's loop.
//
// A request's id belongs to the dialect: any number but zero, unique among the connection's requests under way, which
// the reply brings back. Zero asks for no reply.
//
// The transport is the dialect's business too: a member's messages come from the WebSocket machine (Gateway.Data), but
// whoever feeds a virtual netpoll.Conn may call message itself.
type dialect interface {
	// variant is how this connection gets what it shares with others; zipped says that permessage-deflate was
	// negotiated. It is asked once, before opened.
	variant(zipped bool) variant
	// opened comes once, when the upgrade's answer is on its way and nothing was wrong with the token. The dialect arms
	// its timers here.
	opened(m *member)
	// message takes one message. payload is borrowed, and valid UTF-8 if it is not binary. It need not be a request.
	message(m *member, binary bool, payload []byte)
	// reply answers a request; data is nil or marshals to JSON.
	reply(m *member, req uint64, data any)
	// refuse answers a request with an error; req may be zero if it could not be read.
	refuse(m *member, req uint64, err *wire.Error)
	// event gives an event to this connection alone.
	event(m *member, it *rooms.Delivery)
	// group gives a group of events for which there is no shared frame of the connection's variant, and says how many
	// the connection takes. Dialects whose words differ from member to member are always asked.
	group(m *member, g *group) (delivered int)
	// heartbeat is netpoll.TimerHeartbeat; idle is netpoll.TimerIdle. They fire once for each time they are armed.
	heartbeat(m *member)
	idle(m *member)
	// farewell says why the connection is closed: the last words before its end.
	farewell(m *member, code wire.CloseCode, why string)
	// gone comes once, when the connection has ended.
	gone(m *member)
}

// endpoint is a path at which WebSockets are served.
type endpoint struct {
	// subprotocols are those that may be selected.
	subprotocols []string
	// zips allows permessage-deflate.
	zips bool
	// speak makes the dialect of a connection; subprotocol is empty where none was offered that we know. The handshake
	// may still fail, and farewell may be all that is asked of the dialect.
	speak func(m *member, req *http1.Request, subprotocol string) dialect
	// judge, where it is set, judges handshakes instead of member.Head and the two above.
	judge func(m *member, req *http1.Request) session.Verdict
}

// endpoints by path. Read only.
var endpoints = map[string]*endpoint{
	"/ws": {
		subprotocols: []string{subprotocol}, zips: true,
		speak: func(*member, *http1.Request, string) dialect { return lecternV1{} },
	},
	"/stomp":      {subprotocols: stomp.Subprotocols, speak: speakStomp},
	"/socket.io/": {judge: judgeEngine},
	"/socket.io":  {judge: judgeEngine},
}

// endpointPaths is what people are told who ask for another.
const endpointPaths = "/ws, /stomp or /socket.io/"

// choose is the first subprotocol on the client's list that is served here; empty if there is none.
func (e *endpoint) choose(offered []string) string {
	for _, p := range offered {
		for _, served := range e.subprotocols {
			if p == served {
				return served
			}
		}
	}
	return ""
}

// variant names an encoding of events that all its members share, byte for byte.
type variant uint8

// The variants.
const (
	// variantText is lectern.v1, one object or an array in a text frame.
	variantText variant = iota
	// variantZipped is the same, deflated where that is shorter.
	variantZipped
	// variantStomp is STOMP: what members get depends on their subscriptions' ids.
	variantStomp
	// variantSocket is Socket.IO in JSON, for a connection that is in one room.
	variantSocket
	// variantSocketPacked is the same in MessagePack.
	variantSocketPacked
	// variantSocketAsked is Socket.IO for a connection that is in several rooms, whose offsets are its own, or in none.
	variantSocketAsked
	variantCount
)

// variantSpec is a row of the table of variants.
type variantSpec struct {
	name string // in metrics
	// encode makes the frame of a group, on a shard's goroutine; nil: there is none, every member's dialect is asked.
	encode func(g *group, cfg *Config) *frame.Frame
	// apart is set where encode or the dialect's group reads group.list: such variants get events one by one.
	apart bool
}

// variants is the table. The order matters: a row may take over the frame of a row before it.
var variants = [variantCount]variantSpec{
	variantText:   {name: "lectern.v1", encode: (*group).encodeText},
	variantZipped: {name: "lectern.v1+deflate", encode: (*group).encodeZipped},
	variantStomp:  {name: "stomp", apart: true},

	variantSocket:       {name: "socket.io", encode: (*group).encodeSocket, apart: true},
	variantSocketPacked: {name: "socket.io+msgpack", encode: (*group).encodeSocketPacked, apart: true},
	variantSocketAsked:  {name: "socket.io+rooms", apart: true},
}

// variantCounts counts the connections of each variant, so that an encoding that nobody wants is not made. A
// connection is counted before its first command, so before any shard can have it as a member.
type variantCounts [variantCount]atomic.Int64

// wanted is which variants have connections now. It may miss one that changes its variant in this moment: such a
// connection's dialect is asked instead.
func (c *variantCounts) wanted() (w [variantCount]bool) {
	for v := range c {
		w[v] = c[v].Load() > 0
	}
	return w
}

// speaks counts one connection more or less of a variant.
func (c *counters) speaks(v variant, n int64) {
	c.members[v].Add(n)
	if variants[v].apart {
		c.apart.Add(n)
	}
}
