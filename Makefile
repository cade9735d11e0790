# `make` alone says what there is. Everything runs in .venv, which each target makes when it is missing.
# Options go through ARGS: make demo ARGS="--quiet", make test ARGS="-k outbox".

SHELL := /bin/sh
VENV := .venv/bin
ARGS ?=

# The Python that makes .venv: the first of these that is new enough (recursive, so looked up only when used).
PYTHON ?= $(shell for python in $(VENV)/python python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; \
	done; echo python3)

# mypy finds our packages as the interpreter does.
sources = $(wildcard libs/*/src services/*/src tools/*/src)
space := $(subst ,, )

.DEFAULT_GOAL := help
.PHONY: help demo test lint types imports claims soak mutations wheel bench bench-queues bench-outbox timing capacity lock clean environment environment-dev environment-bench

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: environment  ## the pizzeria on this machine, without Docker; ARGS are those of `pizzeria up`
	@$(VENV)/pizzeria up $(ARGS)

# No containers reaper: its image is one more download, and every fixture ends its own.
test soak wheel mutations: export TESTCONTAINERS_RYUK_DISABLED = true
test soak wheel mutations: export TESTCONTAINERS_CONNECTION_MODE = docker_host

test: environment-dev  ## all tests but the long ones
	@$(VENV)/python -m pytest -n 4 --dist loadgroup --no-loadscope-reorder --durations 20 -m "not soak" $(ARGS)

soak: environment-dev  ## the long fault runs; SOAK_SECONDS=120 says how long each, SOAK_SEED repeats their chances
	@$(VENV)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder --durations 0 --durations-min 1 -m soak $(ARGS)

mutations: environment-dev  ## take away one protection at a time and see its test go red; ARGS="relay", "--few"
	@$(VENV)/python tools/mutate.py $(ARGS)

lint: environment-dev  ## style and format
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .

types: environment-dev  ## mypy --strict over everything
	@MYPYPATH=$(subst $(space),:,$(sources)) $(VENV)/mypy .

imports: environment-dev  ## who may import whom
	@$(VENV)/lint-imports

wheel: environment-dev  ## build rediscore, install it alone in .wheel, run its tests there; ARGS go to pytest
	@$(VENV)/python tools/wheel.py $(ARGS)

bench: environment-bench  ## measure rediscore against its peers: goals, ours, theirs; ARGS="lock --rounds 5"
	@.venv-bench/bin/python -m bench.rediscore $(ARGS)

bench-queues: environment-bench  ## queue, tasks and streams against BullMQ, taskiq, saq, streaq, arq, FastStream; ARGS="drain"
	@bench/queues/peers.sh
	@.venv-bench/bin/python -m bench.queues $(ARGS)

timing: environment-dev  ## measure: time to the first order, the way of an order, an edit of the menu
	@for bench in first_order order_flow menu_edit; do $(VENV)/python -m bench.$$bench || exit; done

capacity: environment-dev  ## measure: the highest rate of orders that holds for a minute, and what an order costs then
	@$(VENV)/python -m bench.capacity $(ARGS)

bench-outbox: environment-dev  ## measure: outbox, relay, inbox and catching up, events per second and what each costs
	@$(VENV)/python bench/outbox.py $(ARGS)

claims: environment-dev  ## every capability and invariant with the tests that prove it
	@$(VENV)/python tests/claims.py $(ARGS)

lock: environment-dev  ## write the locks from the pyproject files; ARGS="--upgrade" for newer versions
	@tools/lock.sh $(ARGS)

clean:  ## end what runs, delete everything that was made here: .pizzeria, .venv, caches
	@if [ -x $(VENV)/pizzeria ]; then $(VENV)/pizzeria down; fi
	@rm -rf .pizzeria .venv .venv-bench .venv-bench-apart bench/queues/bullmq/node_modules .wheel .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@$(bootstrap)

environment-dev:
	@$(bootstrap) --dev

environment-bench:
	@$(bootstrap) --bench

define bootstrap
python="$(PYTHON)"; command -v "$$python" >/dev/null || { \
	echo "No python3 found: install Python 3.11 or newer (Debian, Ubuntu: sudo apt install python3 python3-venv)."; \
	exit 1; }; \
"$$python" tools/bootstrap.py
endef
