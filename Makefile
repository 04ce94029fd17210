# Two commands do all the set-up: `make fit` and `make test`. Both install into .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RECORDING := data/allen_cell_types/specimen_566517779/ephys.nwb

.PHONY: help install fit demo test test-all lint docs bench clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## install neurosbi into .venv
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

fit: install  ## fit a Hodgkin-Huxley neuron to an Allen Cell Types recording
	$(BIN)/neurosbi fit $(RECORDING) --junction-potential -14 --existing overwrite

demo: install  ## the same for the recording that comes with the package
	$(BIN)/neurosbi fit --demo --existing overwrite

test: $(VENV)/.tested  ## quick tests, under 20 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/.tested  ## all tests, also the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or not slow"

lint: $(VENV)/.tested  ## formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: $(VENV)/.tested  ## tables and figures of docs/simulators, from the code
	$(BIN)/python docs/generate_simulator_pages.py

bench: $(VENV)/.tested  ## speed and accuracy against NEURON, Brian2, sbi (hours); writes benchmarks/results
	$(BIN)/python benchmarks/hodgkin_huxley.py --write
	$(BIN)/python benchmarks/simulators.py --write
	$(BIN)/python benchmarks/mesogif.py --write
	$(BIN)/python benchmarks/spiking.py --write
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/sweeps.py --write
	$(BIN)/python benchmarks/rounds.py --write
	$(BIN)/python benchmarks/allen.py --write
	$(BIN)/python benchmarks/verdict.py --out benchmarks/results/verdict.md
	$(BIN)/python benchmarks/posterior.py
	$(BIN)/python benchmarks/posterior.py --methods rounds
	$(BIN)/python benchmarks/posterior.py --table

clean:  ## remove what make made here (results and the user cache stay)
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache *.egg-info
