#!/usr/bin/env bash
# Everything that can be said about the code without running it, and the repository's own rules.
# With --short, the short tests too: that is `make check`. test.sh takes it in with --part and runs all tests instead.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

format() {
    local tool wrong
    tool="$(gofumpt)"
    wrong="$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r ls -d 2>/dev/null |
        xargs -r "$tool" -l)"
    if [ -n "$wrong" ]; then
        printf '%s\nformat these files: make format\n' "$wrong"
        return 1
    fi
}

modules() { go mod tidy -diff || { echo "go.mod and go.sum are not tidy: run go mod tidy" && return 1; }; }

vet() { "${plain[@]}" go vet ./...; }

lint() {
    local tool
    tool="$(golangci)"
    "${plain[@]}" "$tool" run ./...
}

rules() { "${plain[@]}" go test -count=1 ./cmd/internal/tidy; }

# types checks the plain JavaScript of the client and of the pages by the types in its comments.
types() {
    node_tools
    local config
    git ls-files --cached --others --exclude-standard -- '*tsconfig.json' '*jsconfig.json' | while read -r config; do
        echo "$config"
        node "$node_modules/typescript/bin/tsc" -p "$config" --noEmit
    done
}

short() { "${plain[@]}" go test -short ./...; }

step "format (gofumpt)" format
step "go mod tidy" modules
step "go vet" vet
step "golangci-lint" lint
step "rules of the repository" rules
step "types of the JavaScript" types
if [ "${1:-}" = --short ]; then
    step "short tests" short
fi
if [ "${1:-}" != --part ]; then finish; fi
