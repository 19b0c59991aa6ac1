# Millrace's front door. `make` alone lists the commands; CONTRIBUTING.md says how they hang together.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# dev: warnings are errors, right for Debian 12's compiler. PRESET=release for any other compiler.
PRESET ?= dev
# One compiler process for each processor, but no more than memory allows (a large one takes 1.5 GB).
JOBS ?= $(shell awk -v cpus="$$(nproc)" '/^MemAvailable/ {n = int($$2 / 1572864); print n < 1 ? 1 : n < cpus ? n : cpus}' /proc/meminfo)
# What `make run` passes to `millrace up`.
RUN_FLAGS ?= --demo
# Tests that run at the same time; each may start servers of its own.
TEST_JOBS ?= 2
# The longest that all tests together may take, in seconds.
TEST_TIME_LIMIT ?= 3000
# The fault suite: how many seconds; the seed of a run to repeat; where the report goes.
DURATION ?= 600
SEED ?=
REPORT ?= build/chaos-report.md

BUILD := build
PROGRAMS := millrace millrace-warehouse
CONFIGURED := $(BUILD)/.configured-$(PRESET)
export NINJA_STATUS := [%f/%t] $()

##@ Using it

.PHONY: help
help:  ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Ctrl-C reaches the program itself, which stops cleanly; make has nothing to add.
.PHONY: run
run: build  ## Install what is missing, build, and run all of it with a sample shop (RUN_FLAGS= for no demo orders)
	@exec $(BUILD)/millrace up $(RUN_FLAGS)

.PHONY: init-db
init-db: build  ## Create or update the tables of the order store (of a running set-up, or MILLRACE_MYSQL_URL)
	@$(BUILD)/millrace init-db

.PHONY: verify
verify: build  ## Recompute every order and every view from the order store, and compare
	@$(BUILD)/millrace verify

.PHONY: mysql-shell
mysql-shell:  ## A prompt on the order store
	@exec scripts/mysql-shell

.PHONY: clickhouse-shell
clickhouse-shell:  ## A prompt on the warehouse
	@exec scripts/clickhouse-shell

.PHONY: clean
clean:  ## Remove ./build and ./data (not while a program uses them)
	@scripts/clean

##@ Working on it

.PHONY: bootstrap
bootstrap:  ## Install what is missing (needs root only if Debian packages are)
	@scripts/bootstrap

.PHONY: build
build: $(CONFIGURED)  ## Build both programs into ./build
	@cmake --build $(BUILD) --parallel $(JOBS) --target $(PROGRAMS)

# Ninja itself configures again when a CMake file changes; the presets are not among those.
$(CONFIGURED): CMakePresets.json | bootstrap
	@cmake --preset $(PRESET) --log-level=NOTICE
	@rm -f $(BUILD)/.configured-* && touch $@

.PHONY: test
test:  ## Install what is missing, build, and run all tests
	@scripts/bootstrap --test
	@$(MAKE) $(CONFIGURED)
	@cmake --build $(BUILD) --parallel $(JOBS)
	@timeout --foreground --kill-after=60 $(TEST_TIME_LIMIT) \
	  ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(TEST_JOBS) --timeout 600

.PHONY: check
check: bootstrap $(CONFIGURED)  ## The fast checks: format, includes, house rules, unit tests
	@scripts/bootstrap --check
	@cmake --build $(BUILD) --parallel $(JOBS) --target tests-unit
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(TEST_JOBS) -L '^(check|unit)$$'

.PHONY: chaos
chaos: build  ## Kill, pause and cut everything under load, and check that nothing is lost (DURATION= SEED= REPORT=)
	@scripts/bootstrap --test
	@cmake --build $(BUILD) --parallel $(JOBS) --target chaos_log_tool
	@scripts/test-python -B tests/chaos/chaos.py --seconds $(DURATION) --steps 1 $(if $(SEED),--seed $(SEED)) --report $(REPORT)

.PHONY: bench
bench: build  ## Measure end to end; the result goes to bench/results
	@python3 -B bench/end_to_end.py

.PHONY: format
format:  ## Format the C++ sources
	@scripts/bootstrap --check
	@python3 -B tests/check/format.py . --fix
