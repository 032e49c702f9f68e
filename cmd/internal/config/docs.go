package config

// docs says what each setting means. A test keeps it complete.
var docs = map[string]string{
	"listen": "address of the one port for WebSockets, pages and API",
	"admin":  "address of the admin port (health, metrics, pprof); empty: none",
	"store":  "sqlite:FILE, postgres://USER:PASSWORD@HOST:PORT/DATABASE, or memory for tests",
	"redis": "redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss:// for TLS; more addresses of a cluster or of Sentinels " +
		"by ?addr=HOST:PORT, Sentinel's primary by ?master_set=NAME. Keeps sessions, limits per address and the list " +
		"of servers for several servers together; empty: the store and memory do",
	"broker": "memory; others are not supported by this version",
	"dev":    "guests without a token, a demo quiz, every origin; never in production",
	"takeover": "take port and store over from the server that runs on the same store, if one does; it sends its " +
		"members here and ends",
	"log.level":  "least level that is logged",
	"log.format": "shape of the log on standard error",
	"origins":    "origins of pages that may connect, besides the server's own; * for all",
	"url":        "base URL for QR codes and links; empty: what the request says",
	"words":      "files with further words to filter, one a line; a leading ! allows a word",
	"trusted_proxies": "addresses and ranges of proxies whose X-Forwarded-For (or PROXY header) says who the client is; " +
		"empty: nobody's",
	"proxy_protocol": "connections of trusted proxies begin with a header of the PROXY protocol, version 1 or 2",
	"loops":          "event loops; 0: one per processor",
	"shards":         "room workers; 0: one per processor",
	"gogc":           "garbage collector's target, percent",
	"memory_percent": "of the control group's memory limit, where the collector begins to work harder; 0: no limit",
	"drain":          "time over which members are sent away at a stop",
	"raw_send":       "bare system calls for non-blocking sends",
	"io": "how wide fan-outs reach the kernel: by io_uring, by writes, or by io_uring where " +
		"it works",
	"conns.max":               "open connections; 0: what the descriptor limit allows",
	"conns.accept_rate":       "connections taken up in a second; later ones are told when to come back",
	"conns.per_address_max":   "open connections of one address; 0: no limit, since a school shares one address",
	"conns.handshake_timeout": "from accept to the end of the upgrade",
	"conns.auth_timeout":      "from the upgrade to a good token",
	"conns.ping_every":        "a silent connection is asked this often, and closed when it does not answer",
	"conns.outbox_high_bytes": "above it volatile messages are dropped and state is conflated",
	"conns.outbox_hard_bytes": "above it a slow consumer is closed (4300)",
	"conns.per_user_max":      "open connections of one user (one token subject); 0: no limit",
	"messages.timeout":        "from the first byte of a message to its last",
	"messages.pings_per_second": "pings of one connection a second in the long run, ten times that at once; one more " +
		"closes it",
	"rooms.joins_per_user": "joins of one user a second in the long run, over all its connections; ten times that at once",
	"conns.rooms_max":      "rooms that one connection may be in",
	"messages.bytes_max":   "size of one message after decompression",
	"messages.per_second":  "messages of one connection a second in the long run (with --dev at least 20,000)",
	"messages.burst":       "messages of one connection at once (with --dev at least 100,000)",
	"messages.chat_per_minute": "chat messages, edits and reactions of one connection a minute (with --dev at least " +
		"1,000,000)",
	"messages.chat_burst":        "the same, at once (with --dev at least 100,000)",
	"messages.deflate_min_bytes": "smaller messages are not compressed",
	"rooms.members_max":          "connections in one room",
	"rooms.keep":                 "a closed room's records are deleted after this long, such as 8760h; 0: never",
	"rooms.idle_unload":          "an empty room leaves memory after this long",
	"quiz.lead":                  "from the announcement of a question to its opening",
	"quiz.grace":                 "after the end of a question, for answers on their way",
	"sqlite.sync":                "full survives a power cut; normal survives a crash of the process",
	"postgres.conns":             "connections to PostgreSQL, besides the one that holds the lock",
	"postgres.timeout":           "a call that takes longer has failed: PostgreSQL counts as away",
	"postgres.sync":              "off: an answer is acknowledged before PostgreSQL has it on disk; its crash may lose it",
	"journal.pace": "time between two commits, at least: less CPU per answer, and that much more until it is " +
		"acknowledged while many come; 0: none",
	"spool.file": "with PostgreSQL: where records wait while it is away, on a local disk; empty: nowhere, and " +
		"what must be recorded is refused then",
	"spool.bytes_max":        "what waits there at most; beyond it what must be recorded is refused",
	"auth.access_ttl":        "life of an access token",
	"auth.refresh_ttl":       "life of a refresh token",
	"auth.rotate_keys_every": "age at which a signing key is replaced",
	"joins.per_minute":       "guests joining by PIN from one address in a minute; a school shares one address",
	"joins.wrong_per_minute": "wrong PINs from one address in a minute",
}
