# Every target makes the virtual environment itself when it is missing: Python >= 3.11 and make are enough.

.DEFAULT_GOAL := help
.PHONY: help venv emulators feast witness demo demo-gcp-emulated dev stop test test-quick test-slow test-gcp soak soak-mutants protocol protocol-faults test-semantics check docs bench bench-online bench-bigquery bench-historical clean
.PHONY: lint lint-ruff lint-mypy lint-imports lint-definitions lint-docker

BIN := .venv/bin
HOME_FOLDER := $(abspath $(or $(AMORA_FS_HOME),.amora_fs))
# A missing emulator or browser fails the tests, instead of skipping them.
REQUIRE_ALL := $(if $(AMORA_FS_REQUIRE_ALL),--require-all)
# It is said once, here: settings refuse AMORA_FS_* variables that they do not know.
unexport AMORA_FS_REQUIRE_ALL
# What is compiled is kept: a test that starts a process would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
# More words for pytest: make test ARGS="-k gate -x"
ARGS :=
# A process for each core; a module's tests stay together, since they share servers. make test WORKERS=0: in one process.
WORKERS := auto
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:[^=]*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/.stamp  ## the virtual environment .venv, at the versions in constraints.txt

.venv/.stamp: pyproject.toml constraints.txt
	@scripts/make-venv

emulators: .venv-bigquery-emulator/.stamp  ## the environment of the BigQuery emulator (needs Python 3.13)

# Left unmade (and tried again the next time) where there is no Python 3.13.
.venv-bigquery-emulator/.stamp: amora_fs_assets_tests/emulators/bigquery-emulator.txt | .venv/.stamp
	@REQUIRE_ALL=$(AMORA_FS_REQUIRE_ALL) scripts/make-bigquery-emulator

feast: .venv-feast/.stamp  ## the environment of a stock Feast client, which reads the registry in a test

.venv-feast/.stamp: amora_fs_assets_tests/feast/feast.txt | .venv/.stamp
	@scripts/make-feast-client

witness: .venv-witness/.stamp  ## the environment of Google's reference implementation of GoogleSQL

.venv-witness/.stamp: amora_fs_assets_tests/witness/witness.txt | .venv/.stamp
	@REQUIRE_ALL=$(AMORA_FS_REQUIRE_ALL) scripts/make-witness

demo: .venv/.stamp  ## the whole of 2013 through a feature store, then how to look at it
	@$(BIN)/amora-fs demo

demo-gcp-emulated: .venv/.stamp emulators  ## the same through Google's clients, against emulators
	@$(BIN)/python -m amora_fs_assets_tests.emulators $(BIN)/amora-fs demo

# The sample's data end with 2013, so its clock does too.
dev: export AMORA_FS_NOW ?= 2014-01-01T05:00Z
dev: .venv/.stamp  ## apply, then the Dagster UI at localhost:3000
	@mkdir -p "$(HOME_FOLDER)/dagster"
	@test -f "$(HOME_FOLDER)/dagster/dagster.yaml" || \
		printf 'telemetry:\n  enabled: false\nnux:\n  enabled: false\n' > "$(HOME_FOLDER)/dagster/dagster.yaml"
	$(BIN)/amora-fs apply
	DAGSTER_HOME="$(HOME_FOLDER)/dagster" $(BIN)/dagster dev -w workspace.yaml $(ARGS)

stop: .venv/.stamp  ## stop the embedded server of this project's home
	@$(BIN)/amora-fs stop

test: .venv/.stamp emulators witness  ## all tests but the slow ones
	$(PYTEST) $(REQUIRE_ALL) $(ARGS)

# What took longer than 0.15 s in the last `make test` is left out, and so are emulators and browsers.
test-quick: .venv/.stamp  ## the tests that are quick, in a minute: for the loop of work
	$(PYTEST) --quick -m "not slow and not semantics and not google and not browser and not e2e" $(ARGS)

# Tests that share a costly fixture are one xdist_group. The fixture is then set up once.
test-slow: .venv/.stamp emulators feast witness  ## the long proofs
	$(PYTEST) --dist loadgroup -m slow --durations=25 $(REQUIRE_ALL) $(ARGS) || test $$? -eq 5  # 5: there is none

# It tells its figures at the end.
test-semantics: .venv/.stamp witness emulators  ## BigQuery's SQL before Google's own reference implementation
	$(PYTEST) amora_fs_assets_tests/witness -m semantics $(REQUIRE_ALL) $(ARGS)

# More words for the soak: make soak ARGS="--seed 7 --seconds 900". Linux with a C compiler alone: its clock is in C.
soak: .venv/.stamp  ## months in minutes on a fast clock, every read compared with a model
	$(BIN)/python -m amora_fs_assets_tests.soak $(ARGS)

soak-mutants: .venv/.stamp  ## put known faults back, one at a time: the soak finds each
	$(BIN)/python -m amora_fs_assets_tests.soak.mutants $(ARGS)

# More words: make protocol ARGS="--seed 7 --seconds 900". With --seconds 0 every schedule is run.
protocol: .venv/.stamp  ## operations in every order, with kills, against docs/protocol.md (3 minutes)
	$(BIN)/python -m amora_fs_assets_tests.protocol $(ARGS)

protocol-faults: .venv/.stamp  ## put known faults back, one at a time: the interleavings find each
	$(BIN)/python -m amora_fs_assets_tests.protocol.faults $(ARGS)

# Makes datasets and objects of its own there, and removes them.
test-gcp: .venv/.stamp  ## the contracts and the sample in a Google Cloud project: PROJECT=... BUCKET=...
	@test -n "$(PROJECT)" && test -n "$(BUCKET)" || { echo "Say where: make test-gcp PROJECT=... BUCKET=..."; exit 2; }
	$(BIN)/python -m pytest amora_fs_assets_tests/gcp -m "" --gcp-project "$(PROJECT)" --gcp-bucket "$(BUCKET)" $(ARGS)

lint: lint-ruff lint-mypy lint-imports lint-definitions lint-docker  ## ruff, mypy, import-linter, dg check defs, hadolint

lint-ruff: .venv/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-mypy: .venv/.stamp
	$(BIN)/mypy

lint-imports: .venv/.stamp
	$(BIN)/lint-imports --no-logo

lint-definitions: .venv/.stamp
	VIRTUAL_ENV="$(abspath .venv)" $(BIN)/dg check defs

lint-docker: .venv/.stamp
	$(BIN)/hadolint deploy/Dockerfile

check: lint test  ## lint, then test

docs: .venv/.stamp  ## docs/cli.md, from the commands' own help, and docs/registry/, from the code
	@$(BIN)/python -m amora_fs_assets_tests.documentation
	@$(BIN)/python -m amora_fs_assets_tests.operations_reference
	@$(BIN)/python -m amora_fs_assets_tests.registry_schemas

bench: .venv/.stamp  ## the main job's numbers, measured on this machine
	@$(BIN)/python -m benchmarks.main_job

bench-online: .venv/.stamp  ## reading and loading online features, against Feast
	@$(BIN)/python -m benchmarks.online
	@$(BIN)/python -m benchmarks.online_load
	@$(BIN)/python -m benchmarks.online_shards

bench-bigquery: .venv/.stamp emulators  ## what the client adds to BigQuery's work, on the emulator
	@$(BIN)/python -m benchmarks.bigquery

bench-historical: .venv/.stamp  ## training sets beside plain SQL and Feast (15 minutes)
	@$(BIN)/python -m benchmarks.historical

clean:  ## remove the virtual environments and caches (not .amora_fs, which holds data)
	rm -rf .venv .venv-* .bench build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
