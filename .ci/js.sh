#!/usr/bin/env bash
# The tests of the JavaScript client, on Node's own runner.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
apt_install node nodejs
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.test.js')
if [ "${#files[@]}" = 0 ]; then
    echo "no test found"
    exit 1
fi
exec node --test "${files[@]}"
