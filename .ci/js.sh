#!/usr/bin/env bash
# The JavaScript client: its tests and examples on Node's own runner, the published types against the code, and a
# strict TypeScript program that uses them.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
node_tools
tsc=(node "$node_modules/typescript/bin/tsc")
client=protocol/client/js

# The types in the package are made from the comments; a difference means that somebody forgot to make them anew.
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
"${tsc[@]}" -p "$client/tsconfig.types.json" --outDir "$made"
if ! diff -r "$made" "$client/types"; then
    echo "the types in $client/types are old: run 'node_modules/.bin/tsc -p tsconfig.types.json' there"
    exit 1
fi
"${tsc[@]}" -p "$client/test/tsconfig.json"

make --no-print-directory build
export LECTERN_BIN="$root/bin/lectern" LECTERN_NODE_MODULES="$node_modules"
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.test.js')
if [ "${#files[@]}" = 0 ]; then
    echo "no test found"
    exit 1
fi
node --test "${files[@]}"
