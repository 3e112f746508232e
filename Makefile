# make run    opens the explorer on the embedded model (ARGS='...' adds arguments)
# make test   runs the tests
# make quick  runs those that need no terminal (e2e) and no torch, and do not try all there is (slow):
#             two tests of three
# make test-families  holds every causal architecture against plain passes (half an hour)
# make test-servers   holds a real vLLM against the same weights here (installs 3.4 GB first)
# make check  format, lint, types and import contracts

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: run test quick test-families test-servers check format clean

run: $(VENV)/installed
	@$(BIN)/tokexplore $(ARGS)

test: $(VENV)/installed-dev
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

quick: $(VENV)/installed-dev
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not e2e and not slow and not families and not servers" $(ARGS)

test-families: $(VENV)/installed-dev
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m families --timeout 1800 $(ARGS)

test-servers: $(VENV)/installed-dev .venv-vllm/installed
	@$(BIN)/pytest -m servers $(ARGS)

.venv-vllm/installed:
	@cd tests && ../$(BIN)/python -m support.vllm_server ../.venv-vllm
	@touch $@

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
	@cd tests && ../$(BIN)/python -m support.llama_server ../$(VENV)/smollm2
	@touch $@
