#!/usr/bin/env bash
# Runs every fuzz target for a few seconds: enough to find what a changed decoder breaks at once, not more.
# FUZZ_SECONDS is the time for all of them together (60).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# targets prints "package target", one a line, of the packages whose tests define a fuzz target.
targets() {
    local dir name
    git ls-files --cached --others --exclude-standard -- '*_test.go' | xargs -r grep -ls '^func Fuzz' |
        xargs -r -n1 dirname | sort -u | while read -r dir; do
        "${plain[@]}" go test -list '^Fuzz' "./$dir" | grep '^Fuzz' | while read -r name; do
            printf './%s %s\n' "$dir" "$name"
        done
    done
}

# one runs a target. Go may report the end of the time itself as a failure ("context deadline exceeded"): with no
# failing input written, that is no finding.
one() {
    local package=$1 name=$2 seconds=$3 out
    if out="$("${plain[@]}" go test -run '^$' -fuzz "^$name\$" -fuzztime "${seconds}s" -fuzzminimizetime 5x \
        "$package" 2>&1)"; then
        printf 'ok    %s %s: %s\n' "$package" "$name" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -n1)"
    elif grep -q 'context deadline exceeded' <<<"$out" && ! grep -qE 'Failing input|panic|DATA RACE' <<<"$out"; then
        printf 'ok    %s %s: ended by the time\n' "$package" "$name"
    else
        printf '%s\nFAIL  %s %s\n' "$out" "$package" "$name"
        return 1
    fi
}

list="$(targets)"
count="$(grep -c . <<<"$list" || true)"
if [ "$count" = 0 ]; then
    echo "no fuzz target found"
    exit 1
fi
seconds=$((${FUZZ_SECONDS:-60} / count))
[ "$seconds" -ge 1 ] || seconds=1
echo "$count targets, $seconds s each"
failed=0
while read -r package name; do
    one "$package" "$name" "$seconds" </dev/null || failed=$((failed + 1))
done <<<"$list"
echo "$failed of $count targets failed"
[ "$failed" = 0 ]
