# Svod: the pipeline as make targets. `make` lists them.
# A recipe that fails ends make with "Error N": N is the step's own exit status (docs/operations.md).

ifndef SVOD_RUN_ID
export SVOD_RUN_ID := $(shell date -u +%Y%m%dT%H%M%S)-$(shell printf %04x $$$$)
endif
export SVOD_ENV_FILE ?= .env

BIN := .venv/bin
READY := .venv/.ready
DEV := .venv/.dev
DOTENV := $(if $(wildcard $(SVOD_ENV_FILE)),$(BIN)/dotenv --file $(SVOD_ENV_FILE) run --no-override --)
INGEST := $(BIN)/ingest
PUBLISH := $(BIN)/publish
DBT := $(DOTENV) $(BIN)/dbt
DBT_AT := --project-dir dbt_project --profiles-dir dbt_project
SCALE ?= 0.02
AGAINST ?= HEAD
EXAMPLES ?= 20000
LOCK_PACKAGES := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate \
	--no-header --no-emit-index-url --no-emit-package svod $(ARGS)
# A worker takes whole files, in the order that tests/conftest.py gives them. One more than there are processors: each
# waits for a portal, a server or a process now and then.
WORKERS := --numprocesses $(shell expr $$(nproc) + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
OPERATE := demo check full incremental follow status plan report inspect forget # in `make help` before all others
LINTED_SQL := dbt_project/models dbt_project/tests

.PHONY: help setup services demo test lint full incremental check follow plan forget inspect status report docs bench compare lock quality chaos fuzz clean \
	transfer-backup transfer-baseline transfer-rehearsal transfer-delta transfer-final transfer-status transfer-report transfer-demo
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{line[$$1] = sprintf("make %-18s %s", $$1, $$2); \
		order[NR] = $$1} END {n = split("$(OPERATE)", first, " "); for (i = 1; i <= n; i++) {print line[first[i]]; \
		delete line[first[i]]} print ""; for (i = 1; i <= NR; i++) if (order[i] in line) print line[order[i]]}'

setup: $(READY) ## virtual environment and pinned packages (other targets call it)

$(READY): requirements.txt pyproject.toml
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is missing: apt-get install python3"; exit 2; }
	@python3 -c 'import ensurepip' 2>/dev/null || { echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv; }
	@echo "setting up .venv (the first time takes a minute)"
	@python3 -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEV): $(READY) requirements-dev.txt
	@echo "adding what the demo, the tests and the linters need"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

services: $(DEV) ## installs what the tests need where missing: MariaDB, Chromium, Kafka
	@$(BIN)/python -m tests.servers install

demo: $(DEV) ## the whole pipeline on sample data with embedded servers
	@$(BIN)/python -m tests.demo

test: services lint ## every test, dbt's included
	@$(BIN)/python -m tests.servers around $(BIN)/python -m pytest $(WORKERS) $(ARGS)

lint: $(DEV) ## ruff, mypy, sqlfluff, vulture, import-linter; changes nothing
	@tools= failed=; run() { \
		name=$$1; shift; said=$$("$$@" 2>&1) || { printf '%s\n' "$$said" "lint: $$name is not content" >&2; false; }; }; \
	run "ruff check" $(BIN)/ruff check --quiet . & tools="$$tools $$!"; \
	run "ruff format" $(BIN)/ruff format --check --quiet . & tools="$$tools $$!"; \
	run mypy $(BIN)/mypy --no-error-summary & tools="$$tools $$!"; \
	run sqlfluff $(BIN)/sqlfluff lint --quiet --nocolor $(LINTED_SQL) & tools="$$tools $$!"; \
	run vulture $(BIN)/vulture & tools="$$tools $$!"; \
	run import-linter $(BIN)/lint-imports --no-cache & tools="$$tools $$!"; \
	for tool in $$tools; do wait $$tool || failed=yes; done; test -z "$$failed"

full: $(READY) ## all sources from SVOD_SINCE, registry, models, gates, publish
	@$(PUBLISH) run --full $(ARGS)

incremental: $(READY) ## the same from the watermarks and offsets; for cron
	@$(PUBLISH) run $(ARGS)

