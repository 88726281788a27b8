# make setup, demo, fmt, docs, check, test, test-long, test-thorough, crash-test, conformance, bench,
# release-check, clean.
# Each target installs what it needs. A machine needs only Python >= 3.11 and make (and npm for the protocol's suite).

export UV_SYSTEM_CERTS = 1
export UV_PYTHON_DOWNLOADS = never
# Tests start many processes, each of which would compile all our modules again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
# The uv on the PATH, or else one of our own in .uv.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --locked --group dev
# Install quietly, and print a line only if something is missing. Nothing is removed, so `make demo` keeps the packages
# of `make test`.
install = @$(UV) sync --locked --quiet --inexact --check $(2) 2>/dev/null || \
	{ echo "Installing $(1)…"; $(UV) sync --locked --quiet --inexact $(2); }
# The protocol's own test suite, and a Node that is new enough for it. npm installs both.
SUITE := tests/conformance/node_modules

.PHONY: setup demo test test-long test-thorough crash-test conformance check fmt docs bench release-check clean

setup: $(UV)
	$(call install,elks-mcp and the development tools (about 255 MB),--group dev)

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed. Run: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Installing uv in .uv…"
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.11,<1"

demo: $(UV)
	$(call install,elks-mcp and what it needs (about 76 MB))
	@$(UV) run --locked elks-mcp demo

test: setup
	$(RUN) pytest -m "not long"

# The tests that `make test` leaves out.
test-long: setup $(SUITE)
	$(RUN) pytest -m long

# All tests, with ten times as many examples, and every step of the crash scenarios. Takes hours.
test-thorough: crash-test $(SUITE)
	$(RUN) pytest --hypothesis-profile=thorough

crash-test: setup
	$(RUN) python scripts/crash_test.py
	$(RUN) python scripts/crash_calls.py --kills 60
	$(RUN) python scripts/crash_calls.py --kills 20 --database postgres --transport http --processes 2

conformance: setup $(SUITE)
	$(RUN) pytest tests/test_conformance.py

$(SUITE): tests/conformance/package-lock.json
	npm ci --prefix tests/conformance --no-audit --no-fund --loglevel=error
	touch $@

check: setup
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports --no-logo
	$(RUN) python scripts/docs.py --check

fmt: setup
	$(RUN) ruff check --fix
	$(RUN) ruff format

# The pages that are written from the code, and the site of all pages in dist/site.
docs: setup
	$(RUN) python scripts/docs.py
	$(call install,what builds the site (about 90 MB),--group dev --group docs)
	@$(RUN) --group docs python scripts/build_site.py

bench: setup
	$(RUN) python scripts/bench.py
	$(RUN) python scripts/bench_sending.py
	$(RUN) python scripts/bench_http.py
	$(RUN) python scripts/bench_contacts.py
	$(RUN) python scripts/bench_batches.py
	$(RUN) python scripts/soak.py

# What a release consists of, in dist/, tried from an empty environment. RELEASE_PLACEHOLDER=1 makes it a rehearsal.
release-check: setup
	$(RUN) python scripts/release.py

clean:
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
