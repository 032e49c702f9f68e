# Sourced by the scripts beside it: where tools are kept, how they are installed, and steps with their time.
# shellcheck shell=bash

if [ -n "${lectern_lib:-}" ]; then return 0; fi
lectern_lib=1
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

# Tools are kept outside the tree, by version, so that several clones share them and a new version is simply installed.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/lectern"
node_modules="$cache/node/node_modules"

gofumpt_version=v0.12.0
golangci_version=v2.15.0
typescript_version=5.9.3
playwright_version=1.65.1
jose_version=6.2.18
stompjs_version=7.5.0
asyncapi_version=3.6.6
openapi_version=2.11.0
ws_version=8.23.0
socketio_version=4.8.4
engineio_version=6.6.8
socketio_msgpack_version=3.0.2
socketio_parser_version=4.2.7
python_socketio_version=5.18.1
python_msgpack_version=1.2.4

# One flavour of build serves the binary, vet and the linters; the other is -race, which needs cgo.
plain=(env CGO_ENABLED=0 "GOFLAGS=$(go env GOFLAGS) -trimpath")

say() { printf '%s\n' "$*" >&2; }

# apt_install COMMAND PACKAGE... installs Debian packages unless the command is there.
apt_install() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then return 0; fi
    local sudo=()
    if ! command -v apt-get >/dev/null; then
        say "$command is missing, and this is not a Debian system: install it (Debian calls it: $*) and run this again"
        return 1
    elif [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "$command is missing, and installing needs root. Run: sudo apt-get install $*"
            return 1
        fi
        sudo=(sudo -n)
    fi
    say "installing $* from Debian's packages"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 ||
        { "${sudo[@]}" apt-get update -q >&2 &&
            "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2; }
}

# go_tool NAME PACKAGE VERSION prints where the tool is, after installing it where it is missing. The name holds Go's
# version too: a linter built with an older Go refuses newer code.
go_tool() {
    local name=$1 package=$2 version=$3
    local tool
    tool="$cache/bin/$name-$version-$(go env GOVERSION)"
    if [ ! -x "$tool" ]; then
        say "installing $name $version into $cache/bin"
        mkdir -p "$cache/bin"
        local into
        into="$(mktemp -d "$cache/bin/new.XXXXXX")"
        (cd / && GOBIN="$into" GOFLAGS=-trimpath CGO_ENABLED=0 go install "$package@$version") >&2
        mv "$into/$name" "$tool"
        rmdir "$into"
    fi
    printf '%s\n' "$tool"
}

gofumpt() { go_tool gofumpt mvdan.cc/gofumpt "$gofumpt_version"; }
golangci() { go_tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci_version"; }

# node_tools installs Node and the packages that checks and tests use. The product itself needs neither.
node_tools() {
    apt_install node nodejs
    apt_install npm npm
    local have
    have="$(cat "$cache/node/installed" 2>/dev/null || true)"
    local want="typescript@$typescript_version playwright-core@$playwright_version jose@$jose_version"
    want+=" @stomp/stompjs@$stompjs_version ws@$ws_version"
    want+=" socket.io-client@$socketio_version engine.io-client@$engineio_version"
    want+=" socket.io-msgpack-parser@$socketio_msgpack_version socket.io-parser@$socketio_parser_version"
    want+=" @asyncapi/parser@$asyncapi_version @seriousme/openapi-schema-validator@$openapi_version"
    if [ "$have" != "$want" ]; then
        say "installing $want into $cache/node"
        mkdir -p "$cache/node"
        # shellcheck disable=SC2086 # several packages
        npm install --prefix "$cache/node" --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error \
            $want </dev/null >&2
        printf '%s' "$want" >"$cache/node/installed"
    fi
}

# spring_player prints the class path of the player with Spring's STOMP client, after building it where it is missing.
# Java and Maven are for this one test; its libraries come from Maven Central.
spring_player() {
    local source=cmd/internal/e2e/clients/spring into
    into="$cache/spring-player-$(cat $source/pom.xml $source/src/main/java/lectern/*.java | sha256sum | cut -c1-12)"
    if [ ! -d "$into" ]; then
        apt_install javac default-jdk-headless
        apt_install mvn maven
        say "building the player with Spring's client into $into"
        local new
        new="$(mktemp -d "$cache/new.XXXXXX")"
        mvn -q -B -f "$source/pom.xml" "-Dinto=$new" compile dependency:copy-dependencies </dev/null >&2
        mv "$new" "$into"
    fi
    printf '%s\n' "$into/classes:$into/lib/*"
}

# python_socketio prints a Python that has python-socketio with its client, after making it where it is missing.
python_socketio() {
    local into="$cache/python-socketio-$python_socketio_version-$python_msgpack_version"
    if [ ! -e "$into/installed" ]; then
        apt_install python3 python3 python3-venv
        say "installing python-socketio $python_socketio_version into $into"
        rm -rf "$into"
        python3 -m venv "$into" >&2
        "$into/bin/pip" install -q --disable-pip-version-check \
            "python-socketio[client]==$python_socketio_version" "msgpack==$python_msgpack_version" >&2
        touch "$into/installed"
    fi
    printf '%s\n' "$into/bin/python"
}

# browser prints the path of a Chromium, installing Debian's where there is none.
browser() {
    local name
    for name in chromium chromium-browser google-chrome-stable google-chrome; do
        if command -v "$name"; then return 0; fi
    done
    apt_install chromium chromium && command -v chromium
}

# prometheus_tool puts promtool into the cache, where the tests find it. It is taken out of Debian's package without
# installing that, which would start a server. Without it those tests say that they skip, so its lack is no fault.
prometheus_tool() {
    if command -v promtool >/dev/null || [ -x "$cache/bin/promtool" ]; then return 0; fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        say "promtool is missing: the alert rules are not checked here"
        return 0
    fi
    local into
    into="$(mktemp -d)"
    say "taking promtool out of Debian's package prometheus, into $cache/bin"
    if (cd "$into" && apt-get download -q prometheus >&2 && dpkg -x prometheus_*.deb unpacked); then
        mkdir -p "$cache/bin"
        mv "$into/unpacked/usr/bin/promtool" "$cache/bin/promtool"
    else
        say "promtool can't be had: the alert rules are not checked here"
    fi
    rm -rf "$into"
}

# postgres_programs installs PostgreSQL's programs where there are none. The tests start private instances; Debian's
# package would start a cluster of its own, which it is told not to.
postgres_programs() {
    if command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then return 0; fi
    apt_install pg_ctlcluster postgresql-common
    local sudo=()
    if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
    "${sudo[@]}" sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' \
        /etc/postgresql-common/createcluster.conf
    apt_install postgres-is-not-in-the-path postgresql
}

# nginx_tool prints the path of an nginx, which the tests of deploy/nginx run as a private instance. It is taken out of
# Debian's package without installing that, which would start a server on port 80.
nginx_tool() {
    if command -v nginx; then return 0; fi
    if [ ! -x "$cache/bin/nginx" ]; then
        if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
            say "nginx is missing: nothing is tested through it here"
            return 0
        fi
        local into
        into="$(mktemp -d)"
        say "taking nginx out of Debian's package, into $cache/bin"
        if (cd "$into" && { apt-get download -q nginx >&2 || { apt-get update -q >&2 && apt-get download -q nginx >&2; }; } &&
            dpkg -x nginx_*.deb unpacked && unpacked/usr/sbin/nginx -v 2>&2); then
            mkdir -p "$cache/bin"
            mv "$into/unpacked/usr/sbin/nginx" "$cache/bin/nginx"
        else
            say "nginx can't be had: nothing is tested through it here"
        fi
        rm -rf "$into"
    fi
    if [ -x "$cache/bin/nginx" ]; then printf '%s\n' "$cache/bin/nginx"; fi
}

step_names=() step_results=() step_times=() failed_steps=0

# step NAME COMMAND... runs one step in a shell of its own, says how long it took, and goes on after a failure, so that
# one run shows all faults. finish then fails.
step() {
    local name=$1 began=$SECONDS result=ok
    shift
    printf '\n=== %s\n' "$name"
    local status=0
    set +e
    (
        set -e
        "$@"
    ) </dev/null
    status=$?
    set -e
    if [ "$status" != 0 ]; then
        result=FAILED
        failed_steps=$((failed_steps + 1))
    fi
    step_names+=("$name") step_results+=("$result") step_times+=($((SECONDS - began)))
    printf -- '--- %s: %s in %d s\n' "$name" "$result" $((SECONDS - began))
}

# finish prints all steps and fails when one did.
finish() {
    printf '\n=== summary\n'
    local i
    for i in "${!step_names[@]}"; do
        printf '%-8s %5d s  %s\n' "${step_results[$i]}" "${step_times[$i]}" "${step_names[$i]}"
    done
    printf '%s of %s steps failed, %d s in all\n' "$failed_steps" "${#step_names[@]}" "$SECONDS"
    [ "$failed_steps" = 0 ]
}