check: $(READY) ## validates every setting, tries every source, the registry, the portal
	@$(PUBLISH) check $(ARGS)

follow: $(READY) ## stays up: events reach the portal within seconds
	@exec $(PUBLISH) follow

plan: $(READY) ## what publish would create, update and leave; sends nothing (ARGS="--show 20")
	@$(PUBLISH) plan $(ARGS)

inspect: $(READY) ## SQL shell on a copy of the warehouse, also while a run holds it
	@$(INGEST) inspect $(ARGS)

forget: $(READY) ## erases a person for good (ARGS="--phone … --yes", --email, --inn, --id)
	@$(PUBLISH) forget $(ARGS)

status: $(READY) ## whether all is well, what goes on, what waits (ARGS=--details, --json)
	@$(PUBLISH) status $(ARGS)

report: $(READY) ## one page for director, steward and operator (ARGS="--out FILE")
	@$(PUBLISH) report $(ARGS)

transfer-backup: $(READY) ## fetches the parts of a portal's backup and proves them
	@$(INGEST) backup

transfer-baseline: $(READY) ## the box right after the restore (NO_BACKUP=yes: there is none)
	@$(PUBLISH) transfer baseline $(if $(filter yes,$(NO_BACKUP)),--no-backup) $(ARGS)

transfer-rehearsal: $(READY) ## moves all into a box to try out (first: ARGS=--automation-is-off)
	@$(PUBLISH) transfer rehearsal $(ARGS)

transfer-delta: $(READY) ## moves what has changed, while people work in the cloud
	@$(PUBLISH) transfer delta $(ARGS)

transfer-final: $(READY) ## moves what is left and compares (CONFIRM=frozen: nobody works there)
	@$(PUBLISH) transfer final --confirm "$(CONFIRM)" $(ARGS)

transfer-status: $(READY) ## where the move stands, what people have to do, the forecast
	@$(PUBLISH) transfer status $(ARGS)

transfer-demo: $(DEV) ## the whole move on sandbox portals and a backup server with faults
	@$(BIN)/python -m tests.transfer.demo

transfer-report: $(READY) ## the comparison of both portals as one page
	@$(PUBLISH) transfer report $(ARGS)

docs: $(READY) ## browsable documentation and lineage of the models, as one page
	@$(DBT) --quiet docs generate --static $(DBT_AT)
	@echo "open dbt_project/target/static_index.html"

quality: services ## golden records against the known answers of both generators (SCALE=…)
	@$(BIN)/python -m tests.bench quality --scale $(SCALE)

chaos: services ## kills the publisher 200 times, swaps warehouse and portal; kills all who land; compares
	@$(BIN)/python -m tests.chaos
	@$(BIN)/python -m tests.chaos.sources
	@$(BIN)/python -m tests.chaos.follow

fuzz: services ## the sources' readers on bytes of any kind, for long (EXAMPLES=…)
	@echo "$(EXAMPLES) examples for each reader; a line twice a minute"
	@SVOD_TEST_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -v --capture=sys --color=no tests/ingest/test_fuzz.py $(ARGS)

bench: services ## every stage at SCALE=…: seconds, rows/s, peak memory; bench.json
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@$(BIN)/python -m tests.bench run --scale $(SCALE)

compare: services ## this code against AGAINST=revision over the same raw rows (SCALE=…)
	@$(BIN)/python -m tests.compare --against $(AGAINST) --scale $(SCALE) $(ARGS)

lock: $(READY) ## pinned packages from pyproject.toml, three lists (ARGS=--upgrade renews all)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(LOCK_PACKAGES) pyproject.toml --output-file requirements.txt
	@$(LOCK_PACKAGES) --extra dev --constraint requirements.txt pyproject.toml --output-file requirements-dev.txt
	@$(LOCK_PACKAGES) --extra bench --constraint requirements-dev.txt pyproject.toml --output-file requirements-bench.txt

clean: ## removes what can be made again; never the warehouse
	@rm -rf .venv .cache demo transfer-demo bench.json dbt_project/target dbt_project/logs
