# Participants in one room of one server process, real sockets: run in a guest kernel by guest.sh, which puts CAPACITY
# (participants), HOLD and COMMIT in front. Emulation is some thirty times slower than the machine, so everything that
# has a time limit gets a long one; each connection is asked for a sign of life twice in the hold.
export LECTERN_CONNS_HANDSHAKE_TIMEOUT=5m LECTERN_CONNS_AUTH_TIMEOUT=5m LECTERN_CONNS_PING_EVERY=${PING_EVERY:-75s}
export LECTERN_QUIZ_LEAD=30s LECTERN_QUIZ_GRACE=10s
export TERM=dumb # a line of progress now and then: the console is slow
lectern bench capacity --conns "$CAPACITY" --hold "$HOLD" --questions 1 --time-limit 10m --window "${WINDOW:-4m}" \
	--retry-share 0.01 --connect-timeout 2h --patience 10m --json /out/capacity.ndjson \
	--note "in a guest kernel under software emulation: memory, counts and correctness are to be trusted, times are not"
rc=$?
nets
slabs 8
dmesg | grep -i -E 'oom|out of memory|hung' | tail -n 5
(exit $rc)
