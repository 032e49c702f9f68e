package ops

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"lectern/cmd/internal/gateway"
	"lectern/netpoll"
	"lectern/persist"
	"lectern/protocol/wire"
)

// collector reads all counters at each scrape; nothing is counted twice and the hot path knows no metrics library.
// Names and
// units follow Prometheus' conventions: base units, _total for counters.
type collector struct{ o Options }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lectern_"+name, help, labels, nil)
}

var (
	connsOpen      = desc("connections_open", "Connections open now.")
	connsDetached  = desc("connections_http", "Connections handed to net/http and not closed yet.")
	connsBlocked   = desc("connections_blocked", "Connections whose peer does not take what it was sent.")
	connsWaiting   = desc("connections_blocked_bytes", "Bytes that wait for those.")
	connsSpeak     = desc("connections_by_dialect", "Upgraded connections by what they are sent.", "dialect")
	queueAgain     = desc("queue_redelivered_total", "Messages of users' STOMP queues given to a later connection.")
	queueDropped   = desc("queue_dropped_total", "Messages of users' STOMP queues given up: refused, old, too many.")
	engineSessions = desc("engineio_sessions", "Engine.IO sessions, by transport.", "transport")
	engineOpened   = desc("engineio_opened_total", "Engine.IO sessions opened, by transport.", "transport")
	engineUpgrades = desc("engineio_upgrades_total", "Sessions that became a WebSocket, or tried to.", "outcome")
	engineRefused  = desc("engineio_refused_total", "Requests refused, by why.", "why")
	engineEnded    = desc("engineio_ended_total", "Engine.IO sessions that ended, by reason.", "reason")
	engineRequests = desc("engineio_requests_total", "Requests of long-polling sessions.", "method")
	engineOverlaps = desc("engineio_overlaps_total", "Sessions ended because of two GETs or POSTs at the same time.")
	engineFull     = desc("engineio_unavailable_total", "Requests answered 503: too many sessions, or shutting down.")
	socketBack     = desc("socketio_returns_total", "Socket.IO clients that asked for their state, and got it or not.",
		"outcome")

	connsDeflate  = desc("connections_deflate", "Connections that negotiated permessage-deflate.")
	connsAccepted = desc("connections_accepted_total", "Connections accepted.")
	connsRefused  = desc("connections_refused_total", "Connections closed at once: cap, drain or limit.")
	connsTurned   = desc("connections_refused_by_total", "Connections closed at once, by cause.", "cause")
	connsLate     = desc("connections_late_total", "Connections accepted only to be told when to come back.")
	turnedAway    = desc("websocket_upgrades_turned_away_total", "Upgrades answered with advice: 503 or 4102.")
	clientsOver   = desc("proxied_upgrades_over_address_limit_total",
		"Upgrades through a trusted proxy whose client had conns.per_address_max open.")
	badProxyHeads = desc("proxy_protocol_faults_total",
		"Connections of trusted proxies closed because they did not begin with a header of the PROXY protocol.")
	connsClosed   = desc("connections_closed_total", "Connections that ended, by reason.", "reason")
	upgrades      = desc("websocket_upgrades_total", "WebSocket handshakes done.")
	handOffs      = desc("http_handoffs_total", "HTTP connections handed to net/http.")
	handOffsFull  = desc("http_handoffs_refused_total", "HTTP connections closed because net/http did not accept in time.")
	bytesIn       = desc("network_receive_bytes_total", "Bytes read from connections.")
	bytesOut      = desc("network_transmit_bytes_total", "Bytes written to connections.")
	writes        = desc("network_writes_total", "Write calls.")
	ioPath        = desc("io_path", "How wide fan-outs reach the kernel: 1 for the path in use.", "path")
	sends         = desc("network_sends_total", "Sends, by path.", "path")
	enters        = desc("network_uring_submissions_total", "System calls that submitted sends to io_uring.")
	timers        = desc("timers_pending", "Timers on the wheels.")
	framesDropped = desc("frames_dropped_total", "Frames that a slow peer did not get, by class.", "class")
	inboxPeak     = desc("loop_inbox_tasks_peak", "The deepest that any loop's inbox has been.")
	panics        = desc("panics_recovered_total", "Panics recovered, by where.", "where")

	received   = desc("messages_received_total", "Messages from clients, by operation; none: unreadable or unknown.", "op")
	refusals   = desc("errors_total", "Refusals sent to clients, by code.", "code")
	limitsHit  = desc("limits_hit_total", "How often a peer went over a limit on its connection, by limit.", "limit")
	closeCodes = desc("close_codes_sent_total", "Close frames sent, by code.", "code")
	peerCodes  = desc("close_codes_received_total", "Close frames received, by code; 0: any outside 1000-1015.", "code")
	deliveries = desc("deliveries_total", "Events given to connections; a broadcast counts once per member.")
	signed     = desc("receipts_signed_total", "Receipts signed.")
	unsigned   = desc("receipts_failed_total", "Receipts that could not be signed: their key is missing.")
	batches    = desc("broadcast_batches_total", "Groups of events encoded once and shared.")

	roomsLoaded  = desc("rooms_loaded", "Rooms in memory.")
	roomMembers  = desc("room_members", "Member connections of all rooms, as of the last sweep.")
	pinsUsed     = desc("pins_in_use", "PINs that lead to a room.")
	commands     = desc("room_commands_total", "Commands carried out by rooms.")
	facts        = desc("room_facts_total", "Facts recorded by rooms.")
	shardDepth   = desc("shard_inbox_commands", "Commands waiting for a shard.")
	shardPeak    = desc("shard_inbox_commands_peak", "The deepest that any shard's inbox has been.")
	shardRefused = desc("shard_refused_total", "Commands refused by a shard: behind with storage, or a room that is "+
		"loading.")
	commitsFailed = desc("shard_failed_commits_total", "Batches of facts that could not be made durable.")

	searchIndexed = desc("search_records_indexed_total", "Records whose texts were indexed for the search.")
	searchFailed  = desc("search_failures_total", "Records and commits that the search index refused.")
	searchWaiting = desc("search_queue_records", "Records that wait to be indexed.")
	searchBehind  = desc("search_rooms_behind", "Rooms that are to be read again for the search.")

	journalRecords = desc("journal_records_total", "Records made durable.")
	journalQueue   = desc("journal_queue_records", "Records waiting or being written.")
	journalBytes   = desc("journal_queue_bytes", "Bytes waiting or being written.")
	journalRefused = desc("journal_refused_total", "Appends refused because the queue was full.")
	journalFailed  = desc("journal_failed_commits_total", "Transactions that failed.")
	journalCommit  = desc("journal_commit_duration_seconds", "How long a group commit takes.")

	redisUp       = desc("redis_up", "1 while Redis serves; there only with the setting redis.")
	redisCommands = desc("redis_commands_total", "Steps asked of Redis, a script or transaction counting as one.")
	redisFailures = desc("redis_failures_total", "Steps that Redis did not carry out.")

	spoolState = desc("spool_state", "Where records go: 1 for the state that it is in; full may be 1 beside it.",
		"state")
	spoolRecords = desc("spool_records", "Records that wait for the database.")
	spoolBytes   = desc("spool_bytes", "Bytes that wait for the database.")
	spoolMax     = desc("spool_bytes_max", "Bytes that may wait for it.")
	spoolOutages = desc("spool_outages_total", "Times that the database went away.")
	spoolDrained = desc("spool_drained_records_total", "Records that went from the spool to the database.")
	spoolAside   = desc("spool_refused_records", "Records that the database refused, kept in the spool's file.")
)

