# `make study` and `make test` need only Python >= 3.11, make and a package registry.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup study test test-all lint bench gpu lock clean

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch .venv/installed

# On a machine with GPUs, too: the preset that has ten minutes, the packaged encoder and 1,000 labels.
study: setup
	$(BIN)/python -m study.launch adme --preset laptop

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Coverage slows every line, so that test-all alone measures it.
test: lint
	$(BIN)/python -m pytest

test-all: lint
	$(BIN)/python -m pytest -m "slow or not slow" --cov --cov-report=term --cov-fail-under=85

# An hour and a half on two quiet processors.
bench: setup
	for name in overhead augmentation training memory study statistics; do $(BIN)/python -m benchmarks.$$name || exit 1; done

# Rows a second, MFU, memory and trials an hour on this machine's GPU, and the tests that need one; without one it says so.
gpu: setup
	$(BIN)/python -m benchmarks.training --gpu
	$(BIN)/python -m pytest -rs tests/benchmarks/test_training_gpu.py

# Resolve the lower bounds of pyproject.toml anew. torch comes first, at its pinned version: a range would pull
# in a newer build with gigabytes of CUDA packages.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0
	.venv-lock/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,translation]'
	.venv-lock/bin/python -m pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/' > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock
