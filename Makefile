# Everything runs in .venv/ of the project; the first target that needs it makes it.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKS := pyproject.toml requirements.lock requirements-weights.lock requirements-build.lock

.DEFAULT_GOAL := help
.PHONY: help run install test check bench clean

help: ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/'

run: $(STAMP) ## Run everything on this machine (ARGS="--no-demo", ARGS="--camera 0", ...)
	@exec $(BIN)/sensorium up $(ARGS)

install: $(STAMP) ## Make the environment in .venv

test: $(STAMP) ## Prove everything (ARGS="tests/unit", ARGS="-k replay", ...)
	@sh .ci/browser
	@$(BIN)/python -m pytest $(or $(ARGS),-n 3 --dist loadfile)

check: $(STAMP) ## Style, types, who may import whom
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright && $(BIN)/lint-imports

bench: $(STAMP) ## Measure this machine
	@$(BIN)/sensorium bench $(ARGS)

clean: ## Remove the environment and all caches; the state in .sensorium stays (`sensorium reset --yes` deletes it)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): $(LOCKS) .ci/environment
	@sh .ci/environment $(VENV)
	@touch $@
