# `make demo` and `make test` do all the set-up themselves: Python 3.11 or later and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

demo: $(VENV)/demo  ## train, log, register and serve a model; ARGS=--once asks it once and ends
	$(BIN)/modelserving demo $(ARGS)

test: $(VENV)/test  ## the default test run, minutes at most
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: $(VENV)/lint  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove what make made
	rm -rf $(VENV) build dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[serve,sklearn]'
	@touch $@

$(VENV)/test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[test]'
	@touch $@

$(VENV)/lint: $(VENV)/test pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[test,lint]'
	@touch $@
