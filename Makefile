# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything lands in .venv/ and build/ below this folder. PYTHON=... chooses the interpreter (3.11 or newer).
PYTHON ?=
export PYTHON

# STAGES="units sanity" runs a part of the tests; `make stages` lists them.
STAGES ?=
# SANDBOX="--port 8066 --stacks shop,crm" passes options to the sandbox.
SANDBOX ?=

# GALLERY="--quick --only redis --list" shows a part of the gallery.
GALLERY ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint stages sandbox bench gallery tree docs changelog environment dev-environment clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-24s %s\n", $$1, $$2}'

demo: environment  ## Watch real backups being scheduled, made, checked and fetched (needs no account)
	@.venv/bin/python tests/demo/run.py

test: dev-environment  ## Run every test; STAGES="units lint" runs a part
	@.venv/bin/python tests/tools/stages.py $(or $(STAGES),all)

lint: dev-environment  ## Run the quick checks of style, docs, changelog and licences
	@.venv/bin/python tests/tools/stages.py lint docs changelog licences

stages: dev-environment  ## List the stages of the tests
	@.venv/bin/python tests/tools/stages.py --list

sandbox: environment  ## Run the sandbox in the foreground until Ctrl-C
	@.venv/bin/python tests/sandbox --home build/sandbox --ready-file build/sandbox.json $(SANDBOX)

bench: environment  ## Measure against the usual ways, as ratios from one run
	@.venv/bin/python tests/benchmarks/run.py

gallery: dev-environment  ## Show every way in which a backup breaks to verify and drill (more than an hour)
	@.venv/bin/python tests/damage/gallery.py $(GALLERY)

tree: environment  ## Copy the collection to build/tree, where Ansible can find it by its name
	@.venv/bin/python tests/tools/tree.py

docs: environment  ## Write the tables of docs/providers.md anew
	@.venv/bin/python tests/tools/provider_tables.py

changelog: dev-environment  ## Write the entry of this version into CHANGELOG.md
	@.venv/bin/python tests/tools/changelog.py

environment:
	@sh tests/tools/environment.sh demo

dev-environment: environment
	@sh tests/tools/environment.sh dev

clean:  ## Remove .venv and build
	rm -rf .venv build
