# Run in a guest kernel by guest.sh, which puts CAPACITY (participants), HOLD, IO and NOTE in front: a server and its
# generators, all in the guest. What has a time limit gets a long one: the guest may have little of the machine. A
# silent connection is asked for a sign of life within two periods, so in a hold of 5 minutes everybody is asked.
export TERM=dumb # a line of progress now and then: the console is slow
export LECTERN_CONNS_HANDSHAKE_TIMEOUT=5m LECTERN_CONNS_AUTH_TIMEOUT=5m LECTERN_CONNS_PING_EVERY=${PING_EVERY:-100s}
export LECTERN_QUIZ_LEAD=30s LECTERN_QUIZ_GRACE=10s LECTERN_IO=${IO:-auto}
lectern bench capacity --conns "$CAPACITY" --hold "$HOLD" --questions 1 --time-limit 10m --window "${WINDOW:-2m}" \
	--retry-share 0.01 --connect-rate "${RATE:-0}" --connect-timeout 2h --patience 20m --note "$NOTE" \
	--json /out/capacity.ndjson
rc=$?
dmesg | grep -i -E 'oom|out of memory|hung' | tail -n 5
(exit $rc)
