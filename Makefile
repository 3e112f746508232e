# make run    opens the explorer on the embedded model (ARGS='...' adds arguments)
# make test   runs the tests
# make test-families  holds every causal architecture against plain passes (half an hour)
# make check  format, lint, types and import contracts

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: run test test-families check format clean

run: $(VENV)/installed
	@$(BIN)/tokexplore $(ARGS)

test: $(VENV)/installed-dev
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

test-families: $(VENV)/installed-dev
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m families --timeout 1800 $(ARGS)

check: $(VENV)/installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=tests/typing $(BIN)/lint-imports --no-cache

format: $(VENV)/installed-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "tokexplore: making $(VENV) (the first time takes a minute or more: PyTorch is large)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@$(PIP) --editable '.[dev]'
	@touch $@
