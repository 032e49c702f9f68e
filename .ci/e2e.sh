#!/usr/bin/env bash
# Browsers, and the clients of other protocols, against the real binary.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
node_tools
LECTERN_CHROMIUM="$(browser)"
LECTERN_SPRING="$(spring_player)"
LECTERN_PYTHON="$(python_socketio)"
make --no-print-directory build
LECTERN_NGINX="$(nginx_tool)"
export LECTERN_CHROMIUM LECTERN_SPRING LECTERN_PYTHON LECTERN_NGINX LECTERN_E2E=1 LECTERN_BIN="$root/bin/lectern"
export NODE_PATH="$node_modules" LECTERN_NODE_MODULES="$node_modules"
exec "${plain[@]}" go test -tags e2e -count=1 -timeout 12m ./cmd/internal/e2e/...
