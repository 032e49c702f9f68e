#!/bin/sh
# capacity.sh FOLDER: as many participants as CAPACITY says (100,000) in one room of one server process, real sockets,
# held for HOLD (5m) before they play a quiz question.
#
# Natively where a process may have so many open files, appended to FOLDER/capacity-native.ndjson; otherwise in a guest
# kernel, FOLDER/capacity-guest.ndjson; where there is none, as many as fit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
folder=$1
conns=${CAPACITY:-100000} hold=${HOLD:-5m}
# The server needs some descriptors for other things, and keeps a 32nd of its connections free.
need=$((conns + conns / 31 + 1026))
native() {
	"$top/bin/lectern" bench capacity --conns "$1" --hold "$hold" --json "$folder/capacity-native.ndjson"
}

# Whoever may raise the limit does.
limit=$(ulimit -Hn "$need" 2>/dev/null || true; ulimit -Hn)
if [ "$limit" = unlimited ] || [ "$limit" -ge "$need" ]; then
	echo "$conns participants: this machine allows $limit open files a process"
	native "$conns"
	exit
fi
echo "$conns participants need $need open files in one process, and this machine allows $limit"
rc=0
sh "$here/guest/guest.sh" "$conns" "$hold" "$folder/capacity-guest.ndjson" || rc=$?
if [ "$rc" != 3 ]; then exit "$rc"; fi
fit=$(((limit - 1026) * 31 / 32))
echo "playing with the $fit that fit; for $conns raise the limit (ulimit -Hn, LimitNOFILE=)"
native "$fit"
