#!/bin/sh
# capacity.sh FOLDER: as many participants as CAPACITY says (100,000) in one room of one server process, real sockets,
# held for HOLD (5m) before they play a quiz question. The result is appended to FOLDER/capacity-native.ndjson.
#
# Where a process may not have so many open files, the server's loops get a descriptor table each (lectern bench
# capacity). With GUEST=uml, or GUEST=FILE (see guest/guest.sh), all runs in a guest kernel instead, whose limits are its
# own, and the result goes to FOLDER/capacity-guest.ndjson; without a guest that is said and the run is native.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
conns=${CAPACITY:-100000} hold=${HOLD:-5m}
if [ -n "${GUEST:-}" ]; then
	rc=0
	sh "$here/guest/guest.sh" "$conns" "$hold" "$folder/capacity-guest.ndjson" || rc=$?
	if [ "$rc" != 3 ]; then exit "$rc"; fi
fi
exec "$here/../../../bin/lectern" bench capacity --conns "$conns" --hold "$hold" --json "$folder/capacity-native.ndjson"