// Describe is the unchecked kind: the set of labels is closed, but a series appears with its first value.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.collectNet(out)
	c.collectGateway(out)
	c.collectRooms(out)
	c.collectJournal(out)
	if c.o.Spool != nil {
		collectSpool(out, c.o.Spool())
	}
	c.collectSearch(out)
	if c.o.Redis != nil {
		c.o.Redis.collect(out)
	}
}

func collectSpool(out chan<- prometheus.Metric, s persist.SpoolStats) {
	for _, state := range []persist.SpoolState{persist.SpoolDirect, persist.SpoolAway, persist.SpoolDraining} {
		gauge(out, spoolState, oneIf(s.State == state), state.String())
	}
	gauge(out, spoolState, oneIf(s.Full), "full")
	gauge(out, spoolRecords, float64(s.Records))
	gauge(out, spoolBytes, float64(s.Bytes))
	gauge(out, spoolMax, float64(s.BytesMax))
	count(out, spoolOutages, float64(s.Outages))
	count(out, spoolDrained, float64(s.Drained))
	gauge(out, spoolAside, float64(s.SetAside))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func count(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (c *collector) collectNet(out chan<- prometheus.Metric) {
	s := c.o.Net()
	gauge(out, connsOpen, float64(s.Open))
	gauge(out, connsDetached, float64(s.Detached))
	gauge(out, connsBlocked, float64(s.Blocked))
	gauge(out, connsWaiting, float64(s.Waiting))
	gauge(out, timers, float64(s.Timers))
	gauge(out, inboxPeak, float64(s.InboxTasksHigh))
	count(out, connsAccepted, float64(s.Accepted))
	count(out, connsRefused, float64(s.Refused))
	for r, n := range s.RefusedBy {
		count(out, connsTurned, float64(n), netpoll.Refusal(r).String())
	}
	count(out, connsLate, float64(s.Late))
	count(out, bytesIn, float64(s.BytesIn))
	count(out, bytesOut, float64(s.BytesOut))
	count(out, writes, float64(s.Writes))
	gauge(out, ioPath, 1, string(s.IO))
	count(out, sends, float64(s.Writes), string(netpoll.IOWrites))
	count(out, sends, float64(s.Uring), string(netpoll.IOUring))
	count(out, enters, float64(s.Enters))
	count(out, panics, float64(s.Panics), "loop")
	for _, r := range netpoll.Reasons() {
		count(out, connsClosed, float64(s.Closed[r]), r.String())
	}
	for _, class := range []netpoll.Class{netpoll.Reliable, netpoll.State, netpoll.Volatile} {
		count(out, framesDropped, float64(s.Dropped[class]), class.String())
	}
}

func (c *collector) collectGateway(out chan<- prometheus.Metric) {
	s := c.o.Gateway()
	gauge(out, connsDeflate, float64(s.DeflateConns))
	for dialect, n := range s.Members {
		gauge(out, connsSpeak, float64(n), dialect)
	}
	count(out, upgrades, float64(s.Upgrades))
	count(out, turnedAway, float64(s.TurnedAway))
	c.collectEngine(out, &s)
	count(out, clientsOver, float64(s.ClientsRefused))
	count(out, badProxyHeads, float64(s.BadProxyHeaders))
	count(out, handOffs, float64(s.HandedOff))
	count(out, handOffsFull, float64(s.HandOffFull))
	count(out, queueAgain, float64(s.Redelivered))
	count(out, queueDropped, float64(s.QueueDropped))
	count(out, deliveries, float64(s.Deliveries))
	count(out, batches, float64(s.Groups))
	count(out, signed, float64(s.ReceiptsSigned))
	count(out, unsigned, float64(s.ReceiptsUnsigned))
	for op := range wire.OpCount {
		name := wire.Op(op).String()
		if name == "" {
			name = "none"
		}
		count(out, received, float64(s.Received[wire.Op(op)]), name)
	}
	for name, n := range s.Limits {
		count(out, limitsHit, float64(n), name)
	}
	for code, n := range s.Errors {
		count(out, refusals, float64(n), string(code))
	}
	for code, n := range s.Closes {
		count(out, closeCodes, float64(n), strconv.Itoa(int(code)))
	}
	for code, n := range s.PeerCloses {
		count(out, peerCodes, float64(n), strconv.Itoa(int(code)))
	}
}

func (c *collector) collectEngine(out chan<- prometheus.Metric, s *gateway.Stats) {
	for transport, n := range s.Engine.Sessions {
		gauge(out, engineSessions, float64(n), transport)
	}
	for transport, n := range s.Engine.Opened {
		count(out, engineOpened, float64(n), transport)
	}
	count(out, engineUpgrades, float64(s.Engine.Upgrades), "done")
	count(out, engineUpgrades, float64(s.Engine.UpgradesFailed), "failed")
	for why, n := range s.Engine.Refused {
		count(out, engineRefused, float64(n), why)
	}
	for reason, n := range s.Engine.Ended {
		count(out, engineEnded, float64(n), reason)
	}
	count(out, engineRequests, float64(s.Engine.Polls), "get")
	count(out, engineRequests, float64(s.Engine.Posts), "post")
	count(out, engineOverlaps, float64(s.Engine.Overlaps))
	count(out, engineFull, float64(s.Engine.Unavailable))
	count(out, socketBack, float64(s.Recovered), "recovered")
	count(out, socketBack, float64(s.NotRecovered), "anew")
}

func (c *collector) collectRooms(out chan<- prometheus.Metric) {
	s := c.o.Rooms()
	gauge(out, roomsLoaded, float64(s.Rooms))
	gauge(out, roomMembers, float64(s.Members))
	gauge(out, pinsUsed, float64(c.o.PINs()))
	gauge(out, shardDepth, float64(s.InboxDepth))
	gauge(out, shardPeak, float64(s.InboxPeak))
	count(out, commands, float64(s.Commands))
	count(out, facts, float64(s.Facts))
	count(out, shardRefused, float64(s.Refused))
	count(out, commitsFailed, float64(s.FailedCommits))
	count(out, panics, float64(s.Panics), "room")
}

func (c *collector) collectSearch(out chan<- prometheus.Metric) {
	if c.o.Search == nil {
		return
	}
	s := c.o.Search()
	count(out, searchIndexed, float64(s.Indexed))
	count(out, searchFailed, float64(s.Failed))
	gauge(out, searchWaiting, float64(s.Waiting))
	gauge(out, searchBehind, float64(s.RoomsBehind))
}

func (c *collector) collectJournal(out chan<- prometheus.Metric) {
	s := c.o.Journal()
	gauge(out, journalQueue, float64(s.QueueRecords))
	gauge(out, journalBytes, float64(s.QueueBytes))
	count(out, journalRecords, float64(s.Records))
	count(out, journalRefused, float64(s.Refused))
	count(out, journalFailed, float64(s.FailedBatches))
	buckets := make(map[float64]uint64, len(persist.CommitBuckets))
	var below uint64
	for i, bound := range persist.CommitBuckets {
		below += s.CommitCounts[i]
		buckets[bound.Seconds()] = below
	}
	below += s.CommitCounts[len(persist.CommitBuckets)]
	out <- prometheus.MustNewConstHistogram(journalCommit, below, s.CommitTime.Seconds(), buckets)
}
