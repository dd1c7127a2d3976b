# make demo [SCENARIO=name|list]   replay a recorded sick node on loopback and diagnose it
# make test [PYTEST_ARGS=...]      the whole suite        make lint    ruff and mypy
# make bench                       measurements           make truth   how often it is right    make clean   what these made
# make package [PACKAGE_ARGS=...]  one file, debs, rpms and their bill of materials, in dist/
# Amazon Linux 2023 and Debian: the machine's own python3 (>= 3.9) is used. PYTHON=... names another, VENV=... another place.

VENV ?= .venv
SCENARIO ?= subnet-exhausted
PYTEST_ARGS ?=
PACKAGE_ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench truth package clean

help:
	@sed -n 's/^# //p' Makefile | head -5

$(VENV)/.installed: pyproject.toml tools/make_venv.sh
	@tools/make_venv.sh "$(VENV)"
	@touch "$@"

$(VENV)/.installed-dev: pyproject.toml tools/make_venv.sh
	@tools/make_venv.sh "$(VENV)" dev
	@touch "$@" "$(VENV)/.installed"

demo: $(VENV)/.installed
	@if [ "$(SCENARIO)" = list ]; then "$(VENV)/bin/eniagent" demo --list; else "$(VENV)/bin/eniagent" demo "$(SCENARIO)"; fi

test: $(VENV)/.installed-dev
	"$(VENV)/bin/python" -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/mypy"

bench: $(VENV)/.installed-dev
	@failed=; for bench in bench/*_bench.py; do echo "== $$bench"; "$(VENV)/bin/python" "$$bench" || failed=1; done; [ -z "$$failed" ]

truth: $(VENV)/.installed-dev
	"$(VENV)/bin/python" -m tests.truth.matrix
	"$(VENV)/bin/python" -m tests.truth.outlook

package: $(VENV)/.installed
	"$(VENV)/bin/python" -m tools.package build $(PACKAGE_ARGS)

clean:
	rm -rf "$(VENV)" build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
