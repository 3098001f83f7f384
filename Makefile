# Two commands to know: `make app` opens the lab, `make test` runs every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
PORT ?= 7860

.PHONY: app test test-fast test-all test-shuffled coverage check bench starter format browser

app: $(VENV)/.app
	$(BIN)/python app.py --port $(PORT)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt | $(VENV)/.app
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	touch $@

# Browser tests drive Debian's chromium and check accessibility with axe-core.
browser: node_modules/axe-core/axe.min.js
ifeq ($(CHROMIUM),)
	apt-get update -qq && apt-get install -y -qq chromium >/dev/null
endif

node_modules/axe-core/axe.min.js: package.json
	npm install --silent --no-audit --no-fund --no-package-lock

# Three processes on two cores: the one that drives the browser waits much of its time.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev browser
	$(PYTEST)

# No browser, no training, no workers: what to run between two edits.
test-fast: $(VENV)/.dev
	$(PYTEST) -m "not full and not slow" --ignore=tests/browser --ignore=tests/training --ignore=tests/examples

# With every member of the products of which `make test` runs representatives.
test-all: $(VENV)/.dev browser
	$(PYTEST) -m ""

# In another order: files and the tests in them. Repeat an order with `make test-shuffled SEED=...`.
SEED ?= $(shell date +%s)
test-shuffled: $(VENV)/.dev browser
	$(PYTEST) --random-order --random-order-seed=$(SEED)

# Lines and branches that the tests reach, in all processes that they start.
coverage: $(VENV)/.dev browser
	$(PYTEST) --cov --cov-report=term

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/storage/test_migrations.py

bench: $(VENV)/.dev browser
	$(BIN)/python -m genai_lab bench

starter: $(VENV)/.app
	$(BIN)/python -m genai_lab starter build

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
