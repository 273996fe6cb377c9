# Two commands to start: `make demo` and `make test`. The first run of either makes .venv and installs into it.
#
# PYTHON: interpreter of the environment, 3.10 or newer.         make test PYTHON=python3.12
# VENV:   folder of the environment.                             make test VENV=/tmp/venv
# JOBS:   test processes, by default one per core.               make test JOBS=8
# ARGS:   more arguments for pytest.                             make test ARGS="-k checker"

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

EXTRAS_demo := agents,plot,report
EXTRAS_test := all,test
EXTRAS_docs := agents,plot,mols,rna,sb3,oracle,acquire,docs

# Folder of the data sets that are not packaged; `gfn data list` names their files. Some tests read them.
ifneq ($(wildcard ../shared/data),)
export GFN_ENVS_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-interop docs figures lint clean
.NOTPARALLEL:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

# The field's benchmark, with settings that find all sixteen corners and learn them to the last percent:
# benchmarks/time_to_quality.py has what each of them is worth.
DEMO := mdb GFN/HyperGrid-v0 --env.ndim 4 --env.side 20 --env.reward easy --iterations 3000 --agent.batch-size 128 \
  --agent.hidden 128 128 --agent.lr 2e-2,1e-5,3000 --agent.epsilon 0 --agent.delay-stop 0.8,0,750 \
  --agent.optimizer "muon(betas=(0.9, 0.99))" --eval-every 500

demo: $(VENV)/installed-demo ## train on a 4-D grid with progress, print exact metrics, save a picture under runs/demo
	rm -rf runs/demo
	$(BIN)/gfn train $(DEMO) --out runs/demo

bench: $(VENV)/installed-test ## measure speed for two minutes, and compare with the last committed figures
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.regression $(ARGS)

# One thread per process: two test processes with a thread pool each would compete for the cores.
test: $(VENV)/installed-test ## run every test
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# Leaves out tests that train, compile or start processes, and all but one instance per environment.
test-fast: $(VENV)/installed-test ## run most tests, in less than a minute
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(ARGS)

# RLlib pins another version of Gymnasium than this project, so it has a virtual environment of its own.
test-interop: .venv-interop/installed ## run the tests with TorchRL, RLlib, Tianshou, skrl and others, in .venv-interop
	OMP_NUM_THREADS=1 MPLBACKEND=Agg .venv-interop/bin/python -m pytest tests/interop -n $(JOBS) --dist worksteal $(ARGS)

.venv-interop/installed: setup.py constraints-interop.txt
	$(PYTHON) -m venv --clear .venv-interop
	@echo "Installing gfn-envs[agents,interop,mols,rna] into .venv-interop: once, a few minutes."
	.venv-interop/bin/python -m pip --disable-pip-version-check install -c constraints-interop.txt torch
	.venv-interop/bin/python -m pip --disable-pip-version-check install -c constraints-interop.txt -e '.[agents,interop,mols,rna]'
	@touch $@

docs: $(VENV)/installed-docs ## build the documentation site in build/docs, without network; warnings are errors
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs
	@echo "Open build/docs/index.html"

figures: $(VENV)/installed-test ## make every picture of README.md and docs, in about an hour; ARGS="--list" shows what from what
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python scripts/figures.py $(ARGS)

lint: $(VENV)/installed-test ## check style, format, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p gfn_envs -p agents
	$(BIN)/lint-imports --no-cache --no-logo

clean: ## remove .venv, caches and build files; runs/ stays
	rm -rf .venv .venv-interop build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first: it is most of the download, and the step that may fail for lack of disk space.
$(VENV)/installed-%: setup.py constraints.txt | $(VENV)/created
	@echo "Installing gfn-envs[$(EXTRAS_$*)] into $(VENV): once, a few minutes."
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e '.[$(EXTRAS_$*)]'
	@touch $@

# An existing environment that works is kept.
$(VENV)/created:
	@if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then \
	  if ! command -v $(PYTHON) >/dev/null; then \
	    echo "error: there is no $(PYTHON). Name a Python, 3.10 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; \
	  elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then \
	    echo "error: gfn-envs needs Python 3.10 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; \
	  elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "error: $(PYTHON) has no venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; \
	  fi; \
	  echo "$(PYTHON) -m venv $(VENV)"; $(PYTHON) -m venv --clear $(VENV); \
	fi
	@touch $@
