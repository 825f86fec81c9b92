# Two commands are all a newcomer needs: `make run` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# many tests wait for servers that say nothing, so there is more than one at a time for a processor
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 2) * 3 // 2)')
# the tests decide by this whether a server that cannot be started is an error
export CI

.PHONY: run test coverage check format bench soak fuzz reliability schemas demo-data clean help

help: ## show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: $(READY) ## set up and run the main job on sample connections served on loopback
	$(BIN)/python -m demo

test: $(READY) servers ## set up and pass every test
	$(BIN)/pytest -n $(WORKERS)

coverage: $(READY) ## test the pure modules: every branch of them
	$(BIN)/pytest -q -n auto tests/unit tests/property --cov --cov-config=tests/pure.coveragerc

check: $(READY) ## formatting, lint, types, floors, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python schemas/generate.py --check

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schemas: $(READY) ## write schemas/ and README's table of engines anew
	$(BIN)/python schemas/generate.py
	$(BIN)/python -m tests.support_table

bench: $(READY) ## print speed as ratios against floors
	$(BIN)/python -m benchmarks

soak: $(READY) servers ## the long versions of the property and stress tests
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest -n auto

reliability: $(READY) servers ## try to break every promise; write what was found into README
	$(BIN)/pytest -q -n auto tests/reliability tests/e2e/test_canary.py \
		--ignore tests/reliability/test_figures.py --figures build/figures.json
	$(BIN)/python -m tests.reliability.table build/figures.json

fuzz: $(READY) ## give every parser wrong input for an hour, or FUZZ_SECONDS
	$(BIN)/python -m tests.fuzz

.PHONY: servers
servers:
	@sh tests/servers/install.sh

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh tests/servers/install.sh python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean: ## remove what was set up and made
	rm -rf $(VENV) .reconciler demo/.state .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
