#!/bin/sh
# guest.sh RUN_SH: holds 100,000 connections in a guest kernel, where this machine's limit of descriptors does not
# reach. Software emulation: memory, counts and correctness are to be trusted, times are not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=$1
if ! [ -f "$run" ] || ! command -v qemu-system-x86_64 >/dev/null; then
	echo "100,000 real connections: left out, there is no guest ($run and qemu-system-x86_64 are needed)"
	exit 0
fi
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd "$here/../../.." && CGO_ENABLED=0 go build -trimpath -o "$bin/lectern" ./cmd/lectern)
sh "$run" -b "$bin" -c "$here/guest.cmd" -m 8G -t 1200 -k "${XDG_CACHE_HOME:-$HOME/.cache}/lectern-guest"
