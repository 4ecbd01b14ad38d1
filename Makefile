# Each target sets up .venv by itself; Python 3.11 to 3.13 and make are all a machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export QUANTLAKE_HOME ?= $(CURDIR)/.quantlake
export DAGSTER_HOME ?= $(QUANTLAKE_HOME)/dagster
export DAGSTER_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: demo ui test test-all test-checked check parity-zipline bench clean lock help

help:
	@echo "make demo      materialize the whole platform on the embedded real market data"
	@echo "make ui        Dagster and MLflow on loopback, filled by the demo"
	@echo "make test      the test suite (make test-all adds the slow suites)"
	@echo "make test-checked   the engine's tests with every index checked, and those of its kernels as plain Python"
	@echo "make check     ruff, mypy, import rules"
	@echo "make parity-zipline   the fills of zipline, in an environment of its own"
	@echo "make bench     timings against the usual tools"
	@echo "make clean     remove .venv and caches (quantlake clean removes the data)"

$(VENV)/installed: requirements.lock pyproject.toml
	@echo "Installing the pinned packages into $(VENV) (about two minutes, once)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "quantlake needs Python 3.11, 3.12 or 3.13; this is %d.%d. Name another: make PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/quantlake demo

ui: $(VENV)/installed
	@$(BIN)/quantlake ui

test: $(VENV)/installed
	@$(BIN)/python -m pytest -n 3 --dist loadfile -m "not slow"

test-all: $(VENV)/installed
	@$(BIN)/python -m pytest -n 3 --dist loadfile

# What computes small markets runs uncompiled too; hundreds of random ones would take hours.
PLAIN := $(addprefix tests/engine/test_,truth_table.py bar_order.py reference.py mutants_caught.py waiting.py \
	metrics_kernels.py liquidity.py trades.py drawdowns.py policy_orders.py policy_cancelling.py)

test-checked: $(VENV)/installed
	@NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 -m "not slow" $(PLAIN)
	@NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --timeout 900 tests/engine

check: $(VENV)/installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

parity-zipline: $(VENV)/installed .venv-zipline/installed
	@QUANTLAKE_ZIPLINE_PYTHON=$(CURDIR)/.venv-zipline/bin/python $(BIN)/python -m pytest tests/parity/test_zipline.py

.venv-zipline/installed:
	@echo "Installing zipline-reloaded into .venv-zipline (it needs older packages than the rest)"
	@test -x .venv-zipline/bin/python || $(PYTHON) -m venv .venv-zipline
	@.venv-zipline/bin/python -m pip install --quiet --disable-pip-version-check "zipline-reloaded>=3.2.1,<3.3"
	@touch $@

.bench/installed: benchmarks/requirements.lock $(VENV)/installed
	@rm -rf .bench && mkdir .bench
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --target .bench -r benchmarks/requirements.lock || echo "Peers could not be installed; the benchmark names what is absent"
	@touch $@

bench: .bench/installed
	@PYTHONPATH=$(CURDIR)/.bench $(BIN)/python -m benchmarks $(ARGS)

# Needs uv; writes versions and hashes only, one lock for every supported Python.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock

clean:
	rm -rf $(VENV) .venv-zipline .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
