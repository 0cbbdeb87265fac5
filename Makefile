# Everything runs in .venv, which the first target that needs it makes from requirements/lock.txt.
# This needs make, Python >= 3.11 with venv, and a C compiler for packages without a wheel.

PYTHON ?=
UV ?=
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
LOCK := requirements/lock.txt
UV_LOCK := requirements/uv.txt

# Each candidate is run: a version manager's shim exists even where its interpreter does not.
SUITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3 python

.PHONY: help demo test lint format lock wheel clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "  ARGS='...' is passed to the command: make test ARGS='tests/scoring -x', make demo ARGS='seed=7'"

demo: $(READY) ## Compare segmentations of 1,000 simulated customers and write the report
	@$(BIN)/segkit sweep experiment=demo $(ARGS)

test: $(READY) ## Run the tests (ARGS='-m slow' for those that take minutes)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(READY) ## Check the style and the types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## Correct the style as far as a machine can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

wheel: $(READY) ## Build dist/segkit-*.whl
	@rm -rf build
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build
	@ls dist/*.whl

lock: ## Update the lock from pyproject.toml (ARGS=--upgrade for the newest versions)
	@$(find_python); set -e; \
	uv='$(UV)'; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	if [ -z "$$uv" ]; then \
	    "$$python" -m venv "$$work/venv"; "$$work/venv/bin/python" -m pip install --quiet uv; uv="$$work/venv/bin/uv"; \
	fi; \
	"$$uv" pip compile pyproject.toml requirements/build.in --extra dev --universal --python-version 3.11 \
	    --fork-strategy fewest --generate-hashes --no-header --no-emit-index-url --quiet $(ARGS) --output-file $(LOCK); \
	echo uv | "$$uv" pip compile - --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet $(ARGS) --output-file $(UV_LOCK)

clean: ## Remove the files that builds and tests leave (not .venv, not outputs)
	@rm -rf build dist segkit.egg-info .mypy_cache .pytest_cache .ruff_cache
	@find conf experiments segkit tests -name __pycache__ -type d -prune -exec rm -rf {} +

define find_python
python=''; \
for candidate in $(if $(PYTHON),'$(PYTHON)',$(CANDIDATES)); do \
    if "$$candidate" -c '$(SUITS)' 2>/dev/null; then python="$$candidate"; break; fi; \
done; \
if [ -z "$$python" ]; then \
    echo "segkit needs Python >= 3.11 with venv; tried: $(or $(PYTHON),$(CANDIDATES))." \
        "Name one with: make PYTHON=/path/to/python3" >&2; \
    exit 1; \
fi
endef

# An editable install depends on its folder, so it is made again after a move or a copy.
ifneq "$(shell cat $(READY) 2>/dev/null)" "$(CURDIR)"
.PHONY: $(READY)
endif

$(READY): $(LOCK) $(UV_LOCK) requirements/install.py pyproject.toml
	@set -e; if ! { $(BIN)/python -c '$(SUITS)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1; then \
	    $(find_python); echo "Making .venv with $$("$$python" --version)" >&2; "$$python" -m venv --clear .venv; \
	fi
	@echo "Installing the packages that $(LOCK) pins (30 seconds to some minutes the first time)" >&2
	@$(BIN)/python requirements/install.py
	@echo '$(CURDIR)' > $@
