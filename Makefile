# Millrace's front door. `make` alone lists the commands; CONTRIBUTING.md says how they hang together.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# dev: warnings are errors, right for Debian 12's compiler. PRESET=release for any other compiler.
PRESET ?= dev
# One compiler process for each processor, but no more than memory allows (a large one takes 1.5 GB).
JOBS ?= $(shell awk -v cpus="$$(nproc)" '/^MemAvailable/ {n = int($$2 / 1572864); print n < 1 ? 1 : n < cpus ? n : cpus}' /proc/meminfo)
# Tests that run at the same time; each may start servers of its own.
TEST_JOBS ?= 2
# The longest that all tests together may take, in seconds.
TEST_TIME_LIMIT ?= 3000

BUILD := build
CONFIGURED := $(BUILD)/.configured-$(PRESET)
export NINJA_STATUS := [%f/%t] $()

##@ Working on it

.PHONY: help
help:  ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: bootstrap
bootstrap:  ## Install what is missing (needs root only if Debian packages are)
	@scripts/bootstrap

.PHONY: build
build: bootstrap compile  ## Build both programs into ./build

.PHONY: compile
compile: $(CONFIGURED)
	@cmake --build $(BUILD) --parallel $(JOBS)

# Ninja itself configures again when a CMake file changes; the presets are not among those.
$(CONFIGURED): CMakePresets.json | bootstrap
	@cmake --preset $(PRESET) --log-level=NOTICE
	@rm -f $(BUILD)/.configured-* && touch $@

.PHONY: test
test:  ## Install what is missing, build, and run all tests
	@scripts/bootstrap --test
	@$(MAKE) compile
	@timeout --foreground --kill-after=60 $(TEST_TIME_LIMIT) \
	  ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(TEST_JOBS) --timeout 600

.PHONY: check
check: bootstrap $(CONFIGURED)  ## The fast checks: format, includes, house rules, unit tests
	@scripts/bootstrap --check
	@cmake --build $(BUILD) --parallel $(JOBS) --target tests-unit
	@python3 -B tests/check/format.py .
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(TEST_JOBS) -L '^(check|unit)$$'

.PHONY: format
format:  ## Format the C++ sources
	@scripts/bootstrap --check
	@python3 -B tests/check/format.py . --fix
