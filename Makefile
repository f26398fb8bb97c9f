# make run    the demonstration: a cluster on this machine, keys, certificates, signatures
# make demo-disaster  both data centres are lost, the DR site takes over, all comes back (a minute or two)
# make test   lint and all tests              make lint   the checks without the tests
# make test-system  the table of faults at three tenths of its length, with real nodes; what make test leaves out (three quarters of an hour)
# make soak   200 clients under mixed faults for SECONDS=3600 (SIMULATION=1, STORE=etcd: see CONTRIBUTING.md)
# make losses  COUNT=20 times both productive sites are lost under load, and the DR site is promoted (KEYS=10000)
# make compiled  the way of a request compiled by mypyc, in build/compiled and as a wheel in build/wheels (needs gcc)
# make test-compiled  the tests of what is compiled, on that build
# make bench  all costs beside other balancers', and docs/performance.md (QUICK=1: the proxy's only, under a minute)
# make bench-check  instructions that a request costs the proxy, against the figure that is kept (ARGS=--record keeps it)
# make bench-device  a node with a token of SoftHSM2 through the whole path, beside a C program at the same token
# make bench-store  a node with KEYS=100000 on etcd: time to ready, memory, and when a change is on every node
# make draw   the pictures of docs/architecture.md, from the code's imports
# make reference  the pages of docs/reference that the code makes
# make etcd-messages  the messages of the etcd driver, from messages.proto
# make docs   the documentation as a site, in build/docs (strict: a warning is an error)
# make install-units  systemd units, users and folders into PREFIX=/usr/local (DESTDIR=)
# make screenshots  the pictures of docs/status-page.md, from real clusters in a browser
# make lock   new lock files from pyproject.toml
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-docs run demo-disaster test test-system soak losses lint format compiled test-compiled bench bench-check bench-device bench-store draw reference etcd-messages docs screenshots lock clean install-units
.DELETE_ON_ERROR:
SHELL := /bin/sh

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOAK = tests/system/soak.py $(if $(SIMULATION),--simulation)
CHAOS = tests/system/store_chaos.py
CODE := hsm_wire hsm_cluster hsm_daemon hsm_client proxy hsm_node hsmctl
WORKERS ?= 2
PREFIX ?= /usr/local
RUN_STAMP := .venv/.made-from-requirements
DEV_STAMP := .venv/.made-from-requirements-dev
DOCS_STAMP := .venv/.made-from-requirements-docs

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(RUN_STAMP)
setup-dev: $(DEV_STAMP)
setup-docs: $(DOCS_STAMP)

# Wheels only: no compiler is needed. The editable build would leave redoubt.egg-info beside the code, which
# nothing reads afterwards: it goes, so that setup makes .venv and nothing else.
$(RUN_STAMP): requirements.lock pyproject.toml
	@python=$$(sh tools/prerequisites.sh) && \
	{ [ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || \
	  { echo "Making .venv with the packages of requirements.lock (once; a minute at most)"; \
	    "$$python" -m venv --clear .venv; }; }
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -rf redoubt.egg-info build
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

$(DOCS_STAMP): requirements-docs.lock $(RUN_STAMP)
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-docs.lock
	@touch $@

run: setup
	@sh tools/prerequisites.sh >/dev/null
	@exec $(BIN)/python tools/run_demo.py $(ARGS)

demo-disaster: setup
	@sh tools/prerequisites.sh >/dev/null
	@sh tools/system_components.sh demo-disaster
	@exec $(BIN)/python tools/disaster_demo.py $(ARGS)

test: lint
	@sh tools/system_components.sh test
	@PYTHONPATH="$(CURDIR)/tools" $(BIN)/pytest -p no_skips -q -n $(WORKERS) $(ARGS)

# Three tenths of the length of all that is measured; REDOUBT_SCALE=1 is the full one, REDOUBT_SLACK=2 widens the bounds.
test-system: setup-dev setup-docs
	@sh tools/system_components.sh test-system
	@PYTHONPATH="$(CURDIR)/tools" sh tools/system_tests.sh $(WORKERS) $(ARGS)

soak: setup-dev
	@sh tools/system_components.sh soak
	@$(BIN)/python $(if $(filter etcd,$(STORE)),$(CHAOS),$(SOAK)) --seconds $(or $(SECONDS),3600) $(ARGS)

losses: setup-dev
	@sh tools/system_components.sh losses
	@$(BIN)/python tests/system/losses.py --count $(or $(COUNT),20) --keys $(or $(KEYS),0) $(ARGS)

lint: setup-dev
	@$(BIN)/ruff check --no-cache --quiet .
	@$(BIN)/ruff format --no-cache --quiet --check . || { echo "redoubt: run make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary tools/*.py model/*.py
	@$(BIN)/mypy --no-error-summary -p bench
	@$(BIN)/lint-imports --no-cache >.venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }

format: setup-dev
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

# Plain Python is the source and works without: docs/adr/0022. What is C on the way goes again.
compiled: setup-dev
	@sh tools/system_components.sh compiled
	@rm -rf build/compiled build/wheels
	@REDOUBT_COMPILED=1 $(PIP) wheel --no-deps --no-build-isolation --wheel-dir build/wheels .
	@rm -rf build/lib* build/temp* build/bdist* build/__native* build/ops.txt build/hsm_wire build/proxy redoubt.egg-info
	@$(PIP) install --no-deps --no-compile --target build/compiled build/wheels/redoubt-*.whl

test-compiled: compiled
	@sh tools/compiled_tests.sh $(ARGS)

bench: setup
	@sh tools/system_components.sh bench
	@sh bench/fetch_peers.sh
	@$(BIN)/python -m bench $(if $(QUICK),--quick,$(if $(ARGS),,--record)) $(ARGS)
	@$(if $(QUICK)$(ARGS),,$(BIN)/python -m bench.device)

bench-check: setup
	@sh tools/system_components.sh bench-check
	@$(BIN)/python -m bench.instructions $(ARGS)

bench-device: setup
	@sh tools/system_components.sh bench
	@$(BIN)/python -m bench.device $(ARGS)

bench-store: setup-dev
	@sh tools/system_components.sh bench-store
	@$(BIN)/python tests/system/many_keys.py --keys $(or $(KEYS),100000) $(ARGS)

# For the administrator of a host, after the wheel is in /opt/redoubt.
install-units:
	@install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	@install -m 644 deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.timer $(DESTDIR)$(PREFIX)/lib/systemd/system
	@install -m 644 deploy/systemd/redoubt.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/redoubt.conf
	@install -m 644 deploy/systemd/redoubt.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/redoubt.conf

draw: setup
	@$(BIN)/python tools/draw_architecture.py

reference: setup
	@$(BIN)/python tools/make_reference.py
	@$(BIN)/python tools/make_log_docs.py

etcd-messages: setup-dev
	@$(BIN)/python tools/make_etcd_messages.py

docs: setup-docs
	@$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/docs-state docs build/docs
	@echo "The site is in build/docs: open build/docs/index.html"

screenshots: setup-dev
	@sh tools/system_components.sh screenshots
	@REDOUBT_SCREENSHOTS="$(CURDIR)/docs/screenshots" $(BIN)/pytest -q -m system tests/system/browser/test_status_page.py

# uv resolves for every Python and platform at once; it is a tool of whoever changes a dependency, not of the tests.
lock:
	@sh tools/lock.sh

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .hypothesis redoubt.egg-info build
