#!/usr/bin/env bash
# Loads a server of its own with some scenarios: bench.sh FILE CONNS DURATION SCENARIO...
# Results are appended to FILE, one JSON object a line. The exit status is 1 when a scenario lost or doubled something.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
file=$1 conns=$2 duration=$3
shift 3
work="$(mktemp -d)"
port=$((20000 + RANDOM % 20000))
bin/lectern serve --dev --listen "127.0.0.1:$port" --admin "127.0.0.1:$((port + 1))" --store "sqlite:$work/lectern.db" \
    >"$work/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.1
done
if ! kill -0 "$server" 2>/dev/null; then
    cat "$work/log"
    exit 1
fi
mkdir -p "$(dirname "$file")"
failed=0
for scenario in "$@"; do
    bin/lectern bench "$scenario" --target "http://127.0.0.1:$port" --conns "$conns" --duration "$duration" \
        --json "$file" || failed=1
done
echo "results: $file"
exit "$failed"
