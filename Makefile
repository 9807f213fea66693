.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long lint format up down status notebooks docs bench clean
VENV := .venv/bin

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Python packages, Java, jars, MinIO
	@infra/bootstrap.sh

demo: setup ## Everything once: stack, history, live traffic, batch, the books, a first look
	@$(VENV)/globalmart demo

up: setup ## Start the local stack and wait until it is healthy
	@$(VENV)/globalmart up

down: ## Stop the local stack
	@if [ -x $(VENV)/globalmart ]; then $(VENV)/globalmart down; else echo "  nothing was running"; fi

status: ## State, address and health of each service
	@$(VENV)/globalmart status

notebooks: setup ## JupyterLab with the notebooks, on the running stack
	@$(VENV)/globalmart notebooks

docs: setup ## The documents as a site, in build/site
	@NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build --quiet
	@echo "  open build/site/index.html"

lint: setup ## ruff and mypy
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy

test: lint ## All tests but the long ones, on two throw-away stacks side by side
	@$(VENV)/python -m infra.setup chromium
	@$(VENV)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long"

test-long: setup ## The long tests: chaos, soak, full fuzz
	@$(VENV)/python -m infra.setup chromium
	@$(VENV)/pytest -m long

bench: setup ## All benchmarks, each beside its peer
	@$(VENV)/globalmart bench all

format: setup ## Put the code into the house's format
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

clean: down ## Stop the stack and remove its data, .env and .venv; the shared cache stays
	@rm -rf .globalmart .env .venv *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
