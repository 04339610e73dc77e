# make demo    start the demo units, look at them, power off, prove that nothing is left
# make test    every check: format, lint, types, floors, tests, and the bus tests on the second D-Bus library
# Both do their own set-up: Debian packages by apt when some are missing, the Python ones into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench clean

help:
	@sed -n 's/^# make /make /p' Makefile

demo: $(VENV)/.runtime
	@$(BIN)/python tools/demo.py

test: $(VENV)/.development
	@tools/packages.sh test
	@$(BIN)/python tools/checks.py all

# make lint    format, lint, types, floors
lint: $(VENV)/.development
	@$(BIN)/python tools/checks.py lint

# make format  put the sources into ruff's format
format: $(VENV)/.development
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

# make bench   the benchmarks, with their budgets (tests/bench)
bench: $(VENV)/.development
	@$(BIN)/python -m tests.bench

# make clean   remove the environment and what tools leave behind
clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find unitd tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@tools/packages.sh venv
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/pip
	@echo 'set-up: the Python packages that unitd needs, into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Dependency groups (PEP 735) are known to pip from 25.1 on; Debian 12 brings 23.0.
$(VENV)/.development: pyproject.toml | $(VENV)/.runtime
	@echo 'set-up: the tools for tests and lint, into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable .
	@touch $@
