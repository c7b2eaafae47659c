# A new environment for each VENV; the stamp is renewed when what it is made from changes.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed-$(1)
INSTALL = $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# One process more than there are cores: some tests wait, for browsers, clusters and what they kill.
IN_PARALLEL = -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder
SOURCES = setup.cfg pyproject.toml constraints.txt

# On data as small as the tests' more threads only wait for each other.
export OMP_NUM_THREADS ?= 1
# Compiled once for all processes of the tests, whatever the environment says.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test quick lint types format docs clean

demo: $(call STAMP,all)  ## Choose digits to label and show what that bought
	$(BIN)/skal demo

test: $(call STAMP,test)  ## Run every test, the docstrings' and this folder's pages' included
	$(BIN)/python -m pytest $(IN_PARALLEL)

quick: $(call STAMP,test)  ## The same without the slow tests
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not slow"

lint: $(call STAMP,test)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(call STAMP,test)
	$(BIN)/mypy

format: $(call STAMP,test)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(call STAMP,docs)  ## Build the pages into docs/_build; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

clean:
	rm -rf .venv docs/_build docs/gallery docs/api/generated build *.egg-info

$(call STAMP,all): $(SOURCES)
	$(INSTALL) -e ".[all]"
	touch $@

$(call STAMP,test): $(SOURCES)
	$(INSTALL) -e ".[all,test]"
	touch $@

$(call STAMP,docs): $(SOURCES)
	$(INSTALL) -e ".[all,docs]"
	touch $@
