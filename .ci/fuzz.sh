#!/usr/bin/env bash
# Runs every fuzz target for a few seconds: enough to find what a changed decoder breaks at once, not more.
# FUZZ_SECONDS is the time for all of them together (50). A package's targets share one instrumented binary.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mapfile -t dirs < <(git ls-files --cached --others --exclude-standard -- '*_test.go' |
    xargs -r grep -ls '^func Fuzz' | xargs -r -n1 dirname | sort -u)
for i in "${!dirs[@]}"; do
    "${plain[@]}" go test -c -fuzz . -o "$work/$i" "./${dirs[$i]}"
    (cd "${dirs[$i]}" && "$work/$i" -test.list '^Fuzz') | grep '^Fuzz' | sed "s/^/$i /" >>"$work/targets" || true
done
count="$(grep -c . "$work/targets" 2>/dev/null || true)"
if [ "${count:-0}" = 0 ]; then
    echo "no fuzz target found"
    exit 1
fi
seconds=$((${FUZZ_SECONDS:-50} / count))
[ "$seconds" -ge 1 ] || seconds=1
echo "$count targets, $seconds s each"

# one runs a target. Go may report the end of the time itself as a failure ("context deadline exceeded"): with no
# failing input written, that is no finding.
one() {
    local dir=${dirs[$1]} binary="$work/$1" name=$2 out
    if out="$(cd "$dir" && "$binary" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "${seconds}s" \
        -test.fuzzminimizetime 5x -test.fuzzcachedir "$(go env GOCACHE)/fuzz/lectern/$dir" 2>&1)"; then
        printf 'ok    %s %s: %s\n' "$dir" "$name" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -n1)"
    elif grep -q 'context deadline exceeded' <<<"$out" && ! grep -qE 'Failing input|panic|DATA RACE' <<<"$out"; then
        printf 'ok    %s %s: ended by the time\n' "$dir" "$name"
    else
        printf '%s\nFAIL  %s %s\n' "$out" "$dir" "$name"
        return 1
    fi
}

failed=0
while read -r package name; do
    one "$package" "$name" </dev/null || failed=$((failed + 1))
done <"$work/targets"
echo "$failed of $count targets failed"
[ "$failed" = 0 ]
