# What is done with this repository, from demo to release. An environment is made once and again when its list changes.
#
#   PYTHON=python3.13   the interpreter to make the environment with; else the first one found that is 3.11 or newer
#   VENV=.venv-3.13     the environment's directory
#   ARGS="-k batch"     more arguments for pytest
#   INPUTS, SEED        how many inputs `make fuzz` makes, and from which seed
#   SECONDS=600 SEED=7  how long chaos reigns, and which

VENV   ?= .venv
PYTHON ?= $(shell .ci/find-python)
BIN    := $(VENV)/bin
ARGS   ?=
INPUTS ?= 100000
SEED   ?=
SECONDS ?= 60

# For slow and unsteady networks.
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_RETRIES ?= 10
export PIP_DEFAULT_TIMEOUT ?= 60
export npm_config_fetch_retries ?= 5

.PHONY: help demo test fuzz chaos deps lint types docs client clean
.DEFAULT_GOAL := help

help:  ## List these targets.
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile | expand -t 16

demo: $(VENV)/.package  ## Make a pastebin with users and pastes, start it, and say where it is. Needs only Python and make.
	$(BIN)/python testproject/demo.py

test: deps  ## Run all tests. As root or with CI=1, what is missing is installed; otherwise it is listed.
	@if command -v npm >/dev/null; then npm --prefix client test; fi
	$(BIN)/python -m pytest $(ARGS)
	@.ci/packages  # says once more what was skipped

chaos: deps  ## Let things go wrong for SECONDS (60) under hundreds of clients, and see that nothing is lost in silence.
	$(BIN)/python -m tests.chaos $(SECONDS) $(SEED)

fuzz: $(VENV)/.test  ## Give the push server inputs that nobody would send; INPUTS=1000000 of them, from SEED= or any.
	$(BIN)/python -m fuzz --inputs $(INPUTS) $(if $(SEED),--seed $(SEED)) $(ARGS)

deps: $(VENV)/.test  ## Install what the tests need.
	@.ci/packages
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory client/node_modules/.installed; fi

lint: $(VENV)/.lint  ## Check format and style.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test $(VENV)/.types  ## Check types.
	$(BIN)/mypy

docs: $(VENV)/.docs  ## Build the documentation into docs/_build/html; a warning is an error.
	$(BIN)/sphinx-build -E -n -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html

client: client/node_modules/.installed  ## Build the browser client into django_jugpush/static.
	npm --prefix client run build

clean:  ## Remove environments and what was built.
	rm -rf .venv* build dist docs/_build client/node_modules *.egg-info .*_cache .hypothesis test-results

# -qq: setuptools warns that an editable installation is one.
$(VENV)/.package: pyproject.toml
	@test -x $(BIN)/python || { test -n "$(PYTHON)" && "$(PYTHON)" -m venv $(VENV); }
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -qq -e .
	@touch $@

# $(VENV)/.test, .lint, .types, .docs: the dependency groups of pyproject.toml.
$(VENV)/.%: pyproject.toml | $(VENV)/.package
	$(BIN)/python -m pip install -q --group $*
	@touch $@

client/node_modules/.installed: client/package-lock.json
	npm --prefix client ci --no-audit --no-fund
	@touch $@
