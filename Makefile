# make run: the server with a demo quiz, on a machine with Go alone. make test: all that CI runs.

CONNS ?= 1000
DURATION ?= 10s
CRASHES ?= 40
ROUNDS ?= 3
RESULTS ?= bin/bench.ndjson

.DEFAULT_GOAL := help
.PHONY: help run build test check format race invariants crash fuzz-smoke integration e2e js conformance bench bench-peers bench-persist capacity soak clean

help: ## the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: build ## build and serve with a demo quiz; prints the URLs and its PIN
	exec bin/lectern serve --dev

build: ## bin/lectern, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/lectern ./cmd/lectern

test: ## everything that CI runs; installs what is missing and says what
	@bash .ci/test.sh

check: ## format, vet, lint, rules of the repository, types of the JavaScript, short tests
	@bash .ci/check.sh --short

format: ## format all Go files
	@bash -c 'source .ci/lib.sh && "$$(gofumpt)" -w .'

race: ## all Go tests with the race detector
	CGO_ENABLED=1 go test -race -timeout 9m ./...

invariants: ## netpoll with its ownership checks compiled in
	CGO_ENABLED=1 go test -race -tags invariants -timeout 5m ./netpoll/...

integration: ## the tests on real sockets and real files
	CGO_ENABLED=1 go test -race -timeout 9m ./netpoll/... ./persist/... ./cmd/...

crash: ## kill the server again and again, with SQLite, PostgreSQL and a spool in use (CRASHES each)
	@bash -c 'source .ci/lib.sh && postgres_programs'
	CGO_ENABLED=0 LECTERN_CRASHES=$(CRASHES) go test -trimpath -count=1 -v -timeout 30m -run 'TestKilled' ./cmd/lectern

fuzz-smoke: ## every fuzz target for a few seconds
	@bash .ci/fuzz.sh

js: ## the tests of the JavaScript client
	@bash .ci/js.sh

e2e: ## browsers against the real binary
	@bash .ci/e2e.sh

conformance: ## the Autobahn suite against lectern conformance (CASES="6.* 7.*" for some; half an hour for all)
	@set -f; bash .ci/conformance.sh $(CASES)

bench: build ## the load scenarios against a server of their own (CONNS, DURATION, RESULTS)
	@bash .ci/bench.sh $(RESULTS) $(CONNS) $(DURATION) idle storm fanout echo chat quiz

bench-peers: build ## the same load on Lectern and on what else people use, in turns; writes docs/BENCHMARKS.md
	go run ./bench/peers/run -commit $$(git rev-parse --short HEAD)

bench-persist: ## the journal's curve into each store, what persistence costs, and how long recovery takes
	@bash -c 'source .ci/lib.sh && postgres_programs'
	LECTERN_BENCH_PERSIST=$(CURDIR)/bench/results/persist.ndjson LECTERN_BENCH_ROUNDS=$(ROUNDS) CGO_ENABLED=0 \
		go test -trimpath -count=1 -v -timeout 30m -run 'TestCurve' ./persist
	LECTERN_BENCH_PERSIST=$(CURDIR)/bench/results/persist.ndjson CGO_ENABLED=0 \
		go test -trimpath -count=1 -v -timeout 30m -run 'TestPersistenceCost|TestRecoveryTime' ./cmd/lectern

capacity: build ## a quiz of up to 100,000 on a simulated network, then CAPACITY (100,000) real connections in one process
	LECTERN_CAPACITY=1000,10000,100000 LECTERN_CAPACITY_OUT=$(CURDIR)/bench/results/capacity.ndjson \
		go test -count=1 -v -timeout 30m ./cmd/internal/capacity
	sh cmd/internal/capacity/capacity.sh $(CURDIR)/bench/results

soak: build ## all scenarios mixed, for half an hour (CONNS)
	@bash .ci/bench.sh $(RESULTS) $(CONNS) 30m mixed

clean: ## what was built, not the data
	rm -rf bin
