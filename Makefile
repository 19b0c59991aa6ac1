# `make` without arguments lists the targets; MAKEFILE_GUIDE.md describes them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# dev treats warnings as errors, for Debian 12's compiler. Use PRESET=release with other compilers.
PRESET ?= dev
# One compiler process per processor, limited by memory (up to 1.5 GB per process).
JOBS ?= $(shell awk -v cpus="$$(nproc)" '/^MemAvailable/ {n = int($$2 / 1572864); print n < 1 ? 1 : n < cpus ? n : cpus}' /proc/meminfo)
# Flags that `make run` passes to `millrace up`.
RUN_FLAGS ?= --demo
# The embedded servers' passwords: the known ones for development (root/test123, admin/test123). With CREDENTIALS= the first start
# generates passwords, prints them once and stores them in the data directory.
CREDENTIALS ?= --dev-credentials
# Number of concurrent tests; each may start its own servers.
TEST_JOBS ?= 2
# Timeout of the whole test run, in seconds.
TEST_TIME_LIMIT ?= 3000
# LOG: event log of the fault suite and the benchmark (embedded, kafka). The fault suite: duration in seconds; seed of a run to repeat; report file.
LOG ?= embedded
DURATION ?= 600
SEED ?=
REPORT ?= build/chaos-report.md

# `make fuzz`: duration of each program in seconds.
FUZZ_SECONDS ?= 600

# Where `make up` runs the stack: local (programs on this machine) or docker (Docker Compose).
RUNTIME ?= $(shell [ -f docker-compose.yml ] && docker compose version >/dev/null 2>&1 && echo docker || echo local)
# `make logs`: one service instead of all; FOLLOW=1 follows until Ctrl-C; number of lines of each.
SERVICE ?=
FOLLOW ?=
LINES_SHOWN ?= 100

# make up DATA_DIR=/elsewhere API_PORT=4000 MYSQL_PORT=4306 …: on the command line these take precedence over the environment
# (MILLRACE_DATA_DIR and so on). A stack is identified by its data directory.
local_settings := DATA_DIR API_PORT MYSQL_PORT CLICKHOUSE_PORT CONNECT_PORT KAFKA_BROKERS
$(foreach name,$(local_settings),$(if $(filter command,$(firstword $(origin $(name)))),$(eval export MILLRACE_$(name) := $($(name)))))
# The data directory differs from that of `make run`, whose events are in another log.
stack_environment = MILLRACE_DATA_DIR=$(or $(MILLRACE_DATA_DIR),data/cluster)
# The data directory of the running stack, for targets that work with either.
meant = MILLRACE_DATA_DIR=$$(scripts/stack directory)
given = $(strip $(foreach name,$(local_settings),$(if $(filter command,$(firstword $(origin $(name)))),$(name)=$($(name)))))

BUILD := build
PROGRAMS := millrace millrace-warehouse
CONFIGURED := $(BUILD)/.configured-$(PRESET)
export NINJA_STATUS := [%f/%t] $()

##@ Usage

.PHONY: help
help:  ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Ctrl-C reaches the program itself, which stops cleanly.
.PHONY: run
run: build  ## Install dependencies, build, and run everything with sample data (RUN_FLAGS= for no demo orders)
	@exec $(BUILD)/millrace up $(CREDENTIALS) $(RUN_FLAGS)

.PHONY: up
up: can-run-$(RUNTIME) bootstrap-kafka build  ## Start the stack with a three-node Kafka cluster in the background (RUNTIME=local|docker)
	@$(stack_environment) MILLRACE_EVENT_LOG_KIND=kafka MILLRACE_KAFKA_EMBEDDED=$${MILLRACE_KAFKA_EMBEDDED:-true} $(BUILD)/millrace up --detach $(CREDENTIALS)
	@echo
	@echo "next: make ps | make logs SERVICE=kafka-1 FOLLOW=1 | make verify | make down$(if $(given),; each with $(given))"

.PHONY: down
down: can-run-$(RUNTIME)  ## Stop the stack; data are kept
	@$(stack_environment) $(BUILD)/millrace down

.PHONY: restart
restart: can-run-$(RUNTIME)  ## Stop and start the stack
	@$(MAKE) down
	@$(MAKE) up

.PHONY: ps
ps: can-run-$(RUNTIME)  ## List the services: state, process, port, memory, restarts; fails if one is down
	@$(stack_environment) $(BUILD)/millrace ps

.PHONY: logs
logs: can-run-$(RUNTIME)  ## Show the logs (SERVICE=kafka-1 for one, FOLLOW=1 to follow)
	@$(stack_environment) $(BUILD)/millrace logs $(SERVICE) --lines $(LINES_SHOWN) $(if $(FOLLOW),--follow)

.PHONY: setup
setup:  ## up and init-db
	@$(MAKE) up
	@$(MAKE) init-db

.PHONY: register-connector
register-connector:  ## Create or update the sink's connector from kafka-connect/clickhouse-sink.json
	@scripts/connector register

.PHONY: connector-status
connector-status:  ## Show the connector and its tasks; fails if one is not running
	@scripts/connector status

.PHONY: can-run-local can-run-docker bootstrap-kafka
bootstrap-kafka:
	@scripts/bootstrap --kafka

can-run-local: ;
can-run-docker:
	@echo "RUNTIME=docker needs docker-compose.yml, which is not part of this version yet; use RUNTIME=local" >&2; exit 2

