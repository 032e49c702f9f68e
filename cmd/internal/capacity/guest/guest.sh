#!/bin/sh
# guest.sh PARTICIPANTS HOLD FILE: holds participants in a guest kernel, where this machine's limit of descriptors does
# not reach, and appends the result to FILE. Exit status 3: there is no guest here, and why is said.
#
# The guest is User Mode Linux, Debian's package user-mode-linux: a Linux kernel that runs as a process of this machine.
# It needs no rights and no hardware; programs in it run at the machine's speed, but system calls cost several times as
# much and there is one CPU. It has a kernel's own memory, limits and TCP, so memory, counts and correctness are to be
# trusted, times are not. The package and busybox are downloaded and unpacked into a cache, never installed.
#
# With GUEST=FILE that script boots the guest instead, called as FILE -b BINARIES -c SCRIPT -m MEMORY -t SECONDS -k CACHE
# -o OUT, whose out.tar holds what the script left in /out (a kernel under qemu in software emulation, say).
# Settings: GUEST_MEM (10G), GUEST_LIMIT (seconds, 7200), and those of run.cmd: RATE, WINDOW, PING_EVERY, IO.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../../.." && pwd)
conns=$1 hold=$2 file=$3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lectern/guest
mem=${GUEST_MEM:-10G} limit=${GUEST_LIMIT:-7200}

none() {
	echo "no guest kernel: $*"
	exit 3
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/bin" "$work/out" "$cache"
echo "building lectern for the guest"
(cd "$top" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/bin/lectern" ./cmd/lectern)
script() { # NOTE
	printf 'CAPACITY=%s HOLD=%s RATE=%s WINDOW=%s PING_EVERY=%s IO=%s NOTE="%s"\n' "$conns" "$hold" "${RATE:-}" \
		"${WINDOW:-}" "${PING_EVERY:-}" "${IO:-}" "$1"
	cat "$here/run.cmd"
}
trust='memory, counts and correctness are to be trusted, times are not'

if [ -n "${GUEST:-}" ]; then
	[ -f "$GUEST" ] || none "there is no file $GUEST"
	script "in the guest of $(basename "$GUEST"): $trust" >"$work/run.cmd"
	rc=0
	sh "$GUEST" -b "$work/bin" -c "$work/run.cmd" -m "$mem" -t "$limit" -k "$cache/other" -o "$work/out" || rc=$?
	tar -C "$work/out" -xf "$work/out/out.tar" 2>/dev/null || true
else
	if [ ! -x "$cache/linux.uml" ] || [ ! -x "$cache/busybox" ]; then
		command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
			none "it is taken from Debian's packages user-mode-linux and busybox-static, and this is not Debian"
		echo "taking user-mode-linux and busybox-static out of Debian's packages, into $cache"
		mkdir "$work/debs"
		(cd "$work/debs" && apt-get -q download user-mode-linux busybox-static && for d in *.deb; do dpkg -x "$d" .; done) \
			>"$work/debs/log" 2>&1 || none "$(tail -n 1 "$work/debs/log") (apt-get update may help)"
		for f in linux.uml busybox; do # put into place whole: another run may be looking
			find "$work/debs" -type f -path "*bin/$f" -exec cp {} "$cache/$f.$$" \;
			mv "$cache/$f.$$" "$cache/$f"
		done
	fi
	root=$work/root
	for d in bin opt proc sys dev tmp out etc; do mkdir -p "$root/$d"; done
	cp "$cache/busybox" "$root/bin/"
	cp "$work/bin/lectern" "$root/opt/"
	cp "$here/init" "$root/init"
	chmod 755 "$root/init"
	script "in a guest under User Mode Linux: $trust" >"$root/run.cmd"
	echo "GUEST_OUT=$work/out" >"$root/etc/guest"
	(cd "$root" && find . | "$cache/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd"
	rm -rf "$root"
	echo "booting a guest kernel with $conns participants, at most $limit s"
	: >"$work/out/log"
	tail -n +1 -f "$work/out/log" &
	tail=$!
	# The guest's memory is a file that must be executable; it takes of the machine what the guest touches.
	if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
	timeout -k 5 "$limit" "$cache/linux.uml" mem="$mem" initrd="$work/initrd" root=/dev/ram0 con=null con0=fd:0,fd:1 \
		</dev/null >"$work/console" 2>&1 || true
	sleep 1
	kill "$tail"
	if [ ! -s "$work/out/rc" ]; then
		tail -n 5 "$work/console"
		[ -s "$work/out/log" ] || none "User Mode Linux does not boot here"
		echo "the guest did not finish within $limit s"
		exit 1
	fi
	rc=$(cat "$work/out/rc")
fi
[ ! -s "$work/out/capacity.ndjson" ] || cat "$work/out/capacity.ndjson" >>"$file"
exit "$rc"
