# Each target is enough on its own: it makes the virtual environment first.
# Needs git, make, and python3 (3.11 or later) with venv.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
JOBS ?= auto
# `make test PROVISION=1` first installs Debian packages and starts the network of containers.
PROVISION ?=

# The tests start hundreds of processes, each of which would else compile all of callboard.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long lint format bench bench-lxc bench-nats bench-coordinator clean venv
.DEFAULT_GOAL := test

venv: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(PEERS): $(READY)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

demo: $(READY)
	$(BIN)/callboard run scenarios/demo.yaml

test: $(READY)
	$(if $(PROVISION),tests/provision.sh)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not long'

test-long: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --hypothesis-profile=long --timeout 1200

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(PEERS)
	$(BIN)/python -m benchmarks

bench-lxc: $(READY)
	$(BIN)/python -m benchmarks --strict containers

bench-nats: $(READY)
	$(BIN)/python -m benchmarks --strict release events takeover thousand

# Beside LAVA's own coordinator, which is unpacked from Debian's package, not installed.
bench-coordinator: $(READY)
	test -e /var/cache/callboard-tests/lava/complete || tests/provision.sh lava
	$(BIN)/python -m benchmarks --strict coordinator-rates coordinator-sends coordinator-meetings

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
