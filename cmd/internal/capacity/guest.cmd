# 100,000 authenticated members in rooms, real sockets, one server process: run in a guest kernel by guest.sh.
export LECTERN_CONNS_MAX=200000 LECTERN_CONNS_HANDSHAKE_TIMEOUT=5m LECTERN_CONNS_AUTH_TIMEOUT=5m
lectern serve --dev --listen 127.0.0.1:9001 --admin 127.0.0.1:9002 --store memory >/tmp/server.log 2>&1 & S=$!
waitport 9001
snap empty $S
for i in 0 1; do
	lectern bench idle --target http://127.0.0.1:9001 --conns 50000 --rooms 50 --engines 1 --connect-timeout 600s \
		--duration 60s --json /tmp/idle$i.json >/tmp/generator$i.log 2>&1 & eval "W$i=$!"
done
while kill -0 $W0 2>/dev/null && kill -0 $W1 2>/dev/null; do
	sleep 15
	snap during $S
done
wait $W0; echo generator 0 rc=$?
wait $W1; echo generator 1 rc=$?
cat /tmp/idle0.json /tmp/idle1.json
tail -n 3 /tmp/server.log
nets
kill $S
