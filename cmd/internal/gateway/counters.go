package gateway

import (
	"sync"
	"sync/atomic"

	"lectern/cmd/internal/engineio"
	"lectern/protocol/wire"
)

// counters are read by the admin port. All of it is atomic or locked.
type counters struct {
	upgrades, handedOff, handOffFull, deliveries, groups, lostDeliveries atomic.Int64
	recovered, notRecovered                                              atomic.Int64
	members                                                              variantCounts // connections now
	apart                                                                atomic.Int64  // whose variant wants events apart
	turnedAway                                                           atomic.Int64  // upgrades sent away with advice
	limits                                                               [limitCount]atomic.Int64

	clientsRefused, badProxyHeaders atomic.Int64 // behind trusted proxies: over the limit per address; no PROXY header

	redelivered, queueDropped atomic.Int64 // messages of users' queues

	ops [wire.OpCount]atomic.Int64

	mu         sync.Mutex
	errors     map[wire.Code]int64
	closes     map[wire.CloseCode]int64
	peerCloses map[uint16]int64
}

func (c *counters) received(op wire.Op) { c.ops[op].Add(1) }

func (c *counters) refused(code wire.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.errors == nil {
		c.errors = make(map[wire.Code]int64)
	}
	c.errors[code]++
}

func (c *counters) closed(code wire.CloseCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closes == nil {
		c.closes = make(map[wire.CloseCode]int64)
	}
	c.closes[code]++
}

// peerClosed counts the peer's close codes. Codes of no meaning to us share one entry, so that a peer can't grow the
// map.
func (c *counters) peerClosed(code uint16) {
	if code < 1000 || code > 1015 {
		code = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peerCloses == nil {
		c.peerCloses = make(map[uint16]int64)
	}
	c.peerCloses[code]++
}

// Stats are the gateway's counters since the start, and a few levels of now.
type Stats struct {
	Upgrades, HandedOff, HandOffFull   int64
	Deliveries, Groups, LostDeliveries int64
	DeflateConns                       int64
	Recovered, NotRecovered            int64             // Socket.IO clients that asked for their state again
	Engine                             engineio.Stats    // of Engine.IO sessions
	Members                            map[string]int64  // connections now, by the name of what they are sent
	ReceiptsSigned, ReceiptsUnsigned   int64             // signatures made, and those that failed
	TurnedAway                         int64             // upgrades answered with 503 or 4102: too many at once
	ClientsRefused                     int64             // of these, behind a proxy and over the limit per address
	BadProxyHeaders                    int64             // connections of trusted proxies without a good PROXY header
	Redelivered                        int64             // messages of users' queues given to a later connection
	QueueDropped                       int64             // … given up: refused too often, too old, or too many
	Limits                             map[string]int64  // how often a peer went over a limit, by the limit's name
	Received                           map[wire.Op]int64 // OpNone: what could not be read or is no op
	Errors                             map[wire.Code]int64
	Closes                             map[wire.CloseCode]int64
	PeerCloses                         map[uint16]int64 // 0: any code outside 1000–1015
}

// Stats reads the counters. Any goroutine.
func (g *Gateway) Stats() Stats {
	c := &g.counters
	s := Stats{
		Upgrades: c.upgrades.Load(), HandedOff: c.handedOff.Load(), HandOffFull: c.handOffFull.Load(),
		Deliveries: c.deliveries.Load(), Groups: c.groups.Load(), LostDeliveries: c.lostDeliveries.Load(),
		DeflateConns: c.members[variantZipped].Load(), TurnedAway: c.turnedAway.Load(),
		ClientsRefused: c.clientsRefused.Load(), BadProxyHeaders: c.badProxyHeaders.Load(),
		ReceiptsSigned: g.sealer.signed.Load(), ReceiptsUnsigned: g.sealer.failed.Load(),
		Redelivered: c.redelivered.Load(), QueueDropped: c.queueDropped.Load(),
		Limits:  make(map[string]int64, limitCount),
		Members: make(map[string]int64), Received: make(map[wire.Op]int64), Errors: make(map[wire.Code]int64),
		Closes: make(map[wire.CloseCode]int64), PeerCloses: make(map[uint16]int64),
	}
	for v := range c.members {
		s.Members[variants[v].name] = c.members[v].Load()
	}
	for l := range c.limits {
		s.Limits[limit(l).String()] = c.limits[l].Load()
	}
	s.Recovered, s.NotRecovered, s.Engine = c.recovered.Load(), c.notRecovered.Load(), g.engine.Stats()
	for op := range c.ops {
		if n := c.ops[op].Load(); n > 0 {
			s.Received[wire.Op(op)] = n
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	copyCounts(s.Errors, c.errors)
	copyCounts(s.Closes, c.closes)
	copyCounts(s.PeerCloses, c.peerCloses)
	return s
}

func copyCounts[K comparable](dst, src map[K]int64) {
	for k, v := range src {
		dst[k] = v
	}
}
