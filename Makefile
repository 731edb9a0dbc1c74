.PHONY: setup test test-all lint format docs bench demo ci

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

setup: $(VENV)/.done  ## an environment with everything that development needs

$(VENV)/.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

test: setup  ## the fast tests
	$(BIN)/pytest -n auto -q

test-all: setup  ## the slow ones too
	$(BIN)/pytest -n auto -q -m 'slow or not slow'

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup  ## the schemas and the manual page, after a change of commands or results
	$(BIN)/python -m dvl2_cli.results.schemas docs/schemas
	$(BIN)/python -m dvl2_cli.manual docs/man/dvl2.1

bench: setup  ## speed and memory on this machine
	$(BIN)/dvl2 bench

demo: setup  ## the main job on a bundled picture, with the bundled model
	$(BIN)/dvl2 ocr examples/pictures/invoice.png
	$(BIN)/dvl2 ground examples/pictures/scene.png horse --draw

ci:
	.ci/run
