# Everything here needs Go and make; what needs more says so. `make` lists it.

# The binary is pure Go, and what is tested is what is shipped. Only the race
# detector needs a C compiler.
export CGO_ENABLED ?= 0

SEEDS    ?= 200
# In executions: a turn by the clock can fail at its end (go.dev/issue/75804).
FUZZTIME ?= 30000x
BINARY   := .build/tagtide
# The tests that need a real Kafka, by their build tag: what go test is to run of
# which packages. The others there need none, and are in make test.
KAFKA_FILES = $(shell grep -rl --include='*_test.go' '^//go:build kafka' . | grep -v kafkanode)
KAFKA_TESTS = -run '^($(shell grep -hoE '^func Test[A-Za-z0-9]+' $(KAFKA_FILES) | cut -c 6- | paste -sd '|' -))$$' $(sort $(dir $(KAFKA_FILES)))

# Those that three nodes tell nothing new: what they are about is the client,
# brokers of which none is there are one as well, or they start three themselves.
KAFKA_ONCE = '^(TestSecuredKafka|TestTheArticlesProducerIsCounted|TestDeadLettersOfAKafkaAreReplayedOnce|TestKillLoopOfANetworkCountsOnce|TestARollingRestartMovesNoTask|TestATableThatWasDeletedEndsTheGroup|TestAGroupNeverStopsAsAWhole|TestAllBrokersAway|TestHardTimesCountOnce)$$'

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## start everything in one process, page on http://127.0.0.1:8080 (ARGS="--rate 100")
	@exec $(BINARY) run $(ARGS)

.PHONY: build
build: ## the binary, .build/tagtide
	@[ -e $(BINARY) ] || echo "building; the first time takes a minute or two" >&2
	@go build -trimpath -o $(BINARY) ./cmd/tagtide

.PHONY: test
test: ## every test that needs nothing but Go
	go test ./...

.PHONY: lint
lint: ## formatting, vet, staticcheck, the rules of the house
	@unformatted=$$(gofmt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go vet -tags web ./api/...
	go vet -tags kafka ./...
	go tool staticcheck ./...
	go tool staticcheck -tags web ./api/...
	go tool staticcheck -tags kafka ./...
	go test ./internal/lint

.PHONY: race
race: ## the tests under the race detector (needs gcc)
	CGO_ENABLED=1 go test -race -timeout 30m ./...

# go test -list prints the names of a package's targets and then the package.
.PHONY: fuzz
fuzz: ## a turn of every fuzz target (FUZZTIME=30000x each)
	@list=$$(go test -list '^Fuzz' ./...) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package name; do \
		echo "$$package $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

.PHONY: sim
sim: ## the simulation: whole groups, faults, virtual time (SEEDS=200)
	go test ./stream/streamtest -count 1 -timeout 60m -run TestSimulation -seeds $(SEEDS)

.PHONY: mutants
mutants: ## deliberate mistakes, each of which must turn the simulation red
	go run ./internal/mutants

.PHONY: test-web
test-web: chromium ## the page in a real Chromium (CHROME=path, or found on the PATH)
	go test -tags web -count 1 ./api/webtest/...

# Installs Debian's Chromium where that is possible without asking.
.PHONY: chromium
chromium:
	@[ -z "$$CHROME" ] || exit 0; \
	for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		if command -v $$name >/dev/null 2>&1; then exit 0; fi; \
	done; \
	if ! command -v apt-get >/dev/null 2>&1; then \
		echo "make test-web needs Chromium (or Google Chrome) on the PATH: please install it" >&2; exit 1; \
	fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else \
		echo "make test-web needs Chromium: sudo apt-get install chromium" >&2; exit 1; \
	fi; \
	$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium fonts-liberation </dev/null

NODES ?= 1
PORT  ?= 9092

.PHONY: kafka
kafka: ## a real Apache Kafka on 127.0.0.1:9092, data in .kafka (NODES=3 PORT=9092; needs Java 17, the first time Maven)
	@go build -o .build/kafka ./internal/kafkanode/kafka
	@exec .build/kafka -nodes $(NODES) -dir .kafka/nodes-$(NODES) -port $(PORT)

# The tests find the addresses in TAGTIDE_TEST_KAFKA; those that kill brokers
# start their own.
.PHONY: test-kafka
test-kafka: ## the tests that need a real Kafka, on one node and on three (same needs)
	@go build -o .build/kafka ./internal/kafkanode/kafka
	go test -tags kafka -count 1 -timeout 4m ./internal/kafkanode
	.build/kafka go test -tags kafka -count 1 -p 1 -timeout 10m $(KAFKA_TESTS)
	.build/kafka -nodes 3 go test -tags kafka -count 1 -p 1 -timeout 8m -skip $(KAFKA_ONCE) $(KAFKA_TESTS)

.PHONY: bench
bench: ## the benchmarks, as ratios in one run (ARGS="-kafka -write": on an Apache Kafka too, into docs/BENCHMARKS.md)
	go run ./internal/bench $(ARGS)

.PHONY: clean
clean: ## remove what was built
	rm -rf .build
