#!/usr/bin/env bash
# Everything that CI runs, in order of how soon a fault shows. It installs what is missing, says what, and fails at the
# end when any step failed.
#
# Installed where missing: gcc (for -race), Node with npm, Chromium, PostgreSQL, Redis, Java and Maven from Debian's
# packages; gofumpt and golangci-lint by Go; typescript and the clients, parsers and browser driver that the tests use
# by npm; Spring's STOMP client by Maven; promtool and nginx, taken out of Debian's packages. All but Debian's packages go to a cache folder outside the tree.
# Tests that need PostgreSQL or Redis start private instances on free ports, PostgreSQL as a user who is not root.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools() {
    apt_install gcc gcc libc6-dev
    apt_install git git
    node_tools
    browser >/dev/null
    postgres_programs
    apt_install redis-server redis-server
    gofumpt >/dev/null
    golangci >/dev/null
    prometheus_tool
    nginx_tool >/dev/null
    spring_player >/dev/null
    echo "Go $(go env GOVERSION), Node $(node --version), tools in $cache"
}

step "tools" tools
source "$root/.ci/check.sh" --part
step "unit and integration tests, with the race detector" make --no-print-directory race
step "killed and started again" make --no-print-directory crash CRASHES=3
step "ownership checks (build tag invariants)" make --no-print-directory invariants
step "JavaScript client" bash .ci/js.sh
if [ -d cmd/internal/e2e ]; then
    step "end to end, in Chromium" bash .ci/e2e.sh
fi
step "fuzz smoke" bash .ci/fuzz.sh
finish
