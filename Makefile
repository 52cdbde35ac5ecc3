# make demo     everything, from nothing to a trained SLA-Det with pictures and a report
# make compare  the same network on sparse labels with SLA-Det, as if complete, and on complete labels
# make test     all tests            make test-fast   without the slow ones
# make check    ruff, mypy, codespell, doctest, fast tests
# make words    count words per file that have a plainer one
# make env      only create .venv    make doctor      what is installed and what is broken
#
# PYTHON=python3.12 make env    another interpreter
# TORCH_INDEX=... make env      another package index for torch
# DEMO=folder make demo         where the demo works

VENV ?= .venv
DEMO ?= work_dirs/demo
BIN := $(VENV)/bin
READY := $(VENV)/.mmleuk-ready
# Each file of tests stays in one process, which imports and prepares what it needs once; a test that hangs fails.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --timeout 600

.DEFAULT_GOAL := help
.PHONY: help env doctor demo compare test test-fast check words

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

env: $(READY)

# The stamp is older than its sources only when the list of versions or the package's needs changed.
$(READY): constraints.txt setup.py
	@sh tools/bootstrap.sh --venv $(VENV)
	@touch $@

doctor: $(READY)
	@$(BIN)/mmleuk doctor

demo: $(READY)
	@$(BIN)/python tools/demo.py --out $(DEMO)

compare: $(READY)
	@$(BIN)/python tools/compare.py --out $(DEMO)

test: $(READY)
	$(PYTEST) -m "not reproduce"

test-fast: $(READY)
	$(PYTEST) -m "not slow and not reproduce"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python tools/check_words.py
	$(PYTEST) -m "not slow and not reproduce"

words: $(READY)
	-@$(BIN)/python tools/check_words.py --count
