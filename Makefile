# Tidegauge: `make help` says what there is. Needs a Python of 3.11 to 3.13 and network on the first run; no root.

VENV := .venv
# a machine without a GPU: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
FUZZ_EXAMPLES ?= 20000
LINES ?= 1000000
SEEDS ?= 200
RUNTIME := $(VENV)/.runtime-stamp
DEV := $(VENV)/.dev-stamp
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && command -v $$p && break; done)

export PYTHONNOUSERSITE := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint soak simulate mutants check docs site bench fuzz flood clean

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(RUNTIME) ## Run the daemon on real water-flow readings, sped up
	$(VENV)/bin/tidegauge demo

test: $(DEV) ## Run the tests
	$(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile

soak: $(DEV) ## Kill the daemon -9 at random instants (KILLS=20); nothing may be lost or doubled; as root its disk is filled, too
	$(VENV)/bin/python -m tests.soak

simulate: $(DEV) ## Simulate kills, power cuts, failing disks and operators from seeds: make simulate SEEDS=1000
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.simulation --seeds $(SEEDS)

mutants: $(DEV) ## Plant changes in a copy of the tree, one at a time; the tests must find each (an hour)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.mutants

lint: $(DEV) ## Format, lint, types, import contracts: what is quick to find
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

check: lint ## What lint checks, then documentation and the wheel
	$(VENV)/bin/python -m pytest tests/docs tests/packaging
	rm -rf build dist
	$(VENV)/bin/python -m build --wheel --outdir dist .

docs: $(RUNTIME) ## Write the generated parts of the documentation again
	$(VENV)/bin/python -m daemon.config.sample docs/configuration.md
	$(VENV)/bin/python -m daemon.metrics.catalogue docs/metrics.md

site: $(DEV) ## Build the documentation as a site, below build/site
	$(VENV)/bin/mkdocs build --strict -f deploy/site/mkdocs.yml

bench: $(RUNTIME) ## Measure readings per second on this machine
	$(VENV)/bin/tidegauge bench throughput

fuzz: $(DEV) ## Feed formats bytes of every kind, and rotate files in any order: make fuzz FUZZ_EXAMPLES=100000
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(VENV)/bin/python -m pytest --timeout 0 tests/adapters/formats/test_fuzz.py \
		tests/adapters/files/test_tail_any_order.py

flood: $(DEV) ## Send a daemon lines over TCP and account for each: make flood LINES=10000000
	$(VENV)/bin/python -m tests.e2e.flood $(LINES)

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find adapters daemon models tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last thing venv makes, so an environment whose making was cut short is made again
$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo 'make: found no Python of 3.11 to 3.13 here;' \
		'install one (Debian: apt install python3 python3-venv) or name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'make: $(PYTHON) cannot make virtual environments;' \
		'install its venv module (Debian: apt install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(RUNTIME): pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(if $(TORCH_INDEX),$(PIP) install -c constraints.txt --no-deps --index-url $(TORCH_INDEX) torch)
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(DEV): $(RUNTIME)
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
