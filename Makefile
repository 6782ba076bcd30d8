# make demo   set up what running needs, and run the quickstart on real data
# make test   set up what checking needs, and run every check
# make soak   the long tests        make bench   lrsweep beside others, in one go        make format   tidy the code

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test soak bench format
.DELETE_ON_ERROR:

demo: .venv/run.stamp
	$(BIN)/lrsweep run sweeps/quickstart.yaml

test: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -rs -m "not soak" -n auto --maxprocesses 8 --dist worksteal

soak: .venv/dev.stamp
	$(BIN)/python -m pytest -rP -m soak -n auto --maxprocesses 8 --dist worksteal

# JAX and PyTorch take part where they are installed: $(BIN)/pip install -e '.[bench]' torch; BENCH=--help for options.
bench: .venv/dev.stamp
	$(BIN)/python tests/bench/bench.py $(BENCH)

format: .venv/dev.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Some distributions ship Python without ensurepip; virtualenv brings its own pip.
.venv/bin/python:
	$(PYTHON) -m venv .venv || ($(PYTHON) -m pip install --quiet virtualenv && $(PYTHON) -m virtualenv --clear .venv)

.venv/run.stamp: pyproject.toml | .venv/bin/python
	@echo "installing lrsweep and what it needs into .venv (about half a minute)"
	@$(PIP) -e '.[plots]'
	@touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	@echo "installing lrsweep and what the checks need into .venv (about half a minute)"
	@$(PIP) -e '.[dev]'
	@touch .venv/run.stamp $@
