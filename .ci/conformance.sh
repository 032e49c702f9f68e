#!/usr/bin/env bash
# The Autobahn suite against lectern conformance: conformance.sh [CASES...], by default all that concern a server. The
# whole takes about half an hour, nearly all of it the suite's own compressing in the cases 12 and 13.
#
# The suite runs on Python 2.7 only. It is looked for on the path and among pyenv's versions; Debian has none any more.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

autobahn_version=25.10.1
cases=("$@")
[ ${#cases[@]} -gt 0 ] || cases=("1.*" "2.*" "3.*" "4.*" "5.*" "6.*" "7.*" "9.*" "10.*" "12.*" "13.*")

python27() {
    local p
    for p in "$(command -v python2.7 || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do
        if [ -x "$p" ] && "$p" -c 'import pip' 2>/dev/null; then printf '%s\n' "$p" && return 0; fi
    done
    say "Autobahn's suite runs on Python 2.7 with pip, and there is none: install it (pyenv install 2.7.18) and run" \
        "this again. Without it, go test ./cmd/internal/conformance covers the same rules with our own cases."
    return 1
}

python="$(python27)"
packages="$cache/autobahn-$autobahn_version"
if [ ! -e "$packages/installed" ]; then
    apt_install gcc gcc libc6-dev
    say "installing autobahntestsuite $autobahn_version into $packages"
    rm -rf "$packages"
    "$python" -m pip install -q --no-warn-script-location --target "$packages" "autobahntestsuite==$autobahn_version" >&2
    touch "$packages/installed"
fi

make --no-print-directory build
out="$root/bin/autobahn"
rm -rf "$out"
mkdir -p "$out"
bin/lectern conformance --listen 127.0.0.1:0 >"$out/server.out" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    address="$(sed -n 's|.*ws://\(.*\)/echo|\1|p' "$out/server.out")"
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { say "lectern conformance did not start" && exit 1; }
status=0
"$python" .ci/autobahn.py "$packages" "$out" "$address" "${cases[@]}" >"$out/run.log" 2>&1 || status=$?
grep -E '^(informational|declined|NOT OK|[0-9]+ cases)' "$out/run.log" || tail -n 20 "$out/run.log"
say "the whole report is bin/autobahn/index.html"
exit "$status"