.PHONY: init-db
init-db: build  ## Create or update the tables of the order store (of a running stack, or MILLRACE_MYSQL_URL)
	@$(meant) $(BUILD)/millrace init-db

.PHONY: verify
verify: build  ## Recompute every order and every view from the order store, and compare
	@$(meant) $(BUILD)/millrace verify

.PHONY: mysql-shell
mysql-shell:  ## Open a prompt on the order store
	@exec scripts/mysql-shell

.PHONY: clickhouse-shell
clickhouse-shell:  ## Open a prompt on the warehouse
	@exec scripts/clickhouse-shell

# These use the running stack. A missing argument is reported before anything is built.
.PHONY: kafka-topics
kafka-topics: build  ## List the topics, with partitions and messages
	@scripts/event-log topics list

.PHONY: kafka-create-topic
kafka-create-topic:  ## Create a topic (TOPIC= PARTITIONS=)
	$(if $(and $(TOPIC),$(PARTITIONS)),,$(error name the topic and how many partitions it has: make kafka-create-topic TOPIC=my.topic PARTITIONS=3))
	@$(MAKE) build
	@scripts/event-log topics create --partitions "$$PARTITIONS" -- "$$TOPIC"

.PHONY: kafka-describe-topic
kafka-describe-topic:  ## Show leaders, replicas, offsets and settings of a topic (TOPIC=)
	$(if $(TOPIC),,$(error name the topic: make kafka-describe-topic TOPIC=order.events))
	@$(MAKE) build
	@scripts/event-log topics show -- "$$TOPIC"

.PHONY: kafka-consumer-groups
kafka-consumer-groups: build  ## List the consumer groups, with members and lag
	@scripts/event-log groups list

.PHONY: kafka-consumer-lag
kafka-consumer-lag: build  ## Show members and lag of every partition (GROUP=, default: all groups)
	@scripts/event-log groups show $(if $(GROUP),-- "$$GROUP")

.PHONY: kafka-cluster-info
kafka-cluster-info: build  ## Show the brokers and which of them are up
	@scripts/event-log cluster

.PHONY: clean
clean:  ## Stop the stack, remove its data, ./data and ./build (with DATA_DIR= only that directory)
	@if [ -x $(BUILD)/millrace ]; then $(stack_environment) $(BUILD)/millrace down; fi
	@scripts/clean $(if $(filter command,$(firstword $(origin DATA_DIR))),'$(DATA_DIR)')

##@ Development

.PHONY: bootstrap
bootstrap:  ## Install dependencies (needs root only for Debian packages)
	@scripts/bootstrap

.PHONY: build
build: $(CONFIGURED)  ## Build both programs into ./build
	@cmake --build $(BUILD) --parallel $(JOBS) --target $(PROGRAMS)

# Ninja reconfigures when a CMake file changes, but not for changed presets.
$(CONFIGURED): CMakePresets.json | bootstrap
	@cmake --preset $(PRESET) --log-level=NOTICE
	@rm -f $(BUILD)/.configured-* && touch $@

.PHONY: test
test:  ## Install dependencies, build, and run all tests
	@scripts/bootstrap --test
	@$(MAKE) $(CONFIGURED)
	@cmake --build $(BUILD) --parallel $(JOBS)
	@timeout --foreground --kill-after=60 $(TEST_TIME_LIMIT) \
	  ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(TEST_JOBS) --timeout 600

.PHONY: check
check: bootstrap $(CONFIGURED)  ## Run the fast checks: format, includes, house rules, unit tests
	@scripts/bootstrap --check
	@cmake --build $(BUILD) --parallel $(JOBS) --target tests-unit
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(TEST_JOBS) -L '^(check|unit)$$'

.PHONY: fuzz
fuzz: $(CONFIGURED)  ## Run the fuzz programs for longer (FUZZ_SECONDS=, default 600)
	@scripts/bootstrap --test
	@cmake --build $(BUILD) --parallel $(JOBS) --target fuzz-programs
	@FUZZ_SEED=0 FUZZ_SECONDS=$(FUZZ_SECONDS) ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(JOBS) -L '^fuzz$$' \
	  --timeout $$(($(FUZZ_SECONDS) + 300))

.PHONY: chaos
chaos: build  ## Run the fault suite under load, and check that nothing is lost (LOG=kafka DURATION= SEED= REPORT=)
	@scripts/bootstrap --test
	@cmake --build $(BUILD) --parallel $(JOBS) --target chaos_log_tool
	@scripts/test-python -B tests/chaos/chaos.py --log $(LOG) --seconds $(DURATION) $(if $(filter embedded,$(LOG)),--steps 1) \
	  $(if $(SEED),--seed $(SEED)) --report $(REPORT)

.PHONY: bench
bench: build  ## Run the end-to-end benchmark; the result goes to bench/results (LOG=kafka)
	@$(if $(filter kafka,$(LOG)),scripts/bootstrap --kafka)
	@python3 -B bench/end_to_end.py --log $(LOG)

.PHONY: bench-relay
bench-relay: build  ## Benchmark the relay on Kafka beside a plain producer; the result goes to bench/results
	@cmake --build $(BUILD) --parallel $(JOBS) --target bench_relay
	@python3 -B bench/relay.py

.PHONY: format
format:  ## Format the C++ sources
	@scripts/bootstrap --check
	@python3 -B tests/check/format.py . --fix
